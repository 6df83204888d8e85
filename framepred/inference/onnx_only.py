"""Predict and stream files with an ONNX export by NumPy and ONNX Runtime; PyTorch is never imported.

The results equal those of :func:`framepred.predict` and :func:`framepred.stream` without blending and scene cuts.
"""

from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from jaxtyping import Float, UInt8
from numpy.typing import NDArray

from framepred.errors import NOT_FINITE, ClipError, WeightsError
from framepred.media.atomic import atomic_write
from framepred.media.encoding import VideoWriter
from framepred.media.frame_times import even_times, varying_rate
from framepred.media.opencv import cv2
from framepred.media.pixels import DEFAULT_FPS, GRAY_WITHIN
from framepred.media.video_file import VideoFile
from framepred.media.video_header import (
    frames_of_one_size,
    has_high_bit_depth,
    read_header,
    upright_frames,
    video_times,
)
from framepred.media.written_size import describe_frames
from framepred.onnx_graphs import GraphName, open_onnx_graphs

Frame: TypeAlias = Float[np.ndarray, "b c h w"]
Picture: TypeAlias = UInt8[np.ndarray, "c h w"]

OUTPUTS = (".mp4", ".gif", ".npy")
"""Suffixes that are written without PyTorch."""

VIDEOS = (".mp4", ".mov", ".mkv", ".avi", ".webm")
"""Suffixes of video files that are read without PyTorch, beside ``.npy``."""


class State(NamedTuple):
    """State of a clip."""

    shape: tuple[int, ...]
    """Shape of the frames, ``(b, c, h, w)``."""
    predicted: NDArray[Any]
    """The next frame as the graph returned it."""
    inner: tuple[NDArray[Any], ...]
    """The network's state."""


class OnnxForecaster:
    """A forecaster of arrays that runs the graphs of an export.

    Args:
        path: the ``.onnx`` file of :func:`framepred.export`.

    Raises:
        WeightsError: if a file is missing or is no such export, or ONNX Runtime is not installed.
    """

    def __init__(self, path: str | Path) -> None:
        self._graphs = open_onnx_graphs(path)
        self.info = self._graphs["observe"].info

    def observe(self, frame: Frame, state: State | None = None) -> State:
        """Update the state with one frame ``(b, c, h, w)``, float32 in [0, 1].

        Raises:
            ClipError: if the export does not take frames of this shape.
        """
        return self._run("start" if state is None else "observe", frame, state)

    def feedback(self, frame: Frame, state: State) -> State:
        """Update the state with a predicted frame."""
        return self._run("feedback" if self.info.has_feedback else "observe", frame, state)

    def next_frame(self, state: State) -> Frame:
        """Predict the next frame, clamped to [0, 1].

        Raises:
            WeightsError: if it holds NaN or infinite pixels.
        """
        if not np.isfinite(state.predicted).all():
            raise WeightsError(NOT_FINITE)
        height, width = state.shape[-2:]
        return state.predicted[..., :height, :width].reshape(state.shape).clip(0, 1)

    def rollout(self, state: State, horizon: int) -> Iterator[Frame]:
        """Predict ``horizon`` frames."""
        for step in range(horizon):
            frame = self.next_frame(state)
            yield frame
            if step + 1 < horizon:
                state = self.feedback(frame, state)

    def _run(self, graph: GraphName, frame: Frame, state: State | None) -> State:
        self._check(frame)
        height, width = frame.shape[-2:]
        multiple = self.info.multiple
        folded = frame.reshape(-1, self.info.channels, height, width)
        edge = ((0, 0), (0, 0), (0, -height % multiple), (0, -width % multiple))
        inner = () if state is None else state.inner
        predicted, *new = self._graphs[graph]([np.pad(folded, edge, mode="edge"), *inner])
        return State(frame.shape, predicted, tuple(new))

    def _check(self, frame: Frame) -> None:
        channels, height, width = frame.shape[1:]
        info = self.info
        if info.channels not in (1, channels):
            raise ClipError(
                f"{info.weights} takes frames of {info.channels} channels, and these have {channels}; convert them."
            )
        padded = (height + -height % info.multiple, width + -width % info.multiple)
        if info.size not in (None, padded):
            raise ClipError(
                f"{info.weights} was exported for frames of {info.size[0]}x{info.size[1]} pixels, and these have "
                f"{height}x{width}; scale the frames, or export for their size."
            )
        if info.size is None and min(height, width) < info.multiple:
            raise ClipError(
                f"Frames must be at least {info.multiple} pixels high and wide for these weights, not {height}x{width}."
            )


