"""Fixed bounds on the size of a source, equal on every machine; ``memory`` checks what this machine has."""

from framepred.errors import MediaError

MAX_BYTES = 2 * 1024**3
"""Bytes that what is decoded at once may take: 2 GiB, which a laptop with 8 GB can spare."""

BYTES_PER_PIXEL = 32
"""Bytes that decoding one pixel of a picture takes at its peak: RGBA, its copies, and 32-bit products of alpha."""

MAX_PIXELS = MAX_BYTES // BYTES_PER_PIXEL
"""Pixels that one frame may have: 67 million, twice those of 8K video."""


def check_pixels(name: object, width: int, height: int) -> None:
    """Refuse a frame size before memory is taken for it.

    Raises:
        MediaError: if the frame has no pixel or more than ``MAX_PIXELS``.
    """
    if min(width, height) < 1:
        raise MediaError(f"{name} has frames of {width}×{height} pixels; each side must be at least 1.")
    if width * height > MAX_PIXELS:
        raise MediaError(
            f"{name} has frames of {width}×{height} pixels but at most {MAX_PIXELS / 1e6:.0f} million are read; "
            "scale it down or cut it into tiles."
        )


def check_bytes(name: object, count: int) -> None:
    """Refuse to hold more than ``MAX_BYTES`` at once.

    Raises:
        MediaError: if ``count`` bytes are more.
    """
    if count > MAX_BYTES:
        raise MediaError(
            f"{name} takes {count / 1024**3:.1f} GiB of memory but at most {MAX_BYTES / 1024**3:.0f} GiB are read at "
            "once; read only its last frames, scale it down, or split it."
        )
