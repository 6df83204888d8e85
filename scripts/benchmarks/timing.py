"""Times of calls; importing this module imports no training code, so it adds nothing to a memory measurement."""

import statistics
import time
from collections.abc import Callable

from framepred.clips import Frame, State
from framepred.forecaster import Forecaster


def median_seconds(work: Callable[[], object], runs: int) -> float:
    """Median of several timings after one warm-up run."""
    work()
    return statistics.median(seconds_of(work) for _ in range(runs))


def seconds_of(work: Callable[[], object]) -> float:
    """Return the elapsed time of one call."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def stream_frame(net: Forecaster, frame: Frame, state: State) -> Frame:
    """Observe one frame and predict the next one."""
    return net.next_frame(net.observe(frame, state))
