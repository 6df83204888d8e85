#!/usr/bin/env bash
# From a clone to a predicted video with its score: installs into .venv where that is needed, then `framepred demo`.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/environment.sh
environment ""
exec .venv/bin/framepred demo "$@"
