"""Adapt a forecaster to one clip: train on its observed frames, validate on the last of them, blend."""

from collections.abc import Callable, Iterator
from copy import deepcopy
from dataclasses import dataclass
from math import inf
from time import monotonic

import numpy as np
import torch
from jaxtyping import Shaped
from torch import Tensor, nn

from framepred.baselines import LastFrame, OpticalFlow
from framepred.clips import Clip, ClipBatch, to_unit
from framepred.data.video_folder import evenly_spread
from framepred.errors import ClipError, ConfigError
from framepred.forecaster import Forecaster
from framepred.inference.blend import Blend, best_shares
from framepred.inference.scenes import scenes
from framepred.training.rollout import predict_every_frame
from framepred.training.schedules import learning_rate_factor

SHORTEST = 3
"""Frames in which there is motion to learn from."""

HELD_OUT = 6
"""One in so many observed frames, the last ones, is held out for judging; never fewer than a horizon."""

JUDGED = 4
"""Windows to be judged on, at most: each costs about as much as a step of learning."""


@dataclass(frozen=True)
class Lessons:
    """Windows of a clip to learn from, none with a scene cut in it.

    Attributes:
        frames: the observed frames ``(t, c, h, w)``: uint8, uint16, or floats in [0, 1].
        pieces: numbers of the frames to learn from; within each piece they follow from one another.
        context: frames that are seen in a whole window.
        horizon: frames that are to be predicted after them.
    """

    frames: Shaped[Tensor, "t c h w"]
    pieces: list[range]
    context: int
    horizon: int

    def squares(self, random: np.random.Generator, count: int, side: int, apart: bool) -> ClipBatch:
        """Random squares of random windows of one piece, floats; windows are shortened where the piece is shorter.

        Args:
            random: draws piece, windows and places.
            count: how many.
            side: pixels; frames with a smaller side are taken whole along it.
            apart: each square has one channel instead of all.
        """
        sizes = np.array([len(piece) for piece in self.pieces])
        piece = self.pieces[random.choice(len(sizes), p=sizes / sizes.sum())]
        whole = self.context + self.horizon
        length = min(whole, len(piece))
        clips = [self._square(random, piece, length, side, apart) for _ in range(count)]
        return ClipBatch.cut(torch.stack(clips), max(1, length * self.context // whole))

    def _square(
        self, random: np.random.Generator, piece: range, length: int, side: int, apart: bool
    ) -> Shaped[Tensor, "_t _c _h _w"]:
        _, channels, height, width = self.frames.shape
        start = random.integers(piece.start, piece.stop - length, endpoint=True)
        top = random.integers(max(0, height - side), endpoint=True)
        left = random.integers(max(0, width - side), endpoint=True)
        channel = random.integers(channels)
        window = self.frames[start : start + length, :, top : top + side, left : left + side]
        return to_unit(window[:, channel : channel + 1] if apart else window)


def divide(frames: Shaped[Tensor, "t c h w"], context: int, horizon: int) -> tuple[Lessons, ClipBatch]:
    """Cut observed frames into what is learned from and the last windows, whose futures are held out for judging.

    What is judged lies in the last scene that holds a whole window; it has the frames before it as its context, though
    these may have been learned from. Frames after it, of scenes too short for a window, are learned from.

    Args:
        frames: the observed frames: uint8, uint16, or floats in [0, 1].
        context: frames that are seen in a window.
        horizon: frames that are to be predicted after them.

    Returns:
        The lessons, and the windows to be judged on as floats, the last one first.

    Raises:
        ClipError: if no scene holds a window, or nothing is left to learn from.
    """
    length, found = context + horizon, scenes(frames)
    starts = [start for scene in found for start in range(scene.start, scene.stop - length + 1)]
    if not starts:
        raise ClipError(
            f"The longest scene that was observed has {max(map(len, found))} frames, but adapting needs "
            f"{context} + {horizon} to be judged on; give a longer clip, lower the context, or do not adapt."
        )
    end = starts[-1] + length
    first = end - max(horizon, len(frames) // HELD_OUT)
    pieces = [
        piece
        for scene in found
        for piece in (range(scene.start, min(first, scene.stop)), range(max(scene.start, end), scene.stop))
        if len(piece) >= SHORTEST
    ]
    if not pieces:
        raise ClipError(
            f"Of the {len(frames)} observed frames the last are needed for judging and too few are left to learn from; "
            "give a longer clip, or do not adapt."
        )
    judged = [start for start in reversed(starts) if start + context >= first]
    windows = [to_unit(frames[judged[place] : judged[place] + length]) for place in evenly_spread(len(judged), JUDGED)]
    return Lessons(frames, pieces, context, horizon), ClipBatch.cut(torch.stack(windows), context)


RATE = 5e-4
"""Learning rate of AdamW at its height; it falls to zero over the budget."""

WARMUP = 0.05
"""Share of the budget over which the rate rises."""

SQUARES, SIDE = 4, 64
"""How many squares of the frames a step learns from, and their side in pixels."""

CHECKS = (0.5, 1.0)
"""Shares of the budget at which the copy is judged."""

_THOUSAND = 1000


@dataclass(frozen=True)
class Adapted:
    """What learning from a clip gave: the better of the network before and after it, blended with the baselines.

    Errors are mean squared errors of a pixel in [0, 1], over the same windows, from whose futures the network learned
    nothing; of them the blend knows only what each of its members is worth at each lead time.

    Attributes:
        net: the blend, in eval mode.
        network: the network in it, the one that errs less.
        blended: error of the blend.
        before: error of the forecaster as it was given.
        after: least error that learning reached; infinite if it diverged or there was no time for a step.
        baselines: errors of the baselines by name.
        windows: how many windows were judged.
        steps: how many steps of learning were made.
    """

    net: Forecaster
    network: Forecaster
    blended: float
    before: float
    after: float
    baselines: dict[str, float]
    windows: int
    steps: int

    @property
    def improved(self) -> bool:
        """Whether what was learned is kept."""
        return self.after < self.before

    def told(self) -> str:
        """What learning gained, in a sentence."""
        judged = f"on the last {self.windows} window{'s' * (self.windows != 1)} observed"
        beside = ", ".join(f"{name.replace('-', ' ')} {error:.3g}" for name, error in self.baselines.items())
        if not self.improved:
            return (
                f"Adapting gained nothing in {self.steps} steps, so the weights stay as they were: "
                f"mse {self.before:.3g} a pixel {judged}, blended with the baselines {self.blended:.3g} ({beside})."
            )
        best = min(self.baselines.values())
        against = f", {100 * (1 - self.blended / best):.0f} % less than the better baseline" if best else ""
        return (
            f"Adapted in {self.steps} steps: mse {self.after:.3g} a pixel {judged} where it was {self.before:.3g}; "
            f"blended with the baselines {self.blended:.3g}{against} ({beside})."
        )


def adapt(
    net: Forecaster,
    observed: Shaped[Tensor, "t c h w"],
    *,
    seconds: float | None = None,
    steps: int | None = None,
    context: int = 10,
    horizon: int = 10,
    seed: int = 0,
    on_progress: Callable[[float], object] = lambda _: None,
) -> Adapted:
    """Fine-tune a copy of a forecaster on the observed frames of a clip, keep it if it then errs less, and blend it.

    The copy learns to predict every next frame of random squares of random windows, none of which holds a scene cut.
    The last observed frames are held out of learning: on them it is judged, beside ``net`` and the baselines, and there
    each of these gets the weight that it deserves in a :class:`~framepred.inference.blend.Blend`.

    Args:
        net: what is to be adapted, where it is to run; it stays as it is.
        observed: the frames, of the size at which ``net`` is to see others: uint8, uint16, or floats in [0, 1].
        seconds: how long this may take by the clock; either this or ``steps``.
        steps: how many steps of learning to make.
        context: frames that are seen in a window.
        horizon: frames that are to be predicted after them.
        seed: seed of the windows and squares.
        on_progress: is told the share of the budget that is spent, in [0, 1], after each step.

    Raises:
        ConfigError: if not one of ``seconds`` and ``steps`` is given, a number is not positive, or the forecaster has
            nothing that could learn.
        ClipError: if no scene has enough frames to learn from and to be judged on.
    """
    budget = _Budget(seconds, steps)
    _check(net, context, horizon)
    lessons, windows = divide(observed, context, horizon)
    exam = _Exam(windows, _device_of(net))
    baselines = {"last-frame": exam.error(LastFrame()), "optical-flow": exam.error(OpticalFlow())}
    before = exam.error(net)
    budget.reserve(3 * exam.cost)  # to judge what was learned, to blend it, to judge the blend
    copy, best, least = deepcopy(net).requires_grad_(True), net, inf
    learned = checked = 0
    for progress in _learn(copy, lessons, budget, seed):
        learned += 1
        on_progress(progress)
        passed = sum(progress >= check for check in CHECKS)
        if passed > checked:
            checked, error = passed, exam.error(copy)
            best = deepcopy(copy) if error < min(before, least) else best
            least = min(error, least)
    blend = exam.blended([best, LastFrame(), OpticalFlow()])
    return Adapted(blend, best, exam.error(blend), before, least, baselines, len(windows.context), learned)


def _check(net: Forecaster, context: int, horizon: int) -> None:
    if min(context, horizon) < 1:
        raise ConfigError(f"Context and horizon must be at least 1 frame each, not {context} and {horizon}.")
    if next(net.parameters(), None) is None:
        raise ConfigError(f"{type(net).__name__} has nothing that could learn; adapt a network.")


class _Budget:
    """Seconds by the clock, from now on, or a number of steps."""

    def __init__(self, seconds: float | None, steps: int | None) -> None:
        whole = seconds if steps is None else steps
        if (seconds is None) == (steps is None) or whole is None or not 0 < whole < inf:
            raise ConfigError(
                f"Adapting takes either seconds or steps, a positive number, not {seconds} seconds and {steps} steps."
            )
        self._whole = whole
        self._clocked = steps is None
        self._start = monotonic()

    def reserve(self, seconds: float) -> None:
        """Keep seconds back for what follows learning."""
        self._whole -= seconds if self._clocked else 0

    def spent(self, steps: int) -> float:
        """The share that is spent, in [0, 1], after so many steps."""
        spent = monotonic() - self._start if self._clocked else steps
        return min(1.0, spent / self._whole) if self._whole > 0 else 1.0


class _Exam:
    """Windows whose futures nobody has learned from; ``cost`` is how many seconds the last forecaster took."""

    def __init__(self, windows: ClipBatch, device: torch.device) -> None:
        self._context, self._target = (frames.to(device) for frames in windows)
        self.cost = 0.0

    @torch.inference_mode()
    def error(self, net: Forecaster) -> float:
        """Mean squared error of a pixel."""
        start = monotonic()
        error = float((self._predicted(net) - self._target).square().mean())
        self.cost = monotonic() - start
        return error

    @torch.inference_mode()
    def blended(self, members: list[Forecaster]) -> Blend:
        """These forecasters, each with the weight that it deserves at each lead time."""
        shares = best_shares([self._predicted(member) for member in members], self._target)
        return Blend(members, shares.clone()).eval()

    def _predicted(self, net: Forecaster) -> Clip:
        future: Clip = net.eval()(self._context, self._target.shape[1])
        return future


def _learn(net: Forecaster, lessons: Lessons, budget: _Budget, seed: int) -> Iterator[float]:
    """Train a forecaster in place; after each step, the share of the budget that is spent."""
    optimizer = torch.optim.AdamW(net.parameters(), lr=RATE)
    device, apart = _device_of(net), getattr(net, "channels", None) == 1
    step, progress = 0, budget.spent(0)
    while progress < 1:
        squares = lessons.squares(np.random.default_rng([seed, step]), SQUARES, SIDE, apart)
        optimizer.param_groups[0]["lr"] = RATE * learning_rate_factor(
            round(progress * _THOUSAND), _THOUSAND, round(WARMUP * _THOUSAND)
        )
        net.train()
        optimizer.zero_grad()
        torch.autograd.backward(_loss(net, squares.clips.to(device), squares.context.shape[1]))
        nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        optimizer.step()
        step += 1
        progress = budget.spent(step)
        yield progress


def _loss(net: Forecaster, clips: Clip, context: int) -> Tensor:
    own = torch.zeros(clips.shape[:2], dtype=torch.bool, device=clips.device)  # beyond the context no truth is input
    return (predict_every_frame(net, clips, context, own).frames - clips[:, 1:]).square().mean()


def _device_of(net: nn.Module) -> torch.device:
    return next(net.parameters()).device
