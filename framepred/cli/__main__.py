"""``python -m framepred.cli``: the command line without its console script."""

import sys

if not sys.flags.safe_path:
    del sys.path[0]  # the current folder: modules that lie in it are not ours

from framepred.cli.main import main

main()
