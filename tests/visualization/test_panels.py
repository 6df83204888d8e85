from pathlib import Path

import matplotlib
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from framepred.errors import ClipError
from framepred.media.images import read_image
from framepred.visualization.colour_map import COLOURMAP
from framepred.visualization.error_map import error_view
from framepred.visualization.panels import panel, write_panel, write_restored_panel
from framepred.visualization.side_by_side import side_by_side

INFERNO = matplotlib.colormaps[COLOURMAP]


def colours(picture: torch.Tensor) -> set[tuple[int, ...]]:
    return {tuple(colour) for colour in picture.reshape(-1, 3).unique(dim=0).tolist()}


def has_block(page: torch.Tensor, block: torch.Tensor) -> bool:
    """Whether a block of pixels ``(h, w, 3)`` lies somewhere on a page."""
    rows, columns = block.shape[:2]
    first, last = ((page == corner).all(dim=2) for corner in (block[0, 0], block[-1, -1]))
    height, width = len(page) - rows + 1, page.shape[1] - columns + 1
    fits = first[:height, :width] & last[rows - 1 :, columns - 1 :]
    return any(torch.equal(page[y : y + rows, x : x + columns], block) for y, x in fits.nonzero().tolist())


@given(st.integers(8, 128), st.integers(8, 128), st.integers(1, 5), st.integers(1, 12))
@settings(max_examples=6)
def test_every_frame_lands_on_whole_pixels(height: int, width: int, seen: int, ahead: int) -> None:
    generator = np.random.default_rng(height * width)
    frames = torch.from_numpy(generator.integers(0, 256, (seen + ahead, 3, height, width), dtype=np.uint8))
    page = panel(frames[:seen], None, frames[seen:])
    factor = 128 // max(height, width)
    for frame in (frames[0], frames[seen - 1], frames[seen], frames[-1]):
        large = frame.permute(1, 2, 0).repeat_interleave(factor, 0).repeat_interleave(factor, 1)
        assert has_block(page, large)


def test_large_frames_are_shrunk_by_averaging() -> None:
    frames = torch.zeros(2, 1, 256, 512)
    frames[..., ::2] = 1
    page = panel(frames[:1], None, frames[1:])
    assert page.shape[1] < 400
    assert has_block(page, torch.full((64, 128, 3), 128, dtype=torch.uint8))


@pytest.mark.parametrize("channels", [1, 3])
def test_error_has_a_fixed_range(channels: int) -> None:
    black = torch.zeros(2, channels, 16, 16)
    for level in (0.2, 1.0):
        page = panel(black, black, black + level)
        expected = tuple(int(part) for part in INFERNO(level, bytes=True)[:3])
        assert expected in colours(page[:-100])


def test_error_of_16_and_8_bits_is_measured_in_one_unit() -> None:
    white = torch.full((2, 1, 16, 16), 255, dtype=torch.uint8)
    same = torch.full((2, 1, 16, 16), 65535, dtype=torch.int32).to(torch.uint16)
    assert torch.equal(panel(white, white, same), panel(white, white, white))


def test_rows_grow_with_truth_title_and_clips() -> None:
    context, future = torch.rand(2, 4, 1, 16, 16), torch.rand(2, 3, 1, 16, 16)
    bare = panel(context[0], None, future[0])
    heights = [
        len(picture)
        for picture in (
            bare,
            panel(context[0], None, future[0], title="Two digits"),
            panel(context[0], future[0], future[0]),
            panel(context, future, future),
        )
    ]
    assert heights == sorted(set(heights))
    assert torch.equal(panel(context[:1], None, future[:1]), bare)


def test_long_clips_show_ten_frames() -> None:
    frames = torch.rand(40, 1, 16, 16)
    assert panel(frames[:10], None, frames[10:]).shape == panel(frames[:10], None, frames[:10]).shape


def test_written_png_is_the_panel(tmp_path: Path) -> None:
    frames = torch.rand(4, 3, 16, 20)
    write_panel(tmp_path / "new" / "panel.png", frames[:2], frames[2:], frames[:2], title="A title")
    expected = panel(frames[:2], frames[2:], frames[:2], title="A title").permute(2, 0, 1)
    assert torch.equal(read_image(tmp_path / "new" / "panel.png"), expected)


def test_pyplot_is_left_alone() -> None:
    from matplotlib import pyplot

    frames = torch.rand(2, 1, 8, 8)
    panel(frames, frames, frames)
    assert pyplot.get_fignums() == []


@pytest.mark.parametrize(
    ("context", "target", "prediction"),
    [
        ((3, 1, 8, 8), (2, 1, 8, 8), (3, 1, 8, 8)),
        ((3, 1, 8, 9), None, (2, 1, 8, 8)),
        ((3, 1, 8, 8), None, (0, 1, 8, 8)),
        ((3, 2, 8, 8), None, (2, 2, 8, 8)),
        ((2, 3, 1, 8, 8), None, (1, 2, 1, 8, 8)),
    ],
)
def test_shapes_are_checked(
    context: tuple[int, ...], target: tuple[int, ...] | None, prediction: tuple[int, ...]
) -> None:
    with pytest.raises(ClipError, match="needs frames of one shape"):
        panel(torch.zeros(context), None if target is None else torch.zeros(target), torch.zeros(prediction))


def test_a_restored_panel_hides_what_was_missing(tmp_path: Path) -> None:
    clips = torch.full((1, 4, 1, 16, 16), 255, dtype=torch.uint8)
    missing = torch.tensor([False, True, False, False])
    pictures = []
    for shade in (0, 255):
        drawn = torch.where(missing[:, None, None, None], torch.full_like(clips, shade), clips)
        write_restored_panel(tmp_path / "restored.png", clips, missing, {"linear": clips, "ours": drawn}, first=7)
        pictures.append(read_image(tmp_path / "restored.png"))
    black = [int((picture == 0).all(dim=0).sum()) for picture in pictures]
    assert black[0] == 2 * black[1]  # the missing frame of the row of what was seen, and ours where it drew black
    assert black[1] == 128 * 128


def test_arrays_are_shown_as_tensors_are() -> None:
    frames = torch.rand(4, 1, 8, 8)
    context, target, guess = frames[:2], frames[2:], frames[1:3]
    arrays = [part.numpy() for part in (context, target, guess)]
    assert torch.equal(panel(*arrays), panel(context, target, guess))
    assert torch.equal(side_by_side(*arrays), side_by_side(context, target, guess))
    assert torch.equal(error_view(*arrays[1:]), error_view(target, guess))
