"""Errors that users can correct. The text is one complete sentence: what was found, what is expected, what to do."""

_originals: dict[str, str] = {}


def name_original(copy: str, original: str) -> None:
    """Let errors name what the user gave where they would name a temporary copy of it.

    Args:
        copy: path of the copy.
        original: the path, address or ``standard input`` that was copied.
    """
    _originals[copy] = original


class FramepredError(Exception):
    """An error that the user can correct; the command line shows its text without a traceback and exits with 2."""

    def __str__(self) -> str:
        text = super().__str__()
        for copy, original in _originals.items():
            text = text.replace(copy, original)
        return text


class ConfigError(FramepredError):
    """An argument has a value that is not allowed."""


class ClipError(FramepredError):
    """A clip has the wrong shape, type, values or length."""


class MediaError(FramepredError):
    """A file cannot be read or written."""


class DataError(FramepredError):
    """A data set is missing or damaged."""


class WeightsError(FramepredError):
    """Weights are unknown, damaged or do not fit."""