class Film(NamedTuple):
    """An open file.

    Attributes:
        frames: its frames as they are decoded.
        fps: mean number of frames per second.
        steady: whether all frames last equally long.
        notes: one sentence for each property of the file that a viewer should know.
        times: seconds of each frame after the first, to be read after the frame; None where they follow from ``fps``.
    """

    frames: Iterator[Picture]
    fps: float
    steady: bool = True
    notes: tuple[str, ...] = ()
    times: Iterator[float] | None = None


def is_readable(source: str | Path, trained_range: Mapping[str, float] | None = None) -> bool:
    """Whether a source is a file of bytes that is read without PyTorch: a video, or ``.npy`` of gray or RGB frames.

    Args:
        source: the source.
        trained_range: the range of values that the weights were trained on, see
            :class:`framepred.onnx_graphs.ExportInfo`; arrays that they scale by it need PyTorch.
    """
    path = Path(source)
    if not path.is_file():
        return False
    if path.suffix.lower() != ".npy":
        return path.suffix.lower() in VIDEOS and not has_high_bit_depth(path)
    if trained_range is not None and trained_range.get("bytes"):
        return False
    try:
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError):
        return False  # the usual reader explains what is wrong
    return array.dtype == np.uint8 and 0 not in array.shape and (array.ndim == 3 or _is_tchw(array.shape))


def _is_tchw(shape: Sequence[int]) -> bool:
    """Whether a shape can only be ``(t, c, h, w)`` of gray or RGB frames."""
    return len(shape) == 4 and shape[1] in (1, 3) and shape[3] not in (1, 2, 3, 4)


def longest_side(source: str | Path) -> int:
    """The larger of height and width, in pixels, that a file states which :func:`is_readable` accepts.

    Raises:
        MediaError: if it holds no video.
    """
    path = Path(source)
    if path.suffix.lower() == ".npy":
        return int(max(np.load(path, mmap_mode="r", allow_pickle=False).shape[-2:]))
    with closing(VideoFile(path)) as video:
        return max(video.stream.width, video.stream.height)


def open_film(path: Path) -> Film:
    """Open a file that :func:`is_readable` accepts.

    Raises:
        MediaError: if it holds no video; while reading, if it is damaged.
    """
    if path.suffix.lower() == ".npy":
        array = np.load(path, mmap_mode="r", allow_pickle=False)
        return Film((np.array(frame if frame.ndim == 3 else frame[None]) for frame in array), DEFAULT_FPS)
    header, video = read_header(path), VideoFile(path)
    pixels = frames_of_one_size(upright_frames(video, header), path)
    frames = (np.ascontiguousarray(frame.transpose(2, 0, 1)) for frame in pixels)
    return Film(frames, header.fps, header.steady, header.notes, video_times(video, header))


def _is_gray(picture: Picture) -> bool:
    return int((picture.max(axis=0) - picture.min(axis=0)).max()) <= GRAY_WITHIN


def _to_gray(picture: Picture) -> UInt8[np.ndarray, "1 h w"]:
    """Return one channel: luma (ITU-R BT.601) of a colour picture."""
    if len(picture) == 1:
        return picture
    pixels = np.ascontiguousarray(picture.transpose(1, 2, 0))
    return np.asarray(cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY), np.uint8)[None]


