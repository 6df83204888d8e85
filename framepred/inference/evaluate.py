"""``framepred.evaluate``: one call that scores weights, any callable, or another program's saved predictions."""

import re
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from itertools import chain, count
from pathlib import Path
from typing import TypeAlias

import torch
from torch import nn

from framepred.baselines import BASELINES, load_baseline
from framepred.evaluation import Card, SavedPredictions, WeightsRecord, evaluate_together
from framepred.evaluation.lpips import lpips_measures
from framepred.evaluation.protocols import find_protocol
from framepred.forecaster import Forecaster, Predictor
from framepred.inference.acceleration import accelerate_predictor, reduced_precision
from framepred.inference.devices import full_float32, pick_device
from framepred.inference.evaluation_data import ClipChoice, EvaluationData, open_data
from framepred.inference.networks import is_network, needs_of, open_forecaster
from framepred.inference.processes import joined_processes, process_is_alone
from framepred.inference.saved_clips import ClipSource, SavedBatches
from framepred.inference.saved_predictions import open_saved
from framepred.inference.scaling import ScaledForecaster, scaling_notes
from framepred.inference.trained_files import training_notes
from framepred.media.pictures import shrunk_size
from framepred.media.ranges import StatedRange
from framepred.models.accelerated import FLOAT32, AcceleratedForecaster, Precision
from framepred.models.cost import count_parameters, macs_per_clip
from framepred.models.devices import move_network
from framepred.restorer import Restorer

Weights: TypeAlias = str | Path | Forecaster | Predictor
"""A bundled name, a path, ``owner/name`` of the Hugging Face Hub, ``baseline:NAME``, a forecaster, or any callable."""

MAX_SIDE = 512  # pixels
Progress: TypeAlias = Callable[[EvaluationData], AbstractContextManager[Callable[[int], object]]]
"""Called with the opened data; gives what is called after each batch with its number of clips."""


def evaluate(
    weights: Weights = "moving-mnist",
    data: ClipSource = "moving-mnist",
    *,
    protocol: str = "openstl",
    clips: int = 1000,
    context: int = 10,
    horizon: int = 10,
    seed: int = 0,
    predictions: ClipSource | None = None,
    truth: ClipSource | None = None,
    context_frames: ClipSource | None = None,
    layout: str | None = None,
    array_name: str | None = None,
    value_range: StatedRange = None,
    split: str = "test",
    skip_broken: bool = False,
    root: str | Path | None = None,
    download: bool = False,
    lpips: bool | str | Path = False,
    max_side: int = MAX_SIDE,
    batch_size: int = 16,
    device: str | torch.device = "auto",
    compiled: bool = False,
    precision: Precision = FLOAT32,
    progress: Progress | None = None,
) -> Card:
    """Score weights, or saved predictions, beside the baselines.

    Under torchrun, or where ``torch.distributed`` is initialized, every process must call this; the clips are shared
    among them, and every process returns the same card.

    Args:
        weights: a bundled name, a path, ``baseline:NAME``, a forecaster, or any callable ``(context, horizon) ->
            frames`` on ``(b, t, c, h, w)`` floats in [0, 1].
        data: ``moving-mnist``, ``moving-fashion-mnist``, the path of a file, of a folder or of the config of a run, or
            an array or tensor ``(n, t, c, h, w)``: uint8, uint16, or floats in [0, 1].
        protocol: ``openstl``, ``predrnn`` or ``wang2004``.
        clips: how many clips at most.
        context: observed frames; a config has its own.
        horizon: frames to predict; a config has its own.
        seed: stream of generated clips.
        predictions: predicted frames ``(n, t, c, h, w)`` of another program, as an array, a file or a folder of clips;
            ``weights`` and ``data`` are then not used.
        truth: the frames that ``predictions`` predict, of the same shape.
        context_frames: the frames before ``truth``, which the baselines need.
        layout: order of the axes of arrays, such as ``nthwc``, where their shape is ambiguous.
        array_name: which array of files that hold several, such as NetCDF.
        value_range: the values of arrays and of pictures with more than 8 bits that become 0 and 1; None for those that
            the network was trained on, or that types and values suggest.
        split: of a folder of videos: test, val, train or all.
        skip_broken: leave out the files of a folder that cannot be used.
        root: folder of the digits of generated clips.
        download: whether missing digits may be downloaded.
        lpips: also measure LPIPS; a path names AlexNet's weights, True looks for them in torch's cache.
        max_side: frames with a longer side are scaled to it, in pixels, for the network.
        batch_size: clips per batch.
        device: ``auto``, ``cpu``, ``cuda``, or a torch device.
        compiled: whether to compile the network; see :func:`framepred.accelerate`.
        precision: ``32-true``, or ``bf16-mixed`` for bfloat16 autocast of the network, which the card records.
        progress: called with the opened data; a context manager that gives what is called after each batch.

    Returns:
        The results card, with ``.metrics``, ``.write(path)`` and ``.report(path)``.

    Raises:
        FramepredError: if weights, data or arguments cannot be used; see its subclasses.

    Example:
        >>> card = evaluate("baseline:last-frame", clips=2)
        >>> sorted(card.metrics)
        ['mae', 'mse', 'psnr', 'ssim']
    """
    find_protocol(protocol)  # before data are opened
    choice = ClipChoice(
        clips, context, horizon, seed, batch_size, Path(root) if root else None, download, split, skip_broken, layout,
        array_name, value_range,
    )  # fmt: skip
    options = ScoreOptions(protocol, device, lpips, max_side, progress, compiled, precision)
    if any(source is not None for source in (predictions, truth, context_frames)):
        return evaluate_predictions(predictions, truth, context_frames, choice, options)
    (card,) = evaluate_several([weights], data, choice, options)
    return card


