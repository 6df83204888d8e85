"""``python -m framepred.cli``: the command line without its console script."""

from framepred.cli.main import main

main()
