"""Errors that users can correct. The text is one complete sentence: what was found, what is expected, what to do."""


class FramepredError(Exception):
    """An error that the user can correct; the command line shows its text without a traceback and exits with 2."""


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
