"""Messages by which FFmpeg reports damage that it hides: the decoder goes on, and no error or flag says so."""

import re
from threading import Lock
from types import TracebackType
from typing import TypeAlias

import av.logging

Messages: TypeAlias = list[tuple[int, str, str]]
"""Level, reporter and text of each message."""

_DAMAGE = (
    r"slice CRC mismatch",  # FFV1, which shows the last frame instead
    r"error while decoding MB",  # H.264
    r"Coefficient damaged",  # Snow
    r"End mismatch|Missing EOC Marker",  # JPEG 2000
    r"Problem: pixel_ptr",  # QuickTime Animation
    r"inflate error|Used \d+ of \d+ bytes",  # ZMBV
    r"bits left after decoding slice",  # Ut Video
    r"Zlib resync occurred",  # Flash screen video
    r"cinepak_decode failed",
    r"invalid as first byte of an EBML number|exceeds containing master element",  # Matroska
    r"Invalid track number|Error parsing frame sizes|nknown-(sized|length) element|Failed to decode buffer",  # Matroska
    r"Packet mismatch",  # Flash video
    r"edit unit sync lost",  # MXF
    r"freeing incomplete packet",  # ASF, which leaves a frame out
)  # others, even those of the level of errors, come with many sound files
_CUT_OFF = (r"File ended prematurely", r"failed to seek to FooterPartition")  # Matroska and MXF
_PATTERN = re.compile("|".join(_DAMAGE))
_PATTERN_OF_WHOLE = re.compile("|".join([*_DAMAGE, *_CUT_OFF]))

_LEVEL = av.logging.INFO  # of the least of these messages
_lock = Lock()
_collecting = 0  # threads
_former: tuple[int | None, bool] = None, True


class CollectedMessages:
    """What FFmpeg reports in this thread within a ``with`` block.

    The level of FFmpeg's messages is the same for all threads, so it is raised only while a thread collects. Blocks are
    short, within one step of a decoder, because generators may be continued in another thread.
    """

    def __enter__(self) -> Messages:
        global _collecting, _former
        with _lock:
            if not _collecting:
                _former = av.logging.get_level(), av.logging.get_skip_repeated()
                av.logging.set_level(_LEVEL)
                av.logging.set_skip_repeated(False)
            _collecting += 1
        self._capture = av.logging.Capture(local=True)
        return self._capture.__enter__()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        global _collecting
        self._capture.__exit__(None, None, None)
        with _lock:
            _collecting -= 1
            if not _collecting:
                level, skip_repeated = _former
                av.logging.set_level(level)
                av.logging.set_skip_repeated(skip_repeated)


def reports_damage(messages: Messages, whole: bool = True) -> bool:
    """Whether one of the messages reports damage.

    Args:
        messages: what was collected.
        whole: whether the file states where it ends, so that an earlier end is damage.
    """
    pattern = _PATTERN_OF_WHOLE if whole else _PATTERN
    return any(pattern.search(text) for _, _, text in messages)
