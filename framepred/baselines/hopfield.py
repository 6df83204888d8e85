"""Associative memory (Hopfield 1982): it gives back the stored pattern that is most like what it is shown."""

import torch
from jaxtyping import Float
from torch import Tensor

from framepred.clips import Clip, Frame, Future
from framepred.errors import ConfigError
from framepred.restorer import Missing, Restorer, Sides, sides

CAPACITY = 0.138
"""Random patterns a unit beyond which recall breaks down (Amit, Gutfreund & Sompolinsky 1985)."""

Pattern = Float[Tensor, "p n"]
Probe = Float[Tensor, "b n"]


class HopfieldMemory:
    """Stores patterns of ±1 in symmetric weights, and rebuilds a corrupted one (J. J. Hopfield, PNAS 79, 1982).

    The weights are Hebb's, ``w_ij = Σ ξ_i ξ_j / n`` without self-connections. Units are updated one at a time, each
    taking the sign of its input, in an order drawn anew for each sweep: the energy never rises, so a recall ends. About
    ``CAPACITY · n`` random patterns are held, far fewer where patterns are alike. The weights are never written out:
    what each pattern has in common with the state says the same in p numbers instead of n².

    Args:
        patterns: ``(p, n)``, values −1 and 1.

    Raises:
        ConfigError: if there is no pattern, or a value is neither −1 nor 1.
    """

    def __init__(self, patterns: Pattern) -> None:
        if patterns.numel() == 0 or not bool((patterns.abs() == 1).all()):
            raise ConfigError(
                f"A Hopfield memory stores at least one pattern (p, n) of values −1 and 1, not {tuple(patterns.shape)} "
                f"in [{patterns.min() if patterns.numel() else 0:g}, {patterns.max() if patterns.numel() else 0:g}]."
            )
        self.patterns = patterns

    def recall(self, probe: Probe, sweeps: int = 20, seed: int = 0) -> Probe:
        """What the memory settles on from each probe, ``(b, n)`` of ±1.

        Args:
            probe: ``(b, n)``, values −1 and 1.
            sweeps: most updates of each unit; recall ends earlier when nothing changes.
            seed: of the order of updates.
        """
        state, order = probe.clone(), torch.Generator().manual_seed(seed)
        overlap = state @ self.patterns.T  # (b, p), n times what state and pattern have in common
        for _ in range(sweeps):
            before = state.clone()
            for unit in torch.randperm(state.shape[1], generator=order).tolist():
                self._update(state, overlap, unit)
            if torch.equal(state, before):
                break
        return state

    def energy(self, state: Probe) -> Float[Tensor, " b"]:
        """``−½ Σ w_ij s_i s_j`` of each state."""
        count, units = self.patterns.shape
        overlap = state @ self.patterns.T
        return (count - overlap.square().sum(dim=1) / units) / 2

    def _update(self, state: Tensor, overlap: Tensor, unit: int) -> None:
        """Let one unit take the sign of its input, in place; without input it stays."""
        weights, before = self.patterns[:, unit], state[:, unit].clone()
        signal = overlap @ weights - len(weights) * before  # without the unit itself
        state[:, unit] = torch.where(signal == 0, before, signal.sign())
        overlap += (state[:, unit] - before)[:, None] * weights


class HopfieldRecall(Restorer):
    """Restores frames from a :class:`HopfieldMemory` of those seen beside the gap, in black and white.

    What is shown to the memory is the linear interpolation, made black or white at one half. It can only give back
    what it stored, so it says which seen frame a missing one is most like; it knows no motion.
    """

    def fill(self, clip: Clip, missing: Missing) -> Future:
        """A stored frame for each missing one, of 0 and 1, ``(b, m, c, h, w)``."""
        times = missing.nonzero().flatten().tolist()
        drawn = [_recalled(clip, time, near) for time, near in zip(times, sides(missing), strict=True)]
        return torch.stack(drawn, dim=1)


def _recalled(clip: Clip, time: int, near: Sides) -> Frame:
    """The missing frame, each clip of the batch by a memory of its own."""
    stored = _signs(clip[:, list(near)])  # (b, 2, n)
    weight = 0.5 if near.before == near.after else (time - near.before) / (near.after - near.before)
    probes = _signs(clip[:, near.before].lerp(clip[:, near.after], weight)[:, None])
    recalled = [HopfieldMemory(pair).recall(probe) for pair, probe in zip(stored, probes, strict=True)]
    return (torch.stack(recalled).view_as(clip[:, 0]) + 1) / 2


def _signs(frames: Clip) -> Float[Tensor, "b t n"]:
    """Black as −1, white as 1."""
    return torch.where(frames.flatten(2) >= 0.5, 1.0, -1.0)
