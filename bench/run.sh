#!/usr/bin/env bash
# Prepares everything and runs every benchmark side by side; see README.md. `cargo xtask bench` does the same.
set -euo pipefail
here="$(cd "$(dirname "$0")" && pwd)"
command -v python3 >/dev/null || { echo "bench: python3 is needed" >&2; exit 2; }
exec python3 -B "$here/run.py" "$@"
