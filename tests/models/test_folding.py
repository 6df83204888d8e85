import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from framepred.errors import ClipError
from framepred.models.patches import check_frame, fold, unfold


@given(st.integers(1, 20), st.integers(1, 20), st.sampled_from([1, 3]), st.sampled_from([1, 4, 8]))
def test_unfolding_undoes_folding(height: int, width: int, channels: int, cell: int) -> None:
    frame = torch.rand(2, 3, height, width)
    folded = fold(frame, channels, cell)
    assert folded.shape[:2] == (6 // channels, channels)
    assert folded.shape[2] % cell == folded.shape[3] % cell == 0
    assert torch.equal(unfold(folded, like=frame), frame)


def test_the_border_is_repeated() -> None:
    folded = fold(torch.arange(6.0).view(1, 1, 2, 3), 1, 4)
    assert folded[0, 0].tolist() == [[0, 1, 2, 2], [3, 4, 5, 5], [3, 4, 5, 5], [3, 4, 5, 5]]


@pytest.mark.parametrize(
    ("shape", "before", "words"),
    [
        ((1, 2, 8, 8), None, "of 3 channels, and these frames have 2"),
        ((1, 3, 2, 8), None, "at least 4 pixels high and wide for these weights, not 2x8"),
        ((1, 3, 8, 8), (1, 3, 8, 9), "start a new clip"),
    ],
)
def test_frames_that_do_not_fit_are_refused(shape: tuple[int, ...], before: tuple[int, ...] | None, words: str) -> None:
    with pytest.raises(ClipError, match=words):
        check_frame(torch.zeros(shape), before and (torch.zeros(before),), channels=3, smallest=4)
