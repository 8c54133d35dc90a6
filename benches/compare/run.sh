#!/usr/bin/env bash
# Measures sqlbypass and all rivals in turn, and writes results.json, results.md, the charts in docs/
# and the goals in benches/README.md.
#
#   bash benches/compare/run.sh                      everything, three rounds
#   bash benches/compare/run.sh --only sqlite        one database; the others keep their figures
#   bash benches/compare/run.sh --quick              a look in minutes; nothing of the above is changed
#   bash benches/compare/run.sh --render             the tables and charts anew from results.json
set -euo pipefail
cd "$(dirname "$0")"
project=$(cd ../.. && pwd)
# Each rival is a package with its own lock file, since only one SQLite links into a program; what
# they share is built once.
export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$project/target/compare}

case " $* " in
  *" --render "*) packages=(runner) ;;
  *) packages=(runner ours tower sqlx diesel) ;;
esac
for package in "${packages[@]}"; do
  cargo build --release --locked --quiet --manifest-path "$package/Cargo.toml"
done
[ "${packages[*]}" = runner ] || ! command -v mariadb_config >/dev/null ||
  cc -O2 mariadb/floor.c -o "$CARGO_TARGET_DIR/release/mariadb-floor" \
    $(mariadb_config --cflags --libs) -lpthread
exec "$CARGO_TARGET_DIR/release/bench-compare" --project "$project" --programs "$CARGO_TARGET_DIR" "$@"
