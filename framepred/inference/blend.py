"""Blend several forecasters: the weight of each, by lead time and by how a region moves, is measured on the past."""

from collections.abc import Iterable, Iterator, Sequence

import numpy as np
import torch
from jaxtyping import Bool, Float, Shaped
from torch import Tensor, nn
from typing_extensions import override

from framepred.baselines import LastFrame, OpticalFlow
from framepred.clips import ClipBatch, Frame, RawClip, RawFrame, State, fill_missing, missing_pixels, to_unit
from framepred.forecaster import Forecaster
from framepred.inference.default_blend import default_weights
from framepred.inference.devices import device_of
from framepred.inference.networks import channels_of
from framepred.inference.regions import REGIONS, find_regions, spread
from framepred.inference.scenes import find_scenes
from framepred.inference.sources import shrink_raw
from framepred.inference.stacking import SMALLEST, ErrorProducts

WINDOWS = 4
"""Validation windows, at most: four take about as long as predicting four small clips."""

FIT_SIDE = 176
"""Longer side, in pixels, at which weights are measured, so that it takes about a second."""

FIT_HORIZON = 10
"""Lead times that are measured, at most; the last weights hold for all that follow."""

SPAN = 60
"""Frames from the end of the past in which validation windows lie, so that they resemble what is to be predicted."""

MIN_FRAMES = 4
"""Frames of the last scene from which weights are measured; fewer show no motion that goes on."""

LONG_SPAN = 3
"""Frames that the second optical flow is measured over: it averages the motion of a shaking camera or of uneven frame
times, which the first follows."""


