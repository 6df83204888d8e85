"""Scores trained networks on a split of their data, as cards and as the report of a run."""

from collections.abc import Iterator
from dataclasses import replace
from itertools import islice
from math import isfinite
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import LightningDataModule, Trainer

from framepred.baselines import BASELINES, RESTORERS, load_baseline
from framepred.clips import ClipBatch
from framepred.data.datamodules.base import ClipData
from framepred.data.digits import Split
from framepred.data.loading import ClipLoader, OrderedBatches
from framepred.errors import FramepredError
from framepred.evaluation import Card, DataRecord, WeightsRecord, evaluate
from framepred.evaluation.report import REPORT_NAME, build_report
from framepred.forecaster import Forecaster, Predictor
from framepred.models.class_names import exported_class
from framepred.models.cost import count_parameters, macs_per_clip
from framepred.models.pretrained import Network, load_weights
from framepred.restorer import MiddleGap
from framepred.training.task import Task
from framepred.visualization.report import write_html

CARD_NAME = "card.json"
RESTORING_BASELINES = ("last-frame", "linear")


class SplitClips:
    """The clips of a split in batches, in order, as the task's predictor takes them; readable more than once.

    Args:
        task: cuts each clip into context and target.
        data: the clips.
        split: train, val or test.
        batches: how many batches at most; None for all.
    """

    def __init__(self, task: Task, data: LightningDataModule, split: Split, batches: int | None = None) -> None:
        self.task, self.data, self.split, self.batches = task, data, split, batches

    def __iter__(self) -> Iterator[ClipBatch]:
        yield from map(self.task.validation_batch, islice(self._loader(), self.batches))

    def _loader(self) -> Any:
        """All clips of the split in this process, also where several processes train."""
        if not isinstance(self.data, ClipData):
            return getattr(self.data, f"{self.split}_dataloader")()
        order = OrderedBatches(self.data.count(self.split), self.data.batch_size)
        return ClipLoader(self.data.dataset(self.split), order, self.data.context, filler=self.data.filler)


def score_network(
    task: Task, net: Network, clips: SplitClips, *, data_name: str, weights: WeightsRecord, device: torch.device
) -> Card:
    """Score a network beside the baselines, as a forecaster or as a restorer of a gap in the middle.

    Args:
        task: its protocol is used; its network is replaced by ``net``.
        net: the network to score.
        clips: what it is scored on.
        data_name: name of the data on the card.
        weights: name and hash of the weights; parameters and cost are filled in.
        device: where to predict.
    """
    task.net = net.eval()
    first = next(iter(clips))
    channels, height, width = first.context.shape[2:]
    macs = macs_per_clip(task.predictor, first.context.shape[1], first.target.shape[1], (channels, height, width))
    bank = clips.data.bank(clips.split) if isinstance(clips.data, ClipData) else None
    scaled = getattr(clips.data, "scaled_range", None)
    return evaluate(
        task.predictor,
        clips,
        protocol=task.protocol.name,
        data=DataRecord(
            data_name,
            clips.split,
            seed=getattr(clips.data, "seed", None),
            value_range=scaled and scaled.limits,
            digits=bank.name if bank else None,
        ),
        weights=replace(weights, parameters=count_parameters(net), macs_per_clip=macs),
        baselines=_baselines(net),
        device=device,
    )


def write_best_report(trainer: Trainer, task: Task, data: LightningDataModule, best: Path) -> str:
    """Write the card and the report of the best checkpoint on the validation clips into the run's folder.

    Returns:
        One sentence: where the report is, or why there is none.
    """
    folder = Path(trainer.default_root_dir)
    try:
        card = _score_best(trainer, task, data, best)
        card = replace(card, data=replace(card.data, arguments=_arguments(card, task.net, data, folder)))
        card.write(folder / CARD_NAME)
        write_html(folder / REPORT_NAME, build_report(card))
    except FramepredError as error:
        return f"There is no report of it: {error}"
    note = f" {card.notes[0]}" if card.notes else ""
    return f"Its report is {folder / REPORT_NAME}; open it in a browser.{note}"


def _score_best(trainer: Trainer, task: Task, data: LightningDataModule, best: Path) -> Card:
    loaded = load_weights(best)
    limits: Any = trainer.num_val_batches
    limit = limits[0] * trainer.world_size if limits and isfinite(limits[0]) else None  # iterable data have no length
    previous = task.net
    try:
        return score_network(
            task,
            loaded.net.float(),
            SplitClips(task, data, "val", limit),
            data_name=Path(getattr(data, "root", None) or type(data).__name__).name,
            weights=WeightsRecord(str(best), loaded.sha256),
            device=trainer.strategy.root_device,
        )
    finally:
        task.net = previous


def _arguments(card: Card, net: Network, data: LightningDataModule, folder: Path) -> tuple[str, ...] | None:
    """The arguments of ``framepred evaluate`` that read the same clips; None where no command does.

    A run that was started from Python has no config. Commands score forecasters of framepred, on all validation clips.
    """
    config = folder / "config.yaml"
    known = isinstance(net, Forecaster) and exported_class(type(net).__name__) is type(net)
    if not (config.is_file() and known and isinstance(data, ClipData)):
        return None
    return (f"--data={config}", "--split=val") if card.data.clips == data.count("val") else None


def _baselines(net: Network) -> dict[str, Predictor]:
    if isinstance(net, Forecaster):
        return {name: load_baseline(name) for name in BASELINES}
    return {name: MiddleGap(RESTORERS[name]()) for name in RESTORING_BASELINES}
