"""What a clip is predicted from: the frames since the last scene cut, without repeated frames."""

from collections.abc import Sequence
from itertools import compress
from typing import NamedTuple

import torch
from jaxtyping import Shaped
from torch import Tensor

from framepred.baselines.lost_frames import fill_context, lost_planes, rebuild_lost
from framepred.clips import fill_missing
from framepred.inference.measured import keep_measured
from framepred.inference.repeats import Cadence, find_cadence
from framepred.inference.scenes import find_scenes


class Observed(NamedTuple):
    """The last scene of the past of one clip.

    Attributes:
        scene: its frames ``(t, c, h, w)``, repeated ones included, up to the last one with a measured pixel.
        cadence: which of them are distinct, and which of the coming frames will be.
        lost: number of frames after them, none of which has a measured pixel.
    """

    scene: Shaped[Tensor, "t c h w"]
    cadence: Cadence
    lost: int

    @property
    def distinct(self) -> Shaped[Tensor, "_t c h w"]:
        """The frames of the scene without repeats."""
        return self.scene[self.cadence.kept]

    def context(self, length: int) -> tuple[int, ...]:
        """Indices from the end of the past, all negative, of the scene's distinct frames among the last ``length``."""
        length = min(length - self.lost, len(self.scene))
        kept = self.cadence.kept[-length:]
        return tuple(index - length - self.lost for index in range(length) if kept[index])

    def steps(self, frames: int) -> tuple[int, ...]:
        """For each frame after the past, how many distinct frames it is ahead of the last one of the scene."""
        return tuple(self.cadence.steps(self.lost + frames)[self.lost :])

    def readable(self, context: Shaped[Tensor, "n c h w"], filler: float | None) -> Shaped[Tensor, "n c h w"]:
        """The last frames of the past as forecasters read them; see :func:`fill_context`."""
        if filler is None or lost_planes(context) is None:
            return fill_missing(context, filler)
        start = max(0, len(context) - self.lost - len(self.scene))
        return torch.cat([fill_missing(context[:start], filler), fill_context(context[start:], filler)])


def observe_clips(
    past: Shaped[Tensor, "n t c h w"], lost: Sequence[int], cuts: bool, repeats: bool, filler: float | None = None
) -> list[Observed]:
    """Find the last scene of each clip, and what repeats in it.

    Args:
        past: the frames before the prediction.
        lost: for each clip, how many last frames have no measured pixel.
        cuts: whether to look for scene cuts; else the whole past is one scene.
        repeats: whether to look for repeated frames; else all are distinct.
        filler: what stands for missing pixels, which are NaN; None where there are none.
    """
    observed = []
    for clip, count in zip(past, lost, strict=True):
        seen = clip[: len(clip) - count]
        scene = seen[find_scenes(keep_measured(seen, filler))[-1].start :] if cuts else seen
        observed.append(Observed(scene, _cadence(scene, filler) if repeats else _all_distinct(scene), count))
    return observed


def distinct_frames(
    past: Shaped[Tensor, "t c h w"], cuts: bool, filler: float | None = None
) -> Shaped[Tensor, "_t c h w"]:
    """The frames of all scenes of a clip without repeats; ``filler`` stands for missing pixels, which are NaN."""
    scenes = find_scenes(keep_measured(past, filler)) if cuts else [range(len(past))]
    return past[
        [index for scene in scenes for index in compress(scene, _cadence(past[scene.start : scene.stop], filler).kept)]
    ]


def _cadence(scene: Shaped[Tensor, "t c h w"], filler: float | None) -> Cadence:
    """The cadence of a scene, in which a frame without a measured pixel is no repeat of the one before."""
    return find_cadence(keep_measured(rebuild_lost(scene, filler), filler))


def _all_distinct(scene: Shaped[Tensor, "t c h w"]) -> Cadence:
    return Cadence([True] * len(scene), period=None)


def observed_notes(clips: Sequence[Observed], context: int, name: str) -> list[str]:
    """Sentences on scene cuts within the context and on repeated frames.

    Args:
        clips: the clips.
        context: frames that are asked for.
        name: of the source.
    """
    short = [len(clip.scene) for clip in clips if len(clip.scene) < context]
    repeating = [clip.cadence for clip in clips if not all(clip.cadence.distinct)]
    if len(clips) > 1:
        have, repeat = ("has" if len(short) == 1 else "have"), f"repeat{'s' * (len(repeating) == 1)}"
        cut = f"{len(short)} of the {len(clips)} clips in {name} {have} a scene cut in the context."
        again = (
            f"{len(repeating)} of the {len(clips)} clips in {name} {repeat} frames, which are not counted as stills."
        )
        return [cut] * bool(short) + [again] * bool(repeating)
    frames = f"{sum(short)} frame{'s' * (sum(short) != 1)}"
    cut = f"{name} has a scene cut {frames} before what is predicted; only what comes after it is used."
    return [cut] * bool(short) + [_repeat_note(cadence, name) for cadence in repeating]


def _repeat_note(cadence: Cadence, name: str) -> str:
    count = cadence.distinct.count(False)
    repeat = f"repeat{'s' * (count == 1)}"
    found = (
        f"{count} of the last {len(cadence.distinct)} frames of {name} {repeat} the frame before; motion is measured"
    )
    if cadence.period is None:
        return f"{found} without them."
    return f"{found} without them, and the prediction repeats frames with the same period of {cadence.period}."
