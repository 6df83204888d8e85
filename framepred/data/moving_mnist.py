"""Moving MNIST, generated: digits that fly straight and bounce (Srivastava et al. 2015, arXiv:1502.04681).

Clip ``i`` is a function of (seed, split, i) alone. Each of its digits takes one block of four 64-bit words from
the counter-based generator Philox4x64-10 (Salmon et al. 2011): which digit, x, y and angle. NumPy guarantees the
raw stream, so the same clips come from every version, machine, batch size and worker.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float64, Int64, UInt8, UInt64
from numpy.lib.stride_tricks import sliding_window_view
from torch import Tensor
from torch.utils.data import Dataset

from framepred.data.digits import Split, find_digits
from framepred.data.idx import SIDE
from framepred.errors import ConfigError

STREAMS: dict[Split, int] = {"train": 0, "val": 1, "test": 2}


class MovingMNIST(Dataset[Tensor]):
    """Clips of digits that move over a black canvas.

    Each frame first moves every digit by ``speed`` times the free canvas (canvas less digit) along its direction;
    a digit that reaches an edge is set on it and that coordinate's direction flips; then digits are drawn at whole
    pixels, rounded down, the brighter pixel on top.

    Args:
        split: ``train``, ``val`` or ``test``: which digit images are seen, and which stream of clips.
        clips: how many clips the data set counts; ``render`` gives any number.
        seed: which stream of clips, 0 to 2^64 − 1.
        length: frames a clip.
        frame_size: height and width in pixels, each at least 28.
        digits_per_clip: how many digits fly.
        speed: fraction of the free canvas per frame.
        digits: ``mnist``, ``fashion-mnist`` or ``mnist-5k``; see ``framepred.data.digits``.
        root: where the digits lie; see ``find_digits``.
        download: whether missing digits may be fetched.

    Raises:
        ConfigError: if an argument is outside its domain.
        DataError: if digits are missing or damaged.
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

    def __getitem__(self, index: int) -> UInt8[Tensor, "t 1 h w"]:
        if not 0 <= index < self.clips:
            raise IndexError(f"Clip {index} of {self.clips}.")
        return self.render([index])[0]

    def __getitems__(self, indices: Sequence[int]) -> UInt8[Tensor, "b t 1 h w"]:
        """A batch at once, as a ``DataLoader`` asks for it; as in ``render``, any index from 0 on."""
        return self.render(indices)

    def render(self, indices: Sequence[int]) -> UInt8[Tensor, "b t 1 h w"]:
        """The clips of these indices, which may lie beyond ``len``: the stream is endless.

        Raises:
            IndexError: if an index is negative.
        """
        corners = self._corners(self._words(indices))
        return torch.from_numpy(_paint(self.images(indices), corners, self.frame_size)).unsqueeze(2)

    def images(self, indices: Sequence[int]) -> UInt8[np.ndarray, "b d s s"]:
        """The image of every digit of these clips, 28×28 pixels.

        Raises:
            IndexError: if an index is negative.
        """
        images: np.ndarray = self.bank.images[_scale(self._words(indices)[..., 0], len(self.bank))]
        return images

    def corners(self, indices: Sequence[int]) -> Int64[Tensor, "b t d 2"]:
        """Row and column of the upper left corner of every digit's 28x28 square, in each frame of these clips.

        Raises:
            IndexError: if an index is negative.
        """
        return torch.from_numpy(self._corners(self._words(indices)))

    def _words(self, indices: Sequence[int]) -> UInt64[np.ndarray, "b d 4"]:
        clips = np.asarray(indices, dtype=np.int64).reshape(-1)
        if (clips < 0).any():
            raise IndexError(f"Clip {clips.min()}: clips are counted from 0.")
        return _draw(self.seed, STREAMS[self.split], clips, self.digits_per_clip)

    def _corners(self, words: UInt64[np.ndarray, "b d 4"]) -> Int64[np.ndarray, "b t d 2"]:
        _, x, y, angle = np.moveaxis(_unit(words), -1, 0)
        direction = np.stack([np.sin(2 * np.pi * angle), np.cos(2 * np.pi * angle)], axis=-1)
        path = _fly(np.stack([y, x], axis=-1), direction * self.speed, self.length)
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
        raise ConfigError(f"seed must lie in 0 to 2^64 − 1, not {seed}.")
    if min(frame_size) < SIDE:
        raise ConfigError(f"frame_size must be at least 28 by 28, the size of a digit, not {frame_size}.")
    if not (speed >= 0 and np.isfinite(speed)):
        raise ConfigError(f"speed must be 0 or a positive fraction of the free canvas per frame, not {speed}.")
    for name, count in (("clips", clips), ("length", length), ("digits_per_clip", digits_per_clip)):
        if count < 1:
            raise ConfigError(f"{name} must be at least 1, not {count}.")