class Blend(Forecaster):
    """A weighted mean of the predictions of several forecasters, with weights by lead time and region.

    A region is what moves alike at the last observed frame; see :func:`~framepred.inference.regions.find_regions`.
    Beyond the context each forecaster goes on from its own predictions. Where only the last member has a weight, its
    prediction is kept exactly.

    State: the last frame ``(b, c, h, w)``; the lead time of the next frame minus one, a scalar int64; the share of each
    pixel in each region, ``(b, q, h_small, w_small)``; the number of tensors in the state of each member, ``(m,)``
    int64; then the states of the members, one after the other.

    Args:
        members: m forecasters, the simplest last.
        weights: weight of each at each lead time in each region, ``(k, q, m)``, or ``(k, m)`` for the whole frame; each
            m weights add up to 1; the last lead time holds for all that follow. q is 1 or ``REGIONS``.
    """

    weights: Tensor

    def __init__(self, members: Sequence[Forecaster], weights: Float[Tensor, "k *q m"]) -> None:
        super().__init__()
        self.members = nn.ModuleList(members)
        self.register_buffer("weights", weights[:, None] if weights.ndim == 2 else weights)

    @override
    def observe(self, frame: RawFrame, state: State | None = None) -> State:
        """Update the state of every member with one frame ``(b, c, h, w)``, integers or floats in [0, 1]."""
        frame = to_unit(frame)
        states = [None] * len(self.members) if state is None else member_states(state)
        shares = self._find_regions(frame, state)
        return _join(frame, 0, shares, [member.observe(frame, own) for member, own in self.pair_states(states)])

    @override
    def observe_clip(self, clip: RawClip) -> State:
        """The state after observing a whole clip ``(b, t, c, h, w)``, as frame by frame, but in less time.

        Optical flow and last frame observe only the frames that their state depends on.
        """
        if clip.shape[1] == 1:
            return self.observe(clip[:, 0])
        before = clip[:, :-1]
        states = [member.observe_clip(before[:, -_memory(member) :]) for member in self._forecasters]
        return self.observe(clip[:, -1], _join(to_unit(before[:, -1]), 0, self.weights.new_empty(0), states))

    @override
    def feedback(self, frame: Frame, state: State) -> State:
        """Advance by one frame: each member takes in its own prediction, and ``frame`` becomes the last frame."""
        return (frame.clamp(0, 1), *self.advance(state)[1:])

    def advance(self, state: State) -> State:
        """Advance by one frame without the prediction of the blend, so that its weights need not be known."""
        states = [
            member.feedback(member.next_frame(own), own) for member, own in self.pair_states(member_states(state))
        ]
        return _join(state[0], int(state[1]) + 1, state[2], states)

    @override
    def next_frame(self, state: State) -> Frame:
        """The weighted mean of the members' next frames, ``(b, c, h, w)``, each clamped to [0, 1] before."""
        used = self.weights[self._lead(state)].amax(dim=0) > 0
        used[-1] = True
        pairs = zip(self.pair_states(member_states(state)), used.tolist(), strict=True)
        frames = [member.next_frame(own).clamp(0, 1) for (member, own), use in pairs if use]
        return mix(torch.stack(frames), self._pixel_weights(state, used))

    @property
    def flows(self) -> list[OpticalFlow]:
        """The members that move frames along the optical flow."""
        return [member for member in self.members if isinstance(member, OpticalFlow)]

    def path_shares(self, state: State) -> Float[Tensor, "f b 1 h w"]:
        """Share of the displacement of each of the :attr:`flows` in the motion from the last frame to the next.

        The shares follow the weights of these members. They shrink to zero where the last member, which is assumed to
        stand still, predicts best.
        """
        flows = torch.tensor([isinstance(member, OpticalFlow) for member in self.members])
        others = torch.arange(len(self.members)) < len(self.members) - 1
        moving = (2 * self._pixel_weights(state, others).sum(dim=0)).clamp(max=1)
        weights = self._pixel_weights(state, flows) + SMALLEST
        return moving * weights / weights.sum(dim=0)

    def correction(self, state: State, moved: Frame) -> Frame:
        """What is added to a moved last frame ``(b, c, h, w)``: the difference of other members' predictions from it.

        Each difference is multiplied by the member's weight. Optical flows and last frame add nothing, because their
        predictions are moved frames too, of less detail.
        """
        moves = torch.tensor([isinstance(member, (OpticalFlow, LastFrame)) for member in self.members])
        used = ~moves & (self.weights[self._lead(state)].amax(dim=0) > 0).cpu()
        weights = iter(self._pixel_weights(state, used))
        correction, size = torch.zeros_like(moved), (moved.shape[-2], moved.shape[-1])
        for (member, own), use in zip(self.pair_states(member_states(state)), used.tolist(), strict=True):
            if use:
                predicted = member.next_frame(own).clamp(0, 1)
                correction = correction + spread(next(weights), size).to(moved) * (predicted - moved)
        return correction

    def _lead(self, state: State) -> int:
        return min(int(state[1]), len(self.weights) - 1)

    def _pixel_weights(self, state: State, used: Tensor) -> Float[Tensor, "u b 1 h w"]:
        """Weights of some members at each pixel, at the size of the regions."""
        weights = self.weights[self._lead(state)][:, used]
        return torch.einsum("qu,bqhw->ubhw", weights, state[2].to(weights))[:, :, None]

    def _find_regions(self, frame: Frame, state: State | None) -> Float[Tensor, "b q _h _w"]:
        """The regions of a frame, of which the optical flow among the members says how it moves."""
        regions = self.weights.shape[1]
        if state is None or regions == 1:
            return frame.new_ones(len(frame), regions, 1, 1) / regions
        flows = [pair for pair in self.pair_states(member_states(state)) if isinstance(pair[0], OpticalFlow)]
        moved = flows[0][0].next_frame(flows[0][1]) if flows else state[0]
        return find_regions(frame, state[0], moved)

    @property
    def _forecasters(self) -> list[Forecaster]:
        return [member for member in self.members if isinstance(member, Forecaster)]

    def pair_states(self, states: Sequence[State | None]) -> Iterator[tuple[Forecaster, State]]:
        """Each member with its state."""
        return zip(self.members, states, strict=True)  # type: ignore[arg-type]


