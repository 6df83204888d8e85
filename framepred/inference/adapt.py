"""Adapt a forecaster to one clip: fine-tune it on the observed frames, and blend it with itself and with baselines."""

from collections.abc import Callable, Iterator, Sequence
from copy import deepcopy
from functools import reduce
from itertools import compress
from math import inf
from operator import add
from time import monotonic
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Shaped
from torch import Tensor, nn

from framepred.baselines import load_baseline
from framepred.clips import Clip, ClipBatch, fill_missing
from framepred.errors import ConfigError
from framepred.forecaster import Forecaster
from framepred.inference.adaptation_result import AdaptationResult
from framepred.inference.blend import Blend, default_members
from framepred.inference.blend_weights import fit_weights, measure_errors
from framepred.inference.devices import device_of
from framepred.inference.error_prior import weigh_members
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

SHARES = (0.25, 0.5, 0.75, 1.0)
"""Shares of the copy in the mean with the network that are tried; 0, not to use the copy, is always an option."""

MIN_GAIN = 0.02
"""Share of the error that the copy saves at least, in every validation window; what gains less is chance."""

_PREDICTIONS = 5
"""Time kept for the work after training: the share in the blend takes about two predictions, the refit three."""

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

    The blend has the forecaster, its mean over mirror images, and the baselines as members. Their weights are measured
    before training, because the copy has less error on the frames that it is trained on than on those to come. The copy
    then takes a share of the mean over mirror images: the one with which the error of the blend is least in the worst
    of the validation windows. Where a window gains less than ``MIN_GAIN``, the copy is not used.

    A network without weight before training gets none in this way. So the copy also replaces the network and its mean
    in a second blend, with weights fitted on the validation windows, which did not train it. This blend is used if it
    saves at least ``MIN_GAIN`` of the error in every window, each predicted with weights fitted on those that share no
    target frame with it (leave-one-out cross-validation; Stone 1974, J. R. Stat. Soc. B 36:111-147).

    Args:
        net: the forecaster, on the device to train on; it is not modified.
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
        ConfigError: if not exactly one of ``seconds`` and ``steps`` is given, a number is not positive, or the
            forecaster has no parameters.
        ClipError: if no scene has enough frames for training and validation.
    """
    budget = _Budget(seconds, steps)
    training, validation = _split(net, past, context, horizon, cuts, filler)
    baseline_errors = {name: validation.error(load_baseline(name)) for name in ("last-frame", "optical-flow")}
    weights = fit_weights(_members(net), [past], context, horizon, cuts=cuts, filler=filler)
    plain = validation.predict(Blend(_members(net), weights))
    tuned = _fine_tune(net, training, validation, budget, _PREDICTIONS, seed, on_progress)
    best = tuned.network
    replaced = plain if best is net else validation.predict(Blend(_members(net, best, 1.0), weights))
    share = validation.best_share(plain, replaced)
    blend, future = Blend(_members(net, best, share), weights), plain.lerp(replaced, share)
    refitted = None if best is net else validation.refit(default_members(best), future)
    blend, future = refitted or (blend, future)
    return AdaptationResult(
        blend.eval(),
        best,
        1.0 if refitted else share,
        refitted is not None,
        validation.error_of(future),
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
    return _fine_tune(net, training, validation, budget).network


def _in_gray(windows: ClipBatch) -> ClipBatch:
    """The mean of the channels: one channel takes a third of the time of three, which is left for training."""
    return windows._replace(
        context=windows.context.mean(dim=2, keepdim=True), target=windows.target.mean(dim=2, keepdim=True)
    )


def _members(net: Forecaster, adapted: Forecaster | None = None, share: float = 0.0) -> list[Forecaster]:
    """The members of the blend: those of the default, and the mean over mirror images with a share of the copy."""
    return [MirrorMean(net, adapted, share), *default_members(net)]


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

    def __init__(self, windows: ClipBatch, targets: Sequence[range], device: torch.device) -> None:
        self.count = len(windows.context)
        self._targets = targets
        self._windows = windows
        self._context = fill_missing(windows.context, windows.filler).to(device)
        self._target = windows.target.to(device)
        self.seconds = 0.0

    def error(self, net: Forecaster) -> float:
        """Mean squared error per pixel of a forecaster."""
        start = monotonic()
        error = self.error_of(self.predict(net))
        self.seconds = monotonic() - start
        return error

    @torch.inference_mode()
    def predict(self, net: Forecaster, chosen: slice = slice(None)) -> Clip:
        """The predicted target frames of the chosen windows, ``(b, k, c, h, w)``."""
        future: Clip = net.eval()(self._context[chosen], self._target.shape[1])
        return future

    def error_of(self, future: Clip) -> float:
        """Mean squared error per pixel of predicted target frames."""
        return float(self._errors(future).mean())

    def best_share(self, plain: Clip, replaced: Clip) -> float:
        """The share of the copy with the least error in the worst window; 0 where that gains too little.

        Args:
            plain: predictions of the blend without the copy.
            replaced: predictions of the blend with nothing but the copy in the mean over mirror images. With a share
                of the copy, the prediction lies between the two.
        """
        ratios = {share: self._worst_ratio(plain, plain.lerp(replaced, share)) for share in SHARES}
        best = min(ratios, key=ratios.__getitem__)
        return best if ratios[best] <= 1 - MIN_GAIN else 0.0

    def refit(self, members: list[Forecaster], present: Clip) -> tuple[Blend, Clip] | None:
        """The blend of some members with weights of these windows, if it gains enough in each of them.

        Args:
            members: forecasters that are not trained on the target frames of the windows.
            present: predictions of the blend that is used otherwise.

        Returns:
            The blend, with weights of all windows, and predictions of each window with weights of those that share no
            target frame with it. None if a window gains too little, or there are no such windows.
        """
        apart = [[not set(one) & set(other) for other in self._targets] for one in self._targets]
        if not all(map(any, apart)):
            return None
        windows = [
            ClipBatch(context[None], target[None], self._windows.filler)
            for context, target in zip(self._windows.context, self._windows.target, strict=True)
        ]
        products = [measure_errors(members, window) for window in windows]
        others = [reduce(add, compress(products, chosen)) for chosen in apart]
        blends = [Blend(members, weigh_members(each)) for each in others]
        future = torch.cat([self.predict(blend, slice(at, at + 1)) for at, blend in enumerate(blends)])
        if self._worst_ratio(present, future) > 1 - MIN_GAIN:
            return None
        return Blend(members, weigh_members(reduce(add, products))), future

    def _worst_ratio(self, before: Clip, after: Clip) -> float:
        """The error of one prediction as a share of that of another, in the window where it is largest."""
        return float(((self._errors(after) + NEGLIGIBLE) / (self._errors(before) + NEGLIGIBLE)).max())

    def _errors(self, future: Clip) -> Float[Tensor, " b"]:
        """Mean squared error per measured pixel of each window; 0 for a window without one."""
        return (future - self._target).square().nanmean(dim=(1, 2, 3, 4)).nan_to_num(0)


class _FineTuned(NamedTuple):
    """The better of the network before and after training, the errors of both, and the number of training steps."""

    network: Forecaster
    error_before: float
    error_after: float
    steps: int


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
    before = validation.error(net)
    budget.reserve((1 + predictions) * validation.seconds)  # and for the last validation of the copy
    copy, best, lowest_error = deepcopy(net).requires_grad_(True), net, inf
    done = validated = 0
    for progress in _train(copy, training, budget, seed):
        done += 1
        on_progress(progress)
        passed = sum(progress >= checkpoint for checkpoint in CHECKPOINTS)
        if passed > validated:
            validated, error = passed, validation.error(copy)
            best = deepcopy(copy) if error < min(before, lowest_error) else best
            lowest_error = min(error, lowest_error)
    return _FineTuned(best, before, lowest_error, done)


def _split(
    net: Forecaster, past: Shaped[Tensor, "t c h w"], context: int, horizon: int, cuts: bool, filler: float | None
) -> tuple[TrainingWindows, _Validation]:
    """Check the arguments of :func:`adapt`, and divide the past into windows to train on and to validate on."""
    _check(net, context, horizon)
    training, windows = split_past(past, context, horizon, cuts, filler)
    return training, _Validation(windows if channels_of(net) else _in_gray(windows), training.validated, device_of(net))


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
