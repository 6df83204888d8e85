"""Associative memory (Hopfield 1982): returns the stored pattern that is most similar to the input."""

import torch
from jaxtyping import Float, Real
from torch import Tensor

from framepred.clips import Clip, Frame, Future
from framepred.errors import ConfigError
from framepred.restorer import Missing, Restorer, Sides, sides

CAPACITY = 0.138
"""Random patterns per unit above which recall fails (Amit, Gutfreund & Sompolinsky 1985)."""

Pattern = Real[Tensor, "p n"]
Probe = Real[Tensor, "b n"]


class HopfieldMemory:
    """Stores patterns of ±1 in symmetric weights and restores corrupted ones (J. J. Hopfield, PNAS 79, 1982).

    The weights follow Hebb's rule, ``w_ij = Σ ξ_i ξ_j / n``, without self-connections. Units are updated one at a time
    in random order; each takes the sign of its input. The energy never increases, so recall ends. The capacity is
    about ``CAPACITY · n`` random patterns, and lower for similar ones. The overlap of the state with each of the p
    patterns replaces the n² weights.

    Args:
        patterns: ``(p, n)``, values −1 and 1.

    Raises:
        ConfigError: if there is no pattern, or a value is neither −1 nor 1; the same of probes and states.
    """

    def __init__(self, patterns: Pattern) -> None:
        self.patterns = _checked("A Hopfield memory stores at least one pattern (p, n)", patterns)

    def recall(self, probe: Probe, sweeps: int = 20, seed: int = 0) -> Probe:
        """Return the pattern to which each probe converges, ``(b, n)`` of ±1.

        Args:
            probe: ``(b, n)``, values −1 and 1.
            sweeps: maximum number of updates of each unit; recall ends earlier when no unit changes.
            seed: seed of the update order.
        """
        state = _checked("A Hopfield memory recalls from probes (b, n)", probe).clone()
        order = torch.Generator().manual_seed(seed)
        overlap = state @ self.patterns.T  # (b, p), n times the correlation of state and pattern
        for _ in range(sweeps):
            before = state.clone()
            for unit in torch.randperm(state.shape[1], generator=order).tolist():
                self._update(state, overlap, unit)
            if torch.equal(state, before):
                break
        return state.to(probe.dtype)

    def energy(self, state: Probe) -> Float[Tensor, " b"]:
        """Return the energy ``−½ Σ w_ij s_i s_j`` of each state."""
        count, units = self.patterns.shape
        overlap = _checked("A Hopfield memory has an energy of states (b, n)", state) @ self.patterns.T
        return (count - overlap.square().sum(dim=1) / units) / 2

    def _update(self, state: Tensor, overlap: Tensor, unit: int) -> None:
        """Set one unit to the sign of its input, in place; with input 0 it is kept."""
        weights, before = self.patterns[:, unit], state[:, unit].clone()
        signal = overlap @ weights - len(weights) * before  # without self-connection
        state[:, unit] = torch.where(signal == 0, before, signal.sign())
        overlap += (state[:, unit] - before)[:, None] * weights


def _checked(wanted: str, rows: Real[Tensor, "..."]) -> Float[Tensor, "p n"]:
    """Rows of −1 and 1 in float32 or float64, where sums over many units are exact; refuse others."""
    if rows.ndim != 2 or rows.numel() == 0 or not bool((rows.abs() == 1).all()):
        low, high = (edge.item() for edge in rows.aminmax()) if rows.numel() else (0, 0)
        raise ConfigError(f"{wanted} of values −1 and 1, not {tuple(rows.shape)} in [{low:g}, {high:g}].")
    return rows if rows.dtype == torch.float64 else rows.float()


class HopfieldRecall(Restorer):
    """Restores frames from a :class:`HopfieldMemory` of the two observed frames beside the gap, in black and white.

    The input of the memory is their linear interpolation, thresholded at one half. The result is one of the two
    frames, or a mixture of both; motion is not modelled.
    """

    def fill(self, clip: Clip, missing: Missing) -> Future:
        """Return the missing frames alone, with values 0 and 1, ``(b, m, c, h, w)``."""
        indices = missing.nonzero().flatten().tolist()
        frames = [_recall(clip, index, near) for index, near in zip(indices, sides(missing), strict=True)]
        return torch.stack(frames, dim=1)


def _recall(clip: Clip, index: int, near: Sides) -> Frame:
    """Recall one missing frame, with one memory per clip of the batch."""
    stored = _signs(clip[:, list(near)])  # (b, 2, n)
    weight = 0.5 if near.before == near.after else (index - near.before) / (near.after - near.before)
    probes = _signs(clip[:, near.before].lerp(clip[:, near.after], weight)[:, None])
    recalled = [HopfieldMemory(pair).recall(probe) for pair, probe in zip(stored, probes, strict=True)]
    return (torch.stack(recalled).view_as(clip[:, 0]) + 1) / 2


def _signs(frames: Clip) -> Float[Tensor, "b t n"]:
    """Threshold at one half: black is −1, white is 1."""
    return torch.where(frames.flatten(2) >= 0.5, 1.0, -1.0)
