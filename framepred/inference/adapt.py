"""Adapt a forecaster to one clip: fine-tune it on the observed frames, and blend it with itself and with baselines."""

from collections.abc import Callable, Iterator
from copy import deepcopy
from math import inf
from time import monotonic
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Shaped
from torch import Tensor, nn

from framepred.baselines import load_baseline
from framepred.clips import Clip, ClipBatch, fill_missing
from framepred.data.clip_dataset import check_seed
from framepred.errors import ConfigError
from framepred.forecaster import Forecaster, eval_mode
from framepred.inference.adaptation_result import AdaptationResult
from framepred.inference.blend import FIT_HORIZON, Blend, default_members
from framepred.inference.blend_weights import measure_past
from framepred.inference.devices import device_of
from framepred.inference.error_prior import weigh_members
from framepred.inference.measured import channel_mean
from framepred.inference.mirrored import MirrorMean
from framepred.inference.networks import channels_of
from framepred.inference.stacking import NEGLIGIBLE
from framepred.inference.training_windows import TrainingWindows, split_past
from framepred.training.losses import measured_loss
from framepred.training.optimizers import Muon, multiplies_bfloat16
from framepred.training.rollout import predict_every_frame
from framepred.training.schedules import learning_rate_factor

LEARNING_RATE, KERNEL_RATE = 5e-4, 5e-3
"""Peak learning rates of :class:`~framepred.training.optimizers.Muon`, which decay to zero at the end of the budget. In
as many steps it gains more than AdamW, and harms less a network that soon meets other motion."""

WARMUP = 0.05
"""Share of the budget over which the learning rate rises."""

CROPS, CROP_SIDE = 4, 64
"""Number of crops per training step, and their side in pixels."""

CHECKPOINTS = (0.5, 1.0)
"""Shares of the budget after which the copy is validated."""

SHARES = (0.0, 0.25, 0.5)
"""Shares of the copy in the mean that are tried. Larger shares have no less error on average in the frames that follow
the past, and more in the worst case."""

REPLACEMENT_RATIO = 4
"""A network with this many times the squared error of its trained copy is replaced. The mean of two predictions whose
errors are independent is better than the better one only if their ratio is below 3."""

_PREDICTIONS = 7
"""Time kept to validate the blend after training, in predictions of the validation windows by the network: the network
and its copy each predict a window and its two mirror images, and the baselines take the rest."""

_SCHEDULE_STEPS = 1000  # steps of the learning-rate schedule; the spent share of the budget is rounded to one of them


def adapt(
    net: Forecaster,
    past: Shaped[Tensor, "t c h w"],
    *,
    seconds: float | None = None,
    steps: int | None = None,
    context: int = 10,
    horizon: int = 10,
    seed: int = 0,
    cuts: bool = True,
    filler: float | None = None,
    on_progress: Callable[[float], object] = lambda _: None,
) -> AdaptationResult:
    """Fine-tune a copy of a forecaster on the past of a clip, and blend it with the forecaster and with baselines.

    The copy is trained to predict each next frame in random crops of random windows without scene cuts. The last
    frames of the past are kept for validation.

    The predictions of forecaster and copy are averaged, with the share of the copy that has the least error in the
    validation windows. The mean errs less in what differs from the past than the copy, and less in what resembles it
    than the forecaster (compare Wortsman et al. 2022, "Robust fine-tuning of zero-shot models"). A forecaster with
    ``REPLACEMENT_RATIO`` times the error of the copy is left out. Both also predict mirror images of the clip.

    The blend has this mean and the baselines as members. Its weights follow from the errors in the past. Those of the
    mean are measured before training, because the copy has less error on the frames that it is trained on than on those
    to come, and multiplied by the factor by which the error in the validation windows has changed.

    Args:
        net: the forecaster, on the device to train on; it is not modified. Half precision is adapted in float32.
        past: the observed frames, at the input size of ``net``: uint8, uint16, or floats in [0, 1].
        seconds: wall-clock budget; give either this or ``steps``.
        steps: number of training steps.
        context: number of input frames of a window.
        horizon: number of target frames of a window.
        seed: seed of the windows and crops.
        cuts: whether to detect scene cuts.
        filler: what stands for missing pixels, which are NaN in ``past``; they have no part in losses and errors. None
            where there are none.
        on_progress: called after each step with the spent share of the budget, in [0, 1].

    Raises:
        ConfigError: if not exactly one of ``seconds`` and ``steps`` is given, a number is not positive, the
            seed is negative, or the forecaster has no parameters.
        ClipError: if no scene has enough frames for training and validation.
    """
    check_seed(seed)
    budget = _Budget(seconds, steps)
    training, validation = _split(net, past, context, horizon, cuts, filler)
    baseline_errors = {name: validation.error(load_baseline(name)) for name in ("last-frame", "optical-flow")}
    given, net = net, _in_float32(net)  # the blend, which is in eval mode, holds a forecaster of its own
    products = measure_past(default_members(MirrorMean(net)), [past], context, horizon, cuts=cuts, filler=filler)
    tuned = _fine_tune(net, training, validation, budget, _PREDICTIONS, seed, on_progress)
    weights = weigh_members(products, error_factor=tuned.error_factor)[: min(horizon, FIT_HORIZON)]
    mean = MirrorMean(net, tuned.copy, tuned.share).eval()
    blend = Blend(default_members(mean), weights).eval()
    return AdaptationResult(
        mean,
        blend,
        tuned.better_than(given),
        tuned.share,
        validation.error(blend),
        tuned.error_before,
        tuned.error_after,
        baseline_errors,
        validation.count,
        tuned.steps,
    )