def mix(frames: Float[Tensor, "m b c h w"], weights: Float[Tensor, "m b 1 _h _w"]) -> Frame:
    """The weighted mean of frames, exactly the last one where the others have no weight.

    Args:
        frames: predictions of m forecasters.
        weights: weight of each at each pixel, adding up to 1, at any size.
    """
    last = frames[-1]
    size = (frames.shape[-2], frames.shape[-1])
    for frame, weight in zip(frames[:-1], weights[:-1], strict=True):
        last = last + spread(weight, size).to(frame) * (frame - frames[-1])
    return last


def fit_blend(
    members: Sequence[Forecaster],
    past: Shaped[Tensor, "n t c h w"] | Sequence[Shaped[Tensor, "_t c h w"]],
    context: int = 10,
    horizon: int = 10,
    *,
    cuts: bool = True,
    filler: float | None = None,
) -> Blend:
    """Blend forecasters with the weights that :func:`fit_weights` measures; members that get no weight are left out."""
    return _without_idle(members, fit_weights(members, past, context, horizon, cuts=cuts, filler=filler)).eval()


def fit_weights(
    members: Sequence[Forecaster],
    past: Shaped[Tensor, "n t c h w"] | Sequence[Shaped[Tensor, "_t c h w"]],
    context: int = 10,
    horizon: int = 10,
    *,
    cuts: bool = True,
    filler: float | None = None,
) -> Float[Tensor, "k q m"]:
    """The weights of a blend that would have served best in the past of the clips themselves, by lead time and region.

    Each member predicts a few windows at the end of the last scene of the past. Nothing is learned but the weights.
    A past that is too short for a whole window gets shorter windows; one of fewer than ``MIN_FRAMES`` frames gets the
    weights that served best on films in general. Where several members are equally good, the last one is preferred, so
    the simplest should come last: what stands still is then predicted by :class:`~framepred.baselines.LastFrame`
    alone, if that is the last member.

    Args:
        members: the forecasters.
        past: frames of one or several clips, which may differ in length: uint8, uint16, or floats in [0, 1]. Leave out
            frames that repeat the one before.
        context: frames that a window shows.
        horizon: frames that are to be predicted.
        cuts: whether to look for scene cuts.
        filler: what stands for missing pixels, which are NaN, where a forecaster reads them; None where there are none.
            The weights come from the pixels that are measured both in the last frame of a context and in the target.
    """
    chosen = [past[index] for index in _spread_indices(len(past) - 1, 0, min(len(past), WINDOWS))]
    if all(channels_of(member) is None for member in members):
        chosen = [_gray(clip[-SPAN:]) for clip in chosen]
    return _window_weights(members, _windows(chosen, context, min(horizon, FIT_HORIZON), cuts, filler))


def _window_weights(members: Sequence[Forecaster], windows: Iterable[ClipBatch]) -> Float[Tensor, "k q m"]:
    nothing = ErrorProducts(FIT_HORIZON, len(members), REGIONS)
    products = sum((measure_errors(members, batch) for batch in windows), nothing)
    return products.best_weights() if products.measured else default_weights(len(members))


@torch.inference_mode()
def measure_errors(members: Sequence[Forecaster], windows: ClipBatch) -> ErrorProducts:
    """What the members get wrong in windows, by lead time and region; weights follow from sums of it.

    Args:
        members: the forecasters.
        windows: the windows; missing pixels have no part.
    """
    products = ErrorProducts(FIT_HORIZON, len(members), REGIONS)
    device = next((device_of(member) for member in members if any(True for _ in member.parameters())), None)
    context, target = (to_unit(frames.to(device)) for frames in windows.filled()[:2])
    add_errors(products, evenly(members), context, target[:, :FIT_HORIZON], _gaps(windows))
    return products


def default_members(net: Forecaster) -> list[Forecaster]:
    """What a network is blended with, the simplest last: the network, two optical flows, the last frame."""
    return [net, OpticalFlow(carried=True), OpticalFlow(LONG_SPAN, carried=True), LastFrame()]


def evenly(members: Sequence[Forecaster]) -> Blend:
    """A blend that tells regions apart, with equal weights."""
    return Blend(members, torch.full((1, REGIONS, len(members)), 1 / len(members))).eval()


