"""Tracking forecaster: image layers are tracked and moved as rigid pictures, so that predictions stay sharp."""

import math
from collections.abc import Iterator, Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from framepred.clips import Frame, RawFrame, State, at_least_float32
from framepred.errors import ConfigError
from framepred.models.cells import ConvLSTMCell
from framepred.models.correlation import local_correlation, local_correlation_macs
from framepred.models.patches import check_frame, fold, to_input, unfold
from framepred.models.pretrained import PretrainedForecaster
from framepred.models.tracking.bounds import measure_bounds
from framepred.models.tracking.path_network import PathNetwork
from framepred.models.tracking.refinement import estimate_layers, search_nearby
from framepred.models.tracking.scene import SIGNS, Scene, absent_frames, appended, shown_mask, with_last
from framepred.models.tracking.tracker import Tracks, track
from framepred.models.tracking.translation import expected_picture, shift_distribution
from framepred.warping import no_autocast

FINE, COARSE = 4, 8
"""Strides in pixels of the fine map, which writes the layers, and of the coarse map, which has the larger context."""

AGREEMENT_LOGITS = 8.0
"""Weight of the agreement map in the logits that assign a pixel to a layer."""

KEEP_LOGITS = 3.0
"""Initial logit of keeping the old value of a pixel that is not assigned to the layer."""

SQUARED_EXCESS_LOGITS, EXCESS_LOGITS = 20.0, 10.0
"""Initial penalties on the keep logit: per squared difference of layer and frame, and per excess of the layer."""


