"""Restore the missing frames of a video window by window, so that memory does not grow with its length."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby, pairwise, tee
from typing import NamedTuple, TypeAlias

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from framepred.baselines.lost_frames import lost_planes, rebuild_planes
from framepred.clips import RawFrame, from_unit, missing_pixels
from framepred.errors import ClipError
from framepred.forecaster import eval_mode
from framepred.inference.devices import device_of
from framepred.inference.measured import fill_from_nearest, keep_last_measured
from framepred.inference.missing import MAX_GAP, check_within
from framepred.inference.scenes import iter_cuts
from framepred.restorer import Restorer

WINDOW = 16
"""Frames that are restored at a time; more where a gap is longer."""

MARGIN = 8
"""Observed frames on each side of these that a window includes."""


class MarkedFrame(NamedTuple):
    """A frame and whether it is missing.

    Attributes:
        frame: ``(b, c, h, w)``; of a missing frame only shape and type matter.
        missing: whether it is to be rebuilt.
        scene: number of its scene, from 0; frames are never blended across scenes.
        lost: whether it has no measured pixel, so that nothing is rebuilt from it.
    """

    frame: RawFrame
    missing: bool
    scene: int = 0
    lost: bool = False

    @property
    def observed(self) -> bool:
        """Whether it shows anything."""
        return not (self.missing or self.lost)


Piece: TypeAlias = Sequence[MarkedFrame]


def mark(frames: Iterable[RawFrame], missing: frozenset[int]) -> Iterator[MarkedFrame]:
    """Each frame, marked by whether its number, counted from 0, is among the missing ones.

    Raises:
        ConfigError: at the end, if there are numbers beyond it.
    """
    count = 0
    for count, frame in enumerate(frames, start=1):
        lost = lost_planes(frame)
        yield MarkedFrame(frame, count - 1 in missing, lost=lost is not None and bool(lost.all()))
    check_within(missing, count)


def upsample(frames: Iterable[MarkedFrame], factor: int) -> Iterator[MarkedFrame]:
    """The frames at ``factor`` times the frame rate: ``factor`` − 1 are missing between each two."""
    last = None
    for frame in frames:
        if last is not None:
            yield from [MarkedFrame(last, True)] * (factor - 1)
        yield frame
        last = frame.frame


def number_scenes(frames: Iterable[MarkedFrame], filler: float | None = None) -> Iterator[MarkedFrame]:
    """The same frames with the numbers of their scenes, found in the observed frames.

    A gap across a cut is divided: its first half belongs to the scene before, its second half to the scene after.

    Args:
        frames: the frames of one clip, each ``(1, c, h, w)``.
        filler: what stands for pixels that are not measured, which are NaN; None where there are none.
    """
    scene = 0
    gap: list[MarkedFrame] = []
    for frame, cut in _with_cuts(frames, filler):
        if not frame.observed:
            gap.append(frame)
            continue
        for number, each in enumerate(gap):
            yield each._replace(scene=scene + (cut and 2 * number >= len(gap)))
        scene += cut
        yield frame._replace(scene=scene)
        gap = []
    for each in gap:
        yield each._replace(scene=scene)


def _with_cuts(frames: Iterable[MarkedFrame], filler: float | None) -> Iterator[tuple[MarkedFrame, bool]]:
    """Each frame, and whether a scene begins with it."""
    original, pixels, marks = tee(frames, 3)
    observed = (frame.frame[0] for frame in pixels if frame.observed)
    cuts = iter_cuts(keep_last_measured(observed, filler), _distances(marks))
    for frame in original:
        yield frame, frame.observed and next(cuts)


def _distances(frames: Iterable[MarkedFrame]) -> Iterator[int]:
    """The distance of each observed frame from the one before, in frames."""
    distance = 0
    for frame in frames:
        distance += 1
        if frame.observed:
            yield distance
            distance = 0


def restore_frames(net: Restorer, frames: Iterable[MarkedFrame]) -> Iterator[RawFrame]:
    """The frames in order, on the CPU, of their type: observed ones unchanged, missing ones rebuilt.

    Each scene is restored by itself. Beside a gap at its end, which has one side only, the restorer gets more frames of
    that side. Frames without a measured pixel are kept as they are, and nothing is rebuilt from them. Pixels that are
    not measured are NaN; in a rebuilt frame those are that are not measured in the nearest observed frames on both
    sides.

    Args:
        net: the restorer, on the device where it is to run.
        frames: the frames of one clip, or of several side by side as a batch that has the same scenes.

    Raises:
        ClipError: if a scene has no observed frame, or more than ``MAX_GAP`` frames are missing in a row.
    """
    for _, scene in groupby(frames, key=lambda frame: frame.scene):
        for before, here, after in _with_neighbours(_pieces(scene)):
            if any(frame.missing for frame in here):
                past = before if here[-1].missing and not after else _end(before)
                future = after if here[0].missing and not before else _begin(after)
                yield from _rebuild(net, past, here, future)
            else:
                yield from (frame.frame for frame in here)


def restore_by_each(
    nets: Sequence[Restorer], frames: Iterable[MarkedFrame]
) -> Iterator[tuple[MarkedFrame, list[RawFrame]]]:
    """Each marked frame, and the frame as each of the restorers gives it; see :func:`restore_frames`."""
    original, *copies = tee(frames, len(nets) + 1)
    versions = [restore_frames(net, copy) for net, copy in zip(nets, copies, strict=True)]
    for frame, *restored in zip(original, *versions, strict=True):
        yield frame, restored


def _pieces(frames: Iterable[MarkedFrame]) -> Iterator[list[MarkedFrame]]:
    """The scene in pieces, each ending with an observed frame and holding enough of them to be another's margin."""
    piece: list[MarkedFrame] = []
    observed = gap = 0
    for frame in frames:
        piece.append(frame)
        absent = frame.missing or (frame.lost and gap < MAX_GAP)  # lost frames that are kept may be more
        observed, gap = (observed, gap + 1) if absent else (observed + 1, 0)
        if gap > MAX_GAP:
            raise ClipError(f"More than {MAX_GAP} frames in a row are missing; cut the video there.")
        if len(piece) >= WINDOW and observed >= MARGIN and gap == 0:
            yield piece
            piece, observed = [], 0
    if piece:
        yield piece


