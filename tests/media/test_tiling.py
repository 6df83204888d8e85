import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from framepred.media.writing import tile_clips
from framepred.media.written_size import GAP


@given(st.integers(1, 11), st.sampled_from([1, 3]), st.integers(1, 20), st.integers(1, 20))
def test_every_clip_is_in_the_grid_in_order(count: int, channels: int, height: int, width: int) -> None:
    clips = torch.arange(1, count + 1).view(-1, 1, 1, 1, 1).expand(count, 2, channels, height, width).to(torch.uint8)
    grid = tile_clips(clips)
    columns = (grid.shape[3] + GAP) // (width + GAP)
    for cell in range(count):
        top, left = cell // columns * (height + GAP), cell % columns * (width + GAP)
        assert torch.equal(grid[:, :, top : top + height, left : left + width], clips[cell])


def test_grid_is_near_square_with_gray_lines() -> None:
    grid = tile_clips(torch.ones(5, 2, 1, 10, 10))
    assert grid.shape == (2, 1, 2 * 10 + GAP, 3 * 10 + 2 * GAP)
    assert (grid[..., 10 : 10 + GAP, :] == 0.5).all()
    assert (grid[..., -10:, -10:] == 0).all()
    assert tile_clips(torch.ones(4, 1, 1, 10, 40)).shape[2:] == (4 * 10 + 3 * GAP, 40)


@pytest.mark.parametrize("dtype", [torch.uint8, torch.uint16, torch.float32])
def test_type_stays(dtype: torch.dtype) -> None:
    assert tile_clips(torch.ones(3, 1, 1, 4, 4).to(dtype)).dtype == dtype
