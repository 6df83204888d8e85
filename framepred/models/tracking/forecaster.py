"""The tracking forecaster: layers of appearance are tracked and moved as wholes, so that predictions stay sharp."""

import math
from pathlib import Path
from typing import NamedTuple, TypeAlias

import torch
from jaxtyping import Bool, Float
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn import functional

from framepred.clips import Frame, RawFrame, State, to_unit
from framepred.errors import ConfigError
from framepred.models.cells import ConvLSTMCell
from framepred.models.correlation import local_correlation, local_correlation_macs
from framepred.models.patches import check_frame, fold, unfold
from framepred.models.pretrained import MODEL, PretrainedForecaster
from framepred.models.tracking.bounds import measure_bounds
from framepred.models.tracking.path_network import PathNetwork
from framepred.models.tracking.refinement import has_own_light, search_nearby, second_smallest
from framepred.models.tracking.tracker import Tracks, nowhere, track
from framepred.models.tracking.translation import expected_picture
from framepred.warping import at_least_float32, no_autocast

FINE, COARSE = 4, 8
"""Pixels a cell of the two maps of memory: one reads out layers, one sees the whole scene."""

AGREEMENT_LOGITS = 8.0
"""Initial weight of agreement, in logits, when a pixel is given to a layer."""

KEEP_LOGITS = 3.0
"""Initial logits with which a layer keeps a pixel that it does not take over."""

SQUARED_EXCESS_LOGITS, EXCESS_LOGITS = 20.0, 10.0
"""Initial logits that keeping loses for light of a layer that the frame does not show: a squared unit, and a unit."""

OWN_SHARE = 0.65
"""Projection of a written on a revealed layer, as a share of the latter, from which it is the layer's own object."""

OBJECT_SHARE = 0.5
"""Energy of a layer's own pixels, as a share of the layer's, from which they hold its object."""

LEAST_SHARE = 0.3
"""The same share below which a layer shows nothing of its own."""

SAME_SHARE = 0.5
"""Projection of one revealed layer on another, as a share of the one's energy, from which both show one object."""

SIGNS = (1.0, -1.0, 1.0, -1.0)
"""How each distance to a frame edge changes as a layer moves right or down: see ``measure_bounds``."""

_Memory: TypeAlias = tuple[Tensor, Tensor]
"""Hidden and cell state."""


class Scene(NamedTuple):
    """The state of a clip: n counts clips as the network runs them, k layers, c its channels; sides are padded."""

    frame: Tensor
    """The last frame, as it came: ``(b, c, h, w)``."""
    frames: Float[Tensor, "n t c h w"]
    """The last t frames, with zeros before the first."""
    observed: Bool[Tensor, "n t"]
    """Which of them were observed, not predicted."""
    positions: Float[Tensor, "n k t 2"]
    """Where the layers were in them relative to the last one, whole pixels, right and down."""
    placed: Bool[Tensor, "n t"]
    """Which of these positions are known, observed or predicted."""
    trusted: Bool[Tensor, "n k t"]
    """Which of the positions are known and, if the frame was observed, explain it."""
    distances: Float[Tensor, "n k 2 4"]
    """Of the layers in the last frame to the frame edges, pixels: see ``measure_bounds``."""
    displacement: Float[Tensor, "n k 2"]
    """Most probable displacement from the last observed frame to the last one, whole pixels; 0 if it was observed."""
    probabilities: Float[Tensor, "n k 2 l d"]
    """Of each displacement from the last observed frame to the l frames that come next."""
    written: Float[Tensor, "n k c h w"]
    """The layers at the last observed frame, as gates wrote them."""
    revealed: Float[Tensor, "n k c h w"]
    """The same as the second smallest value of the last frames."""
    coarse_hidden: Float[Tensor, "n coarse h_coarse w_coarse"]
    coarse_cell_state: Float[Tensor, "n coarse h_coarse w_coarse"]
    fine_hidden: Float[Tensor, "n fine h_fine w_fine"]
    fine_cell_state: Float[Tensor, "n fine h_fine w_fine"]


