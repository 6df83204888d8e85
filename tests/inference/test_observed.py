import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from framepred.errors import ClipError
from framepred.inference.adapt import HELD_OUT, JUDGED, SHORTEST, Lessons, divide
from framepred.inference.scenes import scenes

CONTEXT, HORIZON = 3, 2


def filmed(*lengths: int) -> Tensor:
    """Scenes that are dark and bright by turns; the blue of every frame is its number."""
    levels = [number % 2 * 120 for number, length in enumerate(lengths) for _ in range(length)]
    clip = torch.tensor(levels, dtype=torch.uint8)[:, None, None, None].repeat(1, 3, 4, 5)
    clip[:, 2] = torch.arange(len(clip), dtype=torch.uint8)[:, None, None]
    return clip


def divided(clip: Tensor) -> tuple[Lessons, Tensor]:
    lessons, judged = divide(clip, CONTEXT, HORIZON)
    assert (judged.context.shape[1], judged.target.shape[1]) == (CONTEXT, HORIZON)
    return lessons, judged.clips


def numbers(windows: Tensor) -> list[list[int]]:
    return [[round(255 * float(frame[2, 0, 0])) for frame in window] for window in windows]


@given(st.lists(st.integers(1, 20), min_size=1, max_size=6))
def test_no_window_holds_a_cut_and_nothing_judged_is_learned(lengths: list[int]) -> None:
    clip, found = filmed(*lengths), []
    try:
        lessons, judged = divided(clip)
    except ClipError:
        assert max(lengths) < CONTEXT + HORIZON + SHORTEST
        return
    found = scenes(clip)
    assert [len(scene) for scene in found] == lengths
    futures = {frame for window in numbers(judged) for frame in window[CONTEXT:]}
    for window in [*numbers(judged), *map(list, lessons.pieces)]:
        assert window == list(range(window[0], window[-1] + 1))
        assert any(set(window) <= set(scene) for scene in found)
    assert not futures & {frame for piece in lessons.pieces for frame in piece}


def test_the_last_frames_are_judged_and_those_before_are_learned() -> None:
    lessons, judged = divided(filmed(60))
    assert lessons.pieces == [range(60 - 60 // HELD_OUT)]
    assert len(judged) == JUDGED
    assert numbers(judged)[0] == [55, 56, 57, 58, 59]
    assert min(window[CONTEXT] for window in numbers(judged)) >= 50


def test_frames_after_the_judged_ones_are_learned() -> None:
    lessons, judged = divided(filmed(12, 4))
    assert lessons.pieces == [range(10), range(12, 16)]
    assert numbers(judged) == [[7, 8, 9, 10, 11]]


def test_all_types_of_frames_mean_the_same() -> None:
    clip = filmed(12)
    for other in (clip.float() / 255, (clip.to(torch.int32) * 257).to(torch.uint16)):
        torch.testing.assert_close(divided(other)[1], divided(clip)[1])


def test_no_scene_holds_a_window() -> None:
    with pytest.raises(ClipError, match=r"has 4 frames, but adapting needs 3 \+ 2"):
        divide(filmed(2, 4, 3), CONTEXT, HORIZON)


def test_nothing_is_left_to_learn_from() -> None:
    with pytest.raises(ClipError, match=r"Of the 5 observed frames .* too few are left"):
        divide(filmed(5), 2, 3)


def squares(lessons: Lessons, seed: int = 0, side: int = 4, apart: bool = False) -> Tensor:
    return lessons.squares(np.random.default_rng(seed), 5, side, apart).clips


def test_squares_are_parts_of_the_pieces() -> None:
    clip = torch.randint(0, 256, (30, 3, 9, 12), dtype=torch.uint8) // 8  # no cuts
    lessons = Lessons(clip, [range(2, 9), range(15, 30)], CONTEXT, HORIZON)
    for seed in range(20):
        for square in (255 * squares(lessons, seed)).round().to(torch.uint8):
            places = [
                start
                for piece in lessons.pieces
                for start in piece[: len(piece) - 4]
                for top in range(6)
                for left in range(9)
                if torch.equal(clip[start : start + 5, :, top : top + 4, left : left + 4], square)
            ]
            assert len(places) == 1


def test_every_frame_to_learn_from_is_learned_from() -> None:
    clip = filmed(40)
    lessons = Lessons(clip, [range(2, 9), range(15, 30)], CONTEXT, HORIZON)
    seen = {frame for seed in range(100) for window in numbers(squares(lessons, seed)) for frame in window}
    assert seen == {frame for piece in lessons.pieces for frame in piece}


def test_a_short_piece_gives_short_windows_cut_in_proportion() -> None:
    batch = Lessons(filmed(10), [range(4, 7)], 10, 10).squares(np.random.default_rng(0), 2, 8, apart=False)
    assert batch.context.shape == (2, 1, 3, 4, 5)
    assert batch.target.shape == (2, 2, 3, 4, 5)


def test_channels_apart() -> None:
    lessons = Lessons(filmed(3, 2), [range(3), range(3, 5)], CONTEXT, HORIZON)
    whole, apart = squares(lessons), squares(lessons, apart=True)
    assert apart.shape == (5, whole.shape[1], 1, 4, 4)
    assert {tuple(one[:, 0, 0, 0].tolist()) for one in apart} == {
        tuple(channel.tolist()) for square in whole for channel in square[:, :, 0, 0].T
    }
