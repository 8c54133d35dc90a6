#!/usr/bin/env bash
# Compares the inventory of `unsafe` in SECURITY.md with the sources.
set -euo pipefail
cd "$(dirname "$0")/.."

listed=$(sed -n 's/^| `\(.*\.rs\)` | \([0-9]*\) |.*/\1:\2/p' SECURITY.md | sort)
found=$(grep -rcE '\bunsafe (\{|fn|impl|trait|extern)|unsafe\(' --include=*.rs src | grep -v ':0$' | sort)
diff <(echo "$listed") <(echo "$found") ||
  { echo "SECURITY.md (<) and the sources (>) differ in their unsafe blocks" >&2; exit 1; }
