"""Predict what follows a clip: one call for files, arrays and tensors."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TypeAlias, TypedDict

import torch
from jaxtyping import Shaped
from torch import Tensor

from framepred.baselines import BASELINES, LastFrame, load_baseline
from framepred.baselines.lost_frames import lost_at_end
from framepred.clips import ClipBatch, RawClip, RawFrame, fill_missing, missing_pixels
from framepred.errors import ClipError, ConfigError
from framepred.evaluation import Card, DataRecord, WeightsRecord
from framepred.forecaster import Forecaster, eval_mode
from framepred.inference.blend import default_members
from framepred.inference.blend_weights import fit_weights
from framepred.inference.detail import at_full_size
from framepred.inference.devices import pick_device
from framepred.inference.frame_prediction import BlendedPrediction, FrameMaker, predict_frames
from framepred.inference.integers import as_integer
from framepred.inference.measured import keep_measured
from framepred.inference.networks import (
    NATURAL,
    NamedForecaster,
    Weights,
    channels_of,
    is_network,
    open_forecaster,
    range_of,
)
from framepred.inference.observed import Observed, distinct_frames, observe_clips, observed_notes
from framepred.inference.prediction import Prediction, single_or_all
from framepred.inference.reading_ahead import ReadAhead, end_size
from framepred.inference.scenes import find_scenes
from framepred.inference.sources import Source, SourceEnd, SourceForm, read_end, shrink_clips, source_name
from framepred.media.frame_times import varying_rate
from framepred.media.memory import check_memory, release_memory
from framepred.media.ranges import StatedRange
from framepred.models.devices import move_network

MAX_SIDE = 256
"""Longer side, in pixels, of the frames that a network gets. On the first parts of films it has less error in full size
with 256 than with 512, in a third of the time: it knows motions of a few pixels, and the last frame has the detail."""

ADAPT_HORIZON = 10
"""Frames of a training window after the context, at most: a longer future costs time and teaches no more motion."""

BYTES_PER_VALUE = 8
"""Bytes of memory for each value of a predicted frame: as a float, in the type of the source, and a copy of it."""

SCORE_SIDE = 512
"""Longer side, in pixels, at which predictions are scored, so that the cost of a score is bounded."""

Progress: TypeAlias = Callable[[str, float], object]
"""Called with the name of a stage, such as ``predicting``, and the share of it that is done, in [0, 1]."""


class PredictOptions(TypedDict, total=False):
    """Keyword arguments of :func:`predict`, but for ``weights``."""

    frames: int
    context: int
    adapt: float | None
    blend: bool
    holdout: bool
    device: str | torch.device
    layout: str | None
    array_name: str | None
    value_range: StatedRange
    max_side: int
    cuts: bool
    batch_size: int
    on_progress: Progress


def predict(
    source: Source | ReadAhead,
    *,
    frames: int = 10,
    weights: Weights = NATURAL,
    context: int = 10,
    adapt: float | None = None,
    blend: bool = True,
    holdout: bool = False,
    device: str | torch.device = "auto",
    layout: str | None = None,
    array_name: str | None = None,
    value_range: StatedRange = None,
    max_side: int = MAX_SIDE,
    cuts: bool = True,
    batch_size: int = 16,
    on_progress: Progress = lambda _stage, _share: None,
) -> Prediction:
    """Predict the frames that follow the last one of a clip.

    By default the network is blended with optical flow and the last frame, with weights that are measured on the
    clip's own past, or on that of all clips of an array; see :func:`~framepred.inference.blend_weights.fit_blend`.
    Baselines are not blended.

    Args:
        source: a video file, also one that is being decoded, a folder of frames, an array file, an array or a tensor;
            an array may hold several clips.
        frames: number of frames to predict.
        weights: a bundled name, a path, ``owner/name`` of the Hugging Face Hub, ``baseline:NAME``, or a forecaster.
        context: number of frames to predict from.
        adapt: seconds of training on the clip's own past before predicting; None does not train.
        blend: whether to blend the network with the baselines.
        holdout: hide the last ``frames`` frames, predict them, and score the prediction.
        device: ``auto``, ``cpu``, ``cuda``, or a device.
        layout: the order of an array's axes, such as ``thwc``, where its shape does not determine it.
        array_name: which array of a file that holds several, such as NetCDF.
        value_range: the values of arrays and of pictures with more than 8 bits that become 0 and 1; ``auto`` for those
            that the values suggest; None for those that the network was trained on or the type states. Files of 16
            bits of which fewer are used count as fewer.
        max_side: frames with a longer side are scaled to it for the network, in pixels.
        cuts: whether frames before a scene cut are left out of the context.
        batch_size: clips at a time.
        on_progress: called with a stage and the share of it that is done.

    Returns:
        The predicted frames, of the size and type of the source, with score and notes.

    Raises:
        ConfigError: if a number is outside its domain.
        ClipError: if the clip is too short, or its shape or values do not fit.
        MediaError: if the source cannot be read.
        WeightsError: if the weights cannot be used.

    Example:
        >>> still = torch.full((12, 1, 8, 8), 7, dtype=torch.uint8)
        >>> prediction = predict(still, frames=3)
        >>> prediction.frames.shape, int(prediction.frames.max())
        (torch.Size([3, 1, 8, 8]), 7)
    """
    frames, context = as_integer("frames", frames), as_integer("context", context)
    max_side, batch_size = as_integer("max_side", max_side), as_integer("batch_size", batch_size)
    if adapt is not None and not 0 < adapt < float("inf"):
        raise ConfigError(f"adapt must be a positive number of seconds, not {adapt:g}.")
    release_memory()  # of what was read or predicted before
    named = open_forecaster(weights)
    job = _Job(
        named._replace(net=move_network(named.net, pick_device(device))),
        frames, context, adapt, blend, holdout,
        SourceForm(layout, channels_of(named.net), value_range, array_name, range_of(named.net), keeps_nan=True),
        max_side, cuts, batch_size, on_progress,
    )  # fmt: skip
    with eval_mode(named.net):
        return job.run(source)


@dataclass(frozen=True)
class _Job:
    """The arguments of :func:`predict`; ``adapt`` is in seconds."""

    named: NamedForecaster
    frames: int
    context: int
    adapt: float | None
    blend: bool
    holdout: bool
    form: SourceForm
    max_side: int
    cuts: bool
    batch_size: int
    on_progress: Progress

    @property
    def hidden(self) -> int:
        """Frames that are held out."""
        return self.frames if self.holdout else 0

    def run(self, source: Source | ReadAhead) -> Prediction:
        end = self._read(source)
        self._check_memory(end.frames)
        known, name = end.recent.shape[1] - self.hidden, source_name(source)
        past, clips = end.recent[:, :known], ClipBatch.cut(end.frames, end.frames.shape[1] - self.hidden, end.filler)
        lost = [lost_at_end(clip) for clip in clips.context]
        observed = observe_clips(past, lost, self.cuts, self._blends, end.filler)
        pairs = zip(observed, clips.context, strict=True)
        context = torch.stack([seen.readable(clip, end.filler) for seen, clip in pairs])
        predicted, adapted = self._predict(past, context, observed, end.filler)
        notes = [
            *_notes_on(end, source, None if isinstance(self.named.net, LastFrame) else self.max_side),
            *observed_notes(observed, self.context, name),
            *self._lost_note(lost, name),
            *self._cut_note([keep_measured(clip, end.filler) for clip in end.recent], known, name),
            *adapted,
        ]
        self.on_progress("predicting", 1.0)
        data = DataRecord(name, value_range=None if end.value_range is None else end.value_range.limits)
        score = score_frames(clips, predicted, self.named.record, data) if self.holdout else None
        stop = context.shape[1] - min(lost)
        shown = context[:, max(0, stop - max(len(clip.scene) for clip in observed)) : stop]
        missing = missing_pixels(clips.context)
        return Prediction(
            single_or_all(predicted),
            single_or_all(shown),
            single_or_all(fill_missing(clips.target, end.filler)) if self.holdout else None,
            end.fps,
            score,
            tuple(notes),
            end.value_range,
            None if missing is None else single_or_all(missing.all(dim=1)),
        )

    def _check_memory(self, clips: RawClip) -> None:
        """Refuse more predicted frames than memory holds, before the first is predicted."""
        height, width = clips.shape[-2:]
        check_memory(
            len(clips) * self.frames * clips[0, 0].numel() * BYTES_PER_VALUE,
            f"{len(clips) * self.frames:,} predicted frames of {width}x{height} pixels",
            "lower the number of frames",
        )

    def _read(self, source: Source | ReadAhead) -> SourceEnd:
        """The context, what is held out, and what blending or adapting needs of the past, in one pass."""
        size = end_size(self.frames, self.context, self.max_side, holdout=self.holdout, adapts=self.adapt is not None)
        end = read_end(source, size, self.form)
        found = end.frames.shape[1]
        if found < size.last:
            held_out = f"and {self.frames} held-out frame{'s' * (self.frames != 1)} are" if self.holdout else "is"
            raise ClipError(
                f"{source_name(source)} has {found} frame{'s' * (found != 1)} but a context of {self.context} "
                f"{held_out} asked for; lower context{' or frames' if self.holdout else ''}."
            )
        if self.adapt is not None and len(end.frames) > 1:
            raise ClipError(
                f"{source_name(source)} holds {len(end.frames)} clips but one is wanted to adapt to; "
                "save one clip to a file of its own, or do not adapt."
            )
        return end

    def _lost_note(self, lost: Sequence[int], name: str) -> list[str]:
        """A sentence on last frames without a measured pixel."""
        count = sum(map(bool, lost))
        clips = (f"{count} of the {len(lost)} clips in {name}" if len(lost) > 1 else name) + " end" + "s" * (count == 1)
        frames = f"{lost[0]} frame{'s' * (lost[0] > 1)}" if len(lost) == 1 else "frames"
        ends = f"{clips} with {frames} without a measured pixel{' before those held out' * self.holdout}"
        return [f"{ends}; the prediction starts from the frame before, and its first frame follows them."] * any(lost)

    def _cut_note(self, recent: Sequence[Tensor], known: int, name: str) -> list[str]:
        """A sentence on a scene cut among the frames held out."""
        if not (self.cuts and self.holdout and any(s.start >= known for clip in recent for s in find_scenes(clip))):
            return []
        return [
            f"{name} has a scene cut among the frames held out; no forecast knows what comes after it, but its score "
            "counts."
        ]

    @property
    def _blends(self) -> bool:
        """Whether the network is blended with baselines."""
        return self.blend and is_network(self.named.net)

    def _predict(
        self, past: Tensor, context: RawClip, observed: Sequence[Observed], filler: float | None
    ) -> tuple[Shaped[Tensor, "b k c h w"], list[str]]:
        """The predicted frames, by the network adapted and blended as asked for, and notes on adapting."""
        if self._blends and self.adapt is None:
            members, scenes = default_members(self.named.net), [clip.distinct for clip in observed]
            fit = partial(
                fit_weights, members, scenes, self.context, self.frames + max(clip.lost for clip in observed),
                cuts=False, filler=filler, max_side=self.max_side,
            )  # fmt: skip
            with BlendedPrediction(members, fit, self.max_side) as blended:
                return self._predict_clips(blended.frames, context, observed), []
        seen = past[0, : past.shape[1] - observed[0].lost]
        net, notes = (self.named.net, []) if self.adapt is None else self._adapted(seen, self.adapt, filler)
        make = partial(predict_frames, at_full_size(net, self.max_side))
        return self._predict_clips(make, context, observed), notes

    def _adapted(
        self, past: Shaped[Tensor, "t c h w"], seconds: float, filler: float | None
    ) -> tuple[Forecaster, list[str]]:
        """The network trained on the past, blended if asked for, and a note on it."""
        from framepred.inference.adapt import adapt  # imports optimizers

        result = adapt(
            self.named.net,
            distinct_frames(past, self.cuts, filler) if self._blends else past,
            seconds=seconds,
            context=self.context,
            horizon=min(self.frames, ADAPT_HORIZON),
            cuts=self.cuts,
            filler=filler,
            on_progress=lambda share: self.on_progress("adapting", share),
        )
        return result.blend if self.blend else result.mean, [result.describe(self.blend)]

    def _predict_clips(
        self, make: FrameMaker, context: RawClip, clips: Sequence[Observed]
    ) -> Shaped[Tensor, "b k c h w"]:
        """Clips that are predicted from frames of the same indices as batches, in the order of the clips."""
        plans = [(clip.context(self.context), clip.steps(self.frames)) for clip in clips]
        futures: dict[int, Tensor] = {}
        for used, steps in sorted(set(plans)):
            numbers = [number for number, plan in enumerate(plans) if plan == (used, steps)]
            for start in range(0, len(numbers), self.batch_size):
                batch = numbers[start : start + self.batch_size]
                inputs = context if len(batch) == len(context) else context[batch]  # an index copies
                inputs = inputs[:, used[0] :] if len(used) == -used[0] else inputs[:, list(used)]
                frames = make(inputs, steps[-1])
                distinct = [inputs[:, -1].cpu(), *self._counted(frames, steps[-1], len(futures), len(plans))]
                future = torch.stack([distinct[step] for step in steps], dim=1)
                futures.update(zip(batch, future, strict=True))
        return torch.stack([futures[number] for number in range(len(plans))])

    def _counted(self, frames: Iterator[RawFrame], count: int, done: int, clips: int) -> Iterator[RawFrame]:
        for number, frame in enumerate(frames):
            self.on_progress("predicting", (done + number / count) / clips)
            yield frame


def _notes_on(end: SourceEnd, source: Source | ReadAhead, max_side: int | None) -> Iterator[str]:
    yield from end.notes
    height, width = end.frames.shape[-2:]
    if max_side is not None and max(height, width) > max_side:
        yield f"{width}x{height} frames are scaled to {max_side} pixels for the network (max_side)."
    if not end.steady:
        yield varying_rate(source_name(source), end.fps, "is written")


def score_frames(
    clips: ClipBatch, predicted: Shaped[Tensor, "b k c h w"], record: WeightsRecord, data: DataRecord
) -> Card:
    """Score predicted frames beside the baselines, at a bounded size, one clip after the other.

    Args:
        clips: context and true frames, with NaN for missing true pixels where there is a filler.
        predicted: the predicted frames, of the shape of the true ones.
        record: what the card says of the weights.
        data: what the card says of the data.
    """
    from framepred.evaluation import SavedPredictions, evaluate  # only scores need it

    context, target, guess = (shrink_clips(part, SCORE_SIDE) for part in (clips.context, clips.target, predicted))
    height, width = clips.target.shape[-2:]
    card = evaluate(
        SavedPredictions(guess),
        (ClipBatch(context[number][None], target[number][None], clips.filler) for number in range(len(target))),
        data=data,
        weights=record,
        baselines={baseline: load_baseline(baseline) for baseline in BASELINES},
    )
    if max(height, width) <= SCORE_SIDE:
        return card
    return replace(card, notes=(*card.notes, f"Frames of {width}x{height} are scored at {SCORE_SIDE} pixels."))
