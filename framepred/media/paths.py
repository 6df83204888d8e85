"""Paths as users write them."""

import os
from pathlib import Path


def expand_user(path: str | os.PathLike[str]) -> Path:
    """A path with ``~`` replaced by the home folder; it stays where there is no such user."""
    return Path(os.path.expanduser(path))  # noqa: PTH111  Path.expanduser fails for unknown users
