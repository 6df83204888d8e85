"""The clips of an evaluation by name or path: the one place that decides what a name or a path of data is."""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import get_args

import numpy as np
import torch
import yaml
from jsonargparse import ArgumentError, ArgumentParser
from torch import Tensor
from torch.utils.data import Dataset, Subset

from framepred.clips import ClipBatch
from framepred.data import (
    ClipArray,
    ClipLoader,
    MovingMNIST,
    OrderedBatches,
    VideoFolder,
    VideoFolderData,
    VideoWindows,
)
from framepred.data.datamodules.base import ClipData
from framepred.data.digits import DigitBank, Split
from framepred.data.loading import CPU
from framepred.data.splitting import split_folder
from framepred.data.video_folder import evenly_spread
from framepred.errors import ConfigError, DataError
from framepred.evaluation import DataRecord
from framepred.inference.saved_clips import ClipSource
from framepred.inference.sources import SourceForm, arranged_in_memory
from framepred.media.arrays import CHANNELS
from framepred.media.formats import check_input, is_array, is_folder_of_clips, stated_path
from framepred.media.paths import expand_user
from framepred.media.ranges import DefaultRange, RangeChoice, StatedRange, ValueRange, as_choice, range_text
from framepred.media.reading import open_frames
from framepred.media.values import beyond_note, scaling_note

GENERATED = {"moving-mnist": "mnist", "moving-fashion-mnist": "fashion-mnist"}
"""The generated data sets, each with the digits it is made of."""

CONFIGS = (".yaml", ".yml")
SPLITS = ("test", "val", "train", "all")


@dataclass(frozen=True)
class ClipChoice:
    """Which clips of some data are evaluated, and how they are read.

    Attributes:
        clips: how many at most.
        context: observed frames.
        horizon: frames to predict.
        seed: stream of generated clips.
        batch_size: clips per batch.
        root: folder of the digits; None looks in the usual places.
        download: whether missing digits may be downloaded.
        split: of a folder of videos: test, val, train or all.
        skip_broken: leave out the files of a folder that cannot be used.
        layout: order of the axes of arrays, such as ``nthwc``, where their shape is ambiguous.
        array_name: which array of files that hold several.
        value_range: the values of arrays and of pictures with more than 8 bits that become 0 and 1; None for
            ``learned_range``, or those that the types and values suggest.
        channels: channels that the networks take, by which the layout of arrays is found; None for gray or RGB.
        learned_range: the values that the networks were trained on as 0 and 1.
        device: where the clips are used.
    """

    clips: int = 1000
    context: int = 10
    horizon: int = 10
    seed: int = 0
    batch_size: int = 16
    root: Path | None = None
    download: bool = False
    split: str = "test"
    skip_broken: bool = False
    layout: str | None = None
    array_name: str | None = None
    value_range: StatedRange = None
    channels: int | None = None
    learned_range: ValueRange | None = None
    device: torch.device = CPU

    def __post_init__(self) -> None:
        counts = {name: getattr(self, name) for name in ("clips", "context", "horizon", "batch_size")}
        for name, count in counts.items():
            if not 1 <= count < MAX_COUNT:
                raise ConfigError(f"{name} must be between 1 and {MAX_COUNT:,}, not {count:,}.")
        if self.seed < 0 or self.split not in SPLITS:
            raise ConfigError(
                f"The seed must be 0 or more and the split one of {', '.join(SPLITS)}, not {self.seed} and "
                f"{self.split!r}."
            )

    @property
    def range_of_files(self) -> RangeChoice:
        """The stated range, else the default."""
        return DefaultRange(self.learned_range) if self.value_range is None else as_choice(self.value_range)

    @property
    def length(self) -> int:
        """Frames of a clip."""
        return self.context + self.horizon

    @property
    def frames(self) -> dict[str, object]:
        """The arguments of ``framepred evaluate`` that say how many frames there are."""
        return {"context": self.context, "horizon": self.horizon}

    @property
    def form(self) -> dict[str, object]:
        """The arguments of ``framepred evaluate`` that say how files are read."""
        return {"layout": self.layout, "array": self.array_name, "range": range_text(self.value_range)}


MAX_COUNT = 10_000_000


@dataclass(frozen=True)
class EvaluationData:
    """Clips to evaluate on.

    Attributes:
        batches: the clips in order, readable more than once.
        count: how many clips there are; None where only reading tells.
        record: what the card says of them.
        notes: sentences for the user, such as which digits were found.
        files: the files of a folder that the clips are cut from, unless those of training were asked for.
    """

    batches: Iterable[ClipBatch]
    count: int | None
    record: DataRecord
    notes: list[str] = field(default_factory=list)
    files: VideoFolder | None = None


