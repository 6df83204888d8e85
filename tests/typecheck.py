"""The checker that CI puts behind every annotation: beartype, where an int may stand for a float (PEP 484)."""

from collections.abc import Callable
from functools import cache
from typing import Any

import typer
from beartype import BeartypeConf, beartype

_CONFIGURATION = BeartypeConf(is_pep484_tower=True)


def check(function: Callable[..., Any]) -> Callable[..., Any]:
    """Check calls of a stand-in that jaxtyping makes of a function, for its parameters or for its result.

    The second has the annotations of the parameters too. They are left out, because the first has checked them by
    then, and jaxtyping remembers the sizes of their axes. The checks are compiled at the first call: most functions
    are not called in a test process.
    """
    result = function.__annotations__.get("return", Any)
    if result is not Any:
        function.__annotations__ = {"return": result}
    for name in [name for name, hint in function.__annotations__.items() if hint is typer.Context]:
        del function.__annotations__[name]  # Typer passes its base class
    compiled = cache(lambda: beartype(conf=_CONFIGURATION)(function))
    return lambda *args, **kwargs: compiled()(*args, **kwargs)
