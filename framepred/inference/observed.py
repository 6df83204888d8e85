"""The observed frames of a clip as lessons: windows to learn from, and later ones to be judged on."""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Shaped
from torch import Tensor

from framepred.clips import ClipBatch, to_unit
from framepred.data.video_folder import evenly_spread
from framepred.errors import ClipError
from framepred.inference.scenes import scenes

SHORTEST = 3
"""Frames in which there is motion to learn from."""

HELD_OUT = 6
"""One in so many observed frames, the last ones, is held out for judging; never fewer than a horizon."""

JUDGED = 4
"""Windows to be judged on, at most: each costs about as much as a step of learning."""


@dataclass(frozen=True)
class Lessons:
    """Windows of a clip to learn from, none with a scene cut in it.

    Attributes:
        frames: the observed frames ``(t, c, h, w)``: uint8, uint16, or floats in [0, 1].
        pieces: numbers of the frames to learn from; within each piece they follow from one another.
        context: frames that are seen in a whole window.
        horizon: frames that are to be predicted after them.
    """

    frames: Shaped[Tensor, "t c h w"]
    pieces: list[range]
    context: int
    horizon: int

    def squares(self, random: np.random.Generator, count: int, side: int, apart: bool) -> ClipBatch:
        """Random squares of random windows of one piece, floats; windows are shortened where the piece is shorter.

        Args:
            random: draws piece, windows and places.
            count: how many.
            side: pixels; frames with a smaller side are taken whole along it.
            apart: each square has one channel instead of all.
        """
        sizes = np.array([len(piece) for piece in self.pieces])
        piece = self.pieces[random.choice(len(sizes), p=sizes / sizes.sum())]
        whole = self.context + self.horizon
        length = min(whole, len(piece))
        clips = [self._square(random, piece, length, side, apart) for _ in range(count)]
        return ClipBatch.cut(torch.stack(clips), max(1, length * self.context // whole))

    def _square(
        self, random: np.random.Generator, piece: range, length: int, side: int, apart: bool
    ) -> Shaped[Tensor, "_t _c _h _w"]:
        _, channels, height, width = self.frames.shape
        start = random.integers(piece.start, piece.stop - length, endpoint=True)
        top = random.integers(max(0, height - side), endpoint=True)
        left = random.integers(max(0, width - side), endpoint=True)
        channel = random.integers(channels)
        window = self.frames[start : start + length, :, top : top + side, left : left + side]
        return to_unit(window[:, channel : channel + 1] if apart else window)


def divide(frames: Shaped[Tensor, "t c h w"], context: int, horizon: int) -> tuple[Lessons, ClipBatch]:
    """Cut observed frames into what is learned from and the last windows, whose futures are held out for judging.

    What is judged lies in the last scene that holds a whole window; it has the frames before it as its context, though
    these may have been learned from. Frames after it, of scenes too short for a window, are learned from.

    Args:
        frames: the observed frames: uint8, uint16, or floats in [0, 1].
        context: frames that are seen in a window.
        horizon: frames that are to be predicted after them.

    Returns:
        The lessons, and the windows to be judged on as floats, the last one first.

    Raises:
        ClipError: if no scene holds a window, or nothing is left to learn from.
    """
    length, found = context + horizon, scenes(frames)
    starts = [start for scene in found for start in range(scene.start, scene.stop - length + 1)]
    if not starts:
        raise ClipError(
            f"The longest scene that was observed has {max(map(len, found))} frames, but adapting needs "
            f"{context} + {horizon} to be judged on; give a longer clip, lower the context, or do not adapt."
        )
    end = starts[-1] + length
    first = end - max(horizon, len(frames) // HELD_OUT)
    pieces = [
        piece
        for scene in found
        for piece in (range(scene.start, min(first, scene.stop)), range(max(scene.start, end), scene.stop))
        if len(piece) >= SHORTEST
    ]
    if not pieces:
        raise ClipError(
            f"Of the {len(frames)} observed frames the last are needed for judging and too few are left to learn from; "
            "give a longer clip, or do not adapt."
        )
    judged = [start for start in reversed(starts) if start + context >= first]
    windows = [to_unit(frames[judged[place] : judged[place] + length]) for place in evenly_spread(len(judged), JUDGED)]
    return Lessons(frames, pieces, context, horizon), ClipBatch.cut(torch.stack(windows), context)
