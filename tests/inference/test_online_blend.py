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
    assert [rows.mean(dim=0).argmax().item() for rows in blend.weights] == [1, 0, 1, 0]


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


def test_what_stands_still_stays_exact_and_the_rest_is_learned() -> None:
    """The same weights as :func:`fit_blend` finds: the left half never changes, the right half drifts."""
    texture = torch.nn.functional.avg_pool2d(torch.rand(1, 1, 48, 140), 5, stride=1, padding=2)
    frames = [torch.cat([texture[..., :32], texture[..., 32 + t : 64 + t]], dim=-1) for t in range(25)]
    blend = OnlineBlend([OpticalFlow().eval(), LastFrame().eval()], horizon=3)
    futures = [blend.step(frame) for frame in frames]
    assert torch.equal(futures[-4][0, :, :, :, :8], frames[-4][..., :8].expand(3, -1, -1, -1))
    error, still = ((guess - frames[-1][0]).square().mean() for guess in (futures[-4][0, 2], frames[-4][0]))
    assert float(error) < 0.5 * float(still)
