import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from framepred.errors import ClipError
from framepred.inference.scenes import find_scenes
from framepred.inference.training_windows import (
    MIN_PIECE,
    VALIDATION_SHARE,
    VALIDATION_WINDOWS,
    TrainingWindows,
    split_past,
)

CONTEXT, HORIZON = 3, 2


def filmed(*lengths: int) -> Tensor:
    """Scenes that are dark and bright by turns; the blue of every frame is its number."""
    levels = [number % 2 * 120 for number, length in enumerate(lengths) for _ in range(length)]
    clip = torch.tensor(levels, dtype=torch.uint8)[:, None, None, None].repeat(1, 3, 4, 5)
    clip[:, 2] = torch.arange(len(clip), dtype=torch.uint8)[:, None, None]
    return clip


def split(clip: Tensor) -> tuple[TrainingWindows, Tensor]:
    training, validation = split_past(clip, CONTEXT, HORIZON)
    assert (validation.context.shape[1], validation.target.shape[1]) == (CONTEXT, HORIZON)
    return training, validation.clips


def numbers(windows: Tensor) -> list[list[int]]:
    return [[round(255 * float(frame[2, 0, 0])) for frame in window] for window in windows]


@settings(max_examples=30)
@given(st.lists(st.integers(4, 20), min_size=1, max_size=6))
def test_no_window_holds_a_cut_and_no_validation_frame_is_trained_on(lengths: list[int]) -> None:
    clip, found = filmed(*lengths), []
    try:
        training, validation = split(clip)
    except ClipError:
        assert max(lengths) < CONTEXT + HORIZON + MIN_PIECE
        return
    found = find_scenes(clip)
    assert [len(scene) for scene in found] == lengths
    futures = {frame for window in numbers(validation) for frame in window[CONTEXT:]}
    for window in [*numbers(validation), *map(list, training.pieces)]:
        assert window == list(range(window[0], window[-1] + 1))
        assert any(set(window) <= set(scene) for scene in found)
    assert not futures & {frame for piece in training.pieces for frame in piece}


def test_the_last_frames_are_for_validation_and_those_before_for_training() -> None:
    training, validation = split(filmed(60))
    assert training.pieces == [range(60 - 60 // VALIDATION_SHARE)]
    assert len(validation) == VALIDATION_WINDOWS
    assert numbers(validation)[0] == [55, 56, 57, 58, 59]
    assert min(window[CONTEXT] for window in numbers(validation)) >= 50


def test_frames_after_the_validation_windows_are_trained_on() -> None:
    training, validation = split(filmed(12, 4))
    assert training.pieces == [range(10), range(12, 16)]
    assert numbers(validation) == [[7, 8, 9, 10, 11]]


def test_all_types_of_frames_mean_the_same() -> None:
    clip = filmed(12)
    for other in (clip.float() / 255, (clip.to(torch.int32) * 257).to(torch.uint16)):
        torch.testing.assert_close(split(other)[1], split(clip)[1])


def test_pixels_that_drop_out_and_come_back_are_no_cuts() -> None:
    clip = 0.6 + 0.3 * torch.rand(1, 1, 8, 8, generator=torch.Generator().manual_seed(0)).repeat(30, 1, 1, 1)
    clip[10:20, ..., 2:] = torch.nan
    training, validation = split_past(clip, CONTEXT, HORIZON, filler=0.0)
    assert training.pieces == [range(25)]
    assert validation.clips.shape[1] == CONTEXT + HORIZON


def test_no_scene_holds_a_window() -> None:
    with pytest.raises(ClipError, match=r"has 4 frames, but adapting needs 3 \+ 2"):
        split_past(filmed(2, 4, 3), CONTEXT, HORIZON)


def test_too_few_frames_are_left_to_train_on() -> None:
    with pytest.raises(ClipError, match=r"last of the 5 frames .* too few are left to train on"):
        split_past(filmed(5), 2, 3)


def crops(training: TrainingWindows, seed: int = 0, side: int = 4, split_channels: bool = False) -> Tensor:
    return training.crops(np.random.default_rng(seed), 5, side, split_channels).clips


def test_crops_are_parts_of_the_pieces() -> None:
    clip = torch.randint(0, 256, (30, 3, 9, 12), dtype=torch.uint8) // 8  # no cuts
    training = TrainingWindows(clip, [range(2, 9), range(15, 30)], CONTEXT, HORIZON)
    for seed in range(20):
        for crop in (255 * crops(training, seed)).round().to(torch.uint8):
            places = [
                start
                for piece in training.pieces
                for start in piece[: len(piece) - 4]
                for top in range(6)
                for left in range(9)
                if torch.equal(clip[start : start + 5, :, top : top + 4, left : left + 4], crop)
            ]
            assert len(places) == 1


def test_every_frame_of_the_pieces_is_trained_on() -> None:
    clip = filmed(40)
    training = TrainingWindows(clip, [range(2, 9), range(15, 30)], CONTEXT, HORIZON)
    seen = {frame for seed in range(100) for window in numbers(crops(training, seed)) for frame in window}
    assert seen == {frame for piece in training.pieces for frame in piece}


def test_a_short_piece_gives_short_windows_cut_in_proportion() -> None:
    batch = TrainingWindows(filmed(10), [range(4, 7)], 10, 10).crops(
        np.random.default_rng(0), 2, 8, split_channels=False
    )
    assert batch.context.shape == (2, 1, 3, 4, 5)
    assert batch.target.shape == (2, 2, 3, 4, 5)


def test_split_channels() -> None:
    training = TrainingWindows(filmed(3, 2), [range(3), range(3, 5)], CONTEXT, HORIZON)
    whole, split_channels = crops(training), crops(training, split_channels=True)
    assert split_channels.shape == (5, whole.shape[1], 1, 4, 4)
    assert {tuple(one[:, 0, 0, 0].tolist()) for one in split_channels} == {
        tuple(channel.tolist()) for crop in whole for channel in crop[:, :, 0, 0].T
    }
