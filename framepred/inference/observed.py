"""What a clip is predicted from: the frames since the last scene cut, without repeated frames."""

from collections.abc import Sequence
from itertools import compress
from typing import NamedTuple

from jaxtyping import Shaped
from torch import Tensor

from framepred.inference.measured import keep_measured
from framepred.inference.repeats import Cadence, find_cadence
from framepred.inference.scenes import find_scenes


class Observed(NamedTuple):
    """The last scene of the past of one clip.

    Attributes:
        scene: its frames ``(t, c, h, w)``, repeated ones included.
        cadence: which of them are distinct, and which of the coming frames will be.
    """

    scene: Shaped[Tensor, "t c h w"]
    cadence: Cadence

    @property
    def distinct(self) -> Shaped[Tensor, "_t c h w"]:
        """The frames of the scene without repeats."""
        return self.scene[self.cadence.kept]

    def context(self, length: int) -> tuple[int, ...]:
        """Indices from the end, all negative, of the distinct frames among the last ``length`` of the scene."""
        length = min(length, len(self.scene))
        kept = self.cadence.kept[-length:]
        return tuple(index - length for index in range(length) if kept[index])


def observe_clips(
    past: Shaped[Tensor, "n t c h w"], cuts: bool, repeats: bool, filler: float | None = None
) -> list[Observed]:
    """Find the last scene of each clip, and what repeats in it.

    Args:
        past: the frames before the prediction.
        cuts: whether to look for scene cuts; else the whole past is one scene.
        repeats: whether to look for repeated frames; else all are distinct.
        filler: what stands for missing pixels, which are NaN; None where there are none.
    """
    starts = [find_scenes(keep_measured(clip, filler))[-1].start if cuts else 0 for clip in past]
    scenes = [clip[start:] for clip, start in zip(past, starts, strict=True)]
    return [
        Observed(scene, find_cadence(keep_measured(scene, filler)) if repeats else _all_distinct(scene))
        for scene in scenes
    ]


def distinct_frames(
    past: Shaped[Tensor, "t c h w"], cuts: bool, filler: float | None = None
) -> Shaped[Tensor, "_t c h w"]:
    """The frames of all scenes of a clip without repeats; ``filler`` stands for missing pixels, which are NaN."""
    filled = keep_measured(past, filler)
    scenes = find_scenes(filled) if cuts else [range(len(past))]
    return past[
        [index for scene in scenes for index in compress(scene, find_cadence(filled[scene.start : scene.stop]).kept)]
    ]


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
        cut = f"{len(short)} of the {len(clips)} clips in {name} have a scene cut in their context."
        again = f"{len(repeating)} of the {len(clips)} clips in {name} repeat frames, which are not counted as stills."
        return [cut] * bool(short) + [again] * bool(repeating)
    frames = f"{sum(short)} frame{'s' * (sum(short) != 1)}"
    cut = f"{name} has a scene cut {frames} before what is predicted; only what comes after it is used."
    return [cut] * bool(short) + [_repeat_note(cadence, name) for cadence in repeating]


def _repeat_note(cadence: Cadence, name: str) -> str:
    count = cadence.distinct.count(False)
    found = f"{count} of the last {len(cadence.distinct)} frames of {name} repeat the frame before; motion is measured"
    if cadence.period is None:
        return f"{found} without them."
    return f"{found} without them, and the prediction repeats frames with the same period of {cadence.period}."