def evaluate_predictions(
    predictions: ClipSource | None,
    truth: ClipSource | None,
    context_frames: ClipSource | None,
    choice: ClipChoice | None = None,
    options: "ScoreOptions | None" = None,
) -> Card:
    """Score another program's saved predictions; arguments as for :func:`evaluate`.

    Raises:
        ConfigError: if predictions or truth are missing.
        DataError: if predictions, truth and context hold different numbers of clips or of frames.
    """
    found = open_saved(predictions, truth, context_frames, choice or ClipChoice())
    (card,) = score([NamedPredictor(found.predictions, found.record)], found.data, options)
    return card


def evaluate_several(
    weights: Sequence[Weights],
    data: ClipSource = "moving-mnist",
    choice: ClipChoice | None = None,
    options: "ScoreOptions | None" = None,
) -> list[Card]:
    """Score several weights in one pass over the data; arguments as for :func:`evaluate`.

    Returns:
        One card for each of the weights, in their order.
    """
    options = options or ScoreOptions()
    named = [open_weights(name, options.max_side) for name in weights]
    choice = choice or ClipChoice()
    channels, learned = needs_of((one.net for one in named if one.net is not None), choice.value_range)
    device = pick_device(options.device)
    choice = replace(choice, channels=channels, learned_range=learned, device=device)
    return score(named, open_data(data, choice), options)


@dataclass(frozen=True)
class ScoreOptions:
    """How predictions are scored.

    Attributes:
        protocol: name of the protocol.
        device: ``auto``, ``cpu``, ``cuda``, or a torch device.
        lpips: whether to measure LPIPS too; a path names AlexNet's weights.
        max_side: frames with a longer side are scaled to it, in pixels, for the network.
        progress: reports how many clips are scored.
        compiled: whether to compile networks.
        precision: ``32-true``, or ``bf16-mixed`` for bfloat16 autocast of networks; baselines stay in float32.
    """

    protocol: str = "openstl"
    device: str | torch.device = "auto"
    lpips: bool | str | Path = False
    max_side: int = MAX_SIDE
    progress: Progress | None = None
    compiled: bool = False
    precision: Precision = FLOAT32


@dataclass(frozen=True)
class NamedPredictor:
    """A predictor, what the card says of its weights, and the network whose cost is counted, if there is one."""

    predictor: Predictor | SavedPredictions
    record: WeightsRecord
    net: nn.Module | None = None


def open_weights(weights: Weights, max_side: int = MAX_SIDE) -> NamedPredictor:
    """The predictor that ``weights`` names or is.

    Raises:
        WeightsError: if there are no such weights, or they cannot forecast.
        ConfigError: if there is no such baseline.
    """
    if callable(weights) and not isinstance(weights, Forecaster | Restorer):
        return NamedPredictor(weights, WeightsRecord(getattr(weights, "__name__", type(weights).__name__)))
    net, record = open_forecaster(weights)  # type: ignore[arg-type]  # it refuses restorers
    inner = net.net if isinstance(net, AcceleratedForecaster) else net
    counted = None if record.name.startswith("baseline:") else inner
    return NamedPredictor(ScaledForecaster(net, max_side) if is_network(inner) else net, record, counted)