def open_data(data: ClipSource, choice: ClipChoice) -> EvaluationData:
    """Open the clips of a generated data set, file, folder, run config, array or tensor.

    Args:
        data: ``moving-mnist`` or ``moving-fashion-mnist``; the path of a video, of an array file such as
            ``mnist_test_seq.npy``, of a folder of either, or of the ``config.yaml`` of a run, for a split of its data;
            or an array or tensor ``(n, t, c, h, w)``.
        choice: which clips, and how they are read.

    Raises:
        MediaError: if a file is missing or cannot be read.
        ClipError: if clips are too short.
        DataError: if a folder cannot be used.
        ConfigError: if a config names no data.
    """
    if isinstance(data, np.ndarray | Tensor):
        return _open_array(data, choice)
    if str(data) in GENERATED:
        return _open_generated(str(data), choice)
    path = expand_user(stated_path(str(data)))
    if path.suffix.lower() in CONFIGS:
        return _open_run(path, choice)
    if is_folder_of_clips(path):
        return _open_folder(path, choice)
    return _open_file(check_input(path), choice)


def _arguments(data: str | Path, **options: object) -> tuple[str, ...]:
    """The arguments of ``framepred evaluate`` for this data and those of its options that are stated."""
    stated = {"data": data} | {name: value for name, value in options.items() if value is not None}
    return tuple(f"--{name}={value}" for name, value in stated.items())


def _open_generated(name: str, choice: ClipChoice, digits: str | None = None) -> EvaluationData:
    clips = MovingMNIST(
        "test",
        clips=choice.clips,
        seed=choice.seed,
        length=choice.length,
        digits=digits or GENERATED[name],
        root=choice.root,
        download=choice.download,
    )
    arguments = None if digits else _arguments(name, root=choice.root, seed=choice.seed, **choice.frames)
    record = DataRecord(name, split="test", seed=choice.seed, digits=clips.bank.name, arguments=arguments)
    return _in_order(clips, choice.clips, choice, choice.context, record, _notes_on(clips.bank))


def _notes_on(bank: DigitBank | None) -> list[str]:
    """A sentence if other digits replace those wanted."""
    return [bank.note] if bank and bank.note else []


def open_embedded_digits(choice: ClipChoice) -> EvaluationData:
    """Moving MNIST of the digits that ship with a dependency, which every machine has."""
    return _open_generated("moving-mnist", choice, digits="mnist-5k")


def _open_array(data: np.ndarray | Tensor, choice: ClipChoice) -> EvaluationData:
    form = SourceForm(choice.layout, choice.channels, choice.value_range, learned_range=choice.learned_range)
    clips = ClipArray(arranged_in_memory(data, form), choice.length, value_range=form.range_of_arrays, keep_nan=True)
    return _first_clips(clips, DataRecord("array"), choice)


def _first_clips(clips: ClipArray, record: DataRecord, choice: ClipChoice) -> EvaluationData:
    """The first clips of an array, as many as are wanted."""
    kept = min(choice.clips, len(clips))
    notes = first_clips_note(kept, len(clips))
    return _in_order(clips, kept, choice, choice.context, record, notes, clips.value_range)


def first_clips_note(kept: int, total: int) -> list[str]:
    """A sentence on the clips after the first ones, if they are left out."""
    return [] if kept == total else [f"The first {kept:,} of {total:,} clips are scored (clips)."]


def _open_file(path: Path, choice: ClipChoice) -> EvaluationData:
    lasting = path.is_file() or path.is_dir()  # no pipe; addresses may hold a password
    record = DataRecord(path.name, arguments=_arguments(path, **choice.frames, **choice.form) if lasting else None)
    if not is_array(path):
        known = open_frames(
            path, layout=choice.layout, array_name=choice.array_name, value_range=choice.range_of_files
        ).value_range
        windows = VideoWindows(path, choice.context, choice.horizon, choice.clips, known)
        return _with_range(EvaluationData(windows, None, record), known)
    clips = ClipArray(
        path,
        choice.length,
        choice.layout,
        channels=CHANNELS if choice.channels is None else (choice.channels,),
        array_name=choice.array_name,
        value_range=choice.range_of_files,
        keep_nan=True,
    )
    return _first_clips(clips, record, choice)


