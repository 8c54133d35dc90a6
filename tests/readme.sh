#!/usr/bin/env bash
# Runs the README's commands as a newcomer would: the server is started, spoken to, killed with -9
# and started again, and the session is still there.
set -euo pipefail
cd "$(dirname "$0")/.."

commands=$(sed -n '/^```sh$/,/^```$/p' README.md)
for expected in 'cargo run --release --features cli -- serve' 'bash tests/run.sh'; do
  grep -qF "$expected" <<<"$commands" || { echo "README.md does not show: $expected" >&2; exit 1; }
done

cargo build --locked --release --features cli
folder=$(mktemp -d)
trap 'kill -9 "${server:-}" 2>/dev/null || true; rm -rf "$folder"' EXIT

# serve COMMAND...: starts the server and waits until it says where it listens.
serve() {
  : >"$folder/out"
  "$@" serve --listen 127.0.0.1:0 --database "sqlite://$folder/sessions.db" >"$folder/out" &
  server=$!
  for _ in $(seq 100); do
    url=$(sed -n 's/^listening on //p' "$folder/out")
    [ -z "$url" ] || return 0
    sleep 0.1
  done
  echo "the server did not start" >&2
  exit 1
}

serve cargo run --quiet --release --features cli --
curl --fail --silent --show-error -c "$folder/jar" -X PUT -d '"found again"' "$url/api/session/note" >/dev/null
kill -9 "$server"; wait "$server" 2>/dev/null || true
serve cargo run --quiet --release --features cli --
answer=$(curl --fail --silent --show-error -b "$folder/jar" "$url/api/session")
kill -TERM "$server"; wait "$server"
server=
[ "$answer" = '{"note":"found again"}' ] || { echo "unexpected: $answer" >&2; exit 1; }
echo "README: the session survived kill -9"
