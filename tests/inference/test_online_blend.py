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


def brightening(count: int) -> list[torch.Tensor]:
    """A texture that stands still and becomes brighter by 0.01 a frame, which no member predicts."""
    texture = torch.nn.functional.avg_pool2d(torch.rand(1, 1, 32, 32), 5, stride=1, padding=2) / 2
    return [texture + 0.01 * number for number in range(count)]


def test_what_was_missed_at_the_last_frame_is_added_to_the_next_forecasts() -> None:
    """The last error is 0.01 everywhere: the next frame is exact, the second one wants twice as much."""
    blend = OnlineBlend([OpticalFlow().eval(), LastFrame().eval()], horizon=4)
    frames = brightening(25)
    future = [blend.step(frame) for frame in frames[:20]][-1][0]
    errors = torch.stack([(frames[20 + lead] - future[lead]).mean() for lead in range(4)])
    torch.testing.assert_close(errors, torch.tensor([0.0, 0.01, 0.02, 0.04]), atol=2e-3, rtol=0)


def test_an_error_of_chance_is_not_carried() -> None:
    """Noise that is new in every frame: the error of one frame says nothing about the next."""
    frames = [0.5 + 0.02 * torch.randn(1, 1, 32, 32) for _ in range(30)]
    blend = OnlineBlend([OpticalFlow().eval(), LastFrame().eval()], horizon=1)
    plain = OnlineBlend([LastFrame().eval()], horizon=1)
    pairs = zip(frames[1:], [(blend.step(frame), plain.step(frame)) for frame in frames[:-1]], strict=True)
    errors = torch.tensor([[(truth - one[:, 0]).square().mean() for one in both] for truth, both in pairs])
    assert errors[10:, 0].mean() < 1.05 * errors[10:, 1].mean()


def test_what_is_missing_is_no_error() -> None:
    """The filler of missing pixels differs from what was forecast there by 0.5."""
    frames, gap = brightening(25), torch.zeros(1, 32, 32, dtype=torch.bool)
    gap[:, 8:16, 8:16] = True
    blend = OnlineBlend([OpticalFlow().eval(), LastFrame().eval()], horizon=1)
    for frame in frames[:20]:
        blend.step(frame)
    future = blend.step(frames[20].masked_fill(gap, 1.0), gap)
    assert float((future[0, 0] - frames[21])[..., 20:, 20:].abs().max()) < 5e-3
    assert float((future[0, 0] - 1.0)[..., 10:14, 10:14].abs().max()) < 5e-3


def test_a_forecaster_alone_stays_as_it_is() -> None:
    flow = OpticalFlow().eval()
    blend, state = OnlineBlend([flow], horizon=4), None
    for frame in brightening(12):
        state = flow.observe(frame, state)
        assert torch.equal(blend.step(frame), flow.forecast(state, 4))
