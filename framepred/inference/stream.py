"""Forecast a stream as it plays: at each frame the next frames, and the error of the forecast for this one."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from threading import Event

import torch
from jaxtyping import Bool, Float, Shaped
from torch import Tensor

from framepred.clips import Frame, fill_missing, missing_pixels, to_unit
from framepred.forecaster import Forecaster, check_finite
from framepred.inference.acceleration import accelerate
from framepred.inference.blend import default_members
from framepred.inference.devices import device_of, pick_device
from framepred.inference.integers import as_integer
from framepred.inference.moments import open_moments
from framepred.inference.networks import NATURAL, Weights, channels_of, is_network, open_forecaster, range_of
from framepred.inference.online_blend import OnlineBlend
from framepred.inference.repeats import RepeatDetector
from framepred.inference.scaling import shrink
from framepred.inference.scenes import CutDetector
from framepred.inference.sources import Source, SourceForm
from framepred.media.live import Moment
from framepred.media.ranges import StatedRange
from framepred.models.accelerated import FLOAT32, Precision
from framepred.models.devices import move_network

MAX_SIDE = 128
"""Longer side, in pixels, of the frames that a network gets: small, because a live source does not wait."""


@dataclass(frozen=True)
class StreamStep:
    """One frame of a stream, and the forecast made at it.

    Attributes:
        index: number of the frame, from 0.
        time: seconds from the first frame.
        frame: the frame ``(c, h, w)`` as it was read.
        future: the forecast frames ``(k, c, h, w)`` in [0, 1], at the size that the network gets.
        mse: mean squared error of a pixel in [0, 1], at that size, of the forecast that was made for this frame at the
            frame before, over the pixels that are measured in both; None for the first frame of a scene, and where
            there are no such pixels.
        cut: whether a scene begins with this frame.
        missing: which pixels ``(c, h, w)`` are NaN in the source; ``frame`` has the filler there. None for none.
    """

    index: int
    time: float
    frame: Shaped[Tensor, "c h w"]
    future: Float[Tensor, "k _c _h _w"]
    mse: float | None
    cut: bool
    missing: Bool[Tensor, "c h w"] | None = None

    @property
    def lost(self) -> bool:
        """Whether no pixel of the frame was measured."""
        return self.missing is not None and bool(self.missing.all())


class StreamForecaster:
    """Observes a stream, keeps the state, and forecasts at each frame, in constant memory.

    A scene cut resets the state. A blended network does not observe repeated frames, which show no motion; see
    :mod:`~framepred.inference.repeats`.

    Args:
        net: the forecaster, on the device where it is to run.
        horizon: frames to forecast at each step.
        max_side: frames with a longer side are scaled to it, in pixels.
        blend: whether to blend a network with optical flow and the last frame, by what each was worth so far.
        cuts: whether to look for scene cuts.
        filler: the value in [0, 1] that the network reads where pixels are missing, which are NaN; None refuses them.

    Raises:
        ConfigError: if a number is outside its domain.
    """

    def __init__(
        self,
        net: Forecaster,
        horizon: int = 10,
        max_side: int = MAX_SIDE,
        *,
        blend: bool = True,
        cuts: bool = True,
        filler: float | None = None,
    ) -> None:
        horizon, max_side = as_integer("horizon", horizon), as_integer("max_side", max_side)
        blended = blend and is_network(net)
        members = default_members(net) if blended else [net]
        self._device = device_of(net)
        self._max_side = max_side
        self._blend = OnlineBlend(members, horizon)
        self._cuts = CutDetector() if cuts else None
        self._repeats = RepeatDetector() if blended else None
        self._filler = filler
        self._index = 0
        self._expected: Frame | None = None
        self._last_shown: Frame | None = None
        self._gaps_before: Bool[Tensor, "c h w"] | None = None

    def reset(self) -> None:
        """Start anew: the next frame does not follow from the last one."""
        self._start_scene()
        if self._cuts is not None:
            self._cuts.reset()

    @torch.inference_mode()
    def step(self, frame: Shaped[Tensor, "c h w"], time: float = 0.0) -> StreamStep:
        """Observe the next frame, of any size: uint8, uint16, or floats in [0, 1].

        Args:
            frame: the pixels; NaN where they are missing, which needs a filler.
            time: seconds from the first frame; it is passed on.

        Raises:
            ClipError: if the weights do not take its channels or it is too small for them.
            WeightsError: if they predict NaN or infinite pixels.
        """
        missing = None if self._filler is None else missing_pixels(frame)
        frame = fill_missing(frame, None if missing is None else self._filler)
        observed = shrink(to_unit(frame.to(self._device))[None], self._max_side)
        gaps = None if missing is None else self._gaps(missing, observed)
        shown = self._shown(observed, gaps)
        lost = gaps is not None and bool(gaps.all())  # shows no change, from which a cut would stand out
        cut = self._cuts is not None and not lost and self._cuts.is_cut(shown[0])
        if cut:
            self._start_scene()
        mse = None if self._expected is None else _error(self._expected, observed, gaps, self._gaps_before)
        if not lost:  # else the forecast goes on from itself
            self._gaps_before = gaps
        observed = self._with_lost_channels(observed, gaps)
        future = check_finite(self._forecast(observed, shown, gaps))
        if lost and self._expected is None:  # nothing was measured yet: the next frame is the first of the scene
            self._start_scene()
        else:
            self._expected = future[:1]
        self._index += 1
        return StreamStep(self._index - 1, time, frame, future, mse, cut, missing)

    def _gaps(self, missing: Bool[Tensor, "c h w"], observed: Frame) -> Bool[Tensor, "c h_small w_small"]:
        """Which pixels of the reduced frame are missing in part."""
        return shrink(missing.to(observed)[None], self._max_side)[0] > 0

    def _with_lost_channels(self, observed: Frame, gaps: Bool[Tensor, "c h w"] | None) -> Frame:
        """The frame with what was forecast for channels without a measured pixel."""
        if gaps is None or self._expected is None:
            return observed
        return torch.where(gaps.flatten(1).all(dim=1)[:, None, None], self._expected, observed)

    def _shown(self, observed: Frame, gaps: Bool[Tensor, "c h w"] | None) -> Frame:
        """The frame in which cuts and repeats are looked for: missing pixels keep what was last measured there."""
        last = self._last_shown
        if gaps is not None and last is not None and last.shape == observed.shape:
            observed = torch.where(gaps, last, observed)
        self._last_shown = None if self._filler is None else observed
        return observed

    def _forecast(
        self, observed: Frame, shown: Frame, gaps: Bool[Tensor, "c h w"] | None
    ) -> Float[Tensor, "k _c _h _w"]:
        """The next frames: where frames repeat, they repeat in the same rhythm, and no repeat is observed."""
        if self._repeats is None:
            return self._blend.step(observed, gaps)[0]
        lost = gaps is not None and bool(gaps.all())
        if lost or not self._repeats.is_repeat(shown[0]):
            self._distinct = torch.cat([observed, self._blend.step(observed, gaps)[0]])
        return self._distinct[self._repeats.cadence.steps(len(self._distinct) - 1)]

    def _start_scene(self) -> None:
        self._blend.reset()
        if self._repeats is not None:
            self._repeats.reset()
        self._expected = self._last_shown = self._gaps_before = None


class Stream:
    """A source that is forecast as it plays; iterate over it to get a :class:`StreamStep` for each frame.

    Attributes:
        fps: mean number of frames per second.
    """

    def __init__(self, forecaster: StreamForecaster, moments: Iterator[Moment], fps: float) -> None:
        self.fps = fps
        self._forecaster = forecaster
        self._moments = moments

    def __iter__(self) -> Iterator[StreamStep]:
        for moment in self._moments:
            if moment.fresh:
                self._forecaster.reset()
            yield self._forecaster.step(moment.frame, moment.time)


def stream(
    source: Source,
    *,
    frames: int = 10,
    weights: Weights = NATURAL,
    device: str | torch.device = "auto",
    layout: str | None = None,
    array_name: str | None = None,
    value_range: StatedRange = None,
    max_side: int = MAX_SIDE,
    blend: bool = True,
    cuts: bool = True,
    compiled: bool = False,
    precision: Precision = FLOAT32,
    on_notice: Callable[[str], None] = lambda _: None,
    stop: Event | None = None,
) -> Stream:
    """Forecast a camera, a URL, a file or frames in memory, frame by frame.

    Args:
        source: a camera number, a URL, a path, an array or a tensor.
        frames: number of frames to forecast at each frame.
        weights: a bundled name, a path, ``owner/name`` of the Hugging Face Hub, ``baseline:NAME``, or a forecaster.
        device: ``auto``, ``cpu``, ``cuda``, or a device.
        layout: the order of an array's axes, such as ``thwc``, where its shape does not determine it.
        array_name: which array of a file that holds several, such as NetCDF.
        value_range: the values of an array that become 0 and 1; see :func:`framepred.predict`.
        max_side: frames with a longer side are scaled to it for the network, in pixels.
        blend: whether to blend the network with optical flow and the last frame.
        cuts: whether a scene cut resets the state.
        compiled: whether to compile the network; see :func:`framepred.accelerate`.
        precision: ``32-true``, or ``bf16-mixed`` for bfloat16 autocast of the network.
        on_notice: called with a sentence when a live source is lost or back.
        stop: set it to end a live source.

    Returns:
        An iterable of one :class:`StreamStep` per frame. A file ends at its end, a live source when ``stop`` is set.

    Raises:
        ConfigError: if a number is outside its domain.
        MediaError: if the source cannot be opened.
        ClipError: if an array holds several clips.
        WeightsError: if the weights cannot be used.

    Example:
        >>> still = torch.full((12, 1, 8, 8), 7, dtype=torch.uint8)
        >>> [step.mse for step in stream(still, frames=2, weights="baseline:last-frame")][:3]
        [None, 0.0, 0.0]
    """
    frames = as_integer("frames", frames)
    net = accelerate(open_forecaster(weights).net, compiled=compiled, precision=precision)
    net = move_network(net, pick_device(device))
    form = SourceForm(layout, channels_of(net), value_range, array_name, range_of(net), keeps_nan=True)
    opened = open_moments(source, form, on_notice, stop)
    for note in opened.notes:
        on_notice(note)
    forecaster = StreamForecaster(net, frames, max_side, blend=blend, cuts=cuts, filler=opened.filler)
    return Stream(forecaster, opened.frames, opened.fps)


def _error(expected: Frame, observed: Frame, *gaps: Bool[Tensor, "c h w"] | None) -> float | None:
    """Mean squared error of the pixels that are in no gap; None where there are none."""
    errors = (expected - observed).square()[0]
    known = [~gap for gap in gaps if gap is not None]
    if not known:
        return float(errors.mean())
    measured = torch.stack(known).all(dim=0)
    return float(errors[measured].mean()) if measured.any() else None
