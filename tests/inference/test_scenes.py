import pytest
import torch

from framepred.inference.scenes import cuts, is_cut, scenes


@pytest.mark.parametrize(("change", "cut"), [(0.0, False), (0.09, False), (0.11, True), (-0.11, True)])
def test_a_cut_is_a_mean_change_above_a_tenth(change: float, cut: bool) -> None:
    before = torch.full((1, 3, 4, 5), 0.5)
    assert is_cut(before, before + change) is cut


def test_small_things_that_move_are_no_cut() -> None:
    before, after = torch.zeros(1, 1, 10, 10), torch.zeros(1, 1, 10, 10)
    before[..., :3, :3] = after[..., 5:8, 5:8] = 0.5
    assert not is_cut(before, after)


def test_cuts_name_the_first_frame_of_each_new_shot() -> None:
    frames = [torch.full((1, 1, 2, 2), value) for value in (0.1, 0.15, 0.8, 0.8, 0.2)]
    assert list(cuts(frames)) == [2, 4]
    assert list(cuts(frames[:1])) == []


def test_scenes_are_what_lies_between_cuts() -> None:
    clip = torch.cat([torch.full((length, 1, 2, 2), level) for length, level in ((2, 0.1), (1, 0.8), (3, 0.2))])
    for frames in (clip, (255 * clip).to(torch.uint8)):
        assert scenes(frames) == [range(2), range(2, 3), range(3, 6)]
