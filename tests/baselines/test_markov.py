from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from framepred.baselines import MarkovForecaster
from framepred.errors import ClipError, ConfigError


def cycling(clips: int = 2, frames: int = 8, size: tuple[int, int] = (4, 6)) -> Tensor:
    """Clips whose every patch of 2x2 pixels runs through 0, 80, 160, 240, 0, …, uint8 (b, t, 1, h, w)."""
    time = torch.arange(frames)[None, :] + torch.arange(clips)[:, None]
    return (time % 4 * 80).to(torch.uint8)[:, :, None, None, None].expand(-1, -1, 1, *size)


@pytest.fixture
def chain() -> MarkovForecaster:
    return MarkovForecaster(codes=4, patch=2).fit(cycling())


def test_it_foretells_what_depends_on_the_last_state_alone(chain: MarkovForecaster) -> None:
    clip = cycling(clips=1, frames=12)
    torch.testing.assert_close(chain(clip[:, :2], 10), clip[:, 2:] / 255)


def test_smoothing_is_a_count_that_every_transition_begins_with() -> None:
    chain = MarkovForecaster(codes=4, patch=2, smoothing=0.5).fit(cycling())
    order = chain.codebook.mean(dim=1).argsort()
    # 14 transitions at each of 6 places: 0 → 80 and 240 → 0 three times, 80 → 160 and 160 → 240 four times.
    expected = torch.full((4, 4), 0.5)
    for code, left in enumerate([3, 4, 4, 3]):
        expected[code, (code + 1) % 4] += 6 * left
    expected /= expected.sum(dim=1, keepdim=True)
    torch.testing.assert_close(chain.transitions[order][:, order], expected)


def test_a_code_that_was_never_left_stays() -> None:
    clip = torch.tensor([0.0, 1.0])[None, :, None, None, None].repeat(1, 1, 1, 2, 2)
    chain = MarkovForecaster(codes=2, patch=2).fit(clip)
    torch.testing.assert_close(chain(clip, 3), torch.ones(1, 3, 1, 2, 2))


def test_the_past_before_the_last_frame_is_forgotten(chain: MarkovForecaster) -> None:
    last = cycling(1, 3)
    torch.testing.assert_close(chain(last, 3), chain(last[:, -1:], 3), rtol=0, atol=0)


def test_streaming_equals_batch_and_feedback_is_a_power_of_the_matrix(chain: MarkovForecaster) -> None:
    clip, state = torch.rand(2, 5, 1, 5, 7, dtype=torch.float64), None
    for frame in clip.unbind(dim=1):
        state = chain.observe(frame, state)
    assert state is not None
    torch.testing.assert_close(chain.forecast(state, 4), chain(clip, 4), rtol=0, atol=1e-9)
    power = torch.linalg.matrix_power(chain.transitions.double(), 4)
    patch = (state[1][0, 0, 0] @ power @ chain.codebook.double()).view(2, 2)
    torch.testing.assert_close(chain(clip, 4)[0, 3, 0, :2, :2], patch)


def test_it_is_saved_with_its_counts(chain: MarkovForecaster) -> None:
    assert set(chain.state_dict()) == {"codebook", "transitions"}


def test_colours_and_odd_sizes() -> None:
    clips = torch.rand(2, 6, 3, 5, 7)
    assert MarkovForecaster(codes=8, patch=2).fit(clips)(clips, 2).shape == (2, 2, 3, 5, 7)


def test_the_same_clips_give_the_same_chain() -> None:
    clips = torch.rand(2, 6, 1, 8, 8)
    chains = [MarkovForecaster(codes=8, patch=4).fit(clips) for _ in range(2)]
    assert torch.equal(chains[0].codebook, chains[1].codebook)
    assert torch.equal(chains[0].transitions, chains[1].transitions)


def test_unfitted_it_says_so() -> None:
    with pytest.raises(ConfigError, match="call fit"):
        MarkovForecaster()(torch.rand(1, 2, 1, 8, 8), 1)


def test_other_channels_are_refused(chain: MarkovForecaster) -> None:
    with pytest.raises(ClipError, match="1 channels, and these have 3"):
        chain(torch.rand(1, 2, 3, 4, 6), 1)


@pytest.mark.parametrize("arguments", [{"codes": 1}, {"patch": 0}, {"smoothing": -1}, {"seed": -1}])
def test_impossible_sizes_are_refused(arguments: dict[str, float]) -> None:
    with pytest.raises(ConfigError, match="2 codes, patches of 1 pixel"):
        MarkovForecaster(**arguments)


def test_clips_too_poor_to_learn_from_are_refused() -> None:
    with pytest.raises(ClipError, match="2 frames or more"):
        MarkovForecaster().fit(torch.rand(2, 1, 1, 8, 8))
    with pytest.raises(ClipError, match=r"4 different patches, fewer than the 5 codes"):
        MarkovForecaster(codes=5, patch=2).fit(cycling())


@pytest.mark.parametrize("spoil", [Tensor.float, lambda clips: clips.float().log()], ids=["bytes", "NaN"])
def test_values_outside_the_range_are_refused(spoil: Callable[[Tensor], Tensor]) -> None:
    with pytest.raises(ClipError, match=r"lie in \[0, 1\]"):
        MarkovForecaster(codes=4, patch=2).fit(spoil(cycling()))


def test_half_precision_learns_what_float32_learns() -> None:
    clips = cycling() / 256  # exact in both
    chains = [MarkovForecaster(codes=4, patch=2).fit(clips.to(dtype)) for dtype in (torch.float32, torch.bfloat16)]
    torch.testing.assert_close(chains[0].transitions, chains[1].transitions)