def fine_tune(
    net: Forecaster,
    past: Shaped[Tensor, "t c h w"],
    seconds: float,
    *,
    context: int = 10,
    horizon: int = 10,
    cuts: bool = True,
) -> Forecaster:
    """Return the copy that :func:`adapt` trains, without a blend; the forecaster itself if the copy is no better.

    The arguments are those of :func:`adapt`, and so are the errors raised.
    """
    budget = _Budget(seconds, None)
    training, validation = _split(net, past, context, horizon, cuts, None)
    return _fine_tune(_in_float32(net), training, validation, budget).better_than(net)


def _in_float32(net: Forecaster) -> Forecaster:
    """A copy whose parameters in half precision are float32, in which small steps of training are not lost."""
    copy = deepcopy(net)
    return (
        copy.float()
        if any(parameter.dtype.itemsize < torch.float32.itemsize for parameter in net.parameters())
        else copy
    )


def _in_gray(windows: ClipBatch) -> ClipBatch:
    """The mean of the channels: one channel takes a third of the time of three, which is left for training."""
    return windows._replace(context=channel_mean(windows.context), target=channel_mean(windows.target))


def _check(net: Forecaster, context: int, horizon: int) -> None:
    if min(context, horizon) < 1:
        raise ConfigError(f"context and horizon must be at least 1 frame each, not {context} and {horizon}.")
    if next(net.parameters(), None) is None:
        raise ConfigError(f"{type(net).__name__} has no parameters to train; adapt a network.")


class _Budget:
    """Training budget: a wall-clock time in seconds that starts now, or a number of steps."""

    def __init__(self, seconds: float | None, steps: int | None) -> None:
        whole = seconds if steps is None else steps
        if (seconds is None) == (steps is None) or whole is None or not 0 < whole < inf:
            raise ConfigError(
                f"Adapting takes either seconds or steps, a positive number, not {seconds} seconds and {steps} steps."
            )
        self._total = whole
        self._is_time_limit = steps is None
        self._start = monotonic()

    def reserve(self, seconds: float) -> None:
        """Reserve time for the work after training; has no effect on a budget in steps."""
        self._total -= seconds if self._is_time_limit else 0

    def spent(self, steps: int) -> float:
        """Share of the budget spent after this many steps, in [0, 1]."""
        spent = monotonic() - self._start if self._is_time_limit else steps
        return min(1.0, spent / self._total) if self._total > 0 else 1.0


class _Validation:
    """Validation windows; ``seconds`` is how long the last prediction of them took."""

    def __init__(self, windows: ClipBatch, device: torch.device) -> None:
        self.count = len(windows.context)
        self._context = fill_missing(windows.context, windows.filler).to(device)
        self._target = windows.target.to(device)
        self.seconds = 0.0

    def error(self, net: Forecaster) -> float:
        """Mean squared error per pixel of a forecaster."""
        return self.error_of(self.predict(net))

    @torch.inference_mode()
    def predict(self, net: Forecaster) -> Clip:
        """The predicted target frames of the windows, ``(b, k, c, h, w)``."""
        start = monotonic()
        with eval_mode(net):
            future: Clip = net(self._context, self._target.shape[1])
        self.seconds = monotonic() - start
        return future

    def error_of(self, future: Clip) -> float:
        """Mean squared error per pixel of predicted target frames; infinite if they are not finite."""
        return float(self._squared(future).nanmean(dim=(1, 2, 3, 4)).nan_to_num(0, posinf=inf).mean())

    def error_factor(self, before: Clip, after: Clip) -> Float[Tensor, " k"]:
        """How many times as large the root mean squared error of one prediction is as that of another, by lead time."""
        squared = [
            self._squared(future).nanmean(dim=(0, 2, 3, 4)).nan_to_num(0, posinf=inf) + NEGLIGIBLE
            for future in (before, after)
        ]
        return (squared[1] / squared[0]).sqrt()

    def _squared(self, future: Clip) -> Clip:
        """Squared errors: NaN where a pixel is not measured, infinite where its prediction is not finite."""
        errors = (future - self._target).square().nan_to_num(inf, posinf=inf)
        return errors.masked_fill(self._target.isnan(), torch.nan)


