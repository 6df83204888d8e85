"""A folder of videos for training: split by file, shuffled, and told about before training begins."""

from collections.abc import Mapping, Sequence
from functools import cached_property

from torch import Tensor
from torch.utils.data import Dataset, Subset

from framepred.data.datamodules.base import SPLITS_OF_STAGE, ClipData
from framepred.data.digits import Split
from framepred.data.frame_format import Fit
from framepred.data.splitting import FRACTION, Choice, split_files
from framepred.data.video_folder import Shuffled, VideoFolder, check_counts, evenly_spread
from framepred.errors import ConfigError


class VideoFolderData(ClipData):
    """Loads the clips of a folder of videos, folders of pictures and arrays.

    Files are split, never the windows of one file: by lists or patterns where they are given, the rest by the hash
    of their names. An epoch brings all training clips once, in an order of its own.

    Args:
        root: the folder, with whatever is below it.
        context: frames that are seen.
        horizon: frames to be predicted.
        batch_size: clips a batch and process.
        stride: frames from the beginning of a training clip to that of the next; validation and test clips lie end
            to end.
        every: take every so manieth frame.
        size: height and width in pixels, with ``fit`` resize or crop.
        fit: ``keep`` the size, which all files must have in common; ``resize`` to ``size``, whatever the aspect; or
            ``crop`` the middle out.
        channels: 1 for gray, 3 for RGB, or as many as the arrays have; None for what the files have.
        layout: order of the axes of arrays, such as ``thwc``, where their shapes do not tell.
        train: the training files: a pattern such as ``train/*``, a list of patterns, or a list file (.txt, one name
            a line); None takes what val and test leave.
        val: the validation files, likewise; None takes ``val_fraction`` of those that no pattern or list names.
        test: the test files, likewise.
        val_fraction: share of the files.
        test_fraction: share of the files.
        clips_per_epoch: training clips in an epoch; None for all.
        val_clips: validation clips at most, evenly spread.
        test_clips: test clips at most, evenly spread.
        seed: which order the training clips come in.
        skip_broken: leave out files that cannot be used, and say which, instead of stopping.
        num_workers: processes that decode ahead; 0 decodes in this one.

    Raises:
        ConfigError: if an argument is outside its domain.
    """

    def __init__(
        self,
        root: str | None = None,
        context: int = 10,
        horizon: int = 10,
        batch_size: int = 16,
        stride: int = 1,
        every: int = 1,
        size: tuple[int, int] | None = None,
        fit: Fit = "keep",
        channels: int | None = None,
        layout: str | None = None,
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
        if seed < 0:
            raise ConfigError(f"seed must be 0 or more, not {seed}.")
        check_counts(clips_per_epoch=clips_per_epoch, val_clips=val_clips, test_clips=test_clips, stride=stride)
        self.root = root
        self.stride = stride
        self.every = every
        self.size = size
        self.fit = fit
        self.channels = channels
        self.layout = layout
        self.wanted: dict[Split, Choice] = {"train": train, "val": val, "test": test}
        self.fractions: dict[Split, float] = {"val": val_fraction, "test": test_fraction}
        self.clips_per_epoch = clips_per_epoch
        self.clips: dict[Split, int] = {"val": val_clips, "test": test_clips}
        self.seed = seed
        self.skip_broken = skip_broken

    def prepare_data(self) -> None:
        """Look into the files: once a machine, as what was found is kept in the user's cache."""
        self.part("train")

    def setup(self, stage: str | None = None) -> None:  # noqa: ARG002
        """Find the files, so that what is wrong with them is said before training begins."""
        self.part("train")

    @cached_property
    def whole(self) -> VideoFolder:
        """The clips of all files, end to end."""
        if self.root is None:
            raise ConfigError("Name the folder that holds the videos with --data.init_args.root FOLDER.")
        return VideoFolder(
            self.root,
            self.context + self.horizon,
            every=self.every,
            size=self.size,
            fit=self.fit,
            channels=self.channels,
            layout=self.layout,
            skip_broken=self.skip_broken,
        )

    def part(self, split: Split) -> VideoFolder:
        """All clips of the files of a split."""
        return self._parts[split]

    def dataset(self, split: Split) -> Dataset[Tensor]:
        """The clips of a split, by number; training's never end."""
        part = self.part(split)
        if split == "train":
            return Shuffled(part, self.seed)
        return Subset(part, evenly_spread(len(part), self.clips[split]))

    def count(self, split: Split) -> int:
        """Clips of a split; of training, those of an epoch."""
        clips = len(self.part(split))
        return self.clips_per_epoch or clips if split == "train" else min(clips, self.clips[split])

    def describe(self) -> str:
        """How many files and clips train, validate and test, and what is left out and why, in a line each."""
        parts = {split: self.part(split) for split in SPLITS_OF_STAGE[None]}
        files = sum(len(part.sources) for part in parts.values())
        counts = [f"{split} {len(part.sources):,} files, {self._clips_said(split)}" for split, part in parts.items()]
        lines = [f"{files:,} files in {self.root}: {'; '.join(counts)}", *_left_out(self.whole, [*parts.values()])]
        return "\n         ".join(lines + _copied(parts))

    def _clips_said(self, split: Split) -> str:
        clips, used = len(self.part(split)), self.count(split)
        return f"{clips:,} clips" if used == clips else f"{used:,} of {clips:,} clips"

    @cached_property
    def _parts(self) -> dict[Split, VideoFolder]:
        names = split_files(
            [source.name for source in self.whole.sources], self.whole.root, self.wanted, self.fractions
        )
        strides: dict[Split, int | None] = {"train": self.stride, "val": None, "test": None}
        return {split: self.whole.only(names[split], strides[split]) for split in names}


def _left_out(whole: VideoFolder, parts: Sequence[VideoFolder]) -> list[str]:
    """A line for each reason why something is left out."""
    lines = []
    unused, frames = (sum(getattr(part, kind) for part in parts) for kind in ("unused_frames", "frames"))
    if unused:
        lines.append(f"left out {unused:,} of {frames:,} frames, at ends of files: they fill no clip of {whole.span}")
    unnamed = len(whole.sources) - sum(len(part.sources) for part in parts)
    if unnamed:
        lines.append(f"left out {unnamed:,} files that no list or pattern names")
    if whole.left_out:
        lines.append(f"left out {len(whole.left_out):,} files that cannot be used:")
    return lines + [f"  {sentence}" for sentence in whole.left_out]


def _copied(parts: Mapping[Split, VideoFolder]) -> list[str]:
    """A line on files that are scored and were trained on under another name."""
    trained = {source.content for source in parts["train"].sources}
    copies = sum(source.content in trained for split in ("val", "test") for source in parts[split].sources)
    return [f"beware   {copies:,} files of val and test are copies of training files: scores flatter"] if copies else []