class TrackingForecaster(PretrainedForecaster):
    """Forecaster that tracks image layers and moves each one rigidly by a predicted displacement distribution.

    A scene is a set of layers with independent motion (Wang & Adelson 1994, "Representing moving images with layers").
    For each observed frame, the tracker locates every layer in it (:func:`track`). Two ConvLSTM cells read the frame,
    the previous frame and the layers, and a write gate assigns each pixel to the layer that agrees with it. The
    positions of the layers in the last frames are then refined (:func:`search_nearby`), and each layer is estimated
    again from these frames after alignment (:func:`estimate_layers`).

    The path network (:class:`PathNetwork`) reads the past positions of a layer and predicts a distribution over its
    displacement. The next frame is the pixelwise maximum of the expected layers. Without training, the network
    predicts constant velocity.

    During prediction, only the positions change: each step appends the most probable position to the history, and the
    path network predicts one more lead time from it. Frames may have any size; they are padded internally.

    Args:
        channels: channels c of the frames; with 1, each channel of a colour frame is processed as a separate clip.
        layers: number of layers k.
        coarse_channels: channels of the coarse cell, with stride 8; a multiple of 4.
        fine_channels: channels of the fine cell, with stride 4.
        embedding_channels: channels of the embedding of 4x4 input patches.
        reach: largest distance between the predicted and the found position of a layer, in units of 2 pixels.
        history: number of past frames in the state, at least 2.
        lead_times: number of frames ahead that the path network predicts.
        path_reach: largest displacement that the path network predicts, pixels.
        path_features: width of the hidden layers of the path network.
        path_layers: number of hidden layers of the path network.
        revealed_share: weight of the revealed layers in the prediction, in [0, 1]; the written layers have the rest.
            A pixel loss gives the write gate a gradient only if this is less than 1.

    Raises:
        ConfigError: if a count is less than 1, ``history`` is less than 2, ``coarse_channels`` is not a multiple of 4,
            or ``revealed_share`` is outside [0, 1].
    """

    saved_dtype = torch.float16
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
        patch, upsampled = FINE**2, coarse_channels // 4
        self.embed = nn.Conv2d(patch * channels * (2 + layers), embedding_channels, 1)
        self.downsample = nn.Conv2d(embedding_channels, coarse_channels, 4, stride=2, padding=1)
        self.embed_correlation = nn.Conv2d((2 * reach + 1) ** 2, coarse_channels, 1)
        self.coarse_cell = ConvLSTMCell(coarse_channels, coarse_channels, 3, norm=True)
        self.fine_cell = ConvLSTMCell(embedding_channels + upsampled, fine_channels, 3, norm=True)
        self.write_gate = nn.Conv2d(fine_channels + upsampled, 2 * patch * layers, 1)
        self.excess_logits = nn.Parameter(torch.tensor([SQUARED_EXCESS_LOGITS, EXCESS_LOGITS]))
        self.path = PathNetwork(history, lead_times, path_reach, path_features, path_layers)
        self.register_buffer("signs", torch.tensor(SIGNS), persistent=False)
        with torch.no_grad():  # at first, agreement and excess dominate the write gate
            assert self.write_gate.bias is not None
            self.write_gate.bias.zero_()
            self.write_gate.weight.mul_(0.1)

    def observe(self, frame: RawFrame, state: State | None = None) -> State:
        """Update the state with one observed frame ``(b, c, h, w)``, integers or floats in [0, 1].

        Raises:
            ClipError: if the number of channels does not match the weights, or the shape differs from the previous
                frame.
        """
        frame = to_input(frame, self.embed.weight)
        check_frame(frame, state, self.channels)
        current = fold(frame, self.channels, COARSE)
        if state is None:
            return self._start(frame, current)
        scene = Scene(*state)
        found = track(current, scene.written, self._most_probable(scene), 2 * self.reach)
        *memory, features = self._update_memory(current, scene.frames[:, -1], found.aligned, scene.memory)
        return self._update_scene(frame, current, scene, found, self._write(features, current, found), memory)

    def feedback(self, frame: Frame, state: State) -> State:
        """Update the state with a predicted frame: layers keep their appearance and take the most probable position."""
        frame, scene = to_input(frame.clamp(0, 1), self.embed.weight), self._advance(Scene(*state), 1)
        following = scene._replace(
            frame=frame,
            frames=torch.cat([scene.frames[:, 1:], fold(frame, self.channels, COARSE)[:, None]], dim=1),
            observed=with_last(scene.observed, False),
        )
        return tuple(following)

    def next_frame(self, state: State) -> Frame:
        """Predict the next frame ``(b, c, h, w)``, not clamped to [0, 1]."""
        return next(self.rollout(state))

    def rollout(self, state: State) -> Iterator[Frame]:
        """Predict frames ``(b, c, h, w)`` without end, not clamped to [0, 1]; each is drawn when requested.

        The frames are those of alternate ``next_frame`` and ``feedback``. The layers are computed once, and the paths
        for as many frames at once as the path network predicts.
        """
        scene = Scene(*state)
        layers = at_least_float32(self.shown_layers(scene))
        while True:
            for probabilities in scene.probabilities.unbind(dim=-2):
                moved = expected_picture(layers, probabilities).amax(dim=1)
                yield unfold(moved, like=scene.frame).to(scene.frame.dtype)
            scene = self._advance(scene, self.path.lead_times)

    def _advance(self, scene: Scene, count: int) -> Scene:
        """Return the scene ``count`` frames later, at most ``lead_times``, with the frames of before.

        The layers take their most probable positions. The path network predicts the last lead time from each of these
        frames, all at once.
        """
        modes = self._modes(scene.probabilities[..., :count, :]).mT  # (n, k, count, 2)
        path = torch.cat([scene.positions + scene.displacement[:, :, None], modes], dim=2)
        positions = path.unfold(2, self.history, 1)[:, :, 1:].mT - modes[..., None, :]  # (n, k, count, t, 2)
        known = functional.pad(scene.trusted, (0, count), value=True)
        trusted = known.unfold(2, self.history, 1)[:, :, 1:]
        distances = scene.distances[:, :, None] + (modes - scene.displacement[:, :, None])[..., None] * self.signs
        added = self._path(positions.flatten(1, 2), trusted.flatten(1, 2), distances.flatten(1, 2), first=-1)
        added = added.view(*modes.shape[:3], 2, -1).transpose(2, 3)  # (n, k, 2, count, d)
        return scene._replace(
            positions=positions[:, :, -1],
            placed=functional.pad(scene.placed, (0, count), value=True)[:, count:],
            trusted=trusted[:, :, -1],
            distances=distances[:, :, -1],
            displacement=modes[:, :, -1],
            probabilities=torch.cat([scene.probabilities[..., count:, :], shift_distribution(added, modes.mT)], dim=-2),
        )

    def shown_layers(self, scene: Scene) -> Float[Tensor, "n k c h w"]:
        """Layers at the last observed frame, for prediction; if several follow one object, only one is kept."""
        shown = scene.revealed * shown_mask(scene)
        return torch.lerp(scene.written, shown, self.revealed_share)

    def named_memory(self, state: State) -> dict[str, Tensor]:
        """Return the hidden and cell states of both cells by name."""
        names = ("coarse: hidden", "coarse: cell", "fine: hidden", "fine: cell")
        return dict(zip(names, Scene(*state).memory, strict=True))

    def uncounted_macs(self, context: int, horizon: int, size: tuple[int, int, int]) -> int:
        """Multiply-accumulates of all steps on a clip, except those of convolutions and matrix products.

        They are local correlations, three real Fourier transforms per layer (5/4·N·log₂N for N values), and the search
        for nearby positions. Each step counts as an ``observe``; a ``feedback`` has fewer.
        """
        padded = [side + -side % COARSE for side in size[1:]]
        cells = math.prod(padded) // COARSE**2
        wrapped = math.prod(side + 4 * self.reach for side in padded)
        transforms = 3 * self.layers * (5 * wrapped * math.ceil(math.log2(wrapped)) // 4)
        search = 9 * self.history * self.layers * self.channels * math.prod(padded)
        step = local_correlation_macs(self.reach, COARSE) * cells + transforms + search
        return size[0] // self.channels * (context + horizon - 1) * step

    def _start(self, frame: Frame, current: Tensor) -> State:
        """Return the state at the first frame: every layer holds the whole frame and rests."""
        count = current.shape[0]
        empty = current.new_zeros(count, self.layers, *current.shape[1:])
        coarse = self.coarse_cell.start(current[..., ::COARSE, ::COARSE])
        fine = self.fine_cell.start(current[..., ::FINE, ::FINE])
        *memory, _ = self._update_memory(current, current, empty, (*coarse, *fine))
        layers = current[:, None].expand_as(empty)
        only_last = torch.arange(self.history, device=current.device).expand(count, -1) == self.history - 1
        trusted = only_last[:, None].expand(-1, self.layers, -1)
        no_motion = at_least_float32(current).new_zeros(count, self.layers, self.history, 2)
        distances = self._measure(layers, frame)
        following = Scene(
            frame,
            functional.pad(current[:, None], (*(0, 0) * 3, self.history - 1, 0)),
            only_last,
            no_motion,
            only_last,
            trusted,
            distances,
            no_motion[:, :, 0],
            self._path(no_motion, trusted, distances),
            layers,
            layers,
            *memory,
        )
        return tuple(following)  # torch.export names the parts of a plain tuple only

    def _update_scene(
        self,
        frame: Frame,
        current: Tensor,
        scene: Scene,
        found: Tracks,
        written: Tensor,
        memory: Sequence[Tensor],
    ) -> State:
        """Return the state at an observed frame: correct tracks, estimate layers again, predict paths.

        Frames before the first one of the clip are left out of the work.
        """
        frames = torch.cat([scene.frames[:, 1:], current[:, None]], dim=1)
        observed = with_last(scene.observed, True)
        placed = with_last(scene.placed, True)
        positions = appended(scene.positions, found.displacement - scene.displacement)
        first = absent_frames(placed)
        seen, present = frames[:, first:], observed[:, first:]
        searched, others, fits = self._correct_positions(seen, present, scene, positions[:, :, first:], found)
        trusted = placed[:, None, first:] & (fits | ~present[:, None])
        revealed = estimate_layers(seen, present, trusted, searched, others, written).to(current.dtype)
        positions = torch.cat([positions[:, :, :first], searched], dim=2)
        positions = torch.where(placed[:, None, :, None], positions, 0.0)
        trusted = functional.pad(trusted, (first, 0), value=False)
        distances = self._measure(revealed, frame)
        following = Scene(
            frame,
            frames,
            observed,
            positions,
            placed,
            trusted,
            distances,
            torch.zeros_like(found.displacement),
            self._path(positions, trusted, distances),
            written,
            revealed,
            *memory,
        )
        return tuple(following)

    def _measure(self, layers: Tensor, frame: Frame) -> Tensor:
        """Distances of the layers to the edges of the frame before padding."""
        light = at_least_float32(layers).mean(dim=2).relu()
        return measure_bounds(light, (frame.shape[-2], frame.shape[-1]))

    def _correct_positions(
        self, frames: Tensor, observed: Tensor, scene: Scene, positions: Tensor, found: Tracks
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Refine positions with ``search_nearby``, using the written layers of the previous state."""
        offsets = positions + found.displacement[:, :, None]
        searched, others, fits = search_nearby(frames, scene.written, offsets)
        known = (scene.observed.any(dim=1)[:, None] & observed)[:, None, :, None]
        corrected = torch.where(known, searched - found.displacement[:, :, None], positions)
        fits = torch.cat([fits[..., :-1] | ~known[..., :-1, 0], torch.ones_like(fits[..., -1:])], dim=-1)
        return corrected - corrected[:, :, -1:], others, fits

    def _path(self, positions: Tensor, trusted: Tensor, distances: Tensor, first: int = 0) -> Tensor:
        with no_autocast(positions.device):  # half precision would cause errors of whole pixels
            log_probabilities: Tensor = self.path(positions, trusted, distances, first)
            return log_probabilities.exp()

    def _most_probable(self, scene: Scene) -> Tensor:
        """The most probable displacement from the last observed frame to the next one, ``(n, k, 2)``, whole pixels."""
        return self._modes(scene.probabilities[..., 0, :])

    def _modes(self, probabilities: Tensor) -> Tensor:
        return (probabilities.argmax(dim=-1) - self.path.reach).to(probabilities.dtype)

    def _update_memory(
        self, current: Tensor, previous: Tensor, aligned: Tensor, memory: Sequence[Tensor]
    ) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
        """Update both ConvLSTM cells; return their states and the input features of the write gate.

        ``aligned`` holds the layers, moved to their positions in the current frame.
        """
        pictures = torch.cat([current, previous, aligned.flatten(1, 2)], dim=1)
        signal = self.embed(functional.pixel_unshuffle(pictures, FINE)).relu()
        matches = local_correlation(current.mean(1, keepdim=True), previous.mean(1, keepdim=True), self.reach, COARSE)
        coarse_input = self.downsample(signal) + self.embed_correlation(matches.to(signal.dtype))
        hidden, cell_state = self.coarse_cell(coarse_input, memory[:2])
        upsampled = functional.pixel_shuffle(hidden, COARSE // FINE)
        fine = self.fine_cell(torch.cat([signal, upsampled], dim=1), memory[2:])
        return hidden, cell_state, *fine, torch.cat([fine[0], upsampled], dim=1)

    def _write(self, features: Tensor, current: Tensor, found: Tracks) -> Tensor:
        """Write the frame into the layers: assign each pixel softly to one; the others keep their old value.

        A layer keeps less of its old value where it is brighter than the frame.
        """
        assign, keep = functional.pixel_shuffle(self.write_gate(features), FINE).to(current.dtype).chunk(2, dim=1)
        share = (assign + AGREEMENT_LOGITS * found.agreement.to(current.dtype)).softmax(dim=1)[:, :, None]
        excess = found.aligned - current[:, None]
        costs = self.excess_logits[0] * excess.square() + self.excess_logits[1] * excess.relu()
        kept = (keep[:, :, None] + KEEP_LOGITS - costs.mean(dim=2, keepdim=True)).sigmoid() * found.aligned
        return torch.lerp(kept, current[:, None], share)
