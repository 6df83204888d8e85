"""Long gaps of films: forecasts from both sides beside motion."""

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from framepred.baselines import LastFrame
from framepred.clips import Clip
from framepred.inference.film_restorer import ERROR_WEIGHT, LARGEST_SHARE, SHARE, FilmRestorer
from framepred.inference.motion_restorer import MotionRestorer
from framepred.models import ForecastRestorer, load_restorer
from framepred.models.forecast_restorer import ForecastGap
from framepred.restorer import Missing, Restorer


class Told(ForecastRestorer):
    """Forecasts the frames, and the error beyond the gap, that it was told."""

    def __init__(self, clip: Clip, error: float) -> None:
        super().__init__(LastFrame())
        self.clip = clip
        self.error = torch.full((len(clip),), error)

    def gaps(self, clip: Clip, missing: Missing) -> dict[range, ForecastGap]:
        """The frames of the clip, gray."""
        assert clip.shape[2] == 1
        told = self.clip.mean(dim=2, keepdim=True)
        gaps = super().gaps(clip, missing)
        return {gap: ForecastGap(told[:, gap.start : gap.stop], self.error) for gap in gaps}


def mask(text: str) -> Tensor:
    return torch.tensor([letter == "x" for letter in text])


@pytest.fixture
def flashing() -> Clip:
    """A still texture, and a square whose brightness rises and falls within the gap, which no motion shows."""
    torch.manual_seed(0)
    clip = torch.rand(1, 1, 3, 32, 48).mul(0.4).repeat(1, 17, 1, 1, 1)
    for time in range(17):
        clip[:, time, :, 8:24, 8:24] = 0.3 + 0.6 * max(0.0, 1 - abs(time - 8) / 4) + 0.01 * time
    return clip


LONG = mask(".....xxxxxxx.....")


def error_of(restored: Clip, clip: Clip) -> float:
    return (restored - clip).square().mean().item()


def test_good_forecasts_help_in_long_gaps_and_what_is_still_stays_exact(flashing: Clip) -> None:
    net = FilmRestorer(lambda: Told(flashing, 0.0)).eval()
    restored, moved = net.restore(flashing, LONG), MotionRestorer().eval().restore(flashing, LONG)
    assert error_of(restored, flashing) < 1.2 * (1 - LARGEST_SHARE) ** 2 * error_of(moved, flashing)
    assert torch.equal(restored[..., 40:], flashing[..., 40:])


@pytest.mark.parametrize("error", [0.0, 0.02, 0.05, 0.1])
def test_the_share_falls_with_the_error_beyond_the_gap(error: float) -> None:
    clip = torch.rand(1, 11, 1, 16, 16).mul(0.3) + torch.linspace(0, 0.5, 11).view(1, 11, 1, 1, 1)
    missing = mask("....xxx....")
    told = clip.clone()
    told[:, 4:7] = 0.9
    moved = MotionRestorer().eval().restore(clip, missing)[:, 4:7]
    constant, per_frame, _ = SHARE
    disagreement = (0.9 - moved).square().mean().item()
    share = min(max(constant + 3 * per_frame - ERROR_WEIGHT * error / disagreement, 0), LARGEST_SHARE)
    restored = FilmRestorer(lambda: Told(told, error)).eval().restore(clip, missing)[:, 4:7]
    torch.testing.assert_close(restored, moved + share * (0.9 - moved), atol=1e-5, rtol=0)


def test_bad_forecasts_have_no_share(flashing: Clip) -> None:
    net = FilmRestorer(lambda: Told(1 - flashing, 5.0)).eval()
    assert torch.equal(net.restore(flashing, LONG), MotionRestorer().eval().restore(flashing, LONG))


@pytest.mark.parametrize("text", [".....xx..........", ".x.x.x.x.x.x.x.x.", ".xxx.xxx.xxx.xxx.", "xxxxxxxx.xxxxxxxx"])
def test_short_gaps_gaps_between_few_frames_and_a_single_frame_need_no_network(flashing: Clip, text: str) -> None:
    def refuse() -> ForecastRestorer:
        raise AssertionError("The network was loaded.")

    restored = FilmRestorer(refuse).eval().restore(flashing, mask(text))
    assert torch.equal(restored, MotionRestorer().eval().restore(flashing, mask(text)))


def test_each_gap_of_each_clip_gets_its_own_frames(flashing: Clip) -> None:
    missing = mask("....xxx....xx....")
    clips = torch.cat([flashing, flashing.flip(1)])
    restored = FilmRestorer(lambda: Told(clips, 0.0)).eval().restore(clips, missing)
    moved = MotionRestorer().eval().restore(clips, missing)
    assert torch.equal(restored[:, 11:13], moved[:, 11:13])
    for number in range(2):
        ours, theirs = (error_of(found[number, 4:7], clips[number, 4:7]) for found in (restored, moved))
        assert ours < 0.5 * theirs


@pytest.fixture
def drifting() -> Clip:
    """Two clips of a smooth colour picture that moves right by two pixels a frame, one of them backward."""
    torch.manual_seed(0)
    scene = functional.interpolate(torch.rand(1, 3, 6, 14), (48, 112), mode="bicubic").clamp(0, 1)
    clip = torch.stack([scene[..., 40 - 2 * time : 104 - 2 * time] for time in range(16)], dim=1)
    return torch.cat([clip, clip.flip(1)])


def natural() -> Restorer:
    return load_restorer("natural-small")


@pytest.mark.parametrize("text", ["xxx.............", ".............xxx", "xx............xx", "xx...x........xx"])
def test_gaps_at_both_ends_are_predicted(drifting: Clip, text: str) -> None:
    missing = mask(text)
    hidden = drifting.masked_fill(missing.view(1, -1, 1, 1, 1), 0.0)  # what they hold is not looked at
    restored = FilmRestorer(natural).eval().restore(hidden, missing)
    assert torch.equal(restored[:, ~missing], drifting[:, ~missing])
    repeated = MotionRestorer().eval().restore(hidden, missing)
    for clip, ours, theirs in zip(drifting, restored, repeated, strict=True):
        for index in missing.nonzero().flatten().tolist():
            if index in (5,):
                assert torch.equal(ours[index], theirs[index])
            else:
                assert error_of(ours[index], clip[index]) < 0.2 * error_of(theirs[index], clip[index])


def test_what_stands_still_at_an_end_is_repeated_exactly() -> None:
    clip = torch.rand(1, 1, 3, 40, 40).repeat(1, 12, 1, 1, 1)
    assert torch.equal(FilmRestorer(natural).eval().restore(clip, mask("x.........xx")), clip)
