import itertools
from math import inf, isfinite

import pytest
import torch
from torch import Tensor

from framepred.baselines import LastFrame, OpticalFlow
from framepred.clips import ClipBatch, to_unit
from framepred.errors import ClipError, ConfigError
from framepred.forecaster import Forecaster
from framepred.inference import adapt as adapting
from framepred.inference import error_prior
from framepred.inference.adapt import adapt, fine_tune
from framepred.inference.mirrored import MirrorMean
from framepred.models import EncoderForecaster, LayeredForecaster

SIZES = {"context": 4, "horizon": 3}


@pytest.fixture
def film() -> Tensor:
    """A texture that drifts by a pixel a frame: 30 frames, RGB."""
    still = torch.nn.functional.avg_pool2d(torch.rand(1, 3, 20, 52), 3, stride=1, padding=1)
    return torch.stack([(255 * still[0, :, :, time : time + 20]).to(torch.uint8) for time in range(30)])


class Brightening(Forecaster):
    """Predicts that every pixel changes by the same amount, which it learns; at first, that frames turn dark."""

    def __init__(self) -> None:
        super().__init__()
        self.change = torch.nn.Parameter(torch.tensor(-0.3))

    def observe(self, frame: Tensor, state: tuple[Tensor, ...] | None = None) -> tuple[Tensor, ...]:
        return (to_unit(frame),)

    def next_frame(self, state: tuple[Tensor, ...]) -> Tensor:
        return state[0] + self.change


def brightening(rates: list[float]) -> Tensor:
    """A texture that brightens from frame to frame by these amounts, which neither flow nor last frame predicts."""
    return 0.3 * torch.rand(1, 1, 20, 20) + torch.tensor(rates).cumsum(0)[:, None, None, None]


def parameters(net: torch.nn.Module) -> Tensor:
    return torch.cat([each.detach().flatten() for each in net.parameters()])


def error(net: torch.nn.Module, windows: Tensor) -> float:
    with torch.no_grad():
        predicted = net.eval()(windows[:, :4], 3)
    return float((predicted - windows[:, 4:]).square().mean())


def test_a_clips_past_teaches_its_future(film: Tensor, small_net: EncoderForecaster) -> None:
    given = parameters(small_net)
    adapted = adapt(small_net, film, steps=40, **SIZES)
    assert adapted.improved
    assert adapted.error_after < 0.75 * adapted.error_before
    assert adapted.steps == 40
    assert torch.equal(parameters(small_net), given)
    assert not torch.equal(parameters(adapted.network), given)


