"""``python -m framepred.cli`` and the console script ``framepred``."""

import gc
import signal
import sys


def run() -> None:
    """Run the command line; Ctrl-C while it is still being imported ends the process without a traceback."""
    if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    from framepred.cli.main import main
    from framepred.media.memory import limit_arenas

    limit_arenas()
    try:
        main()
    finally:
        gc.freeze()  # the last collections would visit every object of PyTorch's modules, for .3 s


if __name__ == "__main__":
    if not sys.flags.safe_path:
        del sys.path[0]  # the current folder: modules in it are not part of framepred
    run()
