#!/usr/bin/env bash
# Runs every test. What a test needs and the machine lacks is installed on Debian as root; elsewhere
# a line says how to get it, and the tests that need it say loudly that they were skipped.
set -euo pipefail
cd "$(dirname "$0")/.."

# need COMMAND PACKAGE...: makes sure that COMMAND is there.
updated=
need() {
  local command=$1; shift
  command -v "$command" >/dev/null && return
  if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    [ -n "$updated" ] || apt-get update -qq >/dev/null
    updated=yes
    # RUNLEVEL=1: no package starts a daemon.
    DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 apt-get install -y -qq --no-install-recommends "$@" >/dev/null
    return
  fi
  echo "missing: $command (on Debian: apt-get install $*)" >&2
  [ "${CI:-}" != true ] || exit 1
}

command -v cargo >/dev/null || { echo "missing: cargo (install Rust 1.95 or newer)" >&2; exit 1; }
need cc gcc libc6-dev
need curl curl
need openssl openssl
need ruby ruby
ruby -ractive_record -rsqlite3 -raction_controller -e 1 2>/dev/null ||
  need rails ruby-activerecord ruby-actionpack ruby-sqlite3
need pgbouncer pgbouncer
need setpriv util-linux
need strace strace
need valgrind valgrind
# Debian keeps the server's programs off the PATH.
ls /usr/lib/postgresql/*/bin/postgres >/dev/null 2>&1 || need postgres postgresql
need mariadbd mariadb-server-core mariadb-client-core
# Its plugin for ed25519 stands in the package that runs it as a service.
need mariadbd-safe mariadb-server
need chromium chromium
need chromedriver chromium-driver

cargo build --locked --features full --bins --examples
cargo test --locked --features full --no-fail-fast "$@"
