#!/usr/bin/env bash
# The long proof: every fuzz target for SECONDS_EACH (600 by default), a Galera cluster that loses a
# node, 10,000 races of logouts against the rest and 500 seeded interleavings on each database, histories
# of three seeds on each database under faults (HISTORY_SECONDS, 60 by default, for each of the three
# policies; HISTORY_SEED repeats one seed), 200 times 10,000 random sessions made by Ruby, changed here and
# compared by Ruby, power cuts under SQLite at 1,000 moments of three seeds, a soak
# of SOAK_MINUTES (20 by default) on each database under random faults, the operator's tasks on a million
# rows beside a service (OPERATOR_ROWS), then all benches and the chart.
# Fuzzing needs a nightly toolchain and cargo-fuzz; each part can be run alone:
# tests/long.sh fuzz|galera|races|histories|ruby|power|soak|operator|bench;
# `tests/long.sh soak sqlite|postgres|mariadb` soaks one of them, and so for operator.
set -euo pipefail
cd "$(dirname "$0")/.."

fuzz() {
  command -v cargo-fuzz >/dev/null || cargo install cargo-fuzz --locked --quiet
  # Short inputs where each byte is worth a value or an operation.
  for target in base64:4096 convert:4096 cookie:4096 encrypted:4096 json:4096 marshal_read:4096 \
    marshal_splice:4096 marshal_write:400 rails:4096 store:300 tower:4096 url:2048; do
    name=${target%:*}
    found=$(mktemp -d)
    echo "fuzzing $name"
    # New inputs go to a folder of their own: the committed corpus is small on purpose.
    cargo +nightly fuzz run "$name" "$found" "fuzz/corpus/$name" -- \
      -max_total_time="${SECONDS_EACH:-600}" -max_len="${target#*:}" -print_final_stats=1 2>&1 | tail -8
    rm -rf "$found"
  done
}

# Runs of the address and the leak sanitizer over the unit tests, the corpora and the clients of one history.
# What they see is our `unsafe` and SQLite beneath it.
sanitizers() {
  for sanitizer in ${SANITIZER:-address leak}; do
    echo "sanitizer: $sanitizer"
    # A target named makes build scripts and macros do without. Frames are several times larger so.
    RUST_MIN_STACK=33554432 RUSTFLAGS=-Zsanitizer=$sanitizer CARGO_PROFILE_TEST_OPT_LEVEL=1 \
      cargo +nightly test --locked --target "$(rustc -vV | sed -n 's/^host: //p')" \
      --target-dir "target/$sanitizer" --no-default-features \
      --features sqlite,http,encryption,tower-sessions --lib --test codec --test fuzzed --test history \
      -- --skip histories_on
  done
}

# Every small change to ids, cookies, the lanes and the formats that cargo-mutants can think of; what no
# test notices is explained in docs/mutants.md. MUTANTS_SHARD (such as 3/20) tests a part of them.
mutants() {
  command -v cargo-mutants >/dev/null || cargo install cargo-mutants --locked --quiet
  # An accident of one mutant is no seed for the next one.
  export PROPTEST_FAILURE_PERSISTENCE=off
  for files in ${MUTANTS_OF:-src/id.rs 'src/cookie/**' 'src/store/lane/**' 'src/codec/**' 'src/value/**'}; do
    cargo mutants --file "$files" ${MUTANTS_SHARD:+--shard "$MUTANTS_SHARD" --sharding round-robin} \
      --output "target/mutants/${files//[^a-z]/}" --minimum-test-timeout 60 \
      --no-default-features --features http,sqlite,encryption \
      -- --lib --test codec --test fuzzed --test history -- --skip histories_on || true
  done
}

galera() {
  if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null && ! command -v wsrep_sst_rsync >/dev/null; then
    apt-get update -qq >/dev/null
    DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 apt-get install -y -qq --no-install-recommends \
      mariadb-server galera-4 rsync socat >/dev/null
  fi
  # Without root: the test says what is missing (on Debian: mariadb-server galera-4 rsync socat).
  cargo test --locked --features full --test galera -- --nocapture
}

races() {
  SQLBYPASS_RACES=10000 SQLBYPASS_SEEDS=500 cargo test --locked --features full --test integration -- \
    a_logout_is_final requests_meet
}

histories() {
  for seed in ${HISTORY_SEED:-$RANDOM $RANDOM $RANDOM}; do
    echo "HISTORY_SEED=$seed"
    HISTORY_SEED=$seed HISTORY_SECONDS="${HISTORY_SECONDS:-60}" \
      cargo test --locked --features full --test history -- --nocapture histories_on
  done
}

ruby() {
  local first=${SQLBYPASS_SEED:-$((RANDOM * 1000000))}
  for ((seed = first; seed < first + 10000 * ${RUBY_ROUNDS:-200}; seed += 10000)); do
    echo "SQLBYPASS_SEED=$seed"
    SQLBYPASS_SEED=$seed cargo test --locked --features full --test codec -- --nocapture ruby
  done
}

power() {
  for seed in ${SQLBYPASS_SEED:-$RANDOM $RANDOM $RANDOM}; do
    SQLBYPASS_SEED=$seed SQLBYPASS_CUTS="${SQLBYPASS_CUTS:-1000}" \
      cargo test --locked --features full --test integration -- hostile::power --nocapture
  done
}

soak() {
  cargo test --locked --features full --test soak -- --nocapture --test-threads 1 ${database:+"$database"}
}

operator() {
  cargo build --locked --release --features full --bin sqlbypass
  SQLBYPASS_PROGRAM="$PWD/target/release/sqlbypass" SQLBYPASS_OPERATOR_ROWS="${OPERATOR_ROWS:-1000000}" \
    cargo test --locked --features full --test integration -- \
    --nocapture --test-threads 1 "admin::long${database:+::$database}"
}

bench() {
  cargo bench --locked
  cargo bench --locked --features postgres,mysql --bench ratios
  bash benches/compare/run.sh --all
}

database=${2:-}
for part in ${1:-fuzz galera races histories ruby power soak operator bench}; do "$part"; done
