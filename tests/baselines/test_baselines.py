import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from framepred.baselines import BASELINES, Blank, LastFrame, OpticalFlow, load_baseline
from framepred.errors import ConfigError

sizes = st.tuples(
    st.integers(1, 3), st.integers(1, 4), st.integers(1, 4), st.integers(1, 9), st.integers(1, 9)
)  # (b, t, c, h, w)


def random_clip(size: tuple[int, ...]) -> Tensor:
    return torch.rand(size, dtype=torch.float64, generator=torch.Generator().manual_seed(sum(size)))


@pytest.mark.parametrize("name", BASELINES)
@settings(max_examples=25)
@given(size=sizes, horizon=st.integers(1, 6))
def test_streaming_equals_batch(name: str, size: tuple[int, ...], horizon: int) -> None:
    net, clip, state = load_baseline(name), random_clip(size), None
    for frame in clip.unbind(dim=1):
        state = net.observe(frame, state)
    assert state is not None
    before = [part.clone() for part in state]
    torch.testing.assert_close(net.forecast(state, horizon), net(clip, horizon), rtol=0, atol=0)
    torch.testing.assert_close(list(state), before, rtol=0, atol=0)
    torch.testing.assert_close(state[0], clip[:, -1], rtol=0, atol=0)


@given(size=sizes, horizon=st.integers(1, 6))
def test_blank_is_black(size: tuple[int, ...], horizon: int) -> None:
    clip = random_clip(size)
    forecast = Blank()(clip, horizon)
    assert forecast.shape == (size[0], horizon, *size[2:])
    assert forecast.dtype == clip.dtype
    assert not forecast.any()


@given(size=sizes, horizon=st.integers(1, 6))
def test_last_frame_repeats_the_last_frame_and_no_other(size: tuple[int, ...], horizon: int) -> None:
    clip = random_clip(size)
    forecast = LastFrame()(clip, horizon)
    assert forecast.shape == (size[0], horizon, *size[2:])
    for frame in forecast.unbind(dim=1):
        torch.testing.assert_close(frame, clip[:, -1], rtol=0, atol=0)


@pytest.mark.parametrize("name", BASELINES)
@pytest.mark.parametrize(("dtype", "white"), [(torch.uint8, 255), (torch.uint16, 65535)])
def test_integer_frames_are_brought_to_the_unit_range(name: str, dtype: torch.dtype, white: int) -> None:
    frame = load_baseline(name).observe(torch.full((1, 1, 2, 2), white, dtype=dtype))[0]
    torch.testing.assert_close(frame, torch.ones(1, 1, 2, 2))


def test_names() -> None:
    assert {"blank": Blank, "last-frame": LastFrame, "optical-flow": OpticalFlow} == BASELINES
    assert isinstance(load_baseline("last-frame"), LastFrame)


def test_an_unknown_name_lists_the_known_ones() -> None:
    with pytest.raises(ConfigError, match=r"'lastframe'.*blank, last-frame, optical-flow"):
        load_baseline("lastframe")
