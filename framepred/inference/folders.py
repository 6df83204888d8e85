"""Predict every clip of a folder."""

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from typing_extensions import Unpack

from framepred.data.video_files import find_sources
from framepred.errors import ClipError, MediaError
from framepred.inference.networks import NATURAL, Weights, open_forecaster
from framepred.inference.predict import PredictOptions, predict
from framepred.inference.prediction import Prediction, View
from framepred.media.atomic import atomic_write
from framepred.media.formats import check_input
from framepred.media.outputs import check_new_folder

PICTURE_CHANNELS = (1, 3)
"""Channels that a video can have; the results of other arrays are arrays."""


@dataclass(frozen=True)
class FolderPrediction:
    """What predicting a folder gave.

    Attributes:
        outputs: the written files, relative to the output folder, each with a description of its size.
        left_out: a sentence for each clip that could not be used.
    """

    outputs: dict[Path, str]
    left_out: tuple[str, ...]


def predict_folder(
    folder: str | Path,
    output: str | Path,
    *,
    weights: Weights = NATURAL,
    view: View = "predicted",
    skip_broken: bool = False,
    on_clip: Callable[[Path, Prediction], object] = lambda _path, _prediction: None,
    **options: Unpack[PredictOptions],
) -> FolderPrediction:
    """Predict every clip of a folder and of the folders below it, and write one video or array for each.

    The output folder appears, whole, when all clips are done.

    Args:
        folder: the folder.
        output: a folder that does not exist or is empty.
        weights: see :func:`~framepred.inference.predict.predict`, as for ``options``.
        view: what is written; see :meth:`~framepred.inference.prediction.Prediction.save`.
        skip_broken: leave out clips that cannot be used instead of raising.
        on_clip: called with the path of each clip and its prediction.
        options: further arguments of :func:`~framepred.inference.predict.predict`.

    Raises:
        MediaError: if the output folder holds anything, or no clip can be used.
        ClipError: if a clip is too short or does not fit.
    """
    root, output = Path(folder), check_new_folder(output, inputs=[folder])
    sources, problems = find_sources(root)
    if not sources:
        raise MediaError(f"{root} holds neither frames nor clips; name a video file or a folder of such files.")
    if problems and not skip_broken:
        raise MediaError(f"{problems[0].rstrip('.')}, or skip broken files.")
    named = open_forecaster(weights)
    outputs: dict[Path, str] = {}
    with atomic_write(output) as draft:
        draft.mkdir()
        for path, name in _output_names(sources, root):
            try:
                prediction = predict(check_input(path), weights=named, **options)
                if view == "predicted" and prediction.frames.shape[-3] not in PICTURE_CHANNELS:
                    name = name.with_suffix(".npy")
                prediction.save(draft / name, view)
            except (ClipError, MediaError) as error:
                if not skip_broken:
                    raise type(error)(f"{str(error).rstrip('.')}, or skip broken files.") from error
                problems.append(str(error))
            else:
                on_clip(path, prediction)
                outputs[name] = prediction.describe(view)
        if not outputs:
            raise MediaError(f"None of the {len(sources)} clips in {root} can be predicted: {problems[0]}")
    return FolderPrediction(outputs, tuple(problems))


def _output_names(sources: list[Path], root: Path) -> Iterator[tuple[Path, Path]]:
    """Each clip with the relative path of its result; clips that differ only in their suffix keep it in the name."""
    relative = [path.relative_to(root) for path in sources]
    same_stem = Counter(path.with_suffix("") for path in relative)
    for path, name in zip(sources, relative, strict=True):
        stem = name.name if same_stem[name.with_suffix("")] > 1 else name.stem
        yield path, name.with_name(f"{stem}-predicted.mp4")