def test_errors_are_those_of_the_last_windows_in_gray(
    film: Tensor, small_net: EncoderForecaster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(error_prior, "PRIOR_COUNT", 0)  # that of films costs .2 % on a texture that drifts steadily
    windows = torch.stack([film[start : start + 7] for start in (21, 22, 23)]) / 255  # 30 // 6 = 5 frames held out
    windows = windows.mean(dim=2, keepdim=True)
    adapted = adapt(small_net, film, steps=40, **SIZES)
    assert adapted.windows == 3
    assert adapted.error_before == pytest.approx(error(small_net, windows), rel=1e-5)
    assert adapted.blend_error == pytest.approx(error(adapted.blend, windows), rel=1e-5)
    assert adapted.blend_error <= 1.01 * min(adapted.error_after, *adapted.baseline_errors.values())
    assert adapted.error_after == pytest.approx(error(adapted.network, windows), rel=1e-5)
    assert adapted.baseline_errors == pytest.approx(
        {"last-frame": error(LastFrame(), windows), "optical-flow": error(OpticalFlow(), windows)}, rel=1e-5
    )


def test_training_changes_weights_only_by_the_error_in_the_validation_windows(
    film: Tensor, small_net: EncoderForecaster, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The trained network has less error on the frames it was trained on, so these must not measure its weight."""
    monkeypatch.setattr(adapting._Validation, "error_factor", lambda self, *_: torch.ones(3))
    short, long = (adapt(small_net, film, steps=steps, **SIZES) for steps in (1, 20))
    assert torch.equal(short.blend.weights, long.blend.weights)
    monkeypatch.setattr(adapting._Validation, "error_factor", lambda self, *_: torch.full((3,), 0.05))
    better = adapt(small_net, film, steps=1, **SIZES)
    assert better.blend.weights[..., 0].mean() > short.blend.weights[..., 0].mean() + 0.5


def test_the_copy_is_averaged_with_the_network(film: Tensor, small_net: EncoderForecaster) -> None:
    adapted = adapt(small_net, film, steps=40, **SIZES)
    assert adapted.share == 0.5
    clip = film[None, :4] / 255
    expected = MirrorMean(small_net).eval()(clip, 3).lerp(MirrorMean(adapted.network).eval()(clip, 3), 0.5)
    torch.testing.assert_close(adapted.blend.members[0](clip, 3), expected)
    torch.testing.assert_close(adapted.mean(clip, 3), expected)
    assert "the share of the trained network is 0.5" in adapted.describe()


@pytest.mark.parametrize("filler", [None, 0.0])
def test_a_copy_of_a_useless_network_takes_its_place(filler: float | None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(adapting, "LEARNING_RATE", 0.03)
    clip = brightening([0.02] * 30)
    if filler is not None:
        clip[..., 8:] = torch.nan  # the filler does not brighten
    adapted = adapt(Brightening(), clip, steps=25, context=4, horizon=2, cuts=False, filler=filler)
    assert adapted.share == 1
    assert adapted.blend.weights[..., 0].min() > 0.9
    assert adapted.blend_error < 0.1 * min(adapted.baseline_errors.values())
    assert "the share of the trained network is 1," in adapted.describe()


@pytest.mark.parametrize(
    ("steps", "rates"),
    [(1, [0.02] * 30), (25, [0.02] * 28 + [-0.1] * 2)],
    ids=["has learned nothing", "has learned what ends in the last window"],
)
def test_a_network_worse_than_a_baseline_gets_no_weight(
    steps: int, rates: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(adapting, "LEARNING_RATE", 0.03)
    adapted = adapt(Brightening(), brightening(rates), steps=steps, context=4, horizon=2, cuts=False)
    assert adapted.improved
    assert adapted.blend.weights[..., 0].max() == 0


@pytest.mark.parametrize(
    ("means", "share"), [((0.2, 0.18, 0.19), 0.25), ((0.2, 0.2, 0.3), 0), ((0.2, float("nan"), float("nan")), 0)]
)
def test_the_copy_gets_the_share_with_the_least_error(
    means: tuple[float, ...], share: float, film: Tensor, small_net: EncoderForecaster, monkeypatch: pytest.MonkeyPatch
) -> None:
    errors = iter([0.3, 0.3, 0.2, 0.25, 0.3, *means, 0.1])  # last frame, flow, before, halfway, in the end, …, blend
    monkeypatch.setattr(adapting._Validation, "error_of", lambda *_: next(errors))
    adapted = adapt(small_net, film, steps=8, **SIZES)
    assert not adapted.improved
    assert adapted.network is small_net
    assert adapted.share == share
    assert ("gained nothing" in adapted.describe()) == (share == 0)


def test_errors_change_by_lead_time() -> None:
    windows = ClipBatch(torch.zeros(1, 2, 1, 4, 4), torch.zeros(1, 3, 1, 4, 4))
    windows.target[:, 2] = torch.nan
    windows.target[0, :, 0, 0, 0] = torch.nan
    validation = adapting._Validation(windows, torch.device("cpu"))
    before = torch.full_like(windows.target, 0.4)
    after = torch.full_like(windows.target, 0.1)
    after[:, 1] = 0.8
    torch.testing.assert_close(
        validation.error_factor(before, after), torch.tensor([0.25, 2.0, 1.0]), rtol=1e-3, atol=0
    )


class Diverging(Brightening):
    """Predicts the last frame; the gradient at its first weights is infinite, so that training breaks it."""

    def __init__(self) -> None:
        super().__init__()
        self.change = torch.nn.Parameter(torch.zeros(4, 4))

    def next_frame(self, state: tuple[Tensor, ...]) -> Tensor:
        return state[0] + 0 * self.change.sqrt().sum()


@pytest.mark.parametrize("filler", [None, 0.0])
def test_training_that_diverges_changes_nothing(filler: float | None) -> None:
    clip = brightening([0.02] * 30)
    if filler is not None:
        clip[..., 8:] = torch.nan
    net = Diverging()
    adapted = adapt(net, clip, steps=2, context=4, horizon=2, cuts=False, filler=filler)
    assert (adapted.error_after, adapted.improved, adapted.share, adapted.network) == (inf, False, 0, net)
    assert "gained nothing" in adapted.describe()
    assert adapted.blend(clip[None, -4:].nan_to_num(0), 2).isfinite().all()


@pytest.mark.parametrize("value", [torch.nan, torch.inf, -torch.inf])
def test_an_error_is_infinite_where_a_measured_pixel_is_not_predicted(value: float) -> None:
    windows = ClipBatch(torch.zeros(2, 2, 1, 4, 4), torch.zeros(2, 3, 1, 4, 4), 0.0)
    windows.target[1, 1, 0, 0, 0] = torch.nan
    validation = adapting._Validation(windows, torch.device("cpu"))
    whole = torch.full_like(windows.target, 0.1)
    unused, broken = whole.clone(), whole.clone()
    unused[1, 1, 0, 0, 0] = value
    broken[1, 1, 0, 0, 1] = value
    assert validation.error_of(unused) == validation.error_of(whole)
    assert validation.error_of(broken) == inf
    assert validation.error_factor(whole, unused).tolist() == [1, 1, 1]
    assert validation.error_factor(whole, broken).tolist() == [1, inf, 1]


def test_training_needs_no_blend(film: Tensor, small_net: EncoderForecaster, monkeypatch: pytest.MonkeyPatch) -> None:
    ticks = itertools.count()
    monkeypatch.setattr(adapting, "monotonic", lambda: float(next(ticks)))
    monkeypatch.setattr(adapting, "measure_past", None)  # is not called
    monkeypatch.setattr(adapting, "KERNEL_RATE", 0.05)  # the network is not trained yet
    trained = fine_tune(small_net, film, 20, **SIZES)
    windows = torch.stack([film[start : start + 7] for start in (21, 22, 23)]) / 255
    assert error(trained, windows) < 0.9 * error(small_net, windows)


def test_steps_and_seed_decide_everything(film: Tensor, small_net: EncoderForecaster) -> None:
    first, again, other = (
        parameters(adapt(small_net, film, steps=4, seed=seed, **SIZES).network) for seed in (1, 1, 2)
    )
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_nothing_is_learned_from_what_is_judged(
    film: Tensor, small_net: EncoderForecaster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(adapting, "CHECKPOINTS", (1.0,))  # which of several copies is kept may depend on it
    changed = film.clone()
    changed[25:] += 20  # 30 // 6 = 5 frames are held out; no cut comes of it
    one, other = (adapt(small_net, clip, steps=40, **SIZES) for clip in (film, changed))
    assert one.error_before != other.error_before
    assert torch.equal(parameters(one.network), parameters(other.network))
    changed[24] += 1
    assert not torch.equal(parameters(one.network), parameters(adapt(small_net, changed, steps=40, **SIZES).network))


@pytest.mark.parametrize("rate", [0.0, 1e6])
def test_what_is_no_better_is_not_kept(
    film: Tensor, small_net: EncoderForecaster, rate: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("LEARNING_RATE", "KERNEL_RATE"):
        monkeypatch.setattr(adapting, name, rate)
    adapted = adapt(small_net, film, steps=4, **SIZES)
    assert not adapted.improved
    assert adapted.network is small_net
    assert adapted.share == 0


def test_the_best_on_the_way_is_kept(
    film: Tensor, small_net: EncoderForecaster, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = adapt(small_net, film, steps=8, **SIZES)
    monkeypatch.setattr(adapting, "CHECKPOINTS", (0.5,))
    halfway = adapt(small_net, film, steps=8, **SIZES)
    assert halfway.error_after > whole.error_after

    # last frame, optical flow, before, halfway, in the end, three means, blend
    errors = iter([0.3, 0.3, 0.2, 0.05, 0.1, 0.2, 0.1, 0.04, 0.03])
    monkeypatch.setattr(adapting._Validation, "error_of", lambda *_: next(errors))
    monkeypatch.setattr(adapting, "CHECKPOINTS", (0.5, 1.0))
    adapted = adapt(small_net, film, steps=8, **SIZES)
    assert adapted.error_after == 0.05
    assert torch.equal(parameters(adapted.network), parameters(halfway.network))


def test_colours_run_apart_only_where_the_network_takes_them_so(film: Tensor) -> None:
    for channels in (1, 3):
        net = EncoderForecaster(channels=channels, hidden_channels=[4], kernel_size=3)
        assert adapt(net, film, steps=10, **SIZES).improved


def test_layers_learn_too(film: Tensor) -> None:
    net = LayeredForecaster(layers=2, coarse_channels=8, fine_channels=4, embedding_channels=8, reach=1)
    assert adapt(net, film, steps=10, **SIZES).improved


def test_seconds_are_by_the_clock(film: Tensor, small_net: EncoderForecaster, monkeypatch: pytest.MonkeyPatch) -> None:
    ticks = itertools.count()
    monkeypatch.setattr(adapting, "monotonic", lambda: float(next(ticks)))
    told: list[float] = []
    adapted = adapt(small_net, film, seconds=30, on_progress=told.append, **SIZES)
    assert told == sorted(told)
    assert told[-1] == 1
    assert len(told) == adapted.steps
    assert 24 <= next(ticks) <= 30  # time is kept for six predictions of the validation windows


def test_no_time_for_a_step(film: Tensor, small_net: EncoderForecaster) -> None:
    adapted = adapt(small_net, film, seconds=1e-6, **SIZES)
    assert (adapted.steps, adapted.error_after, adapted.network) == (0, inf, small_net)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({}, "either seconds or steps"),
        ({"seconds": 3, "steps": 3}, "either seconds or steps"),
        ({"seconds": float("inf")}, "a positive number, not inf"),
        ({"steps": 0}, "a positive number, not None seconds and 0"),
        ({"steps": 1, "context": 0}, "at least 1 frame each, not 0 and 3"),
        ({"steps": 1, "seed": -1}, "seed must be 0 or more, not -1"),
    ],
)
def test_arguments_are_checked(
    film: Tensor, small_net: EncoderForecaster, arguments: dict[str, float], sentence: str
) -> None:
    with pytest.raises(ConfigError, match=sentence):
        adapt(small_net, film, **SIZES | arguments)  # type: ignore[arg-type]


def test_what_cannot_learn_and_what_cannot_be_learned_from(film: Tensor, small_net: EncoderForecaster) -> None:
    with pytest.raises(ConfigError, match="LastFrame has no parameters to train"):
        adapt(LastFrame(), film, steps=1)
    with pytest.raises(ClipError, match="has 5 frames"):
        adapt(small_net, film[:5], steps=1, **SIZES)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_a_network_in_half_precision_is_adapted_in_float32(
    dtype: torch.dtype, film: Tensor, small_net: EncoderForecaster
) -> None:
    adapted = adapt(small_net.to(dtype), film, steps=2, **SIZES)
    assert {parameter.dtype for parameter in adapted.blend.parameters()} == {torch.float32}
    assert {parameter.dtype for parameter in small_net.parameters()} == {dtype}
    assert isfinite(adapted.blend_error)
