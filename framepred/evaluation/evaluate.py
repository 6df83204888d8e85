"""One pass over clips: a forecaster and its baselines, scored on the same clips by the same protocol."""

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from itertools import chain

import torch
from torch import nn

from framepred.clips import Clip, ClipBatch, Future, to_unit
from framepred.errors import WeightsError
from framepred.evaluation.cards import Card, DataRecord, Interval, WeightsRecord
from framepred.evaluation.checksum import ClipLedger
from framepred.evaluation.metrics import FrameMetric, Score
from framepred.evaluation.protocols import Measures, find_protocol, skill_scores
from framepred.forecaster import Predictor


def evaluate(
    predictor: Predictor,
    batches: Iterable[ClipBatch],
    *,
    protocol: str = "openstl",
    data: DataRecord,
    weights: WeightsRecord | None = None,
    baselines: Mapping[str, Predictor] | None = None,
    device: torch.device | str | None = None,
    on_batch: Callable[[int], object] | None = None,
) -> Card:
    """Score a predictor and its baselines on the same clips, in one process and constant memory.

    Predictors that are modules are moved to the device, run in eval mode without gradients, and get their training
    mode back. The card does not depend on how the clips are split into batches. A note on the card says so if all
    predicted pixels are equal, because a blank prediction scores well on dark scenes.

    Args:
        predictor: any callable ``(context, horizon) -> frames``, such as a forecaster.
        batches: clips of one context, horizon, size and type: uint8, uint16, or floats in [0, 1].
        protocol: name of the protocol.
        data: what is known of the data; counts, sizes and the hash are filled in.
        weights: what is known of the weights.
        baselines: predictors by the names that the card gives them.
        device: where to predict and score; None keeps the device of ``predictor``.
        on_batch: called after each batch with its number of clips.

    Raises:
        ConfigError: if there is no such protocol.
        DataError: if there is no clip, or clips differ in shape or type, or floats are NaN or outside [0, 1].
        WeightsError: if a prediction is not finite.
        ClipError: if frames are too small for the protocol's SSIM.
    """
    measures = find_protocol(protocol)
    device = _device_of(predictor) if device is None else torch.device(device)
    model = _Scorer("The network", predictor, measures, device)
    others = {
        name: _Scorer(f"Baseline {name}", baseline, measures, device) for name, baseline in (baselines or {}).items()
    }
    scorers, ledger = [model, *others.values()], ClipLedger()
    with _predicting(*(scorer.predictor for scorer in scorers)):
        for batch in batches:
            first = ledger.clips
            ledger.add(batch)
            context, target = (to_unit(part.to(device)).float() for part in batch)
            for scorer in scorers:
                scorer.add(context, target, first)
            if on_batch is not None:
                on_batch(len(context))
    return _card(protocol, ledger.complete(data), weights, model, others)


class _Scorer:
    """One predictor, its running metrics, and the darkest and brightest pixel it predicted."""

    def __init__(self, title: str, predictor: Predictor, measures: Measures, device: torch.device) -> None:
        self.title, self.measures = title, measures
        self.predictor = predictor.to(device) if isinstance(predictor, nn.Module) else predictor
        self.metrics = {
            # A callback may evaluate in one process of many: adding up over processes would wait for the others.
            name: FrameMetric(measure.formula, sync_on_compute=False).to(device)
            for name, measure in measures.items()
        }
        self.darkest, self.brightest = math.inf, -math.inf

    def add(self, context: Clip, target: Future, first: int) -> None:
        """Predict these clips, the first of which is number ``first``, and score them."""
        pred = self.predictor(context, target.shape[1])
        self._refuse_non_finite(pred, first)
        darkest, brightest = pred.aminmax()
        self.darkest, self.brightest = min(self.darkest, darkest.item()), max(self.brightest, brightest.item())
        for metric in self.metrics.values():
            metric.update(pred, target)

    def scores(self) -> dict[str, Score]:
        return {name: metric.compute() for name, metric in self.metrics.items()}

    def notes(self) -> tuple[str, ...]:
        """What the numbers alone would hide."""
        if self.brightest - self.darkest >= 1 / 255:
            return ()
        return (
            f"All predictions are blank: every pixel is {self.brightest:.2f} to within 1/255, "
            "in every frame of every clip.",
        )

    def _refuse_non_finite(self, pred: Clip, first: int) -> None:
        finite = pred.isfinite().flatten(1).all(dim=1)  # (b,)
        if not finite.all():
            raise WeightsError(
                f"{self.title} predicted NaN or infinite pixels for clip {first + int(finite.int().argmin())} "
                "(the first is 0); the weights are damaged or their training diverged: use an earlier checkpoint."
            )


def _card(
    protocol: str, data: DataRecord, weights: WeightsRecord | None, model: _Scorer, others: Mapping[str, _Scorer]
) -> Card:
    scores = model.scores()
    values = {name: score.value for name, score in scores.items()}
    baselines = {
        name: {metric: score.value for metric, score in scorer.scores().items()} for name, scorer in others.items()
    }
    return Card(
        protocol=protocol,
        data=data,
        weights=weights,
        metrics={name: Interval(score.value, score.low, score.high) for name, score in scores.items()},
        lead_times={name: score.lead_times for name, score in scores.items()},
        baselines=baselines,
        skill=skill_scores(values, baselines, model.measures),
        notes=model.notes(),
    )


def _device_of(predictor: Predictor) -> torch.device:
    """The device of a module's first tensor; the CPU if there is none."""
    tensors = chain(predictor.parameters(), predictor.buffers()) if isinstance(predictor, nn.Module) else iter(())
    return next((tensor.device for tensor in tensors), torch.device("cpu"))


@contextmanager
def _predicting(*predictors: Predictor) -> Iterator[None]:
    """Eval mode without gradients; afterwards every module is as it was, frozen parts included."""
    networks = [predictor for predictor in predictors if isinstance(predictor, nn.Module)]
    modes = [(module, module.training) for network in networks for module in network.modules()]
    try:
        for network in networks:
            network.eval()
        with torch.inference_mode():
            yield
    finally:
        for module, training in modes:
            module.training = training
