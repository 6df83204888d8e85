"""Single pictures, and folders of them as clips: 8 and 16 bit, gray or RGB."""

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
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
from framepred.media.frames import FrameStream, replace_ignored
from framepred.media.limits import check_pixels
from framepred.media.opencv import cv2
from framepred.media.pixels import TRANSPOSED, on_black, turned
from framepred.media.ranges import RangeChoice, ValueRange
from framepred.media.sequences import clips_beside, sequence_notes
from framepred.media.tiff import is_tiff, open_tiff
from framepred.media.values import chosen_range, to_frames

_GRAY_MODES = ("1", "L", "LA", "La", "I", "I;16", "I;16L", "I;16B", "F")
OPAQUE = 255
"""Opacity of a pixel that shows nothing behind it."""

_OPACITY_CHECKS = 50  # pictures of a folder, at most, of which it is found out whether they are opaque
_WIDE_MODES = ("I;16", "I;16L", "I;16B", "I;16N", "I")  # Pillow gives 16 bits of some files as 32
_WHITE_16 = 65535
_SPREAD = {"L;2": 85, "L;4": 17}  # gray of few bits: Pillow spreads it to 8, but not the value that is transparent


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
    if is_tiff(path):
        with open_tiff(path) as pages:
            return pages.pixels()
    with open_picture(path) as image:
        return _pixels(image, path)


@contextmanager
def open_picture(path: Path) -> Iterator[Image.Image]:
    """A picture file, open within the block, in which whatever Pillow raises becomes one sentence.

    Raises:
        MediaError: if the file is damaged or too large.
    """
    with reading(path, kind_of(path)):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # our own bound is lower
            try:
                image = Image.open(path)
            except Image.DecompressionBombError as error:
                raise MediaError(
                    f"{path} has too many pixels ({error}); scale it down or cut it into tiles."
                ) from error
        with image:
            check_pixels(path, *image.size)
            if isinstance(image.info.get("transparency"), int):
                image.info["transparency"] *= _SPREAD.get(_raw_mode(image), 1)
            yield image


def kind_of(path: Path) -> str:
    """What a picture file should be, for messages."""
    return f"a {path.suffix} picture"


def encode_png(frame: Shaped[Tensor, "c h w"]) -> bytes:
    """The PNG file of a uint8 or uint16 frame, exact."""
    pixels = frame.permute(1, 2, 0).cpu().numpy()
    return cv2.imencode(".png", np.ascontiguousarray(pixels[..., ::-1]))[1].tobytes()


def folder_frames(
    folder: Path, last: int | None = None, value_range: RangeChoice = None, ignored: frozenset[int] = frozenset()
) -> FrameStream:
    """The pictures of a folder in natural order; gray ones among RGB ones become RGB.

    Args:
        folder: the folder.
        last: give at most this many frames at the end.
        value_range: the values that become 0 and 1; see :class:`ValueRange`.
        ignored: numbers of pictures that are not read; see :func:`~framepred.media.frames.replace_ignored`.

    Raises:
        MediaError: while reading, if a file is damaged or differs in size or type from the first.
        ClipError: while reading, if values are not finite or have no known range.
    """
    files = frame_files(folder)
    notes = (*sequence_notes(folder, files), *clips_beside(folder))
    files = replace_ignored(files, ignored)
    files = files if last is None else files[-last:]
    notes += _transparency_notes(files)
    chosen = chosen_range(value_range, lambda: map(read_pixels, files))
    frames = _each(files, _common_channels(files), chosen)
    return FrameStream(frames, notes=notes, value_range=chosen)


