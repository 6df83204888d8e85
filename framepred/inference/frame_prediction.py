"""Predict frames one by one: by any forecaster, or by a blend whose weights are still being measured."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from itertools import islice
from typing import TypeAlias

import torch
from jaxtyping import Float
from torch import Tensor

from framepred.clips import Frame, RawClip, RawFrame, State, from_unit
from framepred.forecaster import Forecaster, check_finite, eval_mode
from framepred.inference.blend import Blend, evenly
from framepred.inference.detail import DetailForecaster
from framepred.inference.devices import device_of
from framepred.inference.regions import REGIONS

LOOKAHEAD = 10
"""States that are computed before their frames are: the motion of each takes about 8 MB at 1280x720 pixels."""

WORKERS = 2
"""Threads at a time: the members forecast while the weights are measured; two frames are computed at a time."""

PARALLEL_PIXELS = 1920 * 1080
"""Pixels of a frame up to which two are computed at a time: at 3840x2160 each takes 0.4 GB of memory."""

FrameMaker: TypeAlias = Callable[[RawClip, int], Iterator[RawFrame]]
"""From observed frames ``(b, t, c, h, w)`` and a number to that many predicted frames, on the CPU."""


def predict_frames(net: Forecaster, context: RawClip, horizon: int) -> Iterator[RawFrame]:
    """Predict a batch of clips frame by frame, on the CPU, in the type of the context.

    Between two frames the network has its own mode, and gradients are computed as the caller wants.

    Args:
        net: the forecaster, on the device where it is to run; it predicts in eval mode.
        context: observed frames ``(b, t, c, h, w)``, integers or floats in [0, 1].
        horizon: number of frames to predict.

    Raises:
        ClipError: if there is no observed frame, or the forecaster changes the shape of frames.
        WeightsError: if it predicts NaN or infinite pixels.
    """
    with eval_mode(net), torch.inference_mode():
        predictions = net.rollout(net.observe_clip(context.to(device_of(net))))
    for _ in range(horizon):
        with eval_mode(net), torch.inference_mode():
            frame = _finished(next(predictions), context)
        yield frame


class BlendedPrediction:
    """Predicts with a blend whose weights are measured in another thread, while the members already forecast.

    The frames equal those of :func:`predict_frames` with the blend in a
    :class:`~framepred.inference.detail.DetailForecaster`. Use it as a context manager.

    Args:
        members: the forecasters, in eval mode.
        fit: measures the weights ``(k, q, m)``.
        max_side: longest side, in pixels, of the frames that the members get.
    """

    def __init__(self, members: Sequence[Forecaster], fit: Callable[[], Float[Tensor, "k q m"]], max_side: int) -> None:
        self._members = members
        self._fit = fit
        self._max_side = max_side

    def __enter__(self) -> "BlendedPrediction":
        self._threads = shared_threads()
        self._threads.__enter__()
        self._pool = ThreadPoolExecutor(WORKERS)
        self._weights: Future[Tensor] = self._pool.submit(self._fit)
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.shutdown(cancel_futures=True)
        self._threads.__exit__(None, None, None)

    def frames(self, context: RawClip, horizon: int) -> Iterator[RawFrame]:
        """Predict a batch of clips frame by frame; see :func:`predict_frames`."""
        device = device_of(self._members[0])
        with torch.inference_mode():
            net = DetailForecaster(evenly(self._members), self._max_side).eval()
            states = _states(net, net.with_motion(net.observe_clip(context.to(device))))
        pixels = len(context) * context.shape[-2] * context.shape[-1]
        compute = self._pool.map if pixels <= PARALLEL_PIXELS else map
        while horizon > 0:
            with torch.inference_mode():
                ahead = list(islice(states, min(horizon, LOOKAHEAD)))
            yield from compute(partial(self._frame, context), ahead)
            horizon -= len(ahead)

    @torch.inference_mode()
    def _frame(self, context: RawClip, state: State) -> RawFrame:
        weights = self._weights.result().expand(-1, REGIONS, -1)
        net = DetailForecaster(Blend(self._members, weights), self._max_side).eval()
        return _finished(net.next_frame(state), context)


def _finished(prediction: Frame, context: RawClip) -> RawFrame:
    """A predicted frame, checked, on the CPU, in the type of the context."""
    return from_unit(check_finite(prediction), context.dtype).cpu()


def _states(net: DetailForecaster, state: State) -> Iterator[State]:
    while True:
        yield state
        state = net.advance(state)


@contextmanager
def shared_threads() -> Iterator[None]:
    """Divide PyTorch's threads by the number of workers, which would otherwise wait for each other."""
    threads = torch.get_num_threads()
    torch.set_num_threads(max(1, threads // WORKERS))
    try:
        yield
    finally:
        torch.set_num_threads(threads)
