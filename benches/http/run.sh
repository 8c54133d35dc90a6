#!/usr/bin/env bash
# A whole request through a server with sqlbypass, one of axum with tower-sessions, and one without
# sessions, in turns; then our share of the instructions (needs valgrind). Writes results.md and
# share.json beside itself.
#
#   bash benches/http/run.sh             three rounds of 2 seconds
#   bash benches/http/run.sh --quick     one of half a second; the files go to the folder for builds
set -euo pipefail
cd "$(dirname "$0")"
export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$(cd ../.. && pwd)/target/compare}

for package in . tower; do
  cargo build --release --locked --quiet --manifest-path "$package/Cargo.toml"
done
programs=$CARGO_TARGET_DIR/release
case "${1:-}" in
  --quick) exec "$programs/load" "$programs" "$CARGO_TARGET_DIR" 1 0.5 ;;
  *) exec "$programs/load" "$programs" . ;;
esac
