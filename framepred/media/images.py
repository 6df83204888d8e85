"""Single pictures, and folders of them as clips: 8 and 16 bit, gray or RGB."""

import warnings
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Shaped
from numpy.typing import NDArray
from PIL import Image
from PIL.ExifTags import Base
from torch import Tensor

from framepred.errors import MediaError
from framepred.media.failures import reading
from framepred.media.formats import frame_files
from framepred.media.frames import FrameStream, on_black
from framepred.media.limits import check_pixels
from framepred.media.opencv import cv2
from framepred.media.ranges import RangeChoice, ValueRange
from framepred.media.sequences import clips_beside, sequence_notes
from framepred.media.values import chosen_range, to_frames

_GRAY_MODES = ("1", "L", "LA", "La", "I", "I;16", "I;16L", "I;16B", "F")
OPAQUE = 255
"""Opacity of a pixel that shows nothing behind it."""

_WIDE_MODES = ("I;16", "I;16L", "I;16B", "I;16N")
_WHITE_16 = 65535


def read_image(path: Path, value_range: ValueRange | None = None) -> Shaped[Tensor, "c h w"]:
    """One picture: uint8 or uint16, or float32 for a float TIFF; transparency laid on black, EXIF rotation applied.

    Args:
        path: the file.
        value_range: the values that become 0 and 1; None for those that the type states.

    Raises:
        MediaError: if the file is damaged or too large.
        ClipError: if its values are not finite, or without ``value_range`` their range is unknown.
    """
    return to_frames(read_pixels(path), path, value_range, "chw")


def read_pixels(path: Path) -> NDArray[Any]:
    """The values of one picture as they are stored, ``(c, h, w)``; see :func:`read_image`.

    Raises:
        MediaError: if the file is damaged or too large.
    """
    with open_picture(path) as image:
        return page_pixels(image, path)


@contextmanager
def open_picture(path: Path) -> Iterator[Image.Image]:
    """A picture file, open within the block, in which whatever Pillow raises becomes one sentence.

    Raises:
        MediaError: if the file is damaged or too large.
    """
    with reading(path, kind_of(path)), ExitStack() as stack:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # our own bound is lower
            file = stack.enter_context(path.open("rb"))  # of a path, Pillow 13 scrambles gray TIFF files that lie
            try:
                image = stack.enter_context(Image.open(file))
            except Image.DecompressionBombError as error:
                raise MediaError(
                    f"{path} has too many pixels ({error}); scale it down or cut it into tiles."
                ) from error
        check_pixels(path, *image.size)
        yield image


def page_pixels(image: Image.Image, path: Path, page: int = 0) -> NDArray[Any]:
    """The values of the page at which an open picture file stands, ``(c, h, w)``.

    Raises:
        MediaError: if the page is too large, or cannot be decoded.
    """
    check_pixels(path, *image.size)
    pixels = _pixels(image, path, page)
    if pixels.ndim == 2:
        pixels = pixels[..., None]
    if pixels.shape[-1] in (2, 4):
        pixels = on_black(pixels, axis=-1)
    return np.ascontiguousarray(pixels.transpose(2, 0, 1))


def kind_of(path: Path) -> str:
    """What a picture file should be, for messages."""
    integers = " of integers or 32-bit floats" if path.suffix.lower() in (".tif", ".tiff") else ""
    return f"a {path.suffix} picture{integers}"


def encode_png(frame: Shaped[Tensor, "c h w"]) -> bytes:
    """The PNG file of a uint8 or uint16 frame, exact."""
    pixels = frame.permute(1, 2, 0).cpu().numpy()
    return cv2.imencode(".png", np.ascontiguousarray(pixels[..., ::-1]))[1].tobytes()


def folder_frames(folder: Path, last: int | None = None, value_range: RangeChoice = None) -> FrameStream:
    """The pictures of a folder in natural order; gray ones among RGB ones become RGB.

    Args:
        folder: the folder.
        last: give at most this many frames at the end.
        value_range: the values that become 0 and 1; see :class:`ValueRange`.

    Raises:
        MediaError: while reading, if a file is damaged or differs in size or type from the first.
        ClipError: while reading, if values are not finite or have no known range.
    """
    files = frame_files(folder)
    notes = (*sequence_notes(folder, files), *clips_beside(folder), *_transparency_notes(files[0]))
    files = files if last is None else files[-last:]
    chosen = chosen_range(value_range, lambda: map(read_pixels, files))
    frames = _each(files, 1 if all(map(_is_gray, files)) else 3, chosen)
    return FrameStream(frames, notes=notes, value_range=chosen)