def score(named: Sequence[NamedPredictor], data: EvaluationData, options: ScoreOptions | None = None) -> list[Card]:
    """Score predictors beside all baselines in one pass over the clips."""
    options = options or ScoreOptions()
    device = pick_device(options.device)
    extra = lpips_measures(options.protocol, options.lpips)
    has_context = not isinstance(data.batches, SavedBatches) or data.batches.context is not None
    showing = nullcontext(_ignore) if options.progress is None else options.progress(data)
    with joined_processes(), full_float32(), showing as on_batch:
        ready = [_prepared(replace(one, record=_counted(one, data)), device, options) for one in named]
        cards = evaluate_together(
            {_title(one, number, ready): one.predictor for number, one in enumerate(ready, start=1)},
            data.batches,
            protocol=options.protocol,
            data=data.record if options.max_side == MAX_SIDE else replace(data.record, arguments=None),
            weights=[one.record for one in ready],
            baselines={name: load_baseline(name) for name in BASELINES} if has_context else {},
            device=device,
            on_batch=on_batch,
            extra_measures=extra,
            distributed=not process_is_alone(),
        )
    notes = [
        (*scaling_notes(one.predictor, card.data.size), *training_notes(one.record, one.net, data.files))
        for card, one in zip(cards, named, strict=True)
    ]
    return [replace(card, notes=(*card.notes, *more)) for card, more in zip(cards, notes, strict=True)]


def _prepared(one: NamedPredictor, device: torch.device, options: ScoreOptions) -> NamedPredictor:
    """The predictor on the device, accelerated if that is asked; the record names any precision but float32."""
    predictor, record = one.predictor, one.record
    if not record.name.startswith("baseline:"):
        predictor = accelerate_predictor(predictor, record.name, options.compiled, options.precision)
    if isinstance(predictor, nn.Module):
        predictor = move_network(predictor, device)
    return replace(one, predictor=predictor, record=replace(record, precision=reduced_precision(predictor)))


def write_results(cards: Sequence[Card], folder: Path) -> list[tuple[Path, str]]:
    """Write the card and the report of each forecaster; several get a folder each.

    Returns:
        The paths of the files, each with a description.

    Raises:
        MediaError: if a file cannot be written.
    """
    written: list[tuple[Path, str]] = []
    names = _folder_names([card.name for card in cards])
    for card, name in zip(cards, names, strict=True):
        place = folder if len(cards) == 1 else folder / name
        card.write(place / "card.json")
        card.report(place / "report.html", others=[other for other in cards if other is not card])
        written += [
            (place / "card.json", "the scores and how they were measured"),
            (place / "report.html", "the same to look at: open it in a browser"),
        ]
    return written


def _folder_names(names: Iterable[str]) -> list[str]:
    """A folder name for each of the weights: none is hidden or looks like an option, and no two are the same."""
    found: list[str] = []
    for name in names:
        stem = re.sub(r"[^\w.-]+", "-", name).strip(".-") or "weights"
        choices = chain([stem], (f"{stem}-{number}" for number in count(2)))
        taken = {former.casefold() for former in found}  # some file systems ignore case
        found.append(next(choice for choice in choices if choice.casefold() not in taken))
    return found


def _counted(one: NamedPredictor, data: EvaluationData) -> WeightsRecord:
    """The record with the size of the network and its cost for a clip of the data, at the size that it gets.

    What has no parameters is left out: the operations of an export, or of OpenCV, cannot be counted.
    """
    if one.net is None or next(one.net.parameters(), None) is None:
        return one.record
    context, target, _ = next(iter(data.batches))
    channels, height, width = context.shape[2:]
    if isinstance(one.predictor, ScaledForecaster):
        height, width = shrunk_size(height, width, one.predictor.max_side)
    macs = macs_per_clip(one.net, context.shape[1], target.shape[1], (channels, height, width))
    return replace(one.record, parameters=count_parameters(one.net), macs_per_clip=macs)


def _title(one: NamedPredictor, number: int, named: Sequence[NamedPredictor]) -> str:
    """What errors call a predictor; no two are called the same."""
    if isinstance(one.predictor, SavedPredictions):
        return "The program that saved the predictions"
    return "The network" if len(named) == 1 else f"Forecaster {number} ({one.record.name})"


def _ignore(_clips: int) -> None:
    """Report nothing."""
