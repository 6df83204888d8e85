from collections.abc import Callable

import pytest
import torch

from framepred.clips import Clip, Future
from framepred.errors import ClipError
from framepred.restorer import MiddleGap, Missing, Restorer, Sides, fill_gaps, middle, sides


class Sevens(Restorer):
    """Draws 7 everywhere."""

    def fill(self, clip: Clip, missing: Missing) -> Future:
        return torch.full_like(clip[:, missing], 7.0)


def marks(text: str) -> torch.Tensor:
    """``.`` seen, ``x`` missing."""
    return torch.tensor([letter == "x" for letter in text])


@pytest.mark.parametrize(
    ("text", "near"),
    [
        (".x.", [(0, 2)]),
        (".xx..x.", [(0, 3), (0, 3), (4, 6)]),
        ("xx.", [(2, 2), (2, 2)]),
        (".xx", [(0, 0), (0, 0)]),
        ("x.x.x", [(1, 1), (1, 3), (3, 3)]),
        ("...", []),
    ],
)
def test_nearest_seen_frames(text: str, near: list[tuple[int, int]]) -> None:
    assert sides(marks(text)) == [Sides(*pair) for pair in near]


def test_seen_frames_stay_and_missing_ones_are_clamped_only_to_be_looked_at(clip: torch.Tensor) -> None:
    missing = marks("..x.xx...")
    raw, shown = Sevens().train().restore(clip, missing), Sevens().eval().restore(clip, missing)
    assert torch.equal(raw[:, ~missing], clip[:, ~missing])
    assert (raw[:, missing] == 7).all()
    assert (shown[:, missing] == 1).all()


def test_the_callers_clip_is_left_as_it_was(clip: torch.Tensor) -> None:
    before = clip.clone()
    Sevens().restore(clip, marks("..x.xx..."))
    assert torch.equal(clip, before)


def test_bytes_become_floats() -> None:
    pixels = torch.full((1, 3, 1, 2, 2), 51, dtype=torch.uint8)
    assert torch.equal(Sevens().eval().restore(pixels, marks(".x."))[0, :, 0, 0, 0], torch.tensor([0.2, 1, 0.2]))


def test_nothing_missing_is_nothing_to_do(clip: torch.Tensor) -> None:
    assert torch.equal(Sevens().restore(clip, marks("." * 9)), clip)


def test_something_must_be_seen(clip: torch.Tensor) -> None:
    with pytest.raises(ClipError, match="All 9 frames are missing"):
        Sevens().restore(clip, marks("x" * 9))


def test_marks_count_the_frames(clip: torch.Tensor) -> None:
    with pytest.raises(ClipError, match=r"\(8,\)"):
        Sevens().restore(clip, marks("x......."))


@pytest.mark.parametrize(("seen", "place"), [(4, slice(2, 5)), (5, slice(3, 6)), (1, slice(1, 4))])
def test_the_middle(seen: int, place: slice) -> None:
    assert middle(seen, 3) == place


def test_a_gap_in_the_middle_is_filled_from_a_context() -> None:
    class Numbers(Restorer):
        def fill(self, clip: Clip, missing: Missing) -> Future:
            assert missing.tolist() == [False, False, False, True, True, False, False]
            assert clip[0, ~missing, 0, 0, 0].tolist() == [0, 1, 2, 3, 4]
            return torch.full_like(clip[:, missing], 0.5)

    context = torch.arange(5.0).view(1, 5, 1, 1, 1)
    assert MiddleGap(Numbers())(context, 2).flatten().tolist() == [0.5, 0.5]


def test_each_gap_is_opened_once_and_the_ends_repeat_the_nearest_frame() -> None:
    clip = torch.arange(7.0).view(1, 7, 1, 1, 1)
    opened = []

    def open_gap(near: Sides) -> Callable[[int], torch.Tensor]:
        opened.append(near)
        return lambda index: clip[:, index] + 100

    filled = fill_gaps(clip, marks("x.xx.xx"), open_gap)
    assert filled.flatten().tolist() == [1, 102, 103, 4, 4]
    assert opened == [Sides(1, 4)]
