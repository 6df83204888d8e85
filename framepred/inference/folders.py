"""Predict every clip of a folder."""

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from typing_extensions import Unpack

from framepred.data.video_files import find_sources
from framepred.errors import ClipError, MediaError
from framepred.inference.networks import NATURAL, Weights, open_forecaster
from framepred.inference.predict import PredictOptions, predict
from framepred.inference.prediction import Prediction, View
from framepred.inference.processes import from_all_processes, joined_processes, process_is_first, share_of_process
from framepred.media.atomic import atomic_write
from framepred.media.formats import check_input, is_array
from framepred.media.outputs import check_new_folder

PICTURE_CHANNELS = (1, 3)
"""Channels that a video can have; results with other numbers are arrays, as are those of arrays and of values with a
range of their own."""


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

    The output folder appears, whole, when all clips are done. Processes that torchrun starts share the clips, and each
    returns the result of all.

    Args:
        folder: the folder.
        output: a folder that does not exist or is empty.
        weights: see :func:`~framepred.inference.predict.predict`, as for ``options``.
        view: what is written; see :meth:`~framepred.inference.prediction.Prediction.save`.
        skip_broken: leave out clips that cannot be used instead of raising.
        on_clip: called with the path of each clip and its prediction, in the process that predicted it.
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
    names = list(_output_names(sources, root))
    with joined_processes(), _shared_draft(output) as draft:
        share = _Share({}, {})
        for number, (path, name) in share_of_process(list(enumerate(names))):
            try:
                prediction = predict(check_input(path), weights=named, **options)
                if view == "predicted" and (is_array(path) or not _is_film(prediction)):
                    name = name.with_suffix(".npy")
                prediction.save(draft / name, view)
            except (ClipError, MediaError) as error:
                share.failed[number] = type(error)(str(error).replace(str(draft), str(output)))
                if not skip_broken:
                    break
            else:
                on_clip(path, prediction)
                share.outputs[number] = name, prediction.describe(view, name)
        whole = _joined(from_all_processes(share))
        if whole.failed and not skip_broken:
            first = next(iter(whole.failed.values()))
            raise type(first)(f"{str(first).rstrip('.')}, or skip broken files.") from first
        problems += map(str, whole.failed.values())
        if not whole.outputs:
            raise MediaError(f"None of the {len(sources)} clips in {root} can be predicted: {problems[0]}")
    return FolderPrediction(dict(whole.outputs.values()), tuple(problems))


def _is_film(prediction: Prediction) -> bool:
    """Whether a video can hold the frames."""
    return prediction.frames.shape[-3] in PICTURE_CHANNELS and prediction.value_range is None


class _Share(NamedTuple):
    """What one process did, by the number of the clip: name and size of each output, and errors."""

    outputs: dict[int, tuple[Path, str]]
    failed: dict[int, ClipError | MediaError]


def _joined(shares: list[_Share]) -> _Share:
    """Return the results of all processes in the order of the clips."""
    outputs, failed = ([item for part in parts for item in part.items()] for parts in zip(*shares, strict=True))
    return _Share(dict(sorted(outputs)), dict(sorted(failed)))


@contextmanager
def _shared_draft(output: Path) -> Iterator[Path]:
    """Yield the draft of the output folder, which the first process creates; it must lie on a shared file system."""
    from_all_processes(None)  # no process looks for clips any more
    if process_is_first():
        with atomic_write(output) as draft:
            draft.mkdir()
            from_all_processes(draft)
            yield draft
    else:
        yield from_all_processes(output)[0]
    from_all_processes(None)  # the output folder is complete in all processes


def _output_names(sources: list[Path], root: Path) -> Iterator[tuple[Path, Path]]:
    """Each clip with the relative path of its result; clips that would share one keep their suffix in the name."""
    relative = [path.relative_to(root) for path in sources]
    stems = [path.with_suffix("") for path in relative]
    while shared := {stem for stem, count in Counter(stems).items() if count > 1}:
        stems = [name if stem in shared else stem for name, stem in zip(relative, stems, strict=True)]
    for path, stem in zip(sources, stems, strict=True):
        yield path, stem.with_name(f"{stem.name}-predicted.mp4")
