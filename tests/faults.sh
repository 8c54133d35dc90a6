#!/usr/bin/env bash
# Checks that every test that docs/faults.md names is there.
set -euo pipefail
cd "$(dirname "$0")/.."

missing=0 named=0
while IFS= read -r test; do
  file=${test%%::*} name=${test##*::}
  case $file in tests/*) ;; *) file=tests/integration/$file ;; esac
  named=$((named + 1))
  grep -qE "fn $name(<.*>)?\(" "$file" 2>/dev/null || { echo "docs/faults.md names no test: $test" >&2; missing=1; }
done < <(grep -oE '`[a-z_/]+\.rs::[a-z_0-9]+`' docs/faults.md | tr -d '`' | sort -u)
[ "$named" -gt 0 ] || { echo "docs/faults.md names no tests" >&2; exit 1; }
exit "$missing"
