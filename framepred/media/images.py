"""Single pictures and folders of them: 8 and 16 bit, gray or RGB."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Shaped
from numpy.typing import NDArray
from PIL import Image, ImageFile, ImageOps
from torch import Tensor

from framepred.errors import MediaError
from framepred.media.formats import frame_files
from framepred.media.frames import FrameStream, on_black
from framepred.media.opencv import cv2

_GRAY_MODES = ("1", "L", "LA", "La", "I", "I;16", "I;16L", "I;16B", "F")
_PILLOW_FAILURES = (OSError, SyntaxError, ValueError, IndexError, EOFError, Image.DecompressionBombError)


@contextmanager
def decoding(path: Path) -> Iterator[None]:
    """Turn whatever Pillow raises on a damaged file into one sentence."""
    try:
        yield
    except PermissionError as error:
        raise MediaError(f"{path} may not be read; check its permissions.") from error
    except _PILLOW_FAILURES as error:
        raise MediaError(f"{path} is damaged or is no {path.suffix} picture; replace it or leave it out.") from error


def read_image(path: Path) -> Shaped[Tensor, "c h w"]:
    """One picture: uint8 or uint16, or float32 for a float TIFF; transparency laid on black, EXIF rotation honoured.

    Raises:
        MediaError: if the file is damaged or its pixels have no known range.
    """
    with decoding(path), Image.open(path) as image:
        pixels = _pixels(image, path)
    if pixels.ndim == 2:
        pixels = pixels[..., None]
    if pixels.shape[-1] in (2, 4):
        pixels = on_black(pixels, axis=-1)
    return torch.from_numpy(pixels.transpose(2, 0, 1).copy())


def encode_png(frame: Shaped[Tensor, "c h w"]) -> bytes:
    """The PNG file of a uint8 or uint16 frame, exact."""
    pixels = frame.permute(1, 2, 0).cpu().numpy()
    return cv2.imencode(".png", np.ascontiguousarray(pixels[..., ::-1]))[1].tobytes()


def folder_frames(folder: Path) -> FrameStream:
    """The pictures of a folder in natural order; gray ones among RGB ones become RGB.

    Raises:
        MediaError: while reading, if a file is damaged or differs in size or type from the first.
    """
    files = frame_files(folder)
    return FrameStream(_each(files, channels=1 if all(map(_is_gray, files)) else 3))


def _each(files: list[Path], channels: int) -> Iterator[Tensor]:
    first = None
    for file in files:
        frame = read_image(file)
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
    with decoding(path), Image.open(path) as image:
        return image.size


def _is_gray(path: Path) -> bool:
    with decoding(path), Image.open(path) as image:
        return image.mode in _GRAY_MODES


def _pixels(image: ImageFile.ImageFile, path: Path) -> NDArray[Any]:
    """Pixels ``(h, w)`` or ``(h, w, c)``."""
    wide = ";16" in str(image.tile)
    image.load()  # finds truncation, which OpenCV passes over
    if image.mode in ("I;16", "I;16L", "I;16B"):
        return np.asarray(image).astype(np.uint16)
    if wide and image.mode in ("RGB", "RGBA", "LA"):  # Pillow keeps only 8 of the 16 bits of colours
        return _wide_colours(path)
    if image.mode in ("I", "F"):
        return _checked_range(np.asarray(image), path)
    upright = ImageOps.exif_transpose(image)
    plain = upright if upright.mode in ("L", "LA", "RGB", "RGBA") else upright.convert(_plain_mode(upright))
    return np.asarray(plain)


def _wide_colours(path: Path) -> NDArray[Any]:
    pixels = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    if pixels is None:
        raise MediaError(f"{path} cannot be decoded by OpenCV; save it as 8 bit or as another type of picture.")
    order = {3: cv2.COLOR_BGR2RGB, 4: cv2.COLOR_BGRA2RGBA}[pixels.shape[-1]]
    return np.asarray(cv2.cvtColor(pixels, order))


def _plain_mode(image: Image.Image) -> str:
    if image.mode == "1":
        return "L"
    return "RGBA" if image.has_transparency_data else "RGB"


def _checked_range(pixels: NDArray[Any], path: Path) -> NDArray[Any]:
    low, high = float(pixels.min()), float(pixels.max())
    if pixels.dtype.kind == "f" and low >= 0 and high <= 1:
        return pixels
    if pixels.dtype.kind == "i" and low >= 0 and high <= 65535:
        return pixels.astype(np.uint16)
    raise MediaError(
        f"{path} holds values from {low:.4g} to {high:.4g}; save it with 8 or 16 bits or as floats in [0, 1]."
    )
