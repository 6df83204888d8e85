"""Windows of the past of a clip: those to train on, and the last ones, kept for validation."""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Shaped
from torch import Tensor

from framepred.baselines.lost_frames import rebuild_lost
from framepred.clips import ClipBatch, to_unit
from framepred.errors import ClipError
from framepred.inference.measured import keep_measured
from framepred.inference.scenes import find_scenes

MIN_PIECE = 3
"""Minimum number of consecutive frames to train on; shorter pieces show too little motion."""

VALIDATION_SHARE = 6
"""The last ``1 / VALIDATION_SHARE`` of the past, and at least ``horizon`` frames, is kept for validation."""

VALIDATION_WINDOWS = 4
"""Maximum number of validation windows; each one takes about as long as a training step."""


@dataclass(frozen=True)
class TrainingWindows:
    """Training windows of a clip, none of which contains a scene cut.

    Attributes:
        frames: the past of the clip, ``(t, c, h, w)``: uint8, uint16, or floats in [0, 1].
        pieces: index ranges of the consecutive frames to train on.
        context: number of input frames of a full window.
        horizon: number of target frames of a full window.
        filler: what stands for missing pixels, which are NaN in ``frames``; None where there are none.
    """

    frames: Shaped[Tensor, "t c h w"]
    pieces: list[range]
    context: int
    horizon: int
    filler: float | None = None

    def crops(self, random: np.random.Generator, count: int, side: int, split_channels: bool) -> ClipBatch:
        """Return random crops, as floats, of random windows of one random piece.

        A piece that is shorter than a full window gives shorter windows.

        Args:
            random: generator that chooses the piece, the windows and the crop positions.
            count: number of crops.
            side: crop side in pixels; a smaller frame side is used completely.
            split_channels: take one random channel of each crop instead of all.
        """
        sizes = np.array([len(piece) for piece in self.pieces])
        piece = self.pieces[random.choice(len(sizes), p=sizes / sizes.sum())]
        whole = self.context + self.horizon
        length = min(whole, len(piece))
        clips = [self._crop(random, piece, length, side, split_channels) for _ in range(count)]
        return ClipBatch.cut(torch.stack(clips), max(1, length * self.context // whole), self.filler)

    def _crop(
        self, random: np.random.Generator, piece: range, length: int, side: int, split_channels: bool
    ) -> Float[Tensor, "_t _c _h _w"]:
        _, channels, height, width = self.frames.shape
        start = random.integers(piece.start, piece.stop - length, endpoint=True)
        top = random.integers(max(0, height - side), endpoint=True)
        left = random.integers(max(0, width - side), endpoint=True)
        channel = random.integers(channels)
        window = self.frames[start : start + length, :, top : top + side, left : left + side]
        return to_unit(window[:, channel : channel + 1] if split_channels else window)


def split_past(
    past: Shaped[Tensor, "t c h w"], context: int, horizon: int, cuts: bool = True, filler: float | None = None
) -> tuple[TrainingWindows, ClipBatch]:
    """Split the past of a clip into training windows and validation windows; the latter are the last ones.

    Validation windows come from the end of the past and do not cross scene cuts. Their context frames may also be
    training frames; their target frames are not. Later scenes that are too short for a window are used for training.

    Args:
        past: the frames: uint8, uint16, or floats in [0, 1].
        context: number of input frames of a window.
        horizon: number of target frames of a window.
        cuts: whether to detect scene cuts.
        filler: what stands for missing pixels, which are NaN in ``past``; None where there are none. Frames without a
            measured pixel are rebuilt from those beside them to be trained on and to be predicted from.

    Returns:
        The training windows, and the validation windows as floats, latest first.

    Raises:
        ClipError: if no scene is as long as a window, or too few frames are left for training.
    """
    length = context + horizon
    scenes = find_scenes(keep_measured(past, filler)) if cuts else [range(len(past))]
    starts = [start for scene in scenes for start in range(scene.start, scene.stop - length + 1)]
    if not starts:
        raise ClipError(
            f"The longest scene in the past of the clip has {max(map(len, scenes))} frames, but adapting needs "
            f"{context} + {horizon} for validation; give a longer clip, lower the context, or do not adapt."
        )
    end = starts[-1] + length
    first = end - max(horizon, len(past) // VALIDATION_SHARE)
    pieces = [
        piece
        for scene in scenes
        for piece in (range(scene.start, min(first, scene.stop)), range(max(scene.start, end), scene.stop))
        if len(piece) >= MIN_PIECE
    ]
    if not pieces:
        raise ClipError(
            f"Validation uses the last of the {len(past)} frames in the past of the clip, and too few are left to "
            "train on; give a longer clip, or do not adapt."
        )
    found = [start for start in reversed(starts) if start + context >= first]
    count = min(len(found), VALIDATION_WINDOWS)
    chosen = [found[number * len(found) // count] for number in range(count)]
    read = torch.cat([rebuild_lost(past[scene.start : scene.stop], filler) for scene in scenes])
    shown, hidden = (
        torch.stack([to_unit(frames[start : start + length]) for start in chosen]) for frames in (read, past)
    )
    windows = ClipBatch(shown[:, :context], hidden[:, context:], filler)
    return TrainingWindows(read, pieces, context, horizon, filler), windows
