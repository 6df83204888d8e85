"""One pass over clips: a forecaster and its baselines, scored on the same clips by the same protocol."""

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from itertools import chain

import torch

from framepred.clips import Clip, ClipBatch, Future, to_unit
from framepred.errors import WeightsError
from framepred.evaluation.cards import Card, DataRecord, Interval, WeightsRecord
from framepred.evaluation.checksum import ClipLedger
from framepred.evaluation.metrics import FrameMetric, Score
from framepred.evaluation.protocols import Measures, find_protocol, skill_scores
from framepred.forecaster import Forecaster


def evaluate(
    net: Forecaster,
    batches: Iterable[ClipBatch],
    *,
    protocol: str = "openstl",
    data: DataRecord,
    weights: WeightsRecord | None = None,
    baselines: Mapping[str, Forecaster] | None = None,
    device: torch.device | str | None = None,
    on_batch: Callable[[int], object] | None = None,
) -> Card:
    """Score a forecaster and its baselines, in one process and constant memory.

    The forecasters are moved to the device, run in eval mode without gradients, and get their training mode back.
    The card does not depend on how the clips are split into batches. If all predicted pixels are alike, the card's
    notes say so, for a blank prediction scores well on dark scenes.

    Args:
        net: what is to be scored.
        batches: clips of one context, horizon, size and type: uint8, uint16, or floats in [0, 1].
        protocol: name of the protocol.
        data: what is known of the data; counts, sizes and the hash are filled in.
        weights: what is known of the weights.
        baselines: forecasters by the names that the card gives them.
        device: where to predict and score; None stays where ``net`` is.
        on_batch: called after each batch with its number of clips.

    Raises:
        ConfigError: if there is no such protocol.
        DataError: if there is no clip, or clips differ in shape or type, or floats are NaN or outside [0, 1].
        WeightsError: if a prediction is not finite.
        ClipError: if frames are too small for the protocol's SSIM.
    """
    measures = find_protocol(protocol)
    device = _device_of(net) if device is None else torch.device(device)
    model = _Scorer("The network", net, measures, device)
    others = {
        name: _Scorer(f"Baseline {name}", baseline, measures, device) for name, baseline in (baselines or {}).items()
    }
    scorers, ledger = [model, *others.values()], ClipLedger()
    with _predicting(*(scorer.forecaster for scorer in scorers)):
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
    """One forecaster, its running metrics, and the darkest and brightest pixel it predicted."""

    def __init__(self, title: str, forecaster: Forecaster, measures: Measures, device: torch.device) -> None:
        self.title, self.forecaster, self.measures = title, forecaster.to(device), measures
        self.metrics = {
            # A callback may evaluate in one process of many: adding up over processes would wait for the others.
            name: FrameMetric(measure.formula, sync_on_compute=False).to(device)
            for name, measure in measures.items()
        }
        self.darkest, self.brightest = math.inf, -math.inf

    def add(self, context: Clip, target: Future, first: int) -> None:
        """Predict these clips, the first of which is number ``first``, and score them."""
        pred = self.forecaster(context, horizon=target.shape[1])
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


def _device_of(net: Forecaster) -> torch.device:
    """Where the network's first tensor lies; the CPU if it has none."""
    return next((tensor.device for tensor in chain(net.parameters(), net.buffers())), torch.device("cpu"))


@contextmanager
def _predicting(*forecasters: Forecaster) -> Iterator[None]:
    """Eval mode without gradients; afterwards every module is as it was, frozen parts included."""
    modes = [(module, module.training) for forecaster in forecasters for module in forecaster.modules()]
    try:
        for forecaster in forecasters:
            forecaster.eval()
        with torch.inference_mode():
            yield
    finally:
        for module, training in modes:
            module.training = training
