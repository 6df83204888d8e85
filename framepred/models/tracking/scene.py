"""State of the tracking forecaster, and which of its layers are shown."""

from typing import NamedTuple

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn import functional

from framepred.clips import State, at_least_float32

OWN_SHARE = 0.65
"""Minimum projection of a written on its revealed layer, relative to the latter's energy, to own the object."""

OBJECT_SHARE = 0.5
"""Minimum energy of a layer's own pixels, as a share of the layer's energy, to contain its object."""

LEAST_SHARE = 0.3
"""A layer is hidden if its projection, as in ``OWN_SHARE``, is at most this share."""

SAME_SHARE = 0.5
"""Minimum inner product of two revealed layers, as a share of one's energy, to show the same object."""

SIGNS = (1, -1, 1, -1)
"""Signs of the change of each distance of ``measure_bounds`` when a layer moves right or down."""


class Scene(NamedTuple):
    """State of a clip: n internal clips, k layers, c channels, padded height and width."""

    frame: Tensor
    """The last frame before padding, ``(b, c, h, w)``."""
    frames: Float[Tensor, "n t c h w"]
    """The last t frames; zeros before the first frame of the clip."""
    observed: Bool[Tensor, "n t"]
    """True for frames that were observed, False for predicted or absent frames."""
    positions: Float[Tensor, "n k t 2"]
    """Positions of the layers in these frames relative to the last frame, right and down, whole pixels."""
    placed: Bool[Tensor, "n t"]
    """True for frames with a known position, observed or predicted."""
    trusted: Bool[Tensor, "n k t"]
    """True for known positions at which the layer fits the frame; predicted positions always count as a fit."""
    distances: Float[Tensor, "n k 2 4"]
    """Distances of the layers to the frame edges in the last frame, pixels: see ``measure_bounds``."""
    displacement: Float[Tensor, "n k 2"]
    """Most probable displacement from the last observed frame to the last one, whole pixels; 0 if it was observed."""
    probabilities: Float[Tensor, "n k 2 l d"]
    """Probability of each displacement from the last observed frame to each of the next l frames."""
    written: Float[Tensor, "n k c h w"]
    """The layers at the last observed frame, as the write gate computed them."""
    revealed: Float[Tensor, "n k c h w"]
    """The layers at the last observed frame, as the second smallest value over the aligned frames."""
    coarse_hidden: Float[Tensor, "n coarse h_coarse w_coarse"]
    coarse_cell_state: Float[Tensor, "n coarse h_coarse w_coarse"]
    fine_hidden: Float[Tensor, "n fine h_fine w_fine"]
    fine_cell_state: Float[Tensor, "n fine h_fine w_fine"]

    @property
    def memory(self) -> State:
        """Hidden and cell state of the coarse cell, then of the fine cell."""
        return self.coarse_hidden, self.coarse_cell_state, self.fine_hidden, self.fine_cell_state


@torch.no_grad()
def shown_mask(scene: Scene) -> Bool[Tensor, "n k 1 1 1"]:
    """Mask of the revealed layers that are used for prediction.

    The owned share of a layer is the projection of its written on its revealed version, relative to the energy of
    the latter. A layer is used if its owned share exceeds ``OWN_SHARE``. A layer with a smaller share follows the
    same object as another layer; it is used if the share exceeds ``LEAST_SHARE`` and no layer with a similar
    revealed version owns more.
    """
    written, revealed = (at_least_float32(part.flatten(2)) for part in (scene.written, scene.revealed))
    own = (written * revealed).sum(dim=-1)
    common = revealed @ revealed.mT
    energy = common.diagonal(dim1=-2, dim2=-1)
    rival = (common > SAME_SHARE * energy[..., None]) & (own[:, None] > own[..., None])
    best_of_rivals = ~rival.any(dim=-1) & (own > LEAST_SHARE * energy)
    return ((own > OWN_SHARE * energy) | best_of_rivals)[..., None, None, None]


def holds_most_energy(own: Bool[Tensor, "n k c h w"], layers: Float[Tensor, "n k c h w"]) -> Bool[Tensor, "n k 1 1 1"]:
    """Whether the own pixels of a layer contain most of its energy; False if two layers follow the same object."""
    energy = layers.square()
    within = (energy * own).sum(dim=(-3, -2, -1), keepdim=True)
    return within > OBJECT_SHARE * energy.sum(dim=(-3, -2, -1), keepdim=True)


def with_last(mask: Bool[Tensor, "*n t"], value: bool) -> Bool[Tensor, "*n t"]:
    """Drop the first entry of the mask and append ``value``."""
    return functional.pad(mask[..., 1:], (0, 1), value=value)


def appended(positions: Float[Tensor, "n k t 2"], step: Float[Tensor, "n k 2"]) -> Float[Tensor, "n k t 2"]:
    """Append a position that is ``step`` after the last one; the result is relative to the new position."""
    return functional.pad(positions[:, :, 1:] - step[:, :, None], (0, 0, 0, 1))


def absent_frames(placed: Bool[Tensor, "n t"]) -> int:
    """Number of frames before the first one of any clip; 0 where a value must not decide a shape.

    A graph has one shape for every number of frames, and a value on an accelerator would stop its queue of operations.
    """
    if torch.compiler.is_compiling() or placed.device.type != "cpu":
        return 0
    return placed.shape[1] - int(placed.any(dim=0).sum())
