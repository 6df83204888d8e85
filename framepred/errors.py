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


def reason_of(error: BaseException) -> str:
    r"""What went wrong, in one line for the middle of a sentence: without number and path of an error of the system.

    >>> reason_of(FileNotFoundError(2, "No such file or directory", "clip.mp4"))
    'No such file or directory'
    >>> reason_of(ValueError("Two lines.\nThe second."))
    'Two lines'
    """
    if isinstance(error, OSError) and error.strerror:
        return str(error.strerror)
    return str(error).strip().split("\n")[0].rstrip(".:") or type(error).__name__


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


NOT_FINITE = (
    "The network predicted NaN or infinite pixels; its weights are damaged or their training diverged: use an earlier "
    "checkpoint."
)
"""What a :class:`WeightsError` says of predictions that files would show as black."""
