from collections.abc import Iterator

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from framepred.baselines import LinearInterpolation
from framepred.clips import Clip, Future
from framepred.errors import ClipError, ConfigError
from framepred.inference.missing import MAX_GAP
from framepred.inference.windows import (
    MARGIN,
    WINDOW,
    MarkedFrame,
    mark,
    number_scenes,
    restore_by_each,
    restore_frames,
    upsample,
)
from framepred.restorer import Missing, Restorer


def frames(count: int) -> list[torch.Tensor]:
    """Two clips side by side, each frame a shade of its own."""
    return [torch.tensor([time / 1000, 1 - time / 1000]).view(2, 1, 1, 1) for time in range(count)]


@settings(max_examples=40)
@given(st.data())
def test_windows_give_what_the_whole_clip_gives(data: st.DataObject) -> None:
    """Linear interpolation looks at the nearest frames only, so that windows must not change it."""
    count = data.draw(st.integers(1, 100))
    missing = data.draw(st.frozensets(st.integers(0, count - 1), max_size=min(count - 1, MAX_GAP)))
    clip = torch.stack(frames(count), dim=1)
    marks = torch.tensor([number in missing for number in range(count)])
    whole = LinearInterpolation().eval().restore(clip, marks)
    windows = torch.stack(list(restore_frames(LinearInterpolation(), mark(frames(count), missing))), dim=1)
    torch.testing.assert_close(windows, whole)


class Watcher(Restorer):
    """Notes how many frames it is shown at a time and how many were drawn from the source by then."""

    def __init__(self) -> None:
        super().__init__()
        self.lengths: list[int] = []

    def fill(self, clip: Clip, missing: Missing) -> Future:
        self.lengths.append(clip.shape[1])
        first, last = missing.nonzero().flatten()[[0, -1]].tolist()
        self.seen_before, self.seen_after = int((~missing[:first]).sum()), int((~missing[last:]).sum())
        return clip[:, missing]


@pytest.mark.parametrize("factor", [1, 2, 5])
def test_memory_does_not_grow_with_the_video(factor: int) -> None:
    read = 0

    def endless() -> Iterator[torch.Tensor]:
        nonlocal read
        while True:
            read += 1
            yield torch.zeros(1, 1, 1, 1)

    watcher = Watcher()
    missing = frozenset(range(5, 100_000, 7)) if factor == 1 else frozenset()
    marked_frames = upsample(mark(endless(), missing), factor)
    ahead = []
    for number, _ in enumerate(restore_frames(watcher, marked_frames)):
        ahead.append(read - number / factor)
        if number > 3000:
            break
    longest = max(WINDOW, factor * MARGIN) + 7 + 2 * (factor * MARGIN + 7)
    assert max(watcher.lengths) <= longest
    assert max(ahead) <= 2 * (max(WINDOW, MARGIN * factor) + 7)


def test_every_gap_is_shown_with_a_margin_on_both_sides() -> None:
    watcher = Watcher()
    list(restore_frames(watcher, mark(frames(200), frozenset({100, 101, 102}))))
    assert watcher.seen_before >= MARGIN
    assert watcher.seen_after >= MARGIN


def test_seen_frames_pass_as_they_are() -> None:
    pixels = [torch.randint(0, 65536, (1, 3, 4, 5), dtype=torch.int32).to(torch.uint16) for _ in range(6)]
    given_back = list(restore_frames(LinearInterpolation(), mark(pixels, frozenset({2}))))
    assert all(frame.dtype == torch.uint16 for frame in given_back)
    assert all(torch.equal(given_back[number], pixels[number]) for number in (0, 1, 3, 4, 5))
    mean = (pixels[1].float() + pixels[3].float()) / 2
    torch.testing.assert_close(given_back[2].float(), mean, rtol=0, atol=1)


def test_a_raised_rate_keeps_every_frame_and_draws_between() -> None:
    slow = list(restore_frames(LinearInterpolation(), upsample(mark(frames(4), frozenset()), 5)))
    assert len(slow) == 16
    torch.testing.assert_close(torch.stack(slow)[:, 0].flatten(), torch.arange(16) / 5000)


def test_a_missing_frame_stays_missing_at_a_raised_rate() -> None:
    wrong = frames(4)
    wrong[1] = torch.full_like(wrong[1], 0.5)
    slow = list(restore_frames(LinearInterpolation(), upsample(mark(wrong, frozenset({1})), 2)))
    torch.testing.assert_close(torch.stack(slow)[:, 0].flatten(), torch.arange(7) / 2000)


def test_several_networks_see_the_same_frames() -> None:
    class Zeros(Restorer):
        def fill(self, clip: Clip, missing: Missing) -> Future:
            return torch.zeros_like(clip[:, missing])

    passed = list(restore_by_each([LinearInterpolation(), Zeros()], mark(frames(40), frozenset({20}))))
    assert [frame.missing for frame, _ in passed] == [number == 20 for number in range(40)]
    assert all(torch.equal(frame.frame, frames(40)[number]) for number, (frame, _) in enumerate(passed))
    linear, zero = passed[20][1]
    torch.testing.assert_close(linear, frames(40)[20])
    assert not zero.any()


def test_numbers_beyond_the_end_are_refused() -> None:
    with pytest.raises(ConfigError, match="numbered 0 to 4"):
        list(restore_frames(LinearInterpolation(), mark(frames(5), frozenset({7}))))


def test_something_must_be_seen() -> None:
    with pytest.raises(ClipError, match="All 3 frames are missing"):
        list(restore_frames(LinearInterpolation(), mark(frames(3), frozenset({0, 1, 2}))))


def test_gaps_have_a_longest() -> None:
    with pytest.raises(ClipError, match=f"More than {MAX_GAP}"):
        list(
            restore_frames(
                LinearInterpolation(), [MarkedFrame(frame, number > 0) for number, frame in enumerate(frames(90))]
            )
        )


def clip_with_cut(before: float, after: float) -> list[torch.Tensor]:
    """Twelve frames of one shade, then twelve of another."""
    return [torch.full((1, 1, 8, 8), before if time < 12 else after) for time in range(24)]


@pytest.mark.parametrize("missing", [{11, 12}, {10, 11, 12, 13}, {12, 13}, {5, 18}])
def test_nothing_is_blended_across_a_cut(missing: set[int]) -> None:
    marked = number_scenes(mark(clip_with_cut(0.2, 0.9), frozenset(missing)))
    shades = {round(float(frame.mean()), 3) for frame in restore_frames(LinearInterpolation(), marked)}
    assert shades == {0.2, 0.9}


def test_a_raised_rate_repeats_at_a_cut_instead_of_blending() -> None:
    marked = number_scenes(upsample(mark(clip_with_cut(0.2, 0.9), frozenset()), 3))
    shades = [round(float(frame.mean()), 3) for frame in restore_frames(LinearInterpolation(), marked)]
    assert len(shades) == 24 * 3 - 2
    assert set(shades) == {0.2, 0.9}
    assert shades == sorted(shades)


def test_a_steady_change_is_one_scene() -> None:
    fading = [torch.full((1, 1, 8, 8), time / 24) for time in range(24)]
    assert {frame.scene for frame in number_scenes(mark(fading, frozenset({10, 11})))} == {0}
