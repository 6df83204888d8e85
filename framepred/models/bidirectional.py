"""The bidirectional network: restores missing frames from the frames before and after them."""

import math

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from framepred.clips import Clip, Frame, Future, at_least_float32
from framepred.errors import ConfigError
from framepred.models.cells import ConvLSTMCell
from framepred.models.correlation import between_correlation, local_correlation, local_correlation_macs
from framepred.models.cost import BILINEAR_MACS
from framepred.models.patches import check_frame, fold, unfold
from framepred.models.pretrained import PretrainedRestorer
from framepred.restorer import Missing, Sides, sides
from framepred.warping import warp

FINE, COARSE = 4, 8
"""Pixels per position of the two feature maps: the fine one mixes pictures, the coarse one describes motion."""

PACE = 4.0
"""Pixels per frame: the network's outputs of velocity are in this unit, so that they are of order 1."""

DISTANCE = 4.0
"""Frames: the network's inputs of distance in time are in this unit, so that they are of order 1."""

HEAD_SCALE = 0.1
"""Initial scale of the output layers' weights: a new network is close to linear interpolation."""

Memory = Float[Tensor, "n t d i j"]


class _DirectionalEncoder(nn.Module):
    """A ConvLSTM that runs along the clip in one direction; missing frames have no input.

    Args:
        channels: channels c of a frame.
        hidden_channels: channels d of the state, a map of 8 pixels per position.
        reach: maximum displacement of the correlation, in pixels of the frames at half resolution.
    """

    def __init__(self, channels: int, hidden_channels: int, reach: int) -> None:
        super().__init__()
        self.reach = reach
        self.embed = nn.Conv2d(2 * channels * FINE**2, hidden_channels // 2, 1)
        self.downsample = nn.Conv2d(hidden_channels // 2, hidden_channels, 4, stride=2, padding=1)
        self.embed_correlation = nn.Conv2d((2 * reach + 1) ** 2, hidden_channels, 1)
        self.embed_time = nn.Linear(2, hidden_channels)
        self.cell = ConvLSTMCell(hidden_channels, hidden_channels, 3, norm=True)

    def forward(self, clip: Clip, missing: list[bool]) -> Memory:
        """Return the hidden state at each frame, ``(n, t, d, h/8, w/8)``."""
        observed = [index for index, gone in enumerate(missing) if not gone]
        signals = iter(self._signals(clip[:, observed]).unbind(dim=1))
        no_input = clip.new_zeros(len(clip), self.cell.hidden_channels, *(side // COARSE for side in clip.shape[-2:]))
        state = self.cell.start(no_input)
        age, hidden = 0, []  # age: frames since the last observed one
        for gone in missing:
            age += 1
            time = self.embed_time(clip.new_tensor([float(gone), age / DISTANCE]))[:, None, None]
            state = self.cell((no_input if gone else next(signals)) + time, state)
            age = age if gone else 0
            hidden.append(state[0])
        return torch.stack(hidden, dim=1)

    def _signals(self, observed: Clip) -> Memory:
        """Embed each observed frame together with the previous observed one; the first is paired with itself."""
        earlier = torch.cat([observed[:, :1], observed[:, :-1]], dim=1).flatten(0, 1)
        frames = observed.flatten(0, 1)
        patches = functional.pixel_unshuffle(torch.cat([frames, earlier], dim=1), FINE)
        gray, gray_earlier = (picture.mean(1, keepdim=True) for picture in (frames, earlier))
        scores = local_correlation(gray, gray_earlier, self.reach, COARSE).to(frames.dtype)
        signals: Tensor = self.downsample(self.embed(patches).relu()) + self.embed_correlation(scores)
        return signals.view(*observed.shape[:2], *signals.shape[1:])


class BidirectionalForecaster(PretrainedRestorer):
    """Two ConvLSTMs, forward and backward in time, restore missing frames (Schuster & Paliwal 1997).

    **Offline**: the interface is ``restore(clip, missing)``; it neither streams nor forecasts, because the backward
    ConvLSTM starts at the end of the clip. In a gap both continue without input. Their states give velocities, along
    which the nearest observed frame of each side is warped in ``layers`` ways. The missing frame is a mixture of these
    pictures, with weights per pixel, plus a residual. Equal weights and no motion give linear interpolation. Frames of
    any size are padded inside.

    Args:
        channels: channels c of the frames; with 1, each channel of a colour frame is processed as a clip of its own.
        layers: number of motions per side.
        hidden_channels: channels of each direction's state; a multiple of 4.
        mixing_channels: channels of the two convolutions that compute the mixing weights.
        reach: maximum displacement of the correlation of observed frames, in pixels at half resolution, and maximum
            velocity of the correlation across a gap, in pixels per frame.

    Raises:
        ConfigError: if an argument is less than 1, or ``hidden_channels`` not a multiple of 4.

    Example:
        >>> import torch
        >>> from framepred.models import BidirectionalForecaster
        >>> net = BidirectionalForecaster(hidden_channels=8, mixing_channels=8).eval()
        >>> missing = torch.tensor([False, False, True, False, False])
        >>> net.restore(torch.rand(1, 5, 1, 16, 16), missing).shape
        torch.Size([1, 5, 1, 16, 16])
    """

    def __init__(
        self, channels: int = 1, layers: int = 2, hidden_channels: int = 64, mixing_channels: int = 48, reach: int = 4
    ) -> None:
        super().__init__()
        if min(channels, layers, hidden_channels, mixing_channels, reach) < 1 or hidden_channels % 4:
            raise ConfigError(
                "A bidirectional network needs arguments of at least 1 and hidden_channels a multiple of 4, not "
                f"channels {channels}, layers {layers}, hidden_channels {hidden_channels}, "
                f"mixing_channels {mixing_channels}, reach {reach}."
            )
        self.channels = channels
        self.layers = layers
        self.reach = reach
        self.forward_encoder = _DirectionalEncoder(channels, hidden_channels, reach)
        self.backward_encoder = _DirectionalEncoder(channels, hidden_channels, reach)
        pictures, patch = 2 * layers, FINE**2
        self.merge = nn.Conv2d(2 * hidden_channels, hidden_channels, 3, padding=1)
        self.embed_agreement = nn.Conv2d((2 * reach + 1) ** 2, hidden_channels, 1)
        self.embed_time = nn.Linear(2, hidden_channels)
        self.velocity = nn.Conv2d(hidden_channels, 2 * pictures, 1)
        in_channels = patch * channels * pictures + hidden_channels // 4
        self.mixing_conv1 = nn.Conv2d(in_channels, mixing_channels, 3, padding=1)
        self.mixing_conv2 = nn.Conv2d(mixing_channels, mixing_channels, 3, padding=1)
        self.mixing_logits = nn.Conv2d(mixing_channels, patch * pictures, 1)
        self.residual = nn.Conv2d(mixing_channels, patch * channels, 1)
        self.brightness = nn.Parameter(torch.tensor(0.0))  # logits per unit of brightness of a picture
        self._initialise_heads()

    @torch.no_grad()
    def _initialise_heads(self) -> None:
        for head in (self.velocity, self.mixing_logits, self.residual):
            assert head.bias is not None
            head.bias.zero_()
            head.weight.mul_(HEAD_SCALE)

    def fill(self, clip: Clip, missing: Missing) -> Future:
        """Return the missing frames alone, not clamped, ``(b, m, c, h, w)``; see :class:`Restorer`.

        Raises:
            ClipError: if the frames have other channels than the weights.
        """
        check_frame(clip[:, 0], None, self.channels)
        clip = clip.to(self.velocity.weight.dtype)
        folded = torch.stack([fold(frame, self.channels, COARSE) for frame in clip.unbind(dim=1)], dim=1)
        marks = missing.tolist()
        backward = self.backward_encoder(folded.flip(1), marks[::-1]).flip(1)
        memory = torch.cat([self.forward_encoder(folded, marks), backward], dim=2)
        indices = [index for index, gone in enumerate(marks) if gone]
        restored = [
            self._restore_frame(folded, memory[:, index], index, near)
            for index, near in zip(indices, sides(missing), strict=True)
        ]
        return torch.stack([unfold(frame, like=clip[:, 0]) for frame in restored], dim=1)

    def _restore_frame(self, clip: Clip, memory: Tensor, index: int, near: Sides) -> Frame:
        """Restore one missing frame, ``(n, c, h, w)``, from the nearest observed ones."""
        distances = (abs(index - near.before), abs(index - near.after))
        motion = self._motion(clip, memory, near, distances)
        velocity = at_least_float32(self.velocity(motion))
        velocity = velocity.view(len(velocity), 2, self.layers, 2, *velocity.shape[-2:])
        pictures = torch.cat(
            [
                _warp_frame(clip[:, source], PACE * distance * velocity[:, side])
                for side, (source, distance) in enumerate(zip(near, distances, strict=True))
            ],
            dim=1,
        )
        patches = functional.pixel_unshuffle(pictures.flatten(1, 2), FINE)
        mixing = torch.cat([patches, functional.pixel_shuffle(motion, COARSE // FINE)], dim=1)
        mixing = self.mixing_conv2(self.mixing_conv1(mixing).relu()).relu()
        logits = functional.pixel_shuffle(self.mixing_logits(mixing), FINE) + self.brightness * pictures.mean(dim=2)
        # The logarithm of the other side's distance makes equal logits mean linear interpolation.
        nearness = pictures.new_tensor(distances[::-1]).log().repeat_interleave(self.layers)[:, None, None]
        mixed = ((logits + nearness).softmax(dim=1)[:, :, None] * pictures).sum(dim=1)
        return mixed + functional.pixel_shuffle(self.residual(mixing), FINE)

    def _motion(self, clip: Clip, memory: Tensor, near: Sides, distances: tuple[int, int]) -> Tensor:
        """Return the motion features at a missing frame, ``(n, d, h/8, w/8)``."""
        time = self.embed_time(memory.new_tensor(distances) / DISTANCE)[:, None, None]
        motion: Tensor = self.merge(memory) + self._agreement(clip, near, distances) + time
        return motion.relu()

    def _agreement(self, clip: Clip, near: Sides, distances: tuple[int, int]) -> Tensor:
        """Embed the correlation of both sides at each velocity, ``(n, d, h/8, w/8)``; zeros if there is one side."""
        before, after = (clip[:, index].mean(1, keepdim=True) for index in near)
        scores = between_correlation(before, after, distances, self.reach, COARSE)
        both_sides = float(near.before != near.after)
        agreement: Tensor = self.embed_agreement((scores * both_sides).to(clip.dtype))
        return agreement

    def uncounted_macs(self, context: int, horizon: int, size: tuple[int, int, int]) -> int:
        """Multiply-accumulates of the correlations and bilinear sampling of ``horizon`` missing frames of a clip."""
        pixels = math.prod(side + -side % COARSE for side in size[1:])
        per_observed = 2 * local_correlation_macs(self.reach, COARSE) * (pixels // COARSE**2)  # of both directions
        agreements = (2 * self.reach + 1) ** 2  # one product per pixel and velocity
        warps = BILINEAR_MACS * 2 * self.layers * (self.channels + 2)
        return size[0] // self.channels * (context * per_observed + horizon * (agreements + warps) * pixels)


def _warp_frame(frame: Frame, displacement: Tensor) -> Tensor:
    """Warp a frame ``(n, c, h, w)`` by k displacements ``(n, k, 2, h/8, w/8)``: ``(n, k, c, h, w)``."""
    count = displacement.shape[1]
    fine = functional.interpolate(displacement.flatten(0, 1), scale_factor=COARSE, mode="bilinear")
    warped: Tensor = warp(frame.repeat_interleave(count, dim=0), fine).view(len(frame), count, *frame.shape[1:])
    return warped
