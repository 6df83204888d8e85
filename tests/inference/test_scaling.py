import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from framepred.baselines import LastFrame
from framepred.clips import RawFrame, State
from framepred.errors import ConfigError
from framepred.inference.scaling import ScaledForecaster, shrink
from framepred.models import EncoderForecaster


class Sizes(LastFrame):
    """Persistence that notes the size of its frames."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[tuple[int, ...]] = []

    def observe(self, frame: RawFrame, state: State | None = None) -> State:
        self.seen.append(tuple(frame.shape[-2:]))
        return super().observe(frame, state)


@given(height=st.integers(1, 80), width=st.integers(1, 80), max_side=st.integers(1, 80))
def test_the_network_sees_no_longer_side_and_its_frames_come_back_in_full_size(
    height: int, width: int, max_side: int
) -> None:
    net = Sizes()
    future = ScaledForecaster(net, max_side)(torch.rand(2, 2, 1, height, width), 3)
    assert future.shape == (2, 3, 1, height, width)
    assert max(side for size in net.seen for side in size) == min(max(height, width), max_side)


def test_frames_within_the_limit_pass_as_they_are() -> None:
    net, clip = (
        ScaledForecaster(EncoderForecaster(hidden_channels=[4], kernel_size=3), 24).eval(),
        torch.rand(1, 3, 1, 20, 24),
    )
    assert torch.equal(net(clip, 4), net.net(clip, 4))


def test_the_aspect_is_kept() -> None:
    assert shrink(torch.rand(1, 3, 100, 400), 60).shape == (1, 3, 15, 60)


def test_a_still_scene_survives_the_way_down_and_up() -> None:
    clip = torch.full((1, 2, 1, 50, 70), 0.25)
    torch.testing.assert_close(ScaledForecaster(LastFrame(), 16)(clip, 3), torch.full((1, 3, 1, 50, 70), 0.25))


def test_the_last_frame_in_full_size_stays_in_the_state() -> None:
    frame = torch.randint(0, 256, (1, 1, 40, 40), dtype=torch.uint8)
    state = ScaledForecaster(LastFrame(), 8).observe(frame)
    assert torch.equal(state[0], frame / 255)


def test_a_side_below_one_pixel_is_refused() -> None:
    with pytest.raises(ConfigError, match="at least 1 pixel"):
        ScaledForecaster(LastFrame(), 0)
