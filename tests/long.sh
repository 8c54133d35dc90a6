#!/usr/bin/env bash
# The long proof: every fuzz target for SECONDS_EACH (600 by default), then all benches and the rivals.
# Needs a nightly toolchain and cargo-fuzz; each part can be run alone: tests/long.sh fuzz|bench.
set -euo pipefail
cd "$(dirname "$0")/.."

fuzz() {
  command -v cargo-fuzz >/dev/null || cargo install cargo-fuzz --locked --quiet
  for target in base64 json marshal_read marshal_write marshal_splice; do
    found=$(mktemp -d)
    # New inputs go to a folder of their own: the committed corpus is small on purpose.
    cargo +nightly fuzz run "$target" "$found" "fuzz/corpus/$target" -- \
      -max_total_time="${SECONDS_EACH:-600}" -max_len=4096 -print_final_stats=1 2>&1 | tail -8
    rm -rf "$found"
  done
}

bench() {
  cargo bench --locked
  bash benches/compare/run.sh
}

for part in ${1:-fuzz bench}; do "$part"; done
