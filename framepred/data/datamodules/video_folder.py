"""Lightning data module of a folder of videos: files divided among the splits, training clips shuffled."""

from collections.abc import Mapping, Sequence
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from typing import Any

from torch import Tensor
from torch.utils.data import Dataset, Subset
from typing_extensions import override

from framepred.data.clip_dataset import ShuffledClips, check_counts, check_seed
from framepred.data.datamodules.base import SPLITS_OF_STAGE, ClipData
from framepred.data.digits import Split
from framepred.data.frame_format import Fit
from framepred.data.splitting import FRACTION, LIST, Choice, split_folder
from framepred.data.video_folder import VideoFolder, evenly_spread
from framepred.data.video_index import Source
from framepred.errors import ConfigError, DataError
from framepred.media.ranges import StatedRange, ValueRange
from framepred.media.values import WHITE_16_BITS


class VideoFolderData(ClipData):
    """Loads the clips of a folder of videos, picture sequences and arrays.

    A file that a list or pattern names belongs to that split; the hash of its name assigns every other file. Where
    there are fewer files than splits, each file is divided along time, with a gap of one clip. Each epoch shuffles the
    training clips anew.

    Args:
        root: the folder.
        context: number of observed frames.
        horizon: number of frames to predict.
        batch_size: clips per batch and process.
        stride: frames between the starts of consecutive training clips; validation and test clips lie end to end.
        frame_step: keep one frame in ``frame_step``.
        size: height and width in pixels, with ``fit`` resize or crop.
        fit: ``keep`` the frame size, which all files must share; ``resize`` to ``size``, ignoring the aspect ratio;
            or ``crop`` the centre.
        channels: 1 for gray, 3 for RGB, or the number of channels of the arrays; None for those of the files.
        layout: axis order of arrays, such as ``thwc``, where their shapes are ambiguous.
        value_range: the values of arrays and of pictures with more than 8 bits that become 0 and 1: two numbers such as
            ``0,4095``, or ``auto`` for a range that fits the values of all files, test files included, because values
            outside it could not be read; give two numbers where it must not depend on them. Where NaN means that
            nothing was measured, add what networks read for it, such as ``-32,60,nan=-32``; losses and scores leave
            these pixels out.
        array_name: which array of files that hold several, such as NetCDF.
        train: the training files: a pattern such as ``train/*``, a list of patterns, or a list file (.txt, one name
            per line); None for the files that val and test leave.
        val: the validation files, likewise; None for ``val_fraction`` of the files that no pattern or list names.
        test: the test files, likewise.
        val_fraction: share of the files; 0 trains without validation.
        test_fraction: share of the files; 0 for no test files.
        clips_per_epoch: training clips per epoch; None for all.
        val_clips: maximum number of validation clips, evenly spread; 0 trains without validation.
        test_clips: maximum number of test clips, evenly spread.
        seed: seed of the order of the training clips.
        skip_broken: leave out unusable files, and name them, instead of stopping.
        num_workers: processes that decode ahead; 0 decodes in this process.

    Raises:
        ConfigError: if an argument is outside its domain.
    """

    free_arguments = ClipData.free_arguments | {"skip_broken"}

    def __init__(
        self,
        root: str | None = None,
        context: int = 10,
        horizon: int = 10,
        batch_size: int = 16,
        stride: int = 1,
        frame_step: int = 1,
        size: tuple[int, int] | None = None,
        fit: Fit = "keep",
        channels: int | None = None,
        layout: str | None = None,
        value_range: str = "auto",
        array_name: str | None = None,
        train: Choice = None,
        val: Choice = None,
        test: Choice = None,
        val_fraction: float = FRACTION,
        test_fraction: float = FRACTION,
        clips_per_epoch: int | None = None,
        val_clips: int = 200,
        test_clips: int = 1000,
        seed: int = 0,
        skip_broken: bool = False,
        num_workers: int = 0,
    ) -> None:
        super().__init__(context, horizon, batch_size, num_workers)
        check_seed(seed)
        if val_clips < 0:
            raise ConfigError(f"val_clips must be 0 or more, not {val_clips}.")
        check_counts(clips_per_epoch=clips_per_epoch, test_clips=test_clips, stride=stride)
        self.root = root
        self.stride = stride
        self.frame_step = frame_step
        self.size = size
        self.fit = fit
        self.channels = channels
        self.layout = layout
        self.value_range: StatedRange = value_range
        self.array_name = array_name
        self.patterns: dict[Split, Choice] = {"train": train, "val": val, "test": test}
        self.fractions: dict[Split, float] = {"val": val_fraction, "test": test_fraction}
        self.clips_per_epoch = clips_per_epoch
        self.max_clips: dict[Split, int] = {"val": val_clips, "test": test_clips}
        self.seed = seed
        self.skip_broken = skip_broken

    def course(self) -> dict[str, Any]:
        """As ``ClipData`` does; list files count by their names, training and validation files by their content."""
        names = {
            split: Path(choice).name
            for split, choice in self.patterns.items()
            if isinstance(choice, str) and choice.endswith(LIST)
        }
        train, val = self.part("train"), self.part("val")
        files = {
            "train_files": f"{len(train.sources):,} files, {len(train):,} clips, {_hash(_identity(train))}",
            "val_files": _hash(sorted(_identity(val), key=str)),
        }
        return super().course() | names | files

    def prepare_data(self) -> None:
        """Read the properties of all files, once per machine; they are kept in the user's cache."""
        self.part("train")

    @cached_property
    def whole(self) -> VideoFolder:
        """The clips of all files, end to end."""
        if self.root is None:
            raise ConfigError("root is not set; set it to the folder that holds the videos.")
        return VideoFolder(
            self.root,
            self.context + self.horizon,
            frame_step=self.frame_step,
            size=self.size,
            fit=self.fit,
            channels=self.channels,
            layout=self.layout,
            value_range=self.value_range,
            array_name=self.array_name,
            keep_nan=True,
            skip_broken=self.skip_broken,
        )

    @property
    @override
    def scaled_range(self) -> ValueRange | None:
        known, types = self.whole.value_range, {source.dtype for source in self.whole.sources}
        if known is None and "uint16" in types:  # else a file that uses fewer of the bits would be read by these
            return ValueRange(0, WHITE_16_BITS)
        return known

    def part(self, split: Split) -> VideoFolder:
        """Return all clips of a split; it may have none."""
        return self._parts[split]

    def dataset(self, split: Split) -> Dataset[Tensor]:
        """Return the clips of a split by index; those of training are endless, one shuffled epoch after another.

        Raises:
            DataError: if the split has no clips.
        """
        if not self.count(split):
            raise DataError(
                f"There are no {split} clips in {self.root}; set {split} or {split}_fraction to some files."
            )
        part = self.part(split)
        if split == "train":
            return ShuffledClips(part, self.seed)
        return Subset(part, evenly_spread(len(part), self.max_clips[split]))

    def count(self, split: Split) -> int:
        """Return the number of clips of a split; of training, those of one epoch."""
        clips = len(self.part(split))
        if split != "train":
            return min(clips, self.max_clips[split])
        return clips if self.clips_per_epoch is None else self.clips_per_epoch

    def describe(self) -> str:
        """Return lines on the files and clips of each split, and on what is left out and why."""
        parts = {split: self.part(split) for split in SPLITS_OF_STAGE[None]}
        files = {source.name for part in parts.values() for source in part.sources}
        counts = [f"{split} {len(part.sources):,} files, {self._clip_counts(split)}" for split, part in parts.items()]
        lines = [
            f"{len(files):,} files in {self.root}: {'; '.join(counts)}",
            *_values(self.whole),
            *_divided_files(parts),
            *_left_out(self.whole, [*parts.values()], len(files)),
            *_copies(parts),
        ]
        return "\n         ".join(lines)

    def _clip_counts(self, split: Split) -> str:
        clips, used = len(self.part(split)), self.count(split)
        if used > clips:
            return f"{clips:,} clips, {used:,} drawn per epoch"
        return f"{clips:,} clips" if used == clips else f"{used:,} of {clips:,} clips"

    @cached_property
    def _parts(self) -> dict[Split, VideoFolder]:
        return split_folder(self.whole, self.patterns, self.fractions, self.stride)