def predict_file(
    source: Path,
    output: Path,
    weights: str | Path,
    *,
    context: int,
    frames: int,
    max_side: int,
    on_note: Callable[[str], object] = lambda _: None,
) -> str:
    """Predict the frames that follow the last one of a file, write them, and describe them.

    Args:
        source: a file that :func:`is_readable` accepts.
        output: ``.mp4``, ``.gif`` or ``.npy``.
        weights: the ``.onnx`` file of an export.
        context: number of frames to predict from.
        frames: number of frames to predict.
        max_side: largest height and width of the frames, pixels.
        on_note: called with a sentence on the file that a viewer should know, such as that it is interlaced.

    Raises:
        ClipError: if the file has too few frames, or frames that do not fit.
        MediaError: if a file cannot be read or written.
        WeightsError: if the weights cannot be used.
    """
    forecaster, film = OnnxForecaster(weights), open_film(source)
    for note in film.notes:
        on_note(note)
    if not film.steady:
        on_note(varying_rate(str(source), film.fps, "is written"))
    observed = list(deque(film.frames, maxlen=context))
    if len(observed) < context:
        frames_found = f"{len(observed)} frame{'s' * (len(observed) != 1)}"
        raise ClipError(f"{source} has {frames_found} but a context of {context} is asked for; lower context.")
    if forecaster.info.channels == 1 and all(map(_is_gray, observed)):
        observed = list(map(_to_gray, observed))
    state = None
    for frame in observed:
        _check_side(frame, source, max_side)
        state = forecaster.observe(_to_unit(frame), state)
    assert state is not None
    predicted = [_to_uint8(frame) for frame in forecaster.rollout(state, frames)]
    _write(output, predicted, film.fps)
    return describe_frames(output, (frames, *predicted[0].shape), film.fps)


@dataclass(frozen=True)
class Step:
    """One frame of a stream; the fields equal those of :class:`framepred.inference.stream.StreamStep`."""

    index: int
    time: float
    mse: float | None
    cut: bool
    future: Frame
    lost: bool = False  # bytes are all measured


def stream_file(
    source: Path,
    weights: str | Path,
    *,
    frames: int,
    max_side: int,
    on_note: Callable[[str], object] = lambda _: None,
) -> Iterator[Step]:
    """Forecast a file at each of its frames, and measure the error of each forecast of the next frame.

    Raises:
        ClipError: if frames do not fit.
        MediaError: if the file cannot be read.
        WeightsError: if the weights cannot be used.
    """
    forecaster, film = OnnxForecaster(weights), open_film(source)
    for note in film.notes:
        on_note(note)
    times = film.times or even_times(film.fps)
    state: State | None = None
    expected: Frame | None = None
    for index, (picture, seconds) in enumerate(zip(film.frames, times, strict=False)):
        _check_side(picture, source, max_side)
        frame = _to_unit(picture)
        mse = None if expected is None else float(np.square(expected - frame, dtype=np.float32).mean())
        state = forecaster.observe(frame, state)
        future = np.concatenate(list(forecaster.rollout(state, frames)))
        expected = future[:1]
        yield Step(index, seconds, mse, False, future)


def _check_side(frame: Picture, source: Path, max_side: int) -> None:
    height, width = frame.shape[-2:]
    if max(height, width) > max_side:
        raise ClipError(
            f"{source} has frames of {width}x{height} pixels and at most {max_side} are predicted without PyTorch; "
            "scale the frames, raise the bound by max_side (--max-side), or predict with PyTorch, which scales them."
        )


def _to_unit(frame: Picture) -> Frame:
    return np.asarray(frame[None] / np.float32(255), np.float32)


def _to_uint8(frame: Frame) -> Picture:
    return np.asarray(np.rint(frame[0] * 255), np.uint8)


def _write(path: Path, frames: list[Picture], fps: float) -> None:
    if path.suffix.lower() == ".npy":
        with atomic_write(path) as draft, draft.open("wb") as file:
            np.save(file, np.stack(frames))
        return
    with VideoWriter(path, fps) as writer:
        for frame in frames:
            writer.write(frame)
