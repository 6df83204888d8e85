"""Generated Moving MNIST: digits that move in straight lines and bounce (Srivastava et al. 2015, arXiv:1502.04681).

Clip ``i`` depends only on (seed, split, i). Each of its digits uses one block of four 64-bit words of the
counter-based generator Philox4x64-10 (Salmon et al. 2011) for the digit image, x, y and angle. NumPy guarantees the
raw stream, so the clips do not depend on NumPy version, machine, batch size or worker.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple, TypeAlias

import numpy as np
import torch
from jaxtyping import Float64, Int64, UInt8, UInt64
from torch import Tensor
from torch.utils.data import Dataset

from framepred.data.clip_dataset import ClipDataset, check_counts
from framepred.data.digit_files import SIDE
from framepred.data.digits import Split, find_digits
from framepred.errors import ConfigError

Words: TypeAlias = UInt64[np.ndarray, "b d 4"]
"""Random words of each clip and digit: image, start x, start y and direction."""

STREAMS: dict[Split, int] = {"train": 0, "val": 1, "test": 2}
"""Second word of the Philox key of each split."""


class MovingDigits(NamedTuple):
    """Clips that are not rendered yet; any device can render them, with equal pixels.

    Attributes:
        images: image of each digit, s = 28 pixels.
        corners: row and column of the upper left corner of each image, in each frame.
        frame_size: height and width of the frames in pixels.
    """

    images: UInt8[Tensor, "b d s s"]
    corners: Int64[Tensor, "b t d 2"]
    frame_size: tuple[int, int]

    def on(self, device: torch.device) -> "MovingDigits":
        """Return a copy on a device."""
        images, corners = (part.to(device, non_blocking=True) for part in self[:2])
        return MovingDigits(images, corners, self.frame_size)

    def render(self) -> UInt8[Tensor, "b t 1 h w"]:
        """Draw the digits on black frames; overlapping digits are combined by pixelwise maximum."""
        batch, length, digits, _ = self.corners.shape
        height, width = self.frame_size
        frames = self.images.new_zeros(batch * length, height * width)
        side = torch.arange(SIDE, device=frames.device)
        square = (side[:, None] * width + side).flatten()
        first = self.corners[..., 0] * width + self.corners[..., 1]
        for digit in range(digits):
            pixels = first[:, :, digit].reshape(-1, 1) + square
            image = self.images[:, digit].flatten(1).repeat_interleave(length, dim=0)
            frames.scatter_(1, pixels, torch.maximum(frames.gather(1, pixels), image))
        return frames.view(batch, length, 1, height, width)


class MovingMNIST(ClipDataset):
    """Clips of digits that move over a black canvas, uint8 ``(t, 1, h, w)``.

    Before each frame every digit moves by ``speed`` times the free canvas (canvas minus digit) along its direction.
    A digit that reaches or passes an edge of the canvas is placed at the edge, and its velocity along that axis is
    reversed. Digits are drawn at whole pixels, rounded down; overlapping digits are combined by pixelwise maximum.

    Args:
        split: ``train``, ``val`` or ``test``; it selects the digit images and the random stream.
        clips: length of the data set; ``render`` also generates clips after it.
        seed: seed of the stream, 0 to 2^64 − 1.
        length: frames per clip.
        frame_size: height and width in pixels, each at least 28.
        digits_per_clip: number of digits in each clip.
        speed: fraction of the free canvas per frame.
        digits: ``mnist``, ``fashion-mnist`` or ``mnist-5k``; see ``framepred.data.digits``.
        root: folder of the digit files; see ``find_digits``.
        download: whether to download missing digits.

    Raises:
        ConfigError: if an argument is outside its domain.
        DataError: if digits are missing or damaged.

    Example:
        >>> clips = MovingMNIST("test", clips=3, digits="mnist-5k")
        >>> clips[0].shape, clips[0].dtype
        (torch.Size([20, 1, 64, 64]), torch.uint8)
    """

    def __init__(
        self,
        split: Split = "train",
        *,
        clips: int = 10_000,
        seed: int = 0,
        length: int = 20,
        frame_size: tuple[int, int] = (64, 64),
        digits_per_clip: int = 2,
        speed: float = 0.1,
        digits: str = "mnist",
        root: str | Path | None = None,
        download: bool = False,
    ) -> None:
        _check(split, clips, seed, length, frame_size, digits_per_clip, speed)
        self.split = split
        self.clips = clips
        self.seed = seed
        self.length = length
        self.frame_size = frame_size
        self.digits_per_clip = digits_per_clip
        self.speed = float(speed)
        self.bank = find_digits(digits, split, None if root is None else Path(root), download)

    def __len__(self) -> int:
        return self.clips

    def __getitems__(self, indices: Sequence[int]) -> list[Tensor]:
        """Return the clips of a batch, for a ``DataLoader``; indices may exceed ``len``, see ``render``."""
        return list(self.render(indices))

    def render(self, indices: Sequence[int]) -> UInt8[Tensor, "b t 1 h w"]:
        """Generate the clips at these indices; any index of at least 0 is valid.

        Raises:
            IndexError: if an index is negative.
        """
        return self.digits(indices).render()

    def digits(self, indices: Sequence[int]) -> "MovingDigits":
        """Return what the clips at these indices are rendered from.

        Raises:
            IndexError: if an index is negative.
        """
        words = self._words(indices)
        images, corners = torch.from_numpy(self._images(words)), torch.from_numpy(self._corners(words))
        return MovingDigits(images, corners, self.frame_size)

    def images(self, indices: Sequence[int]) -> UInt8[np.ndarray, "b d s s"]:
        """Return the image of each digit of these clips, s = 28 pixels.

        Raises:
            IndexError: if an index is negative.
        """
        return self._images(self._words(indices))

    def corners(self, indices: Sequence[int]) -> Int64[Tensor, "b t d 2"]:
        """Return the row and column of the upper left corner of each digit's 28×28 square, in each frame.

        Raises:
            IndexError: if an index is negative.
        """
        return torch.from_numpy(self._corners(self._words(indices)))

    def _words(self, indices: Sequence[int]) -> Words:
        wanted = np.asarray(indices, dtype=np.int64).reshape(-1)
        if (wanted < 0).any():
            raise IndexError(f"Clip {wanted.min()} is out of range: the first clip is 0.")
        return _random_words(self.seed, STREAMS[self.split], wanted, self.digits_per_clip)

    def _images(self, words: Words) -> UInt8[np.ndarray, "b d s s"]:
        images: np.ndarray = self.bank.images[_scale(words[..., 0], len(self.bank))]
        return images

    def _corners(self, words: Words) -> Int64[np.ndarray, "b t d 2"]:
        _, x, y, angle = np.moveaxis(_unit(words), -1, 0)
        direction = np.stack([np.sin(2 * np.pi * angle), np.cos(2 * np.pi * angle)], axis=-1)
        path = _bounce(np.stack([y, x], axis=-1), direction * self.speed, self.length)
        free = np.array(self.frame_size) - SIDE
        corners: np.ndarray = (free * path).astype(np.int64)
        return corners


def _check(
    split: Split,
    clips: int,
    seed: int,
    length: int,
    frame_size: tuple[int, int],
    digits_per_clip: int,
    speed: float,
) -> None:
    if split not in STREAMS:
        raise ConfigError(f"There is no split {split!r}; choose train, val or test.")
    if not 0 <= seed < 2**64:
        raise ConfigError(f"seed must be in [0, 2^64 − 1], not {seed}.")
    if min(frame_size) < SIDE:
        raise ConfigError(f"frame_size must be at least 28 by 28, the size of a digit, not {frame_size}.")
    if not (speed >= 0 and np.isfinite(speed)):
        raise ConfigError(f"speed must be 0 or a positive fraction of the free canvas per frame, not {speed}.")
    check_counts(clips=clips, length=length, digits_per_clip=digits_per_clip)


def _random_words(seed: int, stream: int, clips: Int64[np.ndarray, " b"], digits: int) -> Words:
    """Return four random words per digit and clip; each run of consecutive clips is generated in one call per digit."""
    runs = np.split(clips, np.flatnonzero(np.diff(clips) != 1) + 1)
    return np.concatenate([_random_run(seed, stream, run, digits) for run in runs])


def _random_run(seed: int, stream: int, run: Int64[np.ndarray, " b"], digits: int) -> Words:
    """Return the random words of consecutive clips.

    The Philox counter of digit k of clip i is k · 2^64 + i + 1; NumPy increments the counter before each block.
    """
    words = np.empty((len(run), digits, 4), np.uint64)
    key = np.array([seed, stream], np.uint64)
    for digit in range(digits if len(run) else 0):
        philox = np.random.Philox(key=key, counter=(digit << 64) + int(run[0]))
        words[:, digit] = philox.random_raw(4 * len(run)).reshape(-1, 4)
    return words


def _unit(words: UInt64[np.ndarray, "*n"]) -> Float64[np.ndarray, "*n"]:
    """Convert the upper 53 bits of each word, the precision of a double, to a float in [0, 1)."""
    return (words >> np.uint64(11)).astype(np.float64) * 2.0**-53


def _scale(words: UInt64[np.ndarray, "*n"], count: int) -> Int64[np.ndarray, "*n"]:
    """Convert words to integers in [0, count − 1] with integer arithmetic, which is exact on every machine."""
    return ((words >> np.uint64(32)) * np.uint64(count) >> np.uint64(32)).astype(np.int64)


def _bounce(
    position: Float64[np.ndarray, "b d 2"], velocity: Float64[np.ndarray, "b d 2"], length: int
) -> Float64[np.ndarray, "b {length} d 2"]:
    """Return positions in [0, 1] at each frame; the first frame is one step after the start."""
    path = np.empty((len(position), length, *position.shape[1:]))
    for frame in range(length):
        position = position + velocity
        velocity = np.where((position <= 0) | (position >= 1), -velocity, velocity)
        position = position.clip(0, 1)
        path[:, frame] = position
    return path


class UnrenderedClips(Dataset[Tensor]):
    """Returns what the clips of a batch are rendered from.

    Args:
        clips: the clips.
    """

    def __init__(self, clips: MovingMNIST) -> None:
        self.clips = clips

    def __getitems__(self, indices: list[int]) -> MovingDigits:
        return self.clips.digits(indices)
