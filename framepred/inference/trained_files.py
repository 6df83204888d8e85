"""Whether networks were trained on the files that they are scored on."""

from pathlib import Path

import yaml
from torch import nn

from framepred.data import VideoFolder, VideoFolderData
from framepred.data.video_folder import Section
from framepred.errors import FramepredError
from framepred.evaluation import WeightsRecord
from framepred.inference.evaluation_data import data_of_run
from framepred.inference.networks import is_network
from framepred.media.paths import expand_user
from framepred.models.pretrained import bundled_names

RUN_CONFIG = "config.yaml"

FOLDER_DATA = tuple(f"{module}.VideoFolderData" for module in ("framepred.data", VideoFolderData.__module__))
"""Names of the class whose files are compared, as configs write it."""


def training_notes(weights: WeightsRecord, net: nn.Module | None, files: VideoFolder | None) -> tuple[str, ...]:
    """A sentence if a predictor was trained on files that it is scored on, or if that is not known.

    The training files are those of the run that a checkpoint lies in. Files are compared by content, so copies count.
    Nothing is said of baselines and of bundled weights, whose cards name their training data.

    Args:
        weights: the name and hash of its weights; without a hash they come from no file.
        net: its network; None for a callable.
        files: the files that it is scored on; None if they are not held out.
    """
    learns_nothing = weights.name.startswith("baseline:") or (net is not None and not is_network(net))
    if files is None or learns_nothing or weights.name in bundled_names():
        return ()
    config = _run_config(expand_user(weights.name)) if weights.sha256 else None
    trained = None if config is None else _training_files(config)
    if trained is None:
        return (
            f"Whether {weights.name} was trained on any of these files is not known: there is no {RUN_CONFIG} of its "
            "run with data that are still in their place. The files are divided as training does by default.",
        )
    used = sum(
        any(
            files.has_copy(section.source, trained, other.source) and _overlap(section, other)
            for other in trained.sections
        )
        for section in files.sections
    )
    if not used:
        return ()
    return (
        f"{weights.name} was trained on {used:,} of these {len(files.sections):,} files, so its scores are too good; "
        f"choose other files, or its run's {RUN_CONFIG} as the data, which divides them as training did.",
    )


def _run_config(checkpoint: Path) -> Path | None:
    """The ``config.yaml`` beside a checkpoint or its folder; None if there is none."""
    places = [folder / RUN_CONFIG for folder in checkpoint.resolve().parents[:2]] if checkpoint.is_file() else []
    return next((place for place in places if place.is_file()), None)


def _training_files(config: Path) -> VideoFolder | None:
    """The parts of files that a run trained on; None if its data are no folder, or not where they were.

    The file may come from anywhere, and nobody named it: only a folder of videos is built from it, and no other class.
    """
    try:
        stated = yaml.safe_load(config.read_text())["data"]
        if stated["class_path"] not in FOLDER_DATA or "class_path" in str(stated["init_args"]):
            return None
    except (OSError, ValueError, TypeError, KeyError, RecursionError, yaml.YAMLError):
        return None
    try:
        data = data_of_run(config)
        return data.part("train") if isinstance(data, VideoFolderData) else None
    except FramepredError:
        return None


def _overlap(one: Section, other: Section) -> bool:
    """Whether two parts share clips and frames where their files are the same."""
    return all(
        max(mine.start, yours.start) < min(mine.stop, yours.stop)
        for mine, yours in ((one.clips, other.clips), (one.frames, other.frames))
    )
