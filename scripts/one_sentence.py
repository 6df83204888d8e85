"""How the scripts end where framepred refuses what they are asked for."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from framepred.errors import FramepredError


@contextmanager
def one_sentence_errors() -> Iterator[None]:
    """Exit with code 1 and the sentence of an error of framepred on stderr, without a traceback."""
    try:
        yield
    except FramepredError as error:
        sys.exit(str(error))