class _FineTuned(NamedTuple):
    """The result of training a copy of a network.

    Attributes:
        copy: the trained network.
        share: its weight in the mean with the network before training.
        error_factor: how many times as large the error of that mean is as that of the network before training, by lead
            time.
        error_before: error before training.
        error_after: lowest error during training, that of the copy; infinite without a validation.
        steps: number of training steps.
    """

    copy: Forecaster
    share: float
    error_factor: Float[Tensor, " k"]
    error_before: float
    error_after: float
    steps: int

    def better_than(self, net: Forecaster) -> Forecaster:
        """The copy if it has less error than the network before training, ``net``; else that."""
        return self.copy if self.error_after < self.error_before else net


def _fine_tune(
    net: Forecaster,
    training: TrainingWindows,
    validation: _Validation,
    budget: _Budget,
    predictions: int = 0,
    seed: int = 0,
    on_progress: Callable[[float], object] = lambda _: None,
) -> _FineTuned:
    """Train a copy of a forecaster, and leave time for this many predictions of the validation windows after it."""
    given = best_future = validation.predict(net)
    before = validation.error_of(given)
    budget.reserve((1 + predictions) * validation.seconds)  # and for the last validation of the copy
    copy, best, lowest_error = deepcopy(net).requires_grad_(True), net, inf
    done = validated = 0
    for progress in _train(copy, training, budget, seed):
        done += 1
        on_progress(progress)
        passed = sum(progress >= checkpoint for checkpoint in CHECKPOINTS)
        if passed > validated:
            validated, future = passed, validation.predict(copy)
            error = validation.error_of(future)
            if error < lowest_error:
                best, best_future, lowest_error = deepcopy(copy), future, error
    if REPLACEMENT_RATIO * lowest_error < before:
        share = 1.0
    else:
        share = min(SHARES, key=lambda each: validation.error_of(given.lerp(best_future, each)))
    factor = validation.error_factor(given, given.lerp(best_future, share))
    return _FineTuned(best, share, factor, before, lowest_error, done)


def _split(
    net: Forecaster, past: Shaped[Tensor, "t c h w"], context: int, horizon: int, cuts: bool, filler: float | None
) -> tuple[TrainingWindows, _Validation]:
    """Check the arguments of :func:`adapt`, and divide the past into windows to train on and to validate on."""
    _check(net, context, horizon)
    training, windows = split_past(past, context, horizon, cuts, filler)
    return training, _Validation(windows if channels_of(net) else _in_gray(windows), device_of(net))


def _train(net: Forecaster, windows: TrainingWindows, budget: _Budget, seed: int) -> Iterator[float]:
    """Train a forecaster in place; yield the spent share of the budget after each step.

    Steps run in mixed precision with bfloat16 where the device has units for it, which takes .7 of the time.
    """
    optimizer = Muon(net.parameters(), LEARNING_RATE, KERNEL_RATE)
    peaks = [group["lr"] for group in optimizer.param_groups]
    device, split_channels = device_of(net), getattr(net, "channels", None) == 1
    step, progress = 0, budget.spent(0)
    while progress < 1:
        crops = windows.crops(np.random.default_rng([seed, step]), CROPS, CROP_SIDE, split_channels)
        factor = learning_rate_factor(
            round(progress * _SCHEDULE_STEPS), _SCHEDULE_STEPS, round(WARMUP * _SCHEDULE_STEPS)
        )
        for group, peak in zip(optimizer.param_groups, peaks, strict=True):
            group["lr"] = peak * factor
        net.train()
        optimizer.zero_grad()
        with torch.autocast(device.type, torch.bfloat16, enabled=multiplies_bfloat16(device)):
            loss = _loss(net, crops.clips.to(device), crops.context.shape[1], crops.filler)
        torch.autograd.backward(loss)
        nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        optimizer.step()
        step += 1
        progress = budget.spent(step)
        yield progress


def _loss(net: Forecaster, clips: Clip, context: int, filler: float | None) -> Tensor:
    # After the context, the network reads its own predictions, as it does at inference.
    no_truth = torch.zeros(clips.shape[:2], dtype=torch.bool, device=clips.device)
    predicted = predict_every_frame(net, fill_missing(clips, filler), context, no_truth).frames
    return measured_loss(nn.MSELoss(), predicted, clips[:, 1:], filler)
