"""The bidirectional network: missing frames from what came before and what comes after."""

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from framepred.clips import Clip, Frame, Future
from framepred.errors import ConfigError
from framepred.models.cells import ConvLSTMCell
from framepred.models.correlation import between_correlation, local_correlation, local_correlation_macs
from framepred.models.patches import check_frame, fold, unfold
from framepred.models.pretrained import PretrainedRestorer
from framepred.restorer import Missing, Sides, sides
from framepred.warping import warp

FINE, COARSE = 4, 8
"""Pixels a cell of the two maps: pictures are mixed on one, motion is remembered on the other."""

PACE = 4.0
"""Pixels a frame: the unit in which the network gives velocities."""

DISTANCE = 4.0
"""Frames: the unit in which the network is told how far the nearest seen frame is."""

Memory = Float[Tensor, "n t d i j"]


class _Direction(nn.Module):
    """One ConvLSTM along the clip: it reads what is seen, and rolls on by itself where nothing is.

    Args:
        channels: channels c of a frame.
        width: channels d of the state, a map of 8 pixels a cell.
        reach: farthest displacement from the seen frame before that it is shown, in pairs of pixels.
    """

    def __init__(self, channels: int, width: int, reach: int) -> None:
        super().__init__()
        self.reach = reach
        self.embed = nn.Conv2d(2 * channels * FINE**2, width // 2, 1)
        self.descend = nn.Conv2d(width // 2, width, 4, stride=2, padding=1)
        self.match = nn.Conv2d((2 * reach + 1) ** 2, width, 1)
        self.clock = nn.Linear(2, width)
        self.cell = ConvLSTMCell(width, width, 3, norm=True)

    def forward(self, clip: Clip, missing: Missing) -> Memory:
        """The hidden state at each frame, ``(n, t, d, h/8, w/8)``."""
        signals = iter(self._signals(clip[:, ~missing]).unbind(dim=1))
        unseen = clip.new_zeros(len(clip), self.cell.width, clip.shape[-2] // COARSE, clip.shape[-1] // COARSE)
        state = self.cell.start(unseen)
        since, hidden = 0, []
        for gone in missing.tolist():
            since += 1
            moment = self.clock(clip.new_tensor([float(gone), since / DISTANCE]))[:, None, None]
            state = self.cell((unseen if gone else next(signals)) + moment, state)
            since = since if gone else 0
            hidden.append(state[0])
        return torch.stack(hidden, dim=1)

    def _signals(self, seen: Clip) -> Memory:
        """What each seen frame shows beside the one seen before it; the first stands beside itself."""
        earlier = torch.cat([seen[:, :1], seen[:, :-1]], dim=1).flatten(0, 1)
        here = seen.flatten(0, 1)
        patches = functional.pixel_unshuffle(torch.cat([here, earlier], dim=1), FINE)
        matches = local_correlation(here.mean(1, keepdim=True), earlier.mean(1, keepdim=True), self.reach, COARSE)
        signals: Tensor = self.descend(self.embed(patches).relu()) + self.match(matches)
        return signals.view(*seen.shape[:2], *signals.shape[1:])


class BidirectionalForecaster(PretrainedRestorer):
    """Two ConvLSTMs, one forward and one backward in time, rebuild missing frames (Schuster & Paliwal 1997).

    **Offline**: its interface is ``restore(clip, missing)``; it neither streams nor forecasts, because its backward
    half starts at the end of the clip. At a gap each direction's state rolls on without input. From the two states
    together come velocities, along which the nearest seen frame of either side is moved several ways; the missing frame
    is a mixture of these pictures, pixel by pixel, plus what none of them shows. Where it knows nothing it mixes as
    linear interpolation does, which is also how a new network begins. Frames of any size are padded inside.

    Args:
        channels: channels c of the frames; with 1, each channel of a colour frame runs as a clip of its own.
        layers: how many ways each side's frame is moved.
        width: channels of each direction's state; a multiple of 4.
        drawing: channels of the two convolutions that mix.
        reach: farthest displacement between two seen frames that their correlation shows, in pairs of pixels, and
            highest velocity across a gap that is looked for, in pixels a frame.

    Raises:
        ConfigError: if an argument is less than 1, or ``width`` not a multiple of 4.
    """

    def __init__(self, channels: int = 1, layers: int = 2, width: int = 64, drawing: int = 48, reach: int = 4) -> None:
        super().__init__()
        if min(channels, layers, width, drawing, reach) < 1 or width % 4:
            raise ConfigError(
                "A bidirectional network needs arguments of at least 1 and width a multiple of 4, not "
                f"channels {channels}, layers {layers}, width {width}, drawing {drawing}, reach {reach}."
            )
        self.channels = channels
        self.layers = layers
        self.reach = reach
        self.onward = _Direction(channels, width, reach)
        self.backward_ = _Direction(channels, width, reach)
        pictures, patch = 2 * layers, FINE**2
        self.together = nn.Conv2d(2 * width, width, 3, padding=1)
        self.agree = nn.Conv2d((2 * reach + 1) ** 2, width, 1)
        self.clock = nn.Linear(2, width)
        self.velocity = nn.Conv2d(width, 2 * pictures, 1)
        self.compare = nn.Conv2d(patch * channels * pictures + width // 4, drawing, 3, padding=1)
        self.refine = nn.Conv2d(drawing, drawing, 3, padding=1)
        self.share = nn.Conv2d(drawing, patch * pictures, 1)
        self.residual = nn.Conv2d(drawing, patch * channels, 1)
        self.brightness = nn.Parameter(torch.tensor(0.0))  # how far a bright picture is preferred to a dark one
        self._begin_plainly()

    @torch.no_grad()
    def _begin_plainly(self) -> None:
        """A new network moves hardly anything, and mixes almost as linear interpolation does."""
        for head in (self.velocity, self.share, self.residual):
            assert head.bias is not None
            head.bias.zero_()
            head.weight.mul_(0.1)

    def fill(self, clip: Clip, missing: Missing) -> Future:
        """The missing frames alone, raw, ``(b, m, c, h, w)``; see :class:`Restorer`.

        Raises:
            ClipError: if the frames have channels that the weights do not know.
        """
        check_frame(clip[:, 0], None, self.channels)
        folded = torch.stack([fold(frame, self.channels, COARSE) for frame in clip.unbind(dim=1)], dim=1)
        memory = torch.cat(
            [self.onward(folded, missing), self.backward_(folded.flip(1), missing.flip(0)).flip(1)], dim=2
        )
        times = missing.nonzero().flatten().tolist()
        drawn = [
            self._draw(folded, memory[:, time], time, near) for time, near in zip(times, sides(missing), strict=True)
        ]
        return torch.stack([unfold(frame, like=clip[:, 0]) for frame in drawn], dim=1)

    def _draw(self, clip: Clip, memory: Tensor, time: int, near: Sides) -> Frame:
        """One missing frame from the nearest seen ones, ``(n, c, h, w)``."""
        distances = [abs(time - place) for place in near]
        moment = self.clock(memory.new_tensor(distances) / DISTANCE)[:, None, None]
        motion = (self.together(memory) + self._agreement(clip, near, distances) + moment).relu()
        velocity = self.velocity(motion).to(clip.dtype).unflatten(1, (2, self.layers, 2))  # half precision would shake
        pictures = torch.cat(
            [
                _moved(clip[:, place], PACE * distance * velocity[:, side])
                for side, (place, distance) in enumerate(zip(near, distances, strict=True))
            ],
            dim=1,
        )
        mixing = torch.cat(
            [functional.pixel_unshuffle(pictures.flatten(1, 2), FINE), functional.pixel_shuffle(motion, 2)], dim=1
        )
        mixing = self.refine(self.compare(mixing).relu()).relu()
        shares = functional.pixel_shuffle(self.share(mixing), FINE) + self.brightness * pictures.mean(dim=2)
        nearness = pictures.new_tensor(distances[::-1]).log().repeat_interleave(self.layers)[:, None, None]
        mixed = ((shares + nearness).softmax(dim=1)[:, :, None] * pictures).sum(dim=1)
        return mixed + functional.pixel_shuffle(self.residual(mixing), FINE)

    def _agreement(self, clip: Clip, near: Sides, distances: list[int]) -> Tensor:
        """What the two sides have in common at each velocity, ``(n, d, h/8, w/8)``; nothing where there is one side."""
        before, after = (clip[:, place].mean(1, keepdim=True) for place in near)
        matches = between_correlation(before, after, (distances[0], distances[1]), self.reach, COARSE)
        agreement: Tensor = self.agree(matches * float(near.before != near.after))
        return agreement

    def uncounted_macs(self, height: int, width: int) -> int:
        """Multiply-accumulates of one frame's correlations and, as if it were missing, of its warps and agreements."""
        rows, columns = (side + -side % COARSE for side in (height, width))
        correlations = 2 * local_correlation_macs(self.reach, COARSE) // COARSE**2
        agreements = (2 * self.reach + 1) ** 2  # a product at each pixel
        warps = 4 * 2 * self.layers * (self.channels + 2)
        return (correlations + agreements + warps) * rows * columns


def _moved(frame: Frame, displacement: Tensor) -> Tensor:
    """A frame ``(n, c, h, w)`` along each displacement ``(n, k, 2, h/8, w/8)`` of k: ``(n, k, c, h, w)``."""
    ways = displacement.shape[1]
    fine = functional.interpolate(displacement.flatten(0, 1), scale_factor=COARSE, mode="bilinear")
    return warp(frame.repeat_interleave(ways, dim=0), fine).view(len(frame), ways, *frame.shape[1:])