def _identity(part: VideoFolder) -> list[tuple[str, range, range]]:
    """What the sections of a part hold, in their order, whatever their files are called."""
    return [(one.source.content, one.clips, one.frames) for one in part.sections]


def _hash(identity: object) -> str:
    return sha256(repr(identity).encode()).hexdigest()


def _values(whole: VideoFolder) -> list[str]:
    """Return a line on the range of values, and one for each note on a file."""
    notes = [f"note     {note}" for source in whole.sources for note in source.notes]
    if whole.value_range is None:
        return notes
    return [f"values   {whole.value_range.low:g} to {whole.value_range.high:g} are scaled to 0 to 1", *notes]


def _divided_files(parts: Mapping[Split, VideoFolder]) -> list[str]:
    """Return a line for each file that is divided among splits."""
    divided: dict[str, list[str]] = {}
    for split, part in parts.items():
        for section in part.sections:
            if section.clips != range(section.source.clips):
                divided.setdefault(section.source.name, []).append(f"{split} clips {_range(section.clips)}")
            elif section.frames != range(section.source.frames):
                divided.setdefault(section.source.name, []).append(f"{split} frames {_range(section.frames)}")
    return [f"divided  {name}, as files are few: {', '.join(ranges)}" for name, ranges in divided.items()]


def _range(indices: range) -> str:
    return f"{indices.start:,} to {indices.stop - 1:,}"


def _left_out(whole: VideoFolder, parts: Sequence[VideoFolder], files: int) -> list[str]:
    """Return a line for each reason why something is left out."""
    lines = []
    unused, frames = sum(part.unused_frames for part in parts), sum(part.frames for part in parts)
    if unused:
        lines.append(f"left out {unused:,} of {frames:,} frames, at ends of files: they fill no clip of {whole.span}")
    unnamed = len(whole.sources) - files
    if unnamed:
        lines.append(f"left out {unnamed:,} files that no list or pattern names")
    if whole.left_out:
        lines.append(f"left out {len(whole.left_out):,} files that cannot be used:")
    return lines + [f"  {sentence}" for sentence in whole.left_out]


def _copies(parts: Mapping[Split, VideoFolder]) -> list[str]:
    """Return a warning about validation and test files with the content of a training file of another name."""
    trained: dict[str, list[Source]] = {}
    for source in parts["train"].sources:
        trained.setdefault(source.content, []).append(source)
    copies = sum(
        any(
            source.name != other.name and part.has_copy(source, part, other)
            for other in trained.get(source.content, ())
        )
        for part in (parts["val"], parts["test"])
        for source in part.sources
    )
    if not copies:
        return []
    return [f"warning  {copies:,} files of val and test are copies of training files: their scores are too good"]
