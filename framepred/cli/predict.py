"""``framepred predict``: what comes after the last frame of a file, or of each file of a folder."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from framepred.cli.options import (
    MAX_SIDE,
    NATURAL,
    BatchOption,
    ContextOption,
    Device,
    DeviceOption,
    LayoutOption,
    MaxSideOption,
    WeightsOption,
    pick_device,
)
from framepred.errors import ClipError, ConfigError, MediaError
from framepred.media.formats import check_input, check_output, input_stem, is_folder_of_clips

if TYPE_CHECKING:
    from rich.console import Console

    from framepred.clips import ClipBatch, RawClip
    from framepred.forecaster import Forecaster

ADAPTED_HORIZON = 10  # frames: a longer future teaches no more of the motion, and costs


class View(StrEnum):
    """What is written: the prediction, truth and prediction, or how far apart they are."""

    PREDICTED = "predicted"
    SIDE_BY_SIDE = "side-by-side"
    ERROR = "error"


def predict(
    source: Annotated[
        Path, typer.Argument(metavar="INPUT", help="Video file, folder of frames, .npy or .npz; or a folder of these.")
    ],
    weights: WeightsOption = NATURAL,
    context: ContextOption = 10,
    frames: Annotated[int, typer.Option("--frames", min=1, help="Frames to predict.")] = 10,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            help=".mp4, .gif, .npy, .npz, or a folder of png; STEM-predicted.mp4. For a folder of clips, a folder.",
        ),
    ] = None,
    adapt: Annotated[
        float | None,
        typer.Option("--adapt", metavar="SECONDS", help="First learn from the clip's own past, for so long."),
    ] = None,
    view: Annotated[
        View, typer.Option("--view", help="What is written; the last two imply --holdout.")
    ] = View.PREDICTED,
    holdout: Annotated[
        bool, typer.Option("--holdout", help="Hide the last frames of INPUT, predict them, and score that.")
    ] = False,
    skip_broken: Annotated[
        bool, typer.Option("--skip-broken", help="Of a folder: leave out files that cannot be used, and say which.")
    ] = False,
    layout: LayoutOption = None,
    max_side: MaxSideOption = MAX_SIDE,
    batch_size: BatchOption = 16,
    device: DeviceOption = Device.AUTO,
) -> None:
    """Predict the frames that follow the last one of a clip, from the last --context frames of it."""
    source = source.expanduser()
    if adapt is not None and not 0 < adapt < float("inf"):
        raise ConfigError(f"--adapt takes a positive number of seconds, not {adapt:g}.")
    many = is_folder_of_clips(source)
    if many:
        output = _check_new_folder(output or Path(f"{source.resolve().name}-predicted"))
    else:
        source = check_input(source)
        output = check_output(output or Path(f"{input_stem(source)}-predicted.mp4"))

    from rich.console import Console

    from framepred.models.pretrained import load

    job = _Job(
        net=load(weights).to(pick_device(device)),
        weights=weights,
        context=context,
        frames=frames,
        adapt=adapt,
        view=view,
        holdout=holdout or view is not View.PREDICTED,
        layout=layout,
        max_side=max_side,
        batch_size=batch_size,
        console=Console(stderr=True, highlight=False, soft_wrap=True, markup=False),
    )
    if many:
        _predict_folder(job, source, output, skip_broken)
    else:
        print(f"{output}: {job.run(source, output)}")


@dataclass(frozen=True)
class _Job:
    """What was asked for, for each clip alike; ``adapt`` counts seconds."""

    net: "Forecaster"
    weights: str
    context: int
    frames: int
    adapt: float | None
    view: View
    holdout: bool
    layout: str | None
    max_side: int
    batch_size: int
    console: "Console"

    def run(self, source: Path, output: Path) -> str:
        """Predict one file, write the result, and give its size in words."""
        from framepred.inference.predict import read_end
        from framepred.inference.scaling import ScaledForecaster
        from framepred.media.writing import write_video

        clips, video = read_end(source, self.context, self.frames if self.holdout else 0, self.layout)
        height, width = clips.context.shape[-2:]
        if max(height, width) > self.max_side:
            self.console.print(
                f"{width}x{height} frames are scaled to {self.max_side} pixels for the network (--max-side)."
            )
        if not video.steady:
            self.console.print(f"The frame rate of {source} varies; its mean, {video.fps:.3g}, is written.")
        for note in video.notes:
            self.console.print(note)
        clips = self._of_last_scene(clips, source)
        net = ScaledForecaster(self._adapted(source, clips), self.max_side)
        predicted = self._predicted(net, clips.context)
        shown = self._shown(clips, predicted)
        write_video(output, shown if len(shown) > 1 else shown[0], video.fps)
        if self.holdout:
            self._print_score(net, clips, source.name)
        count, (height, width) = shown.shape[1], shown.shape[-2:]
        return f"{count} frames of {width}x{height} at {video.fps:.3g} a second"

    def _of_last_scene(self, clips: "ClipBatch", source: Path) -> "ClipBatch":
        from framepred.clips import ClipBatch
        from framepred.inference.predict import since_cut

        context = since_cut(clips.context)
        if context.shape[1] < clips.context.shape[1]:
            self.console.print(
                f"{source} has a scene cut {context.shape[1]} frames before what is predicted; only those after it are "
                "seen."
            )
        ahead = since_cut(ClipBatch(context[:, -1:], clips.target).clips)
        if ahead.shape[1] <= clips.target.shape[1]:
            self.console.print(
                f"{source} has a scene cut among the frames held out; no forecast knows what comes after it, but its "
                "score counts."
            )
        return clips._replace(context=context)

    def _adapted(self, source: Path, clips: "ClipBatch") -> "Forecaster":
        if self.adapt is None:
            return self.net

        from rich.progress import Progress

        from framepred.inference.adapt import adapt
        from framepred.inference.predict import read_past

        past = read_past(source, self.frames if self.holdout else 0, self.max_side, self.layout)
        gray = clips.context.shape[2] == 1
        with Progress(console=self.console, transient=True, disable=not self.console.is_terminal) as progress:
            task = progress.add_task("adapting", total=1.0)
            adapted = adapt(
                self.net,
                past[:, -1:] if gray else past,
                seconds=self.adapt,
                context=self.context,
                horizon=min(self.frames, ADAPTED_HORIZON),
                on_progress=lambda spent: progress.update(task, completed=spent),
            )
        self.console.print(adapted.told())
        return adapted.net

    def _predicted(self, net: "Forecaster", context: "RawClip") -> "RawClip":
        import torch
        from rich.progress import track

        from framepred.inference.predict import predict_frames

        predicted = []
        for clips in torch.split(context, self.batch_size):
            future = track(
                predict_frames(net, clips, self.frames),
                "predicting",
                self.frames,
                console=self.console,
                transient=True,
                disable=not self.console.is_terminal,
            )
            predicted.append(torch.stack(list(future), dim=1))
        return torch.cat(predicted)

    def _shown(self, clips: "ClipBatch", predicted: "RawClip") -> "RawClip":
        import torch

        from framepred.visualization.error_map import error_view
        from framepred.visualization.side_by_side import side_by_side

        if self.view is View.PREDICTED:
            return predicted
        if self.view is View.ERROR:
            return torch.stack([error_view(*pair) for pair in zip(clips.target, predicted, strict=True)])
        return torch.stack([side_by_side(*parts) for parts in zip(*clips, predicted, strict=True)])

    def _print_score(self, net: "Forecaster", clips: "ClipBatch", data: str) -> None:
        from rich.console import Console

        from framepred.baselines import BASELINES, load_baseline
        from framepred.evaluation import DataRecord, WeightsRecord, evaluate
        from framepred.evaluation.tables import score_table

        baselines = {name: load_baseline(name) for name in BASELINES}
        card = evaluate(net, [clips], data=DataRecord(data), weights=WeightsRecord(self.weights), baselines=baselines)
        Console().print(score_table(card))


def _check_new_folder(path: Path) -> Path:
    path = path.expanduser()
    if path.suffix or path.is_file() or (path.is_dir() and any(path.iterdir())):
        raise MediaError(f"{path} cannot take the results of a folder of clips; name a new or empty folder.")
    return check_output(path)


def _predict_folder(job: _Job, source: Path, output: Path, skip_broken: bool) -> None:
    """One result a clip; the folder appears, whole, when all are done."""
    from framepred.data.video_files import find_sources
    from framepred.media.atomic import written_beside

    sources, problems = find_sources(source)
    if not sources:
        raise MediaError(f"{source} holds neither frames nor clips; name a video file or a folder of such files.")
    if problems and not skip_broken:
        raise MediaError(f"{problems[0].rstrip('.')}, or pass --skip-broken.")
    results: dict[Path, str] = {}
    with written_beside(output) as draft:
        draft.mkdir()
        for path, name in _result_names(sources, source):
            try:
                results[name] = job.run(check_input(path), draft / name)
            except (ClipError, MediaError) as error:
                if not skip_broken:
                    raise type(error)(f"{str(error).rstrip('.')}, or pass --skip-broken to leave it out.") from error
                problems.append(str(error))
        if not results:
            raise MediaError(f"None of the {len(sources)} clips in {source} can be predicted: {problems[0]}")
    for sentence in problems:
        job.console.print(f"left out: {sentence}")
    for name, size in results.items():
        print(f"{output / name}: {size}")


def _result_names(sources: list[Path], root: Path) -> Iterator[tuple[Path, Path]]:
    """Each clip with the place of its result; clips that differ only in their suffix keep it in the name."""
    places = [path.relative_to(root) for path in sources]
    twins = Counter(place.with_suffix("") for place in places)
    for path, place in zip(sources, places, strict=True):
        name = place.name if twins[place.with_suffix("")] > 1 else place.stem
        yield path, place.with_name(f"{name}-predicted.mp4")
