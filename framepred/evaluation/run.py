"""One pass over clips: forecasters and baselines, scored on the same clips by the same protocol."""

import math
from collections.abc import Callable, Iterable, Mapping
from itertools import chain

import torch
from torch import nn

from framepred.clips import ClipBatch
from framepred.errors import DataError
from framepred.evaluation.averages import process_count, process_rank
from framepred.evaluation.cards import Card, DataRecord, Interval, WeightsRecord
from framepred.evaluation.checksum import ClipChecksum
from framepred.evaluation.evidence import Evidence, Example
from framepred.evaluation.protocols import Measures, Protocol, find_protocol, skill_scores
from framepred.evaluation.scorer import AnyPredictor, Scorer, read_batch
from framepred.forecaster import Predictor, eval_mode

BLANK = "blank"
"""The baseline that predictions must beat; see :mod:`framepred.evaluation.collapse`."""


def evaluate(
    predictor: AnyPredictor,
    batches: Iterable[ClipBatch],
    *,
    protocol: str = "openstl",
    data: DataRecord,
    weights: WeightsRecord | None = None,
    baselines: Mapping[str, Predictor] | None = None,
    device: torch.device | str | None = None,
    on_batch: Callable[[int], object] | None = None,
    extra_measures: Measures | None = None,
    distributed: bool = False,
) -> Card:
    """Score a predictor and its baselines on the same clips in one pass.

    Predictors that are modules are moved to the device, run in eval mode without gradients, and get their training
    mode back. The card does not depend on how the clips are split into batches or processes, apart from float64
    rounding. Memory grows by a few bytes per clip and metric. A note on the card says so if the predictions have
    collapsed.

    Args:
        predictor: any callable ``(context, horizon) -> frames``, such as a forecaster; or ``SavedPredictions``.
        batches: clips of one context, horizon, size and type: uint8, uint16, or floats in [0, 1]. Where a batch states
            a filler, NaN is a missing pixel: predictors read contexts by
            :func:`framepred.baselines.lost_frames.forecast_measured`, and scores leave the pixel out, as
            :mod:`framepred.evaluation.formulas` describes.
        protocol: name of the protocol.
        data: what is known of the data; counts, sizes and the hash are filled in.
        weights: what is known of the weights.
        baselines: predictors by the names that the card gives them.
        device: where to predict and score; None keeps the device of ``predictor``.
        on_batch: called after each batch with its number of clips.
        extra_measures: metrics in addition to the protocol's, by name, such as ``lpips``.
        distributed: share the clips among the processes of ``torch.distributed``. Every process must call this with
            all the clips, reads all of them, and predicts its share; every process returns the same card.

    Raises:
        ConfigError: if there is no such protocol.
        DataError: if there is no clip, or clips differ in shape or type, or floats are NaN or outside [0, 1].
        WeightsError: if a prediction is not finite.
        ClipError: if frames are too small for the protocol's SSIM.
    """
    (card,) = evaluate_together(
        {"The network": predictor},
        batches,
        protocol=protocol,
        data=data,
        weights=[weights],
        baselines=baselines,
        device=_device_of(predictor) if device is None else device,
        on_batch=on_batch,
        extra_measures=extra_measures,
        distributed=distributed,
    )
    return card


def evaluate_together(
    predictors: Mapping[str, AnyPredictor],
    batches: Iterable[ClipBatch],
    *,
    protocol: str = "openstl",
    data: DataRecord,
    weights: Iterable[WeightsRecord | None],
    baselines: Mapping[str, Predictor] | None = None,
    device: torch.device | str = "cpu",
    on_batch: Callable[[int], object] | None = None,
    extra_measures: Measures | None = None,
    distributed: bool = False,
) -> list[Card]:
    """Score several predictors in one pass over the clips; see :func:`evaluate`.

    Args:
        predictors: the predictors by the names that errors give them.
        weights: what is known of the weights of each predictor, in the same order.
        batches: see :func:`evaluate`, as are the other arguments.
        protocol: name of the protocol.
        data: what is known of the data.
        baselines: predictors by the names that the cards give them; computed once.
        device: where to predict and score.
        on_batch: called after each batch with its number of clips.
        extra_measures: metrics in addition to the protocol's.
        distributed: share the clips among processes.

    Returns:
        One card for each predictor.
    """
    chosen = find_protocol(protocol)
    measures: Measures = {**chosen.measures, **(extra_measures or {})}
    device = torch.device(device)
    models = [Scorer(name, predictor, measures, device) for name, predictor in predictors.items()]
    others = {
        name: Scorer(f"Baseline {name}", baseline, measures, device) for name, baseline in (baselines or {}).items()
    }
    scorers, checksum = [*models, *others.values()], ClipChecksum()
    with eval_mode(*(scorer.predictor for scorer in scorers)):
        for batch in batches:
            _score_share(batch, scorers, checksum, device, distributed)
            if on_batch is not None:
                on_batch(len(batch.target))
    record = checksum.complete(data)
    for scorer in scorers if distributed else ():
        scorer.gather()
    left_out = _left_out(checksum)
    return [
        _card(chosen, record, known, model, others, batches, left_out)
        for model, known in zip(models, weights, strict=True)
    ]


