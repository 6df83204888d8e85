import torch

from framepred.baselines import RESTORERS, HeldFrame, LinearInterpolation


def ramp(*values: float) -> torch.Tensor:
    """A clip ``(1, t, 1, 1, 1)`` of one pixel."""
    return torch.tensor(values).view(1, -1, 1, 1, 1)


def marks(text: str) -> torch.Tensor:
    return torch.tensor([letter == "x" for letter in text])


def test_linear_interpolation_is_exact_on_a_straight_line() -> None:
    clip = ramp(0.1, 0.9, 0.9, 0.9, 0.5, 0.6, 0.0, 0.8)
    restored = LinearInterpolation().eval().restore(clip, marks(".xxx..x."))
    torch.testing.assert_close(restored, ramp(0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8))


def test_the_nearest_frame_is_repeated_at_both_ends() -> None:
    restored = LinearInterpolation().eval().restore(ramp(0, 0, 0.3, 0.4, 1), marks("xx..x"))
    torch.testing.assert_close(restored, ramp(0.3, 0.3, 0.3, 0.4, 0.4))


def test_the_last_frame_is_held() -> None:
    restored = HeldFrame().eval().restore(ramp(1, 0.2, 1, 1, 0.6), marks("x.xx."))
    torch.testing.assert_close(restored, ramp(0.2, 0.2, 0.2, 0.2, 0.6))


def test_what_missing_frames_hold_is_not_looked_at() -> None:
    clip = torch.rand(2, 6, 1, 5, 4)
    missing = marks("x.xx.x")
    other = torch.where(missing[:, None, None, None], torch.rand_like(clip), clip)
    for kind in RESTORERS.values():
        assert torch.equal(kind().restore(clip, missing), kind().restore(other, missing))
