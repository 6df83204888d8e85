"""What goes wrong and can be mended by the user: one finished sentence that says what to do."""


class FramepredError(Exception):
    """A problem that the user can mend; its text is shown as it is, without a traceback."""


class ConfigError(FramepredError):
    """An argument outside its domain: the text names the argument, what it was and what it may be."""


class ClipError(FramepredError):
    """A clip whose shape, type, values or length do not fit what was asked of it."""


class MediaError(FramepredError):
    """A file that cannot be read or written as video."""


class DataError(FramepredError):
    """Data that are missing or are not what they should be."""


class WeightsError(FramepredError):
    """Weights that are unknown, damaged or do not fit."""
