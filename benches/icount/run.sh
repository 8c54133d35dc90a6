#!/usr/bin/env bash
# Instructions (callgrind) and allocations of the hot paths against the budgets in budgets.txt.
#
#   bash benches/icount/run.sh             checks, as CI does
#   bash benches/icount/run.sh --update    writes the budgets anew
set -euo pipefail
cd "$(dirname "$0")"
[ "$(uname -m)" = x86_64 ] || { echo "left out: the budgets are those of x86_64" >&2; exit 0; }
command -v valgrind >/dev/null || { echo "missing: valgrind (on Debian: apt-get install valgrind)" >&2; exit 1; }
export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$(cd ../.. && pwd)/target}

cargo build --release --locked --quiet
exec "$CARGO_TARGET_DIR/release/bench-icount" "$@"