class TrackingForecaster(PretrainedForecaster):
    """Layers of appearance, each tracked through the frames and moved as a whole by a distribution over places.

    A scene is a stack of pictures that move past one another (Wang & Adelson 1994, "Representing moving images with
    layers"). When a frame comes, each layer is looked for in it (:func:`track`). Two ConvLSTM cells read the frame, the
    one before it and the layers; gates then give each pixel to the layer that agrees with it. From the last frames,
    aligned by the tracks, each layer is estimated anew (:func:`second_smallest`) and its tracks corrected
    (:func:`search_nearby`).

    The path network (:class:`PathNetwork`) reads where a layer was and predicts a distribution over its displacement.
    The next frame is the maximum of the expected layers. An untrained network follows what moves steadily.

    In the future only positions change: each step, the most probable position extends the history, from which the path
    network predicts one lead time more. Frames of any size are padded inside.

    Args:
        channels: channels c of the frames; with 1, each channel of a colour frame runs as a clip of its own.
        layers: how many pictures k a scene is made of.
        coarse_channels: channels of the cell that sees the whole scene; a multiple of 4.
        fine_channels: channels of the cell from which layers are read out.
        embedding_channels: channels into which 4x4 patches of the input are brought.
        reach: farthest that a layer may be off its predicted place, in pairs of pixels.
        history: how many frames are kept, at least 2.
        lead_times: how many frames ahead the path network predicts from what was observed.
        path_reach: largest displacement that it predicts, pixels.
        path_features: width of its hidden layers.
        path_layers: how many hidden layers it has.
        revealed_share: share of the layers that the last frames reveal in what is shown, in [0, 1]; the rest is as the
            gates wrote them. Only with less than 1 do pixels train the gates.

    Raises:
        ConfigError: if a count is less than 1, ``history`` less than 2, ``coarse_channels`` no multiple of 4, or
            ``revealed_share`` outside [0, 1].
    """

    signs: Tensor

    def __init__(
        self,
        channels: int = 1,
        layers: int = 3,
        coarse_channels: int = 64,
        fine_channels: int = 16,
        embedding_channels: int = 32,
        reach: int = 4,
        history: int = 10,
        lead_times: int = 10,
        path_reach: int = 64,
        path_features: int = 384,
        path_layers: int = 3,
        revealed_share: float = 1.0,
    ) -> None:
        super().__init__()
        counts = (channels, layers, coarse_channels, fine_channels, embedding_channels, reach)
        path_counts = (history - 1, lead_times, path_reach, path_features, path_layers)
        if min(*counts, *path_counts) < 1 or coarse_channels % 4:
            raise ConfigError(
                "A tracking forecaster needs arguments of at least 1, a history of at least 2 and coarse_channels a "
                f"multiple of 4, not channels {channels}, layers {layers}, coarse_channels {coarse_channels}, "
                f"fine_channels {fine_channels}, embedding_channels {embedding_channels}, reach {reach}, "
                f"history {history}, lead_times {lead_times}, path_reach {path_reach}, path_features {path_features}, "
                f"path_layers {path_layers}."
            )
        if not 0 <= revealed_share <= 1:
            raise ConfigError(f"revealed_share lies in [0, 1], not {revealed_share}.")
        self.channels = channels
        self.layers = layers
        self.reach = reach
        self.history = history
        self.revealed_share = revealed_share
        patch, risen = FINE**2, coarse_channels // 4
        self.embed = nn.Conv2d(patch * channels * (2 + layers), embedding_channels, 1)
        self.downsample = nn.Conv2d(embedding_channels, coarse_channels, 4, stride=2, padding=1)
        self.embed_correlation = nn.Conv2d((2 * reach + 1) ** 2, coarse_channels, 1)
        self.coarse_cell = ConvLSTMCell(coarse_channels, coarse_channels, 3, norm=True)
        self.fine_cell = ConvLSTMCell(embedding_channels + risen, fine_channels, 3, norm=True)
        self.write_gate = nn.Conv2d(fine_channels + risen, 2 * patch * layers, 1)
        self.excess_logits = nn.Parameter(torch.tensor([SQUARED_EXCESS_LOGITS, EXCESS_LOGITS]))
        self.path = PathNetwork(history, lead_times, path_reach, path_features, path_layers)
        self.register_buffer("signs", torch.tensor(SIGNS), persistent=False)
        with torch.no_grad():  # a new network hardly adds anything of its own to what it tracks
            assert self.write_gate.bias is not None
            self.write_gate.bias.zero_()
            self.write_gate.weight.mul_(0.1)

    def observe(self, frame: RawFrame, state: State | None = None) -> State:
        """Take in one frame ``(b, c, h, w)``, integers or floats in [0, 1]: the layers take over what it shows.

        Raises:
            ClipError: if the frame has channels that the weights do not know, or differs in shape from the one before.
        """
        frame = to_unit(frame)
        check_frame(frame, state, self.channels)
        here = fold(frame, self.channels, COARSE)
        if state is None:
            scene = self._start(frame)
            found = nowhere(scene.written)
        else:
            scene = Scene(*state)
            found = track(here, scene.written, self._most_probable(scene), 2 * self.reach)
        coarse, fine, features = self._update_memory(here, found.aligned, scene)
        written = here[:, None].expand_as(scene.written) if state is None else self._write(features, here, found)
        return self._observed(frame, here, scene, found, written, (*coarse, *fine))

    def feedback(self, frame: Frame, state: State) -> State:
        """Take in a frame of the future: the layers stay as they were last observed and move on as is most probable."""
        frame, scene = frame.clamp(0, 1), Scene(*state)
        displacement = self._most_probable(scene)
        step = displacement - scene.displacement
        positions = _appended(scene.positions, step)
        distances = scene.distances + step[..., None] * self.signs
        trusted = _with_last(scene.trusted, True)
        farthest = self._path(positions, trusted, distances)[..., -1:, :]
        index = torch.arange(farthest.shape[-1], device=frame.device) - displacement[..., None, None].long()
        inside = index.clamp(0, farthest.shape[-1] - 1)
        farthest = torch.where(index == inside, farthest.gather(-1, inside), 0)
        return scene._replace(
            frame=frame,
            frames=torch.cat([scene.frames[:, 1:], fold(frame, self.channels, COARSE)[:, None]], dim=1),
            observed=_with_last(scene.observed, False),
            positions=positions,
            placed=_with_last(scene.placed, True),
            trusted=trusted,
            distances=distances,
            displacement=displacement,
            probabilities=torch.cat([scene.probabilities[..., 1:, :], farthest], dim=-2),
        )

    def next_frame(self, state: State) -> Frame:
        """The frame that comes next, raw, ``(b, c, h, w)``."""
        scene = Scene(*state)
        moved = expected_picture(self.shown_layers(scene), scene.probabilities[..., 0, :])
        return unfold(moved.amax(dim=1), like=scene.frame)

    def shown_layers(self, scene: Scene) -> Float[Tensor, "n k c h w"]:
        """The layers at the last observed frame as predictions show them: of an object that two follow, only one."""
        return torch.lerp(scene.written, scene.revealed * self._shown(scene), self.revealed_share)

    @torch.no_grad()
    def _shown(self, scene: Scene) -> Bool[Tensor, "n k 1 1 1"]:
        """Which revealed layers are shown.

        Gates give each pixel to one layer. A layer that owns at least ``OWN_SHARE`` of what it reveals is shown. One
        that owns less follows another layer's object or shares one with it: it is shown if no other layer that reveals
        mostly the same owns more of it, and if it owns at least ``LEAST_SHARE``.
        """
        written, revealed = (at_least_float32(part.flatten(2)) for part in (scene.written, scene.revealed))
        own = (written * revealed).sum(dim=-1)
        common = revealed @ revealed.mT
        energy = common.diagonal(dim1=-2, dim2=-1)
        rival = (common > SAME_SHARE * energy[..., None]) & (own[:, None] > own[..., None])
        alone = ~rival.any(dim=-1) & (own > LEAST_SHARE * energy)
        return ((own > OWN_SHARE * energy) | alone)[..., None, None, None]

    def _save_pretrained(self, save_directory: Path) -> None:
        """Weights are stored in half precision, which halves the file."""
        super()._save_pretrained(save_directory)
        halves = {name: tensor.half().contiguous() for name, tensor in self.state_dict().items()}
        save_file(halves, save_directory / MODEL, metadata={"format": "pt"})

    def named_memory(self, state: State) -> dict[str, Tensor]:
        """The hidden and the cell state of the two cells."""
        scene = Scene(*state)
        return {
            "coarse: hidden": scene.coarse_hidden,
            "coarse: cell": scene.coarse_cell_state,
            "fine: hidden": scene.fine_hidden,
            "fine: cell": scene.fine_cell_state,
        }

    def uncounted_macs(self, height: int, width: int) -> int:
        """Multiply-accumulates of one observed step that are neither convolution nor matrix product.

        Correlations, 5/4·N·log₂N for a real Fourier transform of N values, three a layer, and the search for nearby
        positions; a future step has fewer.
        """
        padded = [side + -side % COARSE for side in (height, width)]
        cells = math.prod(padded) // COARSE**2
        wrapped = math.prod(side + 4 * self.reach for side in padded)
        transforms = 3 * self.layers * (5 * wrapped * math.ceil(math.log2(wrapped)) // 4)
        search = 9 * self.history * self.layers * self.channels * math.prod(padded)
        return local_correlation_macs(self.reach, COARSE) * cells + transforms + search

    def _start(self, frame: Frame) -> Scene:
        """Empty layers and memory, and no frame observed."""
        here = fold(frame, self.channels, COARSE)
        count = len(here)
        empty = here.new_zeros(count, self.layers, *here.shape[1:])
        nothing = torch.zeros(count, self.history, dtype=torch.bool, device=here.device)
        still = here.new_zeros(count, self.layers, self.history, 2)
        unknown = here.new_zeros(count, self.layers, 2, self.path.lead_times, 2 * self.path.reach + 1)
        coarse = self.coarse_cell.start(here[..., ::COARSE, ::COARSE])
        fine = self.fine_cell.start(here[..., ::FINE, ::FINE])
        return Scene(
            frame,
            here.new_zeros(count, self.history, *here.shape[1:]),
            nothing,
            still,
            nothing,
            nothing[:, None].expand(-1, self.layers, -1),
            here.new_zeros(count, self.layers, 2, len(SIGNS)),
            still[:, :, 0],
            unknown,
            empty,
            empty,
            *coarse,
            *fine,
        )

    def _observed(
        self, frame: Frame, here: Tensor, scene: Scene, found: Tracks, written: Tensor, memory: tuple[Tensor, ...]
    ) -> State:
        """The scene at an observed frame: tracks corrected, layers estimated anew, paths predicted."""
        frames = torch.cat([scene.frames[:, 1:], here[:, None]], dim=1)
        observed = _with_last(scene.observed, True)
        placed = _with_last(scene.placed, True)
        positions = _appended(scene.positions, found.displacement - scene.displacement)
        positions, others, fits = self._corrected(frames, scene, positions, found)
        trusted = placed[:, None] & (fits | ~observed[:, None])
        revealed = second_smallest(frames, trusted & observed[:, None], positions)
        own = has_own_light(frames, observed, others, positions)
        own = own | ~_is_most_of(own, revealed)
        revealed = torch.where(own, revealed, torch.minimum(revealed, written.detach())).to(here.dtype)
        light = revealed.mean(dim=2).relu()
        distances = measure_bounds(light, (frame.shape[-2], frame.shape[-1]))
        probabilities = self._path(positions, trusted, distances)
        still = torch.zeros_like(found.displacement)
        return Scene(
            frame,
            frames,
            observed,
            positions,
            placed,
            trusted,
            distances,
            still,
            probabilities,
            written,
            revealed,
            *memory,
        )

    def _corrected(
        self, frames: Tensor, scene: Scene, positions: Tensor, found: Tracks
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Positions after a search around each, with the layers as they were written before; see ``search_nearby``."""
        offsets = positions + found.displacement[:, :, None]
        searched, others, fits = search_nearby(frames, scene.written, offsets)
        known = (scene.observed.any(dim=1)[:, None] & _with_last(scene.observed, True))[:, None, :, None]
        corrected = torch.where(known, searched - found.displacement[:, :, None], positions)
        fits = torch.cat([fits[..., :-1] | ~known[..., :-1, 0], torch.ones_like(fits[..., -1:])], dim=-1)
        return corrected - corrected[:, :, -1:], others, fits

    def _path(self, positions: Tensor, trusted: Tensor, distances: Tensor) -> Tensor:
        with no_autocast(positions.device):  # in half precision positions would be pixels off
            log_probabilities: Tensor = self.path(positions, trusted, distances)
            return log_probabilities.exp()

    def _most_probable(self, scene: Scene) -> Tensor:
        """The most probable displacement from the last observed frame to the next one, ``(n, k, 2)``, whole pixels."""
        mode = scene.probabilities[..., 0, :].argmax(dim=-1) - self.path.reach
        return mode.to(scene.positions.dtype)

    def _update_memory(self, here: Tensor, aligned: Tensor, scene: Scene) -> tuple[_Memory, _Memory, Tensor]:
        """Both maps of memory, one frame later, and the features that gates read; ``aligned`` are the layers in it."""
        before = fold(scene.frame, self.channels, COARSE)
        pictures = torch.cat([here, before, aligned.flatten(1, 2)], dim=1)
        signal = self.embed(functional.pixel_unshuffle(pictures, FINE)).relu()
        matches = local_correlation(here.mean(1, keepdim=True), before.mean(1, keepdim=True), self.reach, COARSE)
        hidden, cell_state = self.coarse_cell(
            self.downsample(signal) + self.embed_correlation(matches), (scene.coarse_hidden, scene.coarse_cell_state)
        )
        risen = functional.pixel_shuffle(hidden, COARSE // FINE)
        fine = self.fine_cell(torch.cat([signal, risen], dim=1), (scene.fine_hidden, scene.fine_cell_state))
        return (hidden, cell_state), fine, torch.cat([fine[0], risen], dim=1)

    def _write(self, features: Tensor, here: Tensor, found: Tracks) -> Tensor:
        """The layers: each pixel of the frame goes to one of them, the others keep what the frame may be hiding."""
        take, keep = functional.pixel_shuffle(self.write_gate(features), FINE).to(here.dtype).chunk(2, dim=1)
        share = (take + AGREEMENT_LOGITS * found.agreement.to(here.dtype)).softmax(dim=1)[:, :, None]
        excess = found.aligned - here[:, None]
        costs = self.excess_logits[0] * excess.square() + self.excess_logits[1] * excess.relu()
        kept = (keep[:, :, None] + KEEP_LOGITS - costs.mean(dim=2, keepdim=True)).sigmoid() * found.aligned
        return torch.lerp(kept, here[:, None], share)


def _is_most_of(own: Bool[Tensor, "n k c h w"], layers: Float[Tensor, "n k c h w"]) -> Bool[Tensor, "n k 1 1 1"]:
    """Whether a layer's own pixels hold its object: of an object that two layers follow, neither holds much alone."""
    energy = layers.square()
    within = (energy * own).sum(dim=(-3, -2, -1), keepdim=True)
    return within > OBJECT_SHARE * energy.sum(dim=(-3, -2, -1), keepdim=True)


def _with_last(mask: Bool[Tensor, "*n t"], value: bool) -> Bool[Tensor, "*n t"]:
    """The mask one frame later."""
    return torch.cat([mask[..., 1:], torch.full_like(mask[..., :1], value)], dim=-1)


def _appended(positions: Float[Tensor, "n k t 2"], step: Float[Tensor, "n k 2"]) -> Float[Tensor, "n k t 2"]:
    """Positions one step later, relative to the new last one."""
    return torch.cat([positions[:, :, 1:] - step[:, :, None], torch.zeros_like(step)[:, :, None]], dim=2)
