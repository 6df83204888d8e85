"""Blend several forecasters: the weight of each, by lead time and by how a region moves, is measured on the past."""

from collections.abc import Callable, Iterator, Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn
from typing_extensions import override

from framepred.baselines import LastFrame, OpticalFlow
from framepred.clips import Frame, RawClip, RawFrame, State, to_unit
from framepred.forecaster import Forecaster, check_shape
from framepred.inference.regions import REGIONS, find_regions, spread
from framepred.inference.stacking import SMALLEST

FIT_HORIZON = 10
"""Lead times at which weights are measured, at most; the last weights hold for all that follow."""

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

    def advance(self, state: State, *, flows: bool = True) -> State:
        """Advance by one frame without the prediction of the blend, so that its weights need not be known.

        Args:
            state: the state before.
            flows: whether the optical flows advance too; else they stay, where others take their place.
        """
        states = [
            member.feedback(check_shape(member.next_frame(own), own[0]), own)
            if flows or not isinstance(member, OpticalFlow)
            else own
            for member, own in self.pair_states(member_states(state))
        ]
        return _join(state[0], int(state[1]) + 1, state[2], states)

    @override
    def next_frame(self, state: State) -> Frame:
        """The weighted mean of the members' next frames, ``(b, c, h, w)``, each clamped to [0, 1] before."""
        return self.mean_of(state, clamped_prediction)

    def mean_of(self, state: State, picture: Callable[[Forecaster, State], Frame]) -> Frame:
        """The weighted mean of one picture of each member, ``(b, c, h, w)``.

        Args:
            state: the state, from which the weights follow.
            picture: called with each member that has a weight, and its state.
        """
        used = self.weights[self._lead(state)].amax(dim=0) > 0
        used[-1] = True
        pairs = zip(self.pair_states(member_states(state)), used.tolist(), strict=True)
        frames = [picture(member, own) for (member, own), use in pairs if use]
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


def clamped_prediction(member: Forecaster, state: State) -> Frame:
    """The next frame of a member, in [0, 1]."""
    return check_shape(member.next_frame(state), state[0]).clamp(0, 1)


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
