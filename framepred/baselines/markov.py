"""A Markov chain over quantised patches, estimated by counting transitions."""

import warnings

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional
from typing_extensions import override

from framepred.clips import Frame, RawClip, RawFrame, State, at_least_float32, check_range, to_unit
from framepred.errors import ClipError, ConfigError
from framepred.forecaster import Forecaster
from framepred.warping import pad_to_multiple

MAX_PATCHES = 100_000
"""Maximum number of patches for learning the codebook, and of patches encoded at once."""


class MarkovForecaster(Forecaster):
    """Quantises patches with a codebook and predicts each patch's next code by transition counts.

    A first-order chain has no memory beyond its state. Velocity would have to be part of the state, and the number of
    states would grow with the product of positions, directions and shapes. Patches keep the number of states small,
    but motion between patches is not modelled.

    The prediction is the expected frame: each step multiplies the distribution over codes by the transition matrix.
    Call ``fit`` before use.

    State: last frame ``(b, c, h, w)``, distribution over codes of its patches ``(b, h/patch, w/patch, codes)``.

    Args:
        codes: number of patches in the codebook.
        patch: side of a patch in pixels.
        smoothing: initial count of every transition (Laplace smoothing).
        seed: seed of the clustering (mini-batch k-means, Sculley 2010), 0 or more.

    Raises:
        ConfigError: if ``codes`` is less than 2, ``patch`` less than 1, or ``smoothing`` or ``seed`` less than 0.
    """

    codebook: Tensor
    transitions: Tensor

    def __init__(self, codes: int = 256, patch: int = 8, smoothing: float = 0.0, seed: int = 0) -> None:
        super().__init__()
        if codes < 2 or patch < 1 or min(smoothing, seed) < 0:
            raise ConfigError(
                "A Markov chain needs 2 codes, patches of 1 pixel, and a smoothing and a seed of 0 at least, "
                f"not codes {codes}, patch {patch}, smoothing {smoothing}, seed {seed}."
            )
        self.codes = codes
        self.patch = patch
        self.smoothing = smoothing
        self.seed = seed
        self.register_buffer("codebook", torch.zeros(0, 0))
        self.register_buffer("transitions", torch.zeros(0, 0))

    def fit(self, clips: RawClip) -> "MarkovForecaster":
        """Learn codebook and transition counts from clips ``(b, t, c, h, w)``, integers or floats in [0, 1].

        A code without observed transitions is followed by itself.

        Raises:
            ClipError: if clips have fewer than 2 frames, or fewer patches than there are codes, or their floats are not
                in [0, 1].
        """
        if clips.ndim != 5 or clips.shape[1] < 2:
            raise ClipError(
                f"A Markov chain learns from clips (b, t, c, h, w) of 2 frames or more, not {tuple(clips.shape)}."
            )
        check_range(clips)
        patches = self._patches(at_least_float32(to_unit(clips)).flatten(0, 1))
        self.codebook = self._cluster(patches.flatten(0, 2))
        codes = self._encode(patches).view(*clips.shape[:2], *patches.shape[1:3])
        pairs = (codes[:, :-1] * self.codes + codes[:, 1:]).flatten()
        counts = torch.bincount(pairs, minlength=self.codes**2).view(self.codes, self.codes).double()
        never_left = counts.sum(dim=1) == 0
        counts[never_left, never_left] = 1
        counts += self.smoothing
        self.transitions = (counts / counts.sum(dim=1, keepdim=True)).float()
        return self

    @override
    def observe(self, frame: RawFrame, state: State | None = None) -> State:
        """Encode one frame ``(b, c, h, w)``; earlier frames have no influence.

        Raises:
            ConfigError: if ``fit`` was not called.
            ClipError: if the frame has other channels than the clips it was fitted to.
        """
        frame = to_unit(frame)
        self._check(frame)
        codes = functional.one_hot(self._encode(self._patches(frame)), self.codes)
        return frame, codes.to(frame.dtype)

    @override
    def feedback(self, frame: Frame, state: State) -> State:
        """Advance the distribution by one transition; the content of the frame is ignored."""
        return frame, state[1] @ self.transitions.to(state[1].dtype)

    @override
    def next_frame(self, state: State) -> Frame:
        """Return the expected next frame, ``(b, c, h, w)``."""
        last, codes = state
        patches = codes @ self.transitions.to(codes.dtype) @ self.codebook.to(codes.dtype)  # (b, h', w', c·p²)
        frame = functional.pixel_shuffle(patches.permute(0, 3, 1, 2), self.patch)
        return frame[..., : last.shape[-2], : last.shape[-1]]

    def _cluster(self, patches: Float[Tensor, "n p"]) -> Float[Tensor, "codes p"]:
        from sklearn.cluster import MiniBatchKMeans  # the import takes a second and is needed for fitting only
        from sklearn.exceptions import ConvergenceWarning

        different = np.unique(patches.cpu().numpy(), axis=0)
        if len(different) < self.codes:
            raise ClipError(
                f"These clips have {len(different)} different patches, fewer than the {self.codes} codes wanted; "
                "give more clips or lower codes."
            )
        random = np.random.default_rng(self.seed)
        sample = different[random.permutation(len(different))[:MAX_PATCHES]]
        kmeans = MiniBatchKMeans(self.codes, random_state=self.seed, n_init=1, reassignment_ratio=0)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # fewer clusters than codes are acceptable
            return torch.from_numpy(kmeans.fit(sample).cluster_centers_).to(patches)

    def _encode(self, patches: Float[Tensor, "b hp wp p"]) -> Int[Tensor, "b hp wp"]:
        """Return the nearest code of each patch."""
        rows = patches.flatten(0, 2).to(self.codebook.dtype)
        nearest = [torch.cdist(part, self.codebook).argmin(dim=1) for part in torch.split(rows, MAX_PATCHES)]
        return torch.cat(nearest).view(patches.shape[:3])

    def _patches(self, frame: Frame) -> Float[Tensor, "b hp wp p"]:
        return functional.pixel_unshuffle(pad_to_multiple(frame, self.patch), self.patch).permute(0, 2, 3, 1)

    def _check(self, frame: Frame) -> None:
        if not self.codebook.numel():
            raise ConfigError("This Markov chain is not fitted; call fit with clips before it predicts.")
        channels = self.codebook.shape[1] // self.patch**2
        if frame.shape[1] != channels:
            raise ClipError(
                f"This Markov chain was fitted to frames of {channels} channels, and these have {frame.shape[1]}; "
                "convert them, or fit it to clips like these."
            )