def _transparency_notes(files: Sequence[Path]) -> tuple[str, ...]:
    """A sentence if one of some evenly spread pictures has pixels that are not opaque."""
    some = files[:: -(-len(files) // _OPACITY_CHECKS)]
    file = next((file for file in some if not _is_opaque(file)), None)
    if file is None:
        return ()
    return (f"{file.name} has pixels that are not opaque; such pixels are laid on black, and frames have no opacity.",)


def _is_opaque(file: Path) -> bool:
    """Whether no pixel of a picture shows what is behind it; pictures that state no opacity are not decoded."""
    with suppress(MediaError):
        if is_tiff(file):
            with open_tiff(file) as pages:
                return pages.is_opaque()
        with open_picture(file) as image:
            return not image.has_transparency_data or int(np.asarray(image.convert("RGBA"))[..., 3].min()) == OPAQUE
    return True  # damaged: it is refused where it is read


def _each(files: Sequence[Path], channels: int, value_range: ValueRange | None) -> Iterator[Tensor]:
    first = None
    for file in files:
        frame = read_image(file, value_range)
        frame = frame.expand(channels, -1, -1) if len(frame) == 1 else frame
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
    """The number of channels that the pictures of a folder have in common, by their headers alone.

    Raises:
        MediaError: if a file is damaged or differs in size or channels from the first.
    """
    files = frame_files(folder)
    sizes = [_size(file) for file in files]
    for file, size in zip(files, sizes, strict=True):
        if size != sizes[0]:
            raise MediaError(
                f"{file} is {size[0]}×{size[1]} but {files[0].name} is {sizes[0][0]}×{sizes[0][1]}; "
                "make all frames of the folder alike."
            )
    return _common_channels(files)


def _common_channels(files: Sequence[Path]) -> int:
    """The number of channels of all pictures; 3 for gray ones among RGB."""
    counts = [_channels(file) for file in files]
    common = 3 if set(counts) == {1, 3} else counts[0]
    for file, count in zip(files, counts, strict=True):
        if count not in (1 if common == 3 else common, common):
            raise MediaError(
                f"{file} has {count} channel{'s' * (count > 1)} but {files[0].name} has {counts[0]}; "
                "make all frames of the folder alike."
            )
    return common


def _size(path: Path) -> tuple[int, int]:
    """Width and height of a picture as it is read, upright."""
    if is_tiff(path):
        with open_tiff(path) as pages:
            return pages.size()
    with open_picture(path) as image:
        return image.size[::-1] if _orientation(image) in TRANSPOSED else image.size


def _channels(path: Path) -> int:
    if is_tiff(path):
        with open_tiff(path) as pages:
            return pages.channels()
    with open_picture(path) as image:
        return 1 if image.mode in _GRAY_MODES or _stored_form(image)[0] == "LA" else 3


def _pixels(image: Image.Image, path: Path) -> NDArray[Any]:
    """Values ``(c, h, w)``, upright, on black."""
    form, white = _stored_form(image)
    image.load()  # finds a truncated file, which OpenCV does not
    wide = form in ("LA", "RGB", "RGBA") and white > np.iinfo(np.uint8).max
    pixels = _wide_colours(path, form, white) if wide else _plain_pixels(image)
    pixels = pixels[None] if pixels.ndim == 2 else pixels.transpose(2, 0, 1)
    if len(pixels) in (2, 4):
        pixels = on_black(pixels, axis=0)
    return np.ascontiguousarray(turned(pixels, _orientation(image)))


def _orientation(image: Image.Image) -> int:
    """1 to 8, as Exif counts; by the header alone where the picture is not loaded, which PNG's own method would do."""
    return int(Image.Image.getexif(image).get(Base.Orientation, 1))


def _raw_mode(image: Image.Image) -> Any:
    """How a file stores its pixels, such as ``L;2``, as long as Pillow has not loaded them."""
    tiles: Any = getattr(image, "tile", None)
    return tiles[0].args if tiles else ""


def _stored_form(image: Image.Image) -> tuple[str, int]:
    """The channels of a file and its value for white, which Pillow forgets where it keeps 8 of 16 bits of colours."""
    arguments = _raw_mode(image)
    if isinstance(arguments, tuple) and image.format == "PPM":
        return str(arguments[0]), int(arguments[1])
    form, _, bits = str(arguments).partition(";")
    return form, _WHITE_16 if bits.startswith("16") else np.iinfo(np.uint8).max


def has_16_bits(image: Image.Image) -> bool:
    """Whether the channels of a picture that is not yet loaded have more than 8 bits."""
    return _stored_form(image)[1] > np.iinfo(np.uint8).max


def _plain_pixels(image: Image.Image) -> NDArray[Any]:
    """Values ``(h, w)`` or ``(h, w, c)``, with opacity where there is any."""
    if image.mode == "F":
        return np.asarray(image)
    if image.mode in _WIDE_MODES:
        pixels = np.asarray(image).astype(np.uint16)
        hidden = image.info.get("transparency")
        return pixels if hidden is None else np.where(pixels == hidden, 0, pixels).astype(np.uint16)
    gray, clear = image.mode in ("1", "L", "LA"), image.has_transparency_data
    return np.asarray(image.convert(("LA" if clear else "L") if gray else ("RGBA" if clear else "RGB")))


def _wide_colours(path: Path, form: str, white: int) -> NDArray[Any]:
    """Colours of 16 bits, of which ``white`` becomes the largest; gray and opacity where the form is ``LA``."""
    pixels = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    if pixels is None or pixels.ndim != 3:
        raise MediaError(f"{path} cannot be decoded by OpenCV; save it as 8 bit or as another type of picture.")
    if white < _WHITE_16:
        pixels = np.rint(pixels * (_WHITE_16 / white)).astype(np.uint16)
    if form == "LA":
        return np.asarray(pixels[..., [0, -1]])
    order = {3: cv2.COLOR_BGR2RGB, 4: cv2.COLOR_BGRA2RGBA}[pixels.shape[-1]]
    return np.asarray(cv2.cvtColor(pixels, order))