def member_states(state: State) -> list[State]:
    """The states of the members in the state of a :class:`Blend`."""
    tensors = iter(state[4:])
    return [tuple(next(tensors) for _ in range(size)) for size in state[3].tolist()]


def _memory(member: Forecaster) -> int:
    """Number of last frames that the state of a forecaster depends on; 0 stands for all."""
    if isinstance(member, OpticalFlow):
        return member.span + 1
    return 1 if isinstance(member, LastFrame) else 0


def _join(frame: Frame, lead: int, shares: Tensor, states: Sequence[State]) -> State:
    sizes = torch.tensor([len(state) for state in states])
    return (frame, torch.tensor(lead), shares, sizes, *(tensor for state in states for tensor in state))


def _gaps(windows: ClipBatch) -> Bool[Tensor, "b k h w"] | None:
    """Which pixels of the target are missing there or in the last frame before it; None where none is."""
    missing = missing_pixels(windows.clips[:, windows.context.shape[1] - 1 :])
    return None if missing is None else missing[:, 1:].any(dim=2) | missing[:, :1].any(dim=2)


def add_errors(
    products: ErrorProducts,
    blend: Blend,
    context: Float[Tensor, "b t c h w"],
    target: Float[Tensor, "b k c h w"],
    gaps: Bool[Tensor, "b k h w"] | None = None,
) -> None:
    """Let every member predict windows, and add what it got wrong; pixels in ``gaps`` do not count."""
    state = blend.observe_clip(context)
    horizon, size = target.shape[1], (target.shape[-2], target.shape[-1])
    futures = [member.eval().forecast(own, horizon) for member, own in blend.pair_states(member_states(state))]
    for window, shares in enumerate(spread(state[2], size)):
        for lead in range(horizon):
            predictions = torch.stack([future[window, lead] for future in futures])
            measured = shares if gaps is None else shares.masked_fill(gaps[window, lead].to(shares.device), 0)
            products.add(lead, predictions, target[window, lead], measured)


def _windows(
    clips: Sequence[Shaped[Tensor, "_t c h w"]], context: int, horizon: int, cuts: bool, filler: float | None
) -> Iterator[ClipBatch]:
    """Windows of the last scene of each clip, those of one clip as a batch, small, the last one among them."""
    for clip in clips:
        recent = torch.stack([shrink_raw(frame, FIT_SIDE) for frame in clip[-SPAN:]])
        scene = find_scenes(fill_missing(recent, filler))[-1] if cuts else range(len(recent))
        if len(scene) < MIN_FRAMES:
            continue
        ahead = min(horizon, max(1, len(scene) * horizon // (context + horizon)))
        length = min(context + ahead, len(scene))
        wanted = min(max(1, WINDOWS // len(clips)), len(scene) - length + 1)
        starts = _spread_indices(scene.stop - length, scene.start, wanted)
        clips_of_scene = torch.stack([recent[start : start + length] for start in starts])
        yield ClipBatch.cut(clips_of_scene, length - ahead, filler)


def _spread_indices(first: int, last: int, count: int) -> list[int]:
    """Integers evenly spread from one to the other, in ascending order."""
    found: list[int] = np.unique(np.linspace(first, last, count).round().astype(int)).tolist()
    return found


def _gray(clip: Shaped[Tensor, "t _c h w"]) -> Float[Tensor, "t 1 h w"]:
    """The mean of the channels: the weights hardly depend on colour, and one channel costs a third of three."""
    return torch.stack([to_unit(frame).mean(dim=0, keepdim=True) for frame in clip])


def _without_idle(members: Sequence[Forecaster], weights: Float[Tensor, "k q m"]) -> Blend:
    """The blend without members that get no weight; optical flow stays where it tells the regions apart."""
    used = weights.amax(dim=(0, 1)) > 0
    if used[:-1].any():
        used |= torch.tensor([isinstance(member, OpticalFlow) for member in members])
        used[-1] = True
    else:
        weights = weights[:, :1]
    return Blend([member for member, use in zip(members, used.tolist(), strict=True) if use], weights[..., used])
