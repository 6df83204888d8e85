from collections.abc import Iterator

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from framepred.errors import ClipError
from framepred.visualization.pictures import EMPTY, MAX_SIDE, MIN_HEIGHT, OBSERVED, PREDICTED
from framepred.visualization.side_by_side import side_by_side, side_by_side_pages


def shown(page: Tensor, colour: tuple[int, int, int]) -> int:
    """How many pixels of a page ``(3, h, w)`` have a colour."""
    return int((page == torch.tensor(colour).view(3, 1, 1)).all(dim=0).sum())


def has_block(page: Tensor, block: Tensor) -> bool:
    """Whether a block of pixels ``(3, h, w)`` lies somewhere on a page."""
    rows, columns = block.shape[1:]
    first, last = ((page == block[:, y : y + 1, x : x + 1]).all(dim=0) for y, x in ((0, 0), (rows - 1, columns - 1)))
    fits = first[: page.shape[1] - rows + 1, : page.shape[2] - columns + 1] & last[rows - 1 :, columns - 1 :]
    return any(torch.equal(page[:, y : y + rows, x : x + columns], block) for y, x in fits.nonzero().tolist())


@pytest.mark.parametrize("channels", [1, 3])
def test_truth_and_prediction_are_shown_pixel_for_pixel(channels: int) -> None:
    clip = torch.randint(0, 256, (5, channels, 32, 32), dtype=torch.uint8)
    guess = torch.randint(0, 256, (2, channels, 32, 32), dtype=torch.uint8)
    pages = side_by_side(clip[:3], clip[3:], guess)
    large = [frame.expand(3, -1, -1).repeat_interleave(8, 1).repeat_interleave(8, 2) for frame in (*clip, *guess)]
    middle = pages.shape[3] // 2
    for time, (left, right) in enumerate([(0, 0), (1, 1), (2, 2), (3, 5), (4, 6)]):
        assert has_block(pages[time, ..., :middle], large[left])
        assert has_block(pages[time, ..., middle:], large[right])


def test_what_was_seen_is_told_from_what_was_predicted() -> None:
    pages = side_by_side(torch.zeros(3, 1, 32, 32), torch.zeros(2, 1, 32, 32), torch.zeros(2, 1, 32, 32))
    orange = [shown(page, PREDICTED) for page in pages]
    assert orange[:3] == [0, 0, 0]
    assert 0 < orange[3] < orange[4]
    assert shown(pages[0], OBSERVED) > shown(pages[3], OBSERVED)
    assert [shown(page, EMPTY) for page in pages] == sorted((shown(page, EMPTY) for page in pages), reverse=True)


def test_floats_and_integers_look_alike() -> None:
    clip = torch.randint(0, 256, (4, 1, 16, 16), dtype=torch.uint8)
    expected = side_by_side(clip[:2], clip[2:], clip[:2])
    assert torch.equal(side_by_side(clip[:2] / 255, clip[2:], clip[:2].double() / 255), expected)


@given(st.integers(1, 400), st.integers(1, 400), st.integers(1, 3), st.integers(1, 3))
@settings(max_examples=8)
def test_any_size_is_watchable(height: int, width: int, seen: int, ahead: int) -> None:
    future = torch.zeros(ahead, 1, height, width)
    pages = side_by_side(torch.zeros(seen, 1, height, width), future, future)
    assert pages.shape[:2] == (seen + ahead, 3)
    assert pages.shape[2] % 2 == pages.shape[3] % 2 == 0
    assert pages.shape[2] > MIN_HEIGHT or width * (MIN_HEIGHT // height) > 500


@pytest.mark.parametrize(
    ("context", "target", "prediction"),
    [
        ((3, 1, 8, 8), (2, 1, 8, 8), (3, 1, 8, 8)),
        ((3, 1, 8, 9), (2, 1, 8, 8), (2, 1, 8, 8)),
        ((3, 1, 8, 8), (0, 1, 8, 8), (0, 1, 8, 8)),
    ],
)
def test_shapes_are_checked(context: tuple[int, ...], target: tuple[int, ...], prediction: tuple[int, ...]) -> None:
    with pytest.raises(ClipError, match="need frames of one shape"):
        side_by_side(torch.zeros(context), torch.zeros(target), torch.zeros(prediction))


def test_two_channels_are_no_picture() -> None:
    frames = torch.zeros(2, 2, 8, 8)
    with pytest.raises(ClipError, match="1 or 3 channels"):
        side_by_side(frames, frames, frames)


def test_large_frames_are_averaged_to_a_bounded_size() -> None:
    frame = torch.zeros(1, 1, 2160, 3840, dtype=torch.uint8)
    frame[..., ::2] = 255
    [first, _] = side_by_side(frame, frame, frame)
    assert max(first.shape) < 2 * MAX_SIDE + 200
    picture = torch.full((3, MAX_SIDE * 9 // 16, MAX_SIDE), 128, dtype=torch.uint8)
    assert has_block(first, picture)


def test_pages_come_as_soon_as_their_frames() -> None:
    frames = torch.zeros(2, 1, 8, 8)

    def predicted() -> Iterator[Tensor]:
        yield frames[0]
        raise ZeroDivisionError

    pages = side_by_side_pages(frames, frames, predicted())
    assert len([next(pages) for _ in range(3)]) == 3
    with pytest.raises(ZeroDivisionError):
        next(pages)
