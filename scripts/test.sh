#!/usr/bin/env bash
# All tests but the slow ones: installs into .venv where that is needed, then pytest, one process a core.
# Slow tests (kills, soaks, fuzzing at scale): scripts/test.sh -m slow
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/environment.sh
environment "[dev]"
unset PYTHONDONTWRITEBYTECODE # compiled modules serve all processes of the tests, and the next run
export OMP_NUM_THREADS=1 # processes that each use all cores slow each other many times over
exec .venv/bin/python -m pytest --numprocesses auto --dist worksteal "$@"
