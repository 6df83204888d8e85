"""Test clips of one's own folder: by the split that training makes of it, or as the config of a run says."""

from pathlib import Path

import yaml
from jsonargparse import ArgumentError, ArgumentParser
from torch import Tensor
from torch.utils.data import Dataset, Subset

from framepred.cli.scoring import STDERR, Selection, TestClips
from framepred.data import ClipLoader, OrderedBatches, VideoFolder
from framepred.data.datamodules.base import ClipData
from framepred.data.splitting import split_folder
from framepred.data.video_folder import evenly_spread
from framepred.errors import ConfigError
from framepred.evaluation import DataRecord


def open_folder(root: Path, chosen: Selection, split: str, skip_broken: bool) -> TestClips:
    """Clips of the files that training by default leaves for ``split``, or of ``all``; evenly spread, end to end.

    Raises:
        DataError: if the folder cannot be used.
    """
    clips = VideoFolder(root, chosen.length, skip_broken=skip_broken)
    total = len(clips.sources)
    if split != "all":
        clips = {str(part): clips for part, clips in split_folder(clips).items()}[split]
    STDERR.print(f"{len(clips.sources):,} of {total:,} files in {root} (--split {split})", markup=False)
    for sentence in clips.left_out:
        STDERR.print(f"left out: {sentence}", markup=False)
    return _in_order(clips, len(clips), chosen, chosen.context, DataRecord(root.resolve().name, split=split))


def open_run_data(config: Path, chosen: Selection) -> TestClips:
    """The test clips of the data that the config of a run names, with its context and horizon.

    Raises:
        ConfigError: if the file is no such config.
    """
    data = _data_of(config)
    record = DataRecord(
        Path(getattr(data, "root", None) or config.stem).name, split="test", seed=getattr(data, "seed", None)
    )
    return _in_order(data.dataset("test"), data.count("test"), chosen, data.context, record)


def _in_order(clips: Dataset[Tensor], count: int, chosen: Selection, context: int, record: DataRecord) -> TestClips:
    kept = evenly_spread(count, chosen.clips)
    loader = ClipLoader(Subset(clips, kept), OrderedBatches(len(kept), chosen.batch_size), context)
    return TestClips(loader, len(kept), record)


def _data_of(config: Path) -> ClipData:
    parser = ArgumentParser(exit_on_error=False)
    parser.add_subclass_arguments(ClipData, "data")
    try:
        data = parser.parse_object({"data": yaml.safe_load(config.read_text())["data"]})
    except (OSError, ValueError, TypeError, KeyError, yaml.YAMLError, ArgumentError) as error:
        raise ConfigError(
            f"{config} names no data to test on; give the config.yaml that lies in the folder of a run."
        ) from error
    found: ClipData = parser.instantiate(data).data
    return found
