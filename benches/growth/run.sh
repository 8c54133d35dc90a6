#!/usr/bin/env bash
# What finds and saves cost in tables of 10,000 to 10,000,000 rows, and the memory of stores,
# operations and connections. Writes growth.json, memory.json and results.md beside itself and the
# chart docs/growth.svg. At its largest a table takes 8 GB of disk, below the folder for temporary files.
#
#   bash benches/growth/run.sh                    everything: half an hour
#   bash benches/growth/run.sh --only sqlite      one database; the others keep their figures
#   bash benches/growth/run.sh --most 100000      no larger tables; files go to the folder for builds
#   bash benches/growth/run.sh --memory           memory alone: a minute
set -euo pipefail
cd "$(dirname "$0")"
export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$(cd ../.. && pwd)/target/compare}

cargo build --release --locked --quiet
cargo build --release --locked --quiet --manifest-path ../http/Cargo.toml --bin server
exec "$CARGO_TARGET_DIR/release/bench-growth" --project "$(cd ../.. && pwd)" --programs "$CARGO_TARGET_DIR" "$@"
