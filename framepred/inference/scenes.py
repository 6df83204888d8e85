"""Where one shot of a video ends and another begins: what came before says nothing of what comes after."""

from collections.abc import Iterable, Iterator
from itertools import pairwise

from jaxtyping import Shaped
from torch import Tensor

from framepred.clips import Frame, to_unit

CUT = 0.1
"""Mean absolute change between two frames, in [0, 1], above which they are of different shots."""


def is_cut(before: Frame, after: Frame) -> bool:
    """Whether a scene is cut between two frames ``(b, c, h, w)`` in [0, 1]; a batch counts as one picture."""
    return (after - before).abs().mean().item() > CUT


def cuts(frames: Iterable[Frame]) -> Iterator[int]:
    """The numbers of the frames ``(b, c, h, w)`` in [0, 1] with which a new shot begins, the first frame aside."""
    before: Frame | None = None
    for number, frame in enumerate(frames):
        if before is not None and is_cut(before, frame):
            yield number
        before = frame


def scenes(clip: Shaped[Tensor, "t c h w"]) -> list[range]:
    """The numbers of the frames of each shot; the frames are uint8, uint16, or floats in [0, 1]."""
    edges = [0, *cuts(to_unit(frame)[None] for frame in clip), len(clip)]
    return [range(start, stop) for start, stop in pairwise(edges)]