def _open_folder(root: Path, choice: ClipChoice) -> EvaluationData:
    """The files that training by default leaves for the split, or all of them; clips evenly spread, end to end."""
    stated = choice.value_range or (choice.learned_range and DefaultRange(choice.learned_range)) or "auto"
    clips = VideoFolder(
        root,
        choice.length,
        skip_broken=choice.skip_broken,
        layout=choice.layout,
        channels=choice.channels,
        array_name=choice.array_name,
        value_range=stated,
        keep_nan=True,
    )
    total = len(clips.sources)
    if choice.split != "all":
        clips = {str(split): part for split, part in split_folder(clips).items()}[choice.split]
    notes = [f"{len(clips.sources):,} of {total:,} files in {root} (split {choice.split})"]
    notes += [f"left out: {sentence}" for sentence in clips.left_out]
    arguments = _arguments(root, split=choice.split, **choice.frames, **choice.form)
    arguments += ("--skip-broken",) if choice.skip_broken else ()
    record = DataRecord(root.resolve().name, split=choice.split, arguments=arguments)
    opened = _in_order(clips, len(clips), choice, choice.context, record, notes, clips.value_range)
    return opened if choice.split == "train" else replace(opened, files=clips)


def _with_range(data: EvaluationData, value_range: ValueRange | None) -> EvaluationData:
    """The data with the range in use on the card, and with sentences on it."""
    if value_range is None:
        return data
    name, parts = data.record.name, (part for batch in data.batches for part in (batch.context, batch.target))
    notes = [*data.notes, *scaling_note(value_range, name), *beyond_note(parts, value_range, name)]
    return replace(data, record=replace(data.record, value_range=value_range.limits), notes=notes)


def _open_run(config: Path, choice: ClipChoice) -> EvaluationData:
    """The clips of a split of the data that the config of a run names, with its context and horizon.

    They are read on the scale that the weights were trained on, which ``auto`` would find anew in files that have come.
    """
    split = next((known for known in get_args(Split) if known == choice.split), None)
    if split is None:
        raise ConfigError(f"The data of {config} are scored by split; choose one of train, val and test.")
    for name in ("layout", "array_name", "value_range"):
        if getattr(choice, name) is not None:
            raise ConfigError(f"{config} states its own data, so {name} would have no effect; leave it out.")
    data, learned = data_of_run(config), choice.learned_range
    if isinstance(data, VideoFolderData) and learned is not None and as_choice(data.value_range) != learned:
        data.value_range = DefaultRange(learned)
    root = Path(getattr(data, "root", None) or ".")
    if not expand_user(root).exists():
        started = "" if root.is_absolute() else ", seen from the folder in which the training was started"
        raise DataError(
            f"The data of {config} are in {root}{started}, which does not exist here; go there, or move them back."
        )
    name = Path(getattr(data, "root", None) or type(data).__name__).name
    clips, count, bank = data.dataset(split), data.count(split), data.bank(split)
    record = DataRecord(
        name,
        split=split,
        seed=getattr(data, "seed", None),
        digits=bank.name if bank else None,
        arguments=_arguments(config, split=split),
    )
    notes, scaled = _notes_on(bank), data.scaled_range
    if learned is not None and scaled is not None and learned.limits != scaled.limits:  # as in shards
        notes.append(
            f"The weights were trained with {learned.summary} as 0 to 1, and the clips of {name} were written with "
            f"{scaled.summary}; write them with the range of the weights."
        )
    return _in_order(clips, count, choice, data.context, record, notes, scaled)


def data_of_run(config: Path) -> ClipData:
    """The data that the config of a run names.

    Raises:
        ConfigError: if it names none, or does not exist.
    """
    if not config.exists():
        raise ConfigError(f"{config} does not exist; check the path.")
    parser = ArgumentParser(exit_on_error=False)
    parser.add_subclass_arguments(ClipData, "data")
    try:
        data = parser.parse_object({"data": yaml.safe_load(config.read_text())["data"]})
    except (OSError, ValueError, TypeError, KeyError, RecursionError, yaml.YAMLError, ArgumentError) as error:
        raise ConfigError(
            f"{config} names no data to test on; give the config.yaml that lies in the folder of a run."
        ) from error
    found: ClipData = parser.instantiate(data).data
    return found


def _in_order(
    clips: Dataset[Tensor],
    count: int,
    choice: ClipChoice,
    context: int,
    record: DataRecord,
    notes: list[str] | None = None,
    value_range: ValueRange | None = None,
) -> EvaluationData:
    kept, notes = evenly_spread(count, choice.clips), notes or []
    if len(kept) < count:
        notes = [*notes, f"{len(kept):,} of {count:,} clips are scored, evenly spread (clips)."]
    batches = OrderedBatches(len(kept), choice.batch_size)
    filler = None if value_range is None else value_range.filler_in_unit
    loader = ClipLoader(Subset(clips, kept), batches, context, filler=filler, device=choice.device)
    return _with_range(EvaluationData(loader, len(kept), record, notes), value_range)
