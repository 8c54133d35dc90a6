#!/usr/bin/env bash
# Measures sqlbypass, its rivals, the floors and Rails in turn, and writes results.json, orm.json and
# results.md beside itself, the chart of the README and the goals into benches/README.md.
#
#   bash benches/compare/run.sh                      everything, three rounds
#   bash benches/compare/run.sh --only sqlite        one database; the others keep their figures
#   bash benches/compare/run.sh --bytes 600 --tasks 1,64 --rounds 3 --seconds 0.6   some of the cells
#   bash benches/compare/run.sh --quick              a look in minutes; nothing of the above is changed
#   bash benches/compare/run.sh --all                the codecs' benches and benches/http too
#   bash benches/compare/run.sh --render             tables and chart anew from what is there
set -euo pipefail
cd "$(dirname "$0")"
project=$(cd ../.. && pwd)
export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$project/target/compare}

arguments=()
for argument; do
  case "$argument" in
    --all) all=yes ;;
    *) arguments+=("$argument") ;;
  esac
done

# What needs no database: ratios of times by criterion, and our share of a request.
if [ "${all:-}" = yes ]; then
  short=(--warm-up-time 1 --measurement-time 2)
  (
    cd "$project"
    unset CARGO_TARGET_DIR
    cargo bench --locked --bench codec -- "${short[@]}" 'base64/(de|en)code/4kb|json/get/2kb'
    cargo bench --locked --bench store -- "${short[@]}" id/private
    cd benches/compare/codec
    cargo bench --locked --bench codec -- "${short[@]}" marshal/decode
  )
  bash ../http/run.sh
fi

# One package for each SQLite: only one can be linked into a program.
case " ${arguments[*]} " in
  *" --render "*) packages=(runner) ;;
  *) packages=(runner ours sqlx sqlx-store rusqlite-store diesel) ;;
esac
for package in "${packages[@]}"; do
  cargo build --release --locked --quiet --manifest-path "$package/Cargo.toml"
done
if [ "${packages[*]}" != runner ]; then
  cc -O2 ../store/mysql_floor.c -o "$CARGO_TARGET_DIR/release/mariadb-floor" \
    $(mariadb_config --cflags --libs) -lpthread || echo "left out: MariaDB's floor (on Debian: libmariadb-dev)" >&2
fi
exec "$CARGO_TARGET_DIR/release/bench-compare" --project "$project" --programs "$CARGO_TARGET_DIR" "${arguments[@]}"