def _draw(seed: int, stream: int, clips: Int64[np.ndarray, " b"], digits: int) -> UInt64[np.ndarray, "b {digits} 4"]:
    """Four random words for every digit of every clip; consecutive clips cost one call a digit."""
    runs = np.split(clips, np.flatnonzero(np.diff(clips) != 1) + 1)
    return np.concatenate([_draw_run(seed, stream, run, digits) for run in runs])


def _draw_run(seed: int, stream: int, run: Int64[np.ndarray, " b"], digits: int) -> UInt64[np.ndarray, "b {digits} 4"]:
    """The counter of digit k of clip i is k · 2^64 + i (NumPy counts one on before it draws)."""
    words = np.empty((len(run), digits, 4), np.uint64)
    key = np.array([seed, stream], np.uint64)
    for digit in range(digits if len(run) else 0):
        philox = np.random.Philox(key=key, counter=(digit << 64) + int(run[0]))
        words[:, digit] = philox.random_raw(4 * len(run)).reshape(-1, 4)
    return words


def _unit(words: UInt64[np.ndarray, "*n"]) -> Float64[np.ndarray, "*n"]:
    """Words to [0, 1): their upper 53 bits."""
    return (words >> np.uint64(11)).astype(np.float64) * 2.0**-53


def _scale(words: UInt64[np.ndarray, "*n"], count: int) -> Int64[np.ndarray, "*n"]:
    """Words to 0 … count − 1, in whole numbers: exact everywhere."""
    return ((words >> np.uint64(32)) * np.uint64(count) >> np.uint64(32)).astype(np.int64)


def _fly(
    position: Float64[np.ndarray, "b d 2"], velocity: Float64[np.ndarray, "b d 2"], length: int
) -> Float64[np.ndarray, "b {length} d 2"]:
    """Positions in [0, 1] at each frame; the first frame comes after the first step."""
    path = np.empty((len(position), length, *position.shape[1:]))
    for frame in range(length):
        position = position + velocity
        velocity = np.where((position <= 0) | (position >= 1), -velocity, velocity)
        position = position.clip(0, 1)
        path[:, frame] = position
    return path


def _paint(
    sprites: UInt8[np.ndarray, "b d s s"], corners: Int64[np.ndarray, "b t d 2"], frame_size: tuple[int, int]
) -> UInt8[np.ndarray, "b t h w"]:
    """Lay each digit's square on all frames at once, as views of the canvas; the brighter pixel wins."""
    batch, length, digits, _ = corners.shape
    canvas = np.zeros((batch, length, *frame_size), np.uint8)
    squares = sliding_window_view(canvas, (SIDE, SIDE), axis=(2, 3), writeable=True)
    clip, frame = np.ogrid[:batch, :length]
    for digit in range(digits):
        where = clip, frame, corners[:, :, digit, 0], corners[:, :, digit, 1]
        squares[where] = np.maximum(squares[where], sprites[:, None, digit])
    return canvas