def _transparency_notes(file: Path) -> tuple[str, ...]:
    """A sentence if a picture has pixels that are not opaque."""
    with open_picture(file) as image:
        if not image.has_transparency_data:
            return ()
        opacity = np.asarray(image.convert("RGBA"))[..., 3]
    if int(opacity.min()) == OPAQUE:
        return ()
    return (f"{file.name} has pixels that are not opaque; such pixels are laid on black, and frames have no opacity.",)


def _each(files: Sequence[Path], channels: int, value_range: ValueRange | None) -> Iterator[Tensor]:
    first = None
    for file in files:
        frame = read_image(file, value_range)
        frame = frame.expand(channels, -1, -1)
        first = frame if first is None else first
        if (frame.shape, frame.dtype) != (first.shape, first.dtype):
            raise MediaError(
                f"{file} is {_described(frame)} but {files[0].name} is {_described(first)}; "
                "make all frames of the folder alike."
            )
        yield frame


def _described(frame: Tensor) -> str:
    return f"{frame.shape[2]}×{frame.shape[1]} {str(frame.dtype).removeprefix('torch.')}"


def survey_pictures(folder: Path) -> int:
    """The channels that the pictures of a folder have in common, 1 or 3, by their headers alone.

    Raises:
        MediaError: if a file is damaged or differs in size from the first.
    """
    files = frame_files(folder)
    sizes = [_size(file) for file in files]
    for file, size in zip(files, sizes, strict=True):
        if size != sizes[0]:
            raise MediaError(
                f"{file} is {size[0]}×{size[1]} but {files[0].name} is {sizes[0][0]}×{sizes[0][1]}; "
                "make all frames of the folder alike."
            )
    return 1 if all(map(_is_gray, files)) else 3


def _size(path: Path) -> tuple[int, int]:
    with open_picture(path) as image:
        return image.size


def _is_gray(path: Path) -> bool:
    with open_picture(path) as image:
        return image.mode in _GRAY_MODES


def _pixels(image: Image.Image, path: Path, page: int) -> NDArray[Any]:
    """Values ``(h, w)`` or ``(h, w, c)``, upright."""
    wide = ";16" in str(getattr(image, "tile", ""))
    image.load()  # finds a truncated file, which OpenCV does not; turns a TIFF upright
    wide_colours = wide and image.mode in ("RGB", "RGBA", "LA")  # Pillow keeps only 8 of the 16 bits of colours
    pixels = _wide_colours(path, page) if wide_colours else _plain_pixels(image)
    return _turned(pixels, image.getexif().get(Base.Orientation, 1))


def _plain_pixels(image: Image.Image) -> NDArray[Any]:
    if image.mode in _WIDE_MODES:
        pixels = np.asarray(image).astype(np.uint16)
        return _WHITE_16 - pixels if _is_white_zero(image) else pixels
    if image.mode == "F":
        return np.asarray(image)
    if image.mode == "I":
        return _narrowed(np.asarray(image))
    return np.asarray(image if image.mode in ("L", "LA", "RGB", "RGBA") else image.convert(_plain_mode(image)))


def _is_white_zero(image: Image.Image) -> bool:
    """Whether 0 is white in a page of a TIFF; Pillow inverts such pages of 8 bits, but not of 16."""
    tags: Any = getattr(image, "tag_v2", {})
    return bool(tags.get(Base.PhotometricInterpretation) == 0)


def _turned(pixels: NDArray[Any], orientation: int) -> NDArray[Any]:
    """Pixels ``(h, w)`` or ``(h, w, c)`` as they are to be shown, by the orientation that Exif states."""
    if orientation in (5, 6, 7, 8):
        pixels = pixels.swapaxes(0, 1)
    rows = -1 if orientation in (3, 4, 7, 8) else 1
    columns = -1 if orientation in (2, 3, 6, 7) else 1
    return pixels[::rows, ::columns]


def _narrowed(values: NDArray[np.int32]) -> NDArray[Any]:
    """32-bit integers as uint16 where they fit: Pillow reads some 16-bit files that way."""
    return values.astype(np.uint16) if values.min() >= 0 and values.max() <= _WHITE_16 else values


def _wide_colours(path: Path, page: int) -> NDArray[Any]:
    _, pages = cv2.imreadmulti(str(path), page, 1, flags=cv2.IMREAD_UNCHANGED)
    pixels = np.asarray(pages[0]) if pages else None
    if pixels is None or pixels.ndim != 3:
        raise MediaError(f"{path} cannot be decoded by OpenCV; save it as 8 bit or as another type of picture.")
    order = {3: cv2.COLOR_BGR2RGB, 4: cv2.COLOR_BGRA2RGBA}[pixels.shape[-1]]
    return np.asarray(cv2.cvtColor(pixels, order))


def _plain_mode(image: Image.Image) -> str:
    if image.mode == "1":
        return "L"
    return "RGBA" if image.has_transparency_data else "RGB"
