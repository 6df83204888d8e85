"""Restore the missing frames of a video, window by window, so that memory does not grow with it."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import pairwise, tee
from typing import NamedTuple, TypeAlias

import torch
from jaxtyping import Float
from torch import Tensor

from framepred.baselines import LinearInterpolation
from framepred.clips import Clip, Frame, Future, RawFrame, from_unit, to_unit
from framepred.errors import ClipError
from framepred.inference.missing import LONGEST, check_within
from framepred.inference.scaling import resized, shrunk
from framepred.restorer import Missing, Restorer

WINDOW = 16
"""Frames that are restored at a time; more where a gap is longer."""

MARGIN = 8
"""Seen frames that a window shows on each side of these."""


class Moment(NamedTuple):
    """A frame ``(b, c, h, w)`` in its place; of a missing one only shape and type count."""

    frame: RawFrame
    missing: bool


Piece: TypeAlias = Sequence[Moment]
AnyClip: TypeAlias = Float[Tensor, "_b _t _c _h _w"]


def marked(frames: Iterable[RawFrame], missing: frozenset[int]) -> Iterator[Moment]:
    """Each frame, and whether its number, counted from 0, is among the missing ones.

    Raises:
        ConfigError: at the end, if there are numbers beyond it.
    """
    count = 0
    for count, frame in enumerate(frames, start=1):
        yield Moment(frame, count - 1 in missing)
    check_within(missing, count)


def slowed(moments: Iterable[Moment], factor: int) -> Iterator[Moment]:
    """The same at ``factor`` times the frame rate: as many frames less one are missing between each two."""
    last = None
    for moment in moments:
        if last is not None:
            yield from [Moment(last, True)] * (factor - 1)
        yield moment
        last = moment.frame


def restored_by(
    nets: Sequence[Restorer], moments: Iterable[Moment], batch_size: int = 16
) -> Iterator[tuple[Moment, list[RawFrame]]]:
    """Each moment, and its frame as each of the networks gives it; see :func:`restored`."""
    original, *copies = tee(moments, len(nets) + 1)
    versions = [restored(net, copy, batch_size) for net, copy in zip(nets, copies, strict=True)]
    for moment, *frames in zip(original, *versions, strict=True):
        yield moment, frames


def restored(net: Restorer, moments: Iterable[Moment], batch_size: int = 16) -> Iterator[RawFrame]:
    """The frames in order, on the CPU, of the type they came in: seen ones as they are, missing ones rebuilt.

    Args:
        net: what restores, where it is to run.
        moments: the frames of one clip, or of several side by side as a batch.
        batch_size: clips at a time.

    Raises:
        ClipError: if no frame is seen, or more than ``LONGEST`` are missing in a row.
    """
    net.eval()
    for before, here, after in _with_neighbours(_pieces(moments)):
        if any(moment.missing for moment in here):
            yield from _rebuilt(net, _end(before), here, _begin(after), batch_size)
        else:
            yield from (moment.frame for moment in here)


class ScaledRestorer(Restorer):
    """Lets a network see frames scaled down; what is finer than that is interpolated in a straight line.

    Frames whose longer side is within ``max_side`` pass as they are.

    Args:
        net: the restorer within.
        max_side: longest side in pixels that it sees, at least 1.
    """

    def __init__(self, net: Restorer, max_side: int) -> None:
        super().__init__()
        self.net = net
        self.max_side = max_side
        self.linear = LinearInterpolation()

    def fill(self, clip: Clip, missing: Missing) -> Future:
        """The missing frames in full size, ``(b, m, c, h, w)``."""
        small = _each(lambda frames: shrunk(frames, self.max_side), clip)
        if small.shape == clip.shape:
            return self.net.fill(clip, missing)
        change = self.net.fill(small, missing) - self.linear.fill(small, missing)
        return self.linear.fill(clip, missing) + _each(lambda frames: resized(frames, clip.shape[-2:]), change)


def _each(change: Callable[[Frame], Frame], clip: AnyClip) -> AnyClip:
    """A clip with every frame changed."""
    frames = change(clip.flatten(0, 1))
    return frames.view(*clip.shape[:2], *frames.shape[1:])


def _pieces(moments: Iterable[Moment]) -> Iterator[list[Moment]]:
    """The clip in pieces, each ending with a seen frame and holding enough of them to be another's margin."""
    piece: list[Moment] = []
    seen = gap = 0
    for moment in moments:
        piece.append(moment)
        seen, gap = (seen, gap + 1) if moment.missing else (seen + 1, 0)
        if gap > LONGEST:
            raise ClipError(f"More than {LONGEST} frames in a row are missing; cut the video there.")
        if len(piece) >= WINDOW and seen >= MARGIN and gap == 0:
            yield piece
            piece, seen = [], 0
    if piece:
        yield piece


def _with_neighbours(pieces: Iterable[list[Moment]]) -> Iterator[tuple[Piece, Piece, Piece]]:
    """Each piece with the one before and the one after; empty where there is none."""
    before: Piece = ()
    for here, after in pairwise(_ended(pieces)):
        yield before, here, after
        before = here


def _ended(pieces: Iterable[list[Moment]]) -> Iterator[Piece]:
    yield from pieces
    yield ()


def _begin(piece: Piece) -> Piece:
    """Its first frames, up to as many seen ones as a margin has."""
    seen = [place for place, moment in enumerate(piece) if not moment.missing]
    return piece[: seen[MARGIN - 1] + 1] if len(seen) >= MARGIN else piece


def _end(piece: Piece) -> Piece:
    """Its last frames, from as many seen ones as a margin has."""
    return _begin(piece[::-1])[::-1]


@torch.inference_mode()
def _rebuilt(net: Restorer, before: Piece, here: Piece, after: Piece, batch_size: int) -> Iterator[RawFrame]:
    window = [*before, *here, *after]
    device = next((tensor.device for tensor in net.parameters()), torch.device("cpu"))
    missing = torch.tensor([moment.missing for moment in window], device=device)
    frames = torch.stack([moment.frame for moment in window], dim=1)
    clips = [net.restore(to_unit(part.to(device)), missing).cpu() for part in torch.split(frames, batch_size)]
    clip = torch.cat(clips)[:, len(before) : len(before) + len(here)]
    for moment, frame in zip(here, clip.unbind(dim=1), strict=True):
        yield from_unit(frame, moment.frame.dtype) if moment.missing else moment.frame
