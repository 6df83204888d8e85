"""Integers that users give as arguments, of any type, such as those of NumPy."""

from operator import index
from typing import SupportsIndex

from framepred.errors import ConfigError


def as_integer(name: str, number: SupportsIndex, least: int = 1) -> int:
    """An argument as an integer.

    Raises:
        ConfigError: if it is none, or below ``least``.

    Example:
        >>> as_integer("frames", 3)
        3
    """
    try:
        found = index(number)
    except TypeError as error:
        raise ConfigError(f"{name} must be an integer, not {number!r}.") from error
    if found < least:
        raise ConfigError(f"{name} must be at least {least}, not {found}.")
    return found
