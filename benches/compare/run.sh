#!/usr/bin/env bash
# Measures sqlbypass, the floors and Rails in turn, and writes results.json, results.md and charts
# beside itself and the goals into benches/README.md.
#
#   bash benches/compare/run.sh                      everything, three rounds
#   bash benches/compare/run.sh --only sqlite        one database; the others keep their figures
#   bash benches/compare/run.sh --bytes 600 --tasks 1,64 --rounds 3 --seconds 0.6   some of the cells
#   bash benches/compare/run.sh --quick              a look in minutes; nothing of the above is changed
#   bash benches/compare/run.sh --render             the tables and charts anew from results.json
set -euo pipefail
cd "$(dirname "$0")"
project=$(cd ../.. && pwd)
export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$project/target/compare}

case " $* " in
  *" --render "*) packages=(runner) ;;
  *) packages=(runner ours) ;;
esac
for package in "${packages[@]}"; do
  cargo build --release --locked --quiet --manifest-path "$package/Cargo.toml"
done
if [ "${packages[*]}" != runner ]; then
  cc -O2 ../store/mysql_floor.c -o "$CARGO_TARGET_DIR/release/mariadb-floor" \
    $(mariadb_config --cflags --libs) -lpthread || echo "left out: MariaDB's floor (on Debian: libmariadb-dev)" >&2
fi
exec "$CARGO_TARGET_DIR/release/bench-compare" --project "$project" --programs "$CARGO_TARGET_DIR" "$@"