def _with_neighbours(pieces: Iterable[list[MarkedFrame]]) -> Iterator[tuple[Piece, Piece, Piece]]:
    """Each piece with the one before and the one after; empty where there is none."""
    before: Piece = ()
    for here, after in pairwise(_ended(pieces)):
        yield before, here, after
        before = here


def _ended(pieces: Iterable[list[MarkedFrame]]) -> Iterator[Piece]:
    yield from pieces
    yield ()


def _begin(piece: Piece) -> Piece:
    """The first frames of a piece, up to ``MARGIN`` observed ones."""
    observed = [index for index, frame in enumerate(piece) if frame.observed]
    return piece[: observed[MARGIN - 1] + 1] if len(observed) >= MARGIN else piece


def _end(piece: Piece) -> Piece:
    """The last frames of a piece, from ``MARGIN`` observed ones on."""
    return _begin(piece[::-1])[::-1]


def _rebuild(net: Restorer, before: Piece, here: Piece, after: Piece) -> Iterator[RawFrame]:
    window = [*before, *here, *after]
    device = device_of(net)
    missing = torch.tensor([not frame.observed for frame in window], device=device)
    clips = torch.stack([frame.frame for frame in window], dim=1).to(device)
    gaps = missing_pixels(clips)
    if bool(missing.all()) and any(frame.lost and not frame.missing for frame in window):
        yield from (torch.full_like(frame.frame, torch.nan) for frame in here)  # nothing was measured near them
        return
    with eval_mode(net), torch.inference_mode():
        restored = net.restore(clips if gaps is None else _without_gaps(clips, missing), missing).cpu()
    for index, frame in enumerate(here, start=len(before)):
        if not frame.missing:
            yield frame.frame
            continue
        rebuilt = from_unit(restored[:, index], frame.frame.dtype)
        yield rebuilt if gaps is None else rebuilt.masked_fill(_never_measured(gaps, missing, index).cpu(), torch.nan)


def _without_gaps(clips: Float[Tensor, "b t c h w"], missing: Bool[Tensor, " t"]) -> Float[Tensor, "b t c h w"]:
    """The clips with numbers for missing pixels: the nearest measured one of the frame, else those of other frames.

    Args:
        clips: the clips, with NaN for missing pixels.
        missing: frames from which nothing is taken.
    """
    known = clips.masked_fill(missing[:, None, None, None], torch.nan)
    return torch.stack([rebuild_planes(fill_from_nearest(clip), lost_planes(clip)) for clip in known])


def _never_measured(
    gaps: Bool[Tensor, "b t c h w"], missing: Bool[Tensor, " t"], index: int
) -> Bool[Tensor, "b c h w"]:
    """Which pixels of a rebuilt frame are missing in the nearest observed frame on either side, or the only one."""
    observed = (~missing).nonzero().flatten()
    sides = [*observed[observed < index][-1:].tolist(), *observed[observed > index][:1].tolist()]
    return gaps[:, sides].all(dim=1)