def _left_out(checksum: ClipChecksum) -> tuple[str, ...]:
    """A sentence on the missing pixels, if there are any."""
    if not checksum.missing or checksum.geometry is None:
        return ()
    pixels = checksum.clips * checksum.geometry.horizon * math.prod(checksum.geometry.size)
    return (f"{checksum.missing / pixels:.2%} of the pixels to predict are missing (NaN) and were left out.",)


@torch.inference_mode()
def _score_share(
    batch: ClipBatch, scorers: list[Scorer], checksum: ClipChecksum, device: torch.device, distributed: bool
) -> None:
    """Score the clips of a batch that this process is responsible for: those of numbers r, r + w, r + 2w, …."""
    first = checksum.clips
    checksum.add(batch)
    rank, world = (process_rank(), process_count()) if distributed else (0, 1)
    start = (rank - first) % world
    numbers = range(first + start, first + len(batch.target), world)
    if numbers:
        context = read_batch(batch.context[start::world], device)
        target = read_batch(batch.target[start::world], device)
        for scorer in scorers:
            _check_context(scorer, batch)
            scorer.predict_and_add(context, target, numbers, batch.filler)


def _check_context(scorer: Scorer, batch: ClipBatch) -> None:
    if batch.context.shape[1] == 0 and callable(scorer.predictor):
        raise DataError(
            f"{scorer.title} cannot predict without context; each clip needs at least one frame before the target."
        )


def _card(
    protocol: Protocol,
    data: DataRecord,
    weights: WeightsRecord | None,
    model: Scorer,
    others: Mapping[str, Scorer],
    batches: Iterable[ClipBatch],
    left_out: tuple[str, ...],
) -> Card:
    scores = model.scores()
    values = {name: score.value for name, score in scores.items()}
    baselines = {name: scorer.scores() for name, scorer in others.items()}
    baseline_values = {name: {key: score.value for key, score in found.items()} for name, found in baselines.items()}
    blank = baseline_values.get(BLANK, {}).get("mse")
    named_baseline = weights is not None and weights.name.startswith("baseline:")
    note = "" if named_baseline else model.statistics.collapse(values["mse"], blank)
    per_clip = model.clip_values()
    return Card(
        protocol=protocol.id,
        data=data,
        weights=weights,
        metrics={name: Interval(score.value, score.low, score.high) for name, score in scores.items()},
        lead_times={name: score.lead_times for name, score in scores.items() if score.lead_times},
        lead_intervals={name: score.lead_intervals for name, score in scores.items() if score.lead_times},
        baselines=baseline_values,
        baseline_lead_times={
            name: {key: score.lead_times for key, score in found.items() if score.lead_times}
            for name, found in baselines.items()
        },
        skill=skill_scores(values, baseline_values, model.measures),
        notes=(*left_out, *((note,) if note else ())),
        per_clip=per_clip,
        evidence=Evidence(model.error_map(), lambda: _examples(model, per_clip["mse"], batches)),
    )


def _examples(model: Scorer, errors: tuple[float, ...], batches: Iterable[ClipBatch]) -> list[Example]:
    """The best, the median and the worst clip, read and predicted again; none where batches come only once."""
    if iter(batches) is batches:
        return []
    known = [number for number in range(len(errors)) if not math.isnan(errors[number])]
    order = sorted(known, key=lambda number: errors[number])
    chosen = {"best": order[0], "median": order[len(order) // 2], "worst": order[-1]}
    wanted = {number: title for title, number in reversed(chosen.items())}
    found: dict[str, Example] = {}
    first = 0
    with eval_mode(model.predictor):
        for batch in batches:
            for number in sorted(wanted.keys() & set(range(first, first + len(batch.target)))):
                found[wanted[number]] = _example(model, wanted[number], number, errors[number], batch, number - first)
            first += len(batch.target)
            if len(found) == len(wanted):
                break
    return [found[title] for title in chosen if title in found]


@torch.inference_mode()
def _example(model: Scorer, title: str, number: int, mse: float, batch: ClipBatch, position: int) -> Example:
    context, target, _ = batch.filled()
    context, target = context[position : position + 1], target[position : position + 1]
    measured = read_batch(batch.context[position : position + 1], model.device)
    prediction = model.predict(measured, target.shape[1], [number], batch.filler)
    return Example(title, number, mse, context[0].cpu(), target[0].cpu(), prediction[0].clamp(0, 1).cpu())


def _device_of(predictor: AnyPredictor) -> torch.device:
    """The device of a module's first tensor; the CPU if there is none."""
    tensors = chain(predictor.parameters(), predictor.buffers()) if isinstance(predictor, nn.Module) else iter(())
    return next((tensor.device for tensor in tensors), torch.device("cpu"))
