# Sourced by demo.sh, test.sh and CI: a virtual environment beside the code, mended where it is missing or stale.
# Usage: environment EXTRAS, such as "" or "[dev]". What is installed stays installed for the next run.
environment() {
    local wanted
    wanted=$(cksum <pyproject.toml)
    if ! .venv/bin/pip --version 2>/dev/null | grep -qF "$PWD/.venv/"; then
        _new_environment
    fi
    [ "$(cat ".venv/framepred$1.stamp" 2>/dev/null)" = "$wanted" ] && return
    echo "Installing framepred$1 into .venv: once, a few minutes." >&2
    .venv/bin/python -m pip install --quiet --editable ".$1"
    # Extras bring the bare package with them.
    echo "$wanted" | tee .venv/framepred.stamp ".venv/framepred$1.stamp" >/dev/null
}

_new_environment() {
    local python=${PYTHON:-python3}
    if ! "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))'; then
        echo "framepred needs Python 3.11 or newer; name one with PYTHON=/path/to/python3.11." >&2
        exit 2
    fi
    "$python" -m venv --clear .venv
}
