"""Scores one predictor while clips pass: metrics, per-clip errors, statistics of pixels, a map of the error."""

from collections.abc import Sequence
from typing import Any, Protocol, TypeAlias, runtime_checkable

import torch
from jaxtyping import Float, Shaped
from torch import Tensor, nn
from torch.nn import functional

from framepred.baselines.lost_frames import forecast_measured
from framepred.clips import Clip, Future, RawClip, to_unit
from framepred.errors import ClipError, DataError, WeightsError
from framepred.evaluation.averages import ClipAverage, Score, Sums
from framepred.evaluation.collapse import PixelStatistics
from framepred.evaluation.formulas import Truth, float64_device
from framepred.evaluation.protocols import Measures
from framepred.forecaster import Predictor
from framepred.media.pictures import shrunk_size

MAP_SIDE = 96  # pixels: longer sides of an error map are averaged over blocks
LOWEST, HIGHEST = -1.0, 2.0  # predictions beyond are on another scale than [0, 1]


@runtime_checkable
class ClipSource(Protocol):
    """Clips by number, such as a data set that returns batches."""

    def __len__(self) -> int:
        """How many clips there are."""

    def __getitems__(self, indices: Sequence[int]) -> Any:
        """The clips of these numbers: a tensor ``(b, t, c, h, w)`` or a list of ``(t, c, h, w)``."""


class SavedPredictions:
    """Predictions that another program made, scored like a network's.

    Args:
        clips: the predicted frames of each clip, in the order of the true clips; a source of them, or a tensor
            ``(b, t, c, h, w)``.
    """

    def __init__(self, clips: ClipSource | RawClip) -> None:
        self.clips = clips

    def read(self, numbers: Sequence[int]) -> RawClip:
        """The predictions of these clips as they were saved.

        Raises:
            DataError: if there are fewer predictions than clips.
        """
        if numbers and max(numbers) >= len(self.clips):
            raise DataError(
                f"There are predictions for {len(self.clips)} clips but truth for at least {max(numbers) + 1}; save "
                "both from the same clips."
            )
        clips = self.clips
        found = clips[list(numbers)] if isinstance(clips, Tensor) else clips.__getitems__(numbers)
        return found if isinstance(found, Tensor) else torch.stack(list(found))


AnyPredictor: TypeAlias = Predictor | SavedPredictions


class ClipScores:
    """Running scores of predictions: every metric, overall and of each clip, statistics of pixels, a map of the error.

    Args:
        measures: the metrics by name.
        device: where to score; an Apple GPU, which has no float64, leaves that to the CPU.
    """

    def __init__(self, measures: Measures, device: torch.device) -> None:
        self.measures, self.device = measures, float64_device(device)
        self.averages = {name: ClipAverage(measure.formula) for name, measure in measures.items()}
        for average in self.averages.values():
            average.sums = average.sums.to(self.device)
        self.statistics = PixelStatistics()
        self.per_clip: dict[str, dict[int, float]] = {name: {} for name in measures}
        self.error_sum: Float[Tensor, "t h w"] | None = None

    def add(self, pred: Clip, target: Truth, numbers: Sequence[int]) -> None:
        """Score predictions of the clips of these numbers, ``(b, t, c, h, w)``; NaN in the target is a missing pixel.

        Predictions and target may lie on any device.

        Raises:
            ClipError: if predictions have another shape than the target.
        """
        pred, target = pred.to(self.device), target.to(self.device)
        for name, average in self.averages.items():
            average.update(pred, target, numbers)
            self.per_clip[name].update(zip(numbers, average.latest.float().tolist(), strict=True))
        self.statistics.add(pred, target)
        squares = (pred - target).square().masked_fill(target.isnan(), 0)
        error = _blocks(squares.mean(dim=2)).sum(dim=0)  # (t, h, w)
        self.error_sum = error if self.error_sum is None else self.error_sum + error

    def gather(self) -> None:
        """Add up what all processes scored; every process must call this."""
        states: list[Any] = [None] * torch.distributed.get_world_size()
        cpu = torch.device("cpu")  # a tensor of another process's GPU would take memory there
        sums = {name: (average.sums.to(cpu), average.per_frame) for name, average in self.averages.items()}
        error_sum = None if self.error_sum is None else self.error_sum.to(cpu)
        torch.distributed.all_gather_object(states, (sums, self.per_clip, self.statistics, error_sum))
        busy = [state for state in states if state[3] is not None]  # the others got no clip
        if not busy:
            return
        for name, average in self.averages.items():
            parts = [state[0][name][0].to(self.device) for state in busy]
            average.sums = Sums(*(torch.stack(same).sum(dim=0) for same in zip(*parts, strict=True)))
            average.per_frame = busy[0][0][name][1]
            self.per_clip[name] = {number: value for state in busy for number, value in state[1][name].items()}
        self.statistics = PixelStatistics()
        for state in busy:
            self.statistics.merge(state[2])
        self.error_sum = torch.stack([state[3].to(self.device) for state in busy]).sum(dim=0)

    def scores(self) -> dict[str, Score]:
        """Every metric over all clips."""
        return {name: average.score() for name, average in self.averages.items()}

    def clip_values(self) -> dict[str, tuple[float, ...]]:
        """Every metric of each clip, in the order of the clips, rounded to float32."""
        return {name: tuple(values[number] for number in sorted(values)) for name, values in self.per_clip.items()}

    def error_map(self) -> Float[Tensor, "t h w"]:
        """Squared error of a pixel, averaged over clips and channels; that of a missing pixel is 0."""
        assert self.error_sum is not None
        return (self.error_sum / self.clips).float().cpu()

    @property
    def clips(self) -> int:
        """How many clips were scored."""
        return len(next(iter(self.per_clip.values())))


