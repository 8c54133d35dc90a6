#!/usr/bin/env bash
# Instructions per operation, counted by callgrind: ours, and marshal-rs's and serde_json's beside
# them. The same on every run, however busy the machine is. Needs valgrind.
set -euo pipefail
cd "$(dirname "$0")"
command -v valgrind >/dev/null || { echo "missing: valgrind" >&2; exit 1; }
cargo build --quiet --release --example count
target=$(cargo metadata --format-version 1 --no-deps | sed 's/.*"target_directory":"\([^"]*\)".*/\1/')

# total OPERATION ROUNDS: instructions of a whole run.
total() {
  valgrind --tool=callgrind --callgrind-out-file=/dev/null "$target/release/examples/count" "$@" 2>&1 |
    sed -n 's/.*Collected : \([0-9]*\).*/\1/p'
}

# each OPERATION: instructions of one, without what a run costs besides.
each() { echo $((($(total "$1" 600) - $(total "$1" 100)) / 500)); }

# against RIVAL OPERATION...: a line for each, with how many times more the rival takes.
against() {
  local rival=$1 theirs ours operation; shift
  theirs=$(each "$rival")
  printf '%-18s %8d\n' "$rival" "$theirs"
  for operation; do
    ours=$(each "$operation")
    printf '%-18s %8d %6.1f x\n' "$operation" "$ours" "$((100 * theirs / ours))e-2"
  done
}

against decode/marshal-rs decode open
against save/marshal-rs save/late save/early save/encode
against json/serde_json json
