"""``framepred restore``: missing frames rebuilt from both sides, or a higher frame rate."""

from collections.abc import Iterable, Iterator
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeAlias

import typer

from framepred.cli.options import (
    MAX_SIDE,
    BatchOption,
    Device,
    DeviceOption,
    LayoutOption,
    MaxSideOption,
    WeightsOption,
    pick_device,
)
from framepred.errors import ConfigError
from framepred.inference.missing import check_factor, one_sided, parse_missing
from framepred.media.formats import GIF, check_input, is_array
from framepred.media.outputs import check_output

if TYPE_CHECKING:
    from rich.console import Console

    from framepred.clips import RawFrame
    from framepred.inference.restore import Moment
    from framepred.restorer import Restorer

    Versions: TypeAlias = Iterable[tuple[Moment, list[RawFrame]]]


class Method(StrEnum):
    """How missing frames are rebuilt: by a network, or by one of the baselines."""

    BIDIRECTIONAL = "bidirectional"
    LINEAR = "linear"
    LAST_FRAME = "last-frame"
    HOPFIELD = "hopfield"


def restore(
    source: Annotated[Path, typer.Argument(metavar="INPUT", help="Video file, folder of frames, .npy or .npz.")],
    missing: Annotated[
        str | None, typer.Option("--missing", metavar="7,8,12-15", help="Frames to rebuild, counted from 0.")
    ] = None,
    upsample: Annotated[
        int, typer.Option("--upsample", min=1, help="Times the frame rate: 2 draws a frame between each two.")
    ] = 1,
    method: Annotated[
        Method, typer.Option("--method", help="The network knows digits; for films take linear.")
    ] = Method.BIDIRECTIONAL,
    weights: WeightsOption = "moving-mnist-restore",
    output: Annotated[
        Path | None, typer.Option("--output", help=".mp4, .gif, .npy, .npz, or a folder of png; STEM-restored.mp4.")
    ] = None,
    beside: Annotated[
        Method | None, typer.Option("--beside", help="Show what this method gives on the left, such as linear.")
    ] = None,
    holdout: Annotated[
        bool, typer.Option("--holdout", help="The frames of --missing are intact: hide, rebuild and score them.")
    ] = False,
    layout: LayoutOption = None,
    max_side: MaxSideOption = MAX_SIDE,
    batch_size: BatchOption = 16,
    device: DeviceOption = Device.AUTO,
) -> None:
    """Rebuild the missing or corrupted frames of a video from both sides, or raise its frame rate."""
    source = check_input(source)
    output = check_output(output or Path(f"{source.stem}-restored.mp4"), inputs=[source])
    if missing is None and upsample == 1:
        raise ConfigError("Say which frames are missing, as in --missing 7,8,12-15, or raise the rate by --upsample 2.")
    if holdout and (missing is None or upsample > 1):
        raise ConfigError("--holdout scores the frames of --missing at the rate they came in; leave --upsample out.")
    check_factor(upsample)
    gone = frozenset() if missing is None else parse_missing(missing, upsample)

    from rich.console import Console
    from rich.progress import track

    from framepred.inference.restore import marked, restored_by, slowed

    console = Console(stderr=True, highlight=False, soft_wrap=True)
    place = pick_device(device)
    methods = list(
        dict.fromkeys([method, *([beside] if beside else []), *([Method.LINEAR, Method.LAST_FRAME] * holdout)])
    )
    nets = [_restorer(name, weights, max_side).to(place) for name in methods]
    frames, fps = _open(source, layout, console)
    tally = _Tally(methods, holdout)
    moments = slowed(marked(frames, gone), upsample)
    versions = track(restored_by(nets, moments, batch_size), "restoring", total=0, console=console, transient=True)
    _write(output, _shown(tally.over(versions), methods, beside), fps * upsample)

    if alone := one_sided(gone, (tally.frames - 1) // upsample + 1):
        console.print(
            f"{alone} missing frames at an end of the video were seen from one side only; expect less of them."
        )
    print(f"{output}: {tally.frames} frames, {tally.rebuilt} of them rebuilt, at {fps * upsample:.3g} a second")
    tally.print_scores()


def _restorer(method: Method, weights: str, max_side: int) -> "Restorer":
    """The network, or the baseline of that name.

    Raises:
        WeightsError: if there are no such weights, or they do not restore.
    """
    from framepred.baselines import RESTORERS
    from framepred.inference.restore import ScaledRestorer
    from framepred.models import load_restorer

    if method is Method.BIDIRECTIONAL:
        return ScaledRestorer(load_restorer(weights), max_side)
    return RESTORERS[method.value]()


def _open(source: Path, layout: str | None, console: "Console") -> tuple[Iterable["RawFrame"], float]:
    """The frames of a source, ``(n, c, h, w)`` for an array of n clips, and their rate."""
    from framepred.media.reading import open_frames, read_clips

    if is_array(source):
        video = read_clips(source, layout=layout)
        return video.clips.unbind(dim=1), video.fps
    stream = open_frames(source, layout=layout)
    if not stream.steady:
        console.print(f"The frame rate of {source} varies; its mean, {stream.fps:.3g}, is written.")
    return (frame[None] for frame in stream.frames), stream.fps


def _shown(versions: "Versions", methods: list[Method], beside: Method | None) -> Iterator["RawFrame"]:
    """What is written of each moment: the method's frame, or that of another and the method's."""
    import torch

    for _, frames in versions:
        yield torch.cat([frames[methods.index(beside)], frames[0]]) if beside else frames[0]


def _write(path: Path, frames: Iterator["RawFrame"], fps: float) -> None:
    """Write clips that come as ``(n, c, h, w)``, frame by frame where the kind of file allows it."""
    import torch

    from framepred.media.encoding import VideoWriter
    from framepred.media.writing import tile_clips, write_video

    if path.suffix.lower() not in (".mp4", GIF):
        clips = torch.stack(list(frames), dim=1)
        write_video(path, clips if len(clips) > 1 else clips[0], fps)
        return
    with VideoWriter(path, fps) as writer:
        for frame in frames:
            writer.write(tile_clips(frame[:, None])[0])


class _Tally:
    """Counts frames as they pass, and scores the rebuilt ones where these are known."""

    def __init__(self, methods: list[Method], known: bool) -> None:
        self.methods = methods
        self.known = known
        self.frames = self.rebuilt = 0
        self._scores: list[list[tuple[float, float]]] = [[] for _ in methods]

    def over(self, versions: "Versions") -> "Versions":
        """The same, counted and scored."""
        for moment, frames in versions:
            self.frames += 1
            self.rebuilt += moment.missing
            if moment.missing and self.known:
                for scores, frame in zip(self._scores, frames, strict=True):
                    scores.append(_score(frame, moment.frame))
            yield moment, frames

    def print_scores(self) -> None:
        """Print a table, if there are any."""
        if not self.known:
            return
        from rich.console import Console
        from rich.table import Table

        table = Table("", "mse ↓", "psnr ↑", title=f"{self.rebuilt} frames, protocol openstl")
        for method, scores in zip(self.methods, self._scores, strict=True):
            mse, psnr = (sum(values) / len(scores) for values in zip(*scores, strict=True))
            table.add_row(method.value, f"{mse:.2f}", f"{psnr:.2f} dB")
        Console().print(table)


def _score(frame: "RawFrame", truth: "RawFrame") -> tuple[float, float]:
    """Squared error and PSNR of one moment, the mean over its clips."""
    from framepred.clips import to_unit
    from framepred.evaluation.formulas import frame_mse, frame_psnr

    guess, known = to_unit(frame)[:, None], to_unit(truth)[:, None]
    return float(frame_mse(guess, known).mean()), float(frame_psnr(guess, known).mean())
