"""What the verbs that score share: test clips by name or path, weights by name, one evaluation of both."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import torch
from rich.console import Console
from rich.progress import Progress

from framepred.baselines import BASELINES, load_baseline
from framepred.cli.options import DIGITS, MAX_SIDE
from framepred.clips import ClipBatch
from framepred.data import ClipArray, ClipLoader, MovingMNIST, OrderedBatches, VideoWindows
from framepred.errors import WeightsError
from framepred.evaluation import Card, DataRecord, WeightsRecord, evaluate
from framepred.forecaster import Forecaster
from framepred.inference.scaling import ScaledForecaster
from framepred.media.formats import ARRAYS
from framepred.models.cost import count_parameters, macs_per_clip
from framepred.models.pretrained import load_weights

STDERR = Console(stderr=True, highlight=False, soft_wrap=True)


@dataclass(frozen=True)
class TestClips:
    """Clips to score on: batches in order, how many clips if that is known, and what the card says of them."""

    batches: Iterable[ClipBatch]
    count: int | None
    record: DataRecord


@dataclass(frozen=True)
class Selection:
    """Which test clips: how many at most, of which stream, how long, how batched, and where digits are found.

    Attributes:
        clips: how many at most.
        seed: which stream of generated clips.
        context: frames that are seen.
        horizon: frames to be predicted.
        batch_size: clips a batch.
        root: folder of the digits; None looks in the usual places.
        download: whether missing digits may be fetched.
    """

    clips: int
    seed: int
    context: int
    horizon: int
    batch_size: int
    root: Path | None = None
    download: bool = False

    @property
    def length(self) -> int:
        """Frames of a clip."""
        return self.context + self.horizon


def open_test_clips(data: str, chosen: Selection) -> TestClips:
    """The test clips of a generated data set, or the first clips of a file."""
    if data in DIGITS:
        return open_generated(data, DIGITS[data], chosen)
    path, record = Path(data), DataRecord(Path(data).name)
    if path.suffix.lower() not in ARRAYS:
        return TestClips(VideoWindows(path, chosen.context, chosen.horizon, chosen.clips), None, record)
    found = ClipArray(path, chosen.length)
    count = min(chosen.clips, len(found))
    return TestClips(ClipLoader(found, OrderedBatches(count, chosen.batch_size), chosen.context), count, record)


def open_generated(name: str, digits: str, chosen: Selection) -> TestClips:
    """Clips of moving digits of the test split; what the user should know of the digits goes to stderr."""
    generated = MovingMNIST(
        "test",
        clips=chosen.clips,
        seed=chosen.seed,
        length=chosen.length,
        digits=digits,
        root=chosen.root,
        download=chosen.download,
    )
    if generated.bank.note:
        STDERR.print(generated.bank.note)
    batches = ClipLoader(generated, OrderedBatches(chosen.clips, chosen.batch_size), chosen.context)
    record = DataRecord(name, split="test", seed=chosen.seed, digits=generated.bank.name)
    return TestClips(batches, chosen.clips, record)


def open_forecaster(name: str, like: ClipBatch) -> tuple[Forecaster, WeightsRecord]:
    """Weights by name, or ``baseline:NAME``, and what a card says of them: the cost is that of a clip of ``like``."""
    kind, _, baseline = name.partition(":")
    if kind == "baseline":
        return load_baseline(baseline), WeightsRecord(name)
    weights = load_weights(name)
    if not isinstance(weights.net, Forecaster):
        raise WeightsError(f"The weights {name} restore missing frames and cannot forecast; choose other weights.")
    _, context, channels, height, width = like.context.shape
    macs = macs_per_clip(weights.net, context, like.target.shape[1], (channels, height, width))
    return weights.net, WeightsRecord(name, weights.sha256, count_parameters(weights.net), macs)


def score(
    net: Forecaster,
    record: WeightsRecord,
    test: TestClips,
    protocol: str,
    device: torch.device,
    max_side: int = MAX_SIDE,
) -> Card:
    """Evaluate a forecaster beside all baselines, with a progress bar on stderr."""
    with Progress(console=STDERR, transient=True) as progress:
        task = progress.add_task(f"scoring {record.name}", total=test.count)
        return evaluate(
            ScaledForecaster(net, max_side),
            test.batches,
            protocol=protocol,
            data=test.record,
            weights=record,
            baselines={baseline: load_baseline(baseline) for baseline in BASELINES},
            device=device,
            on_batch=lambda clips: progress.advance(task, clips),
        )
