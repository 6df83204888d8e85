#!/usr/bin/env bash
# All tests: installs into .venv where that is needed, then pytest.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/environment.sh
environment "[dev]"
exec .venv/bin/python -m pytest "$@"
