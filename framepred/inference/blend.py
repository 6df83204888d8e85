"""Several forecasters' predictions as one: what each is worth at each lead time is learned from a clip's past."""

from collections.abc import Sequence
from itertools import product

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from typing_extensions import override

from framepred.clips import Clip, Frame, RawFrame, State, to_unit
from framepred.forecaster import Forecaster

FINENESS = 20
"""Weights are multiples of one over this."""


class Blend(Forecaster):
    """A weighted mean of what several forecasters predict (stacking; Wolpert 1992, Neural Networks 5:241-259).

    Beyond what was observed each forecaster goes on from its own predictions, so that what is good at a far lead time
    is not spoiled by what is not.

    State: last frame ``(b, c, h, w)``; lead time of the next frame, from 0, and the number of tensors in each
    forecaster's state, ``(1 + m,)``; then these states.

    Args:
        members: m forecasters.
        shares: weight of each at each lead time, ``(k, m)``, rows that sum to 1; the last holds for all that follow.
    """

    shares: Tensor

    def __init__(self, members: Sequence[Forecaster], shares: Float[Tensor, "k m"]) -> None:
        super().__init__()
        self.members = nn.ModuleList(members)
        self.register_buffer("shares", shares)

    @override
    def observe(self, frame: RawFrame, state: State | None = None) -> State:
        """Take in one frame ``(b, c, h, w)``, integers or floats in [0, 1]."""
        frame = to_unit(frame)
        before = [None] * len(self.members) if state is None else _parted(state)
        states = [member.observe(frame, own) for member, own in zip(self.members, before, strict=True)]  # type: ignore[operator]
        return _joined(frame, 0, states)

    @override
    def feedback(self, frame: Frame, state: State) -> State:
        """Go one frame further; each forecaster takes in its own prediction."""
        states = [
            member.feedback(member.next_frame(own), own)  # type: ignore[operator]
            for member, own in zip(self.members, _parted(state), strict=True)
        ]
        return _joined(frame.clamp(0, 1), int(state[1][0]) + 1, states)

    @override
    def next_frame(self, state: State) -> Frame:
        """The weighted mean of the next frames, ``(b, c, h, w)``, each within [0, 1]."""
        share = self.shares[min(int(state[1][0]), len(self.shares) - 1)]
        frames = [
            member.next_frame(own).clamp(0, 1)  # type: ignore[operator]
            for member, own in zip(self.members, _parted(state), strict=True)
        ]
        return torch.einsum("m,mbchw->bchw", share.to(frames[0]), torch.stack(frames))


def best_shares(predictions: Sequence[Clip], target: Clip) -> Float[Tensor, "k m"]:
    """The weights with the least error at each lead time, each clip's counted relative to its easiest prediction's.

    Relative, because a nearly still clip would else not count beside one that moves; in decibels they are alike.

    Args:
        predictions: of each forecaster, ``(b, k, c, h, w)``.
        target: what came, of the same shape.
    """
    errors = torch.stack([(prediction - target).flatten(2) for prediction in predictions])  # (m, b, k, n)
    products = torch.einsum("ibkn,jbkn->bkij", errors, errors) / errors.shape[-1]
    easiest = products.diagonal(dim1=-2, dim2=-1).amin(dim=-1)[..., None, None]
    cost = (products / (easiest + 1e-6)).mean(dim=0)  # (k, m, m)
    candidates = _simplex(len(predictions)).to(cost)
    return candidates[torch.einsum("si,kij,sj->ks", candidates, cost, candidates).argmin(dim=1)]


def _simplex(members: int) -> Float[Tensor, "s m"]:
    """Every way to share out one whole in steps of 1 / ``FINENESS``."""
    counts = [parts for parts in product(range(FINENESS + 1), repeat=members) if sum(parts) == FINENESS]
    return torch.tensor(counts) / FINENESS


def _joined(frame: Frame, lead: int, states: Sequence[State]) -> State:
    sizes: Int[Tensor, " _"] = torch.tensor([lead, *map(len, states)])
    return (frame, sizes, *(tensor for state in states for tensor in state))


def _parted(state: State) -> list[State]:
    _, *sizes = state[1].tolist()
    tensors = iter(state[2:])
    return [tuple(next(tensors) for _ in range(size)) for size in sizes]