class Scorer(ClipScores):
    """One predictor with its running scores.

    Args:
        title: what errors call the predictor.
        predictor: a callable ``(context, horizon) -> frames``, or saved predictions.
        measures: the metrics by name.
        device: where to predict and score.
    """

    def __init__(self, title: str, predictor: AnyPredictor, measures: Measures, device: torch.device) -> None:
        super().__init__(measures, device)
        self.title = title
        self.predictor = predictor.to(device) if isinstance(predictor, nn.Module) else predictor
        self._predictor_device = device

    def predict_and_add(
        self, context: Clip, target: Future, numbers: Sequence[int], filler: float | None = None
    ) -> None:
        """Predict the clips of these numbers, ``(b, t, c, h, w)``, and score them.

        ``filler`` stands for missing pixels of the context, which are NaN; None where there are none.

        Raises:
            WeightsError: if a prediction is not finite; DataError if it is a saved one.
            ClipError: if predictions have another shape than the target, or another type or scale than frames;
                DataError if saved ones have another scale.
        """
        pred, target = self.predict(context, target.shape[1], numbers, filler), target.to(self.device)
        self._check_finite(pred, target, numbers)
        self.add(pred, target, numbers)

    def predict(
        self, context: Clip, horizon: int, numbers: Sequence[int], filler: float | None = None
    ) -> Shaped[Tensor, "..."]:
        """The predictions of these clips, ``(b, horizon, c, h, w)`` if the predictor keeps its contract.

        The predictor gets a copy of the context, which it may change: others predict from the same clips. It may return
        frames on another device, as exports do, and frames of integers.
        """
        if isinstance(self.predictor, SavedPredictions):
            return self._in_unit(self.predictor.read(numbers)).to(self.device, torch.float32)
        predictor, context = self.predictor, context.to(self._predictor_device, copy=True)
        return forecast_measured(
            lambda observed, frames: self._in_unit(predictor(observed, frames)), context, horizon, filler
        ).to(self.device)

    def _in_unit(self, predicted: object) -> Shaped[Tensor, "..."]:
        """Predictions as floats, after a check of their type and scale."""
        if not isinstance(predicted, Tensor):
            raise ClipError(
                f"{self.title} returned {type(predicted).__name__}, not a tensor (b, horizon, c, h, w); return the "
                "predicted frames alone, as a tensor."
            )
        frames = to_unit(predicted)
        finite = frames[frames.isfinite()]  # NaN may stand where a true pixel is missing
        low, high = (edge.item() for edge in finite.aminmax()) if finite.numel() else (0.0, 0.0)
        if low < LOWEST or high > HIGHEST:
            raise (DataError if isinstance(self.predictor, SavedPredictions) else ClipError)(
                f"{self.title} predicted pixels from {low:.4g} to {high:.4g} but white must be 1; divide them by their "
                "white level or clamp them, or give uint8."
            )
        return frames

    def _check_finite(self, pred: Clip, target: Truth, numbers: Sequence[int]) -> None:
        """Check the predictions of pixels that are not missing."""
        if pred.isfinite().all() or pred.shape != target.shape:
            return
        finite = (pred.isfinite() | target.isnan()).flatten(1).all(dim=1)  # (b,)
        if finite.all():
            return
        found = f"NaN or infinite pixels for clip {numbers[int(finite.int().argmin())]} (the first is 0)"
        if isinstance(self.predictor, SavedPredictions):
            raise DataError(f"The saved predictions hold {found}; predict the clip again, or leave it out.")
        raise WeightsError(
            f"{self.title} predicted {found}; the weights are damaged or their training diverged: use an earlier "
            "checkpoint."
        )


def _blocks(error: Float[Tensor, "b t h w"]) -> Float[Tensor, "b t _h _w"]:
    """The map with its longer side at most ``MAP_SIDE``, by means over blocks."""
    height, width = error.shape[-2:]
    size = shrunk_size(height, width, MAP_SIDE)
    return error if size == (height, width) else functional.adaptive_avg_pool2d(error, size)


def read_batch(part: RawClip, device: torch.device) -> Clip:
    """Frames of the data as float32 in [0, 1] on the device; a copy from pinned memory does not wait for it."""
    return to_unit(part.to(device, non_blocking=True)).float()
