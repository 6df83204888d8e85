import torch

from framepred.baselines import Blank, LastFrame, OpticalFlow
from framepred.inference.online_blend import OnlineBlend


def test_the_first_forecast_is_the_mean() -> None:
    frame = torch.rand(1, 1, 8, 8)
    future = OnlineBlend([Blank(), LastFrame()], horizon=2).step(frame)
    torch.testing.assert_close(future, (frame / 2)[:, None].expand(-1, 2, -1, -1, -1))


def test_the_weights_follow_what_served_best_at_each_lead_time() -> None:
    """Frames alternate: the last frame is wrong at odd lead times and right at even ones."""
    blend = OnlineBlend([LastFrame(), Blank()], horizon=4)
    for time in range(20):
        blend.step(torch.full((1, 1, 8, 8), float(time % 2)))
    assert [row.argmax().item() for row in blend.weights] == [1, 0, 1, 0]


def test_after_a_reset_the_weights_stay_and_the_frames_are_forgotten() -> None:
    blend = OnlineBlend([OpticalFlow(), LastFrame()], horizon=2)
    still = torch.rand(1, 1, 20, 20)
    for _ in range(5):
        blend.step(still)
    weights = blend.weights
    blend.reset()
    other = torch.rand(1, 1, 20, 20)
    torch.testing.assert_close(blend.step(other)[:, 0], other)
    torch.testing.assert_close(blend.weights, weights)
