from collections.abc import Callable, Iterator
from itertools import count, islice, pairwise
from threading import Event, Timer
from typing import Any

import numpy as np
import pytest

from framepred.errors import MediaError
from framepred.media import live_buffer
from framepred.media.live_buffer import BUFFER_SECONDS, LiveBuffer, TimedFrame, live_times

FPS = 20
SIZE = 16  # bytes of a frame


def frames(*numbers: int) -> Iterator[TimedFrame]:
    return (TimedFrame(np.full((1, 4, 4), number % 256, np.uint8), number / FPS) for number in numbers)


def number(timed: TimedFrame) -> int:
    return round(timed.time * FPS)


def due() -> float:
    """Seconds by which each frame is due."""
    return 1e9


def early() -> float:
    """Seconds at which no frame but the first is due."""
    return 0.0


@pytest.mark.parametrize("arriving", [10, 80, 90, 120, 300])
def test_processing_that_is_too_slow_gets_to_the_newest_frame(arriving: int) -> None:
    taken, read = Event(), Event()

    def come() -> Iterator[TimedFrame]:
        yield from frames(0)
        taken.wait()
        yield from frames(*range(1, 1 + arriving))
        read.set()

    buffer = LiveBuffer(due)
    playing = buffer.play(come(), Event())
    assert number(next(playing)) == 0
    taken.set()
    read.wait()  # this is slow processing
    left = [number(timed) for timed in playing]
    assert left == sorted(left)
    assert left[-1] == arriving
    assert (left[-1] - left[0]) / FPS <= BUFFER_SECONDS
    assert buffer.dropped == arriving - len(left)
    assert (buffer.dropped == 0) == (arriving <= BUFFER_SECONDS * FPS)
    if arriving >= 2 * BUFFER_SECONDS * FPS:  # long enough to catch up
        assert left == [arriving]


def test_bursts_are_kept_again_once_processing_has_caught_up() -> None:
    taken, read, waited = Event(), Event(), Event()

    def come() -> Iterator[TimedFrame]:
        yield from frames(0)
        taken.wait()
        yield from frames(*range(1, 300))
        read.set()
        waited.wait()
        yield from frames(*range(300, 360))

    playing = LiveBuffer(due).play(come(), Event())
    next(playing)
    taken.set()
    read.wait()
    assert number(next(playing)) == 299
    Timer(0.05, waited.set).start()  # seconds in which the next frame is waited for
    assert [number(timed) for timed in playing] == [*range(300, 360)]


@pytest.mark.parametrize(("limit", "waiting"), [(3.5 * SIZE, 3), (0, 1), (1e9, BUFFER_SECONDS * FPS + 1)])
def test_a_burst_waits_at_its_source_rather_than_in_memory(
    monkeypatch: pytest.MonkeyPatch, limit: float, waiting: int
) -> None:
    monkeypatch.setattr(live_buffer, "BUFFER_BYTES", limit)
    read, most = count(), [0]

    def come() -> Iterator[TimedFrame]:
        for timed in frames(*range(200)):
            most[0] = next(read)
            yield timed

    buffer = LiveBuffer(early)
    for position, timed in enumerate(buffer.play(come(), Event())):
        assert number(timed) == position
        assert most[0] - position <= waiting + 1  # and the one that waits for room
    assert position == 199
    assert buffer.dropped == 0


def test_a_burst_that_waits_is_dropped_when_its_time_has_come(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live_buffer, "BUFFER_BYTES", 3 * SIZE)
    clock, read = [0.0], Event()

    def come() -> Iterator[TimedFrame]:
        for timed in frames(*range(10)):
            yield timed
            clock[0] = timed.time  # each frame is due before the next one arrives
        read.set()

    buffer = LiveBuffer(lambda: clock[0] + 1 / FPS)
    playing = buffer.play(come(), Event())
    next(playing)
    read.wait()
    assert [number(timed) for timed in playing][-1] == 9
    assert buffer.dropped


@pytest.mark.parametrize("clock", [early, due])
def test_waiting_can_be_ended_on_both_sides(clock: Callable[[], float], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live_buffer, "BUFFER_BYTES", SIZE)
    ended, left = Event(), Event()

    def come() -> Iterator[TimedFrame]:
        try:
            yield from frames(*range(100))
            while not ended.is_set():
                yield from frames(100)
        finally:
            left.set()

    playing = LiveBuffer(clock).play(come(), ended)
    next(playing)
    ended.set()
    assert list(playing) == []
    assert left.wait(5)


def test_waiting_for_a_frame_can_be_ended() -> None:
    ended, never = Event(), Event()

    def come() -> Iterator[TimedFrame]:
        yield from frames(0)
        never.wait()

    playing = LiveBuffer(early).play(come(), ended)
    next(playing)
    ended.set()
    assert list(playing) == []
    never.set()


def test_an_error_while_reading_is_passed_on_after_the_frames_before_it() -> None:
    def come() -> Iterator[TimedFrame]:
        yield from frames(*range(30))
        raise MediaError("The frames change their size.")

    seen: list[int] = []
    with pytest.raises(MediaError, match="change their size"):
        seen.extend(number(timed) for timed in LiveBuffer(early).play(come(), Event()))
    assert seen == [*range(30)]


def timed(stamps: list[float] | None, arrivals: list[float], **more: Any) -> list[float]:
    clock = iter(arrivals)
    times = live_times(None if stamps is None else iter(stamps), lambda: next(clock), **more)
    return list(islice(times, len(arrivals)))


@pytest.mark.parametrize(
    ("stamps", "arrivals", "times"),
    [
        ([5.0, 5.1, 5.3, 6.0], [2.0, 2.0, 2.01, 3.0], [2.0, 2.1, 2.3, 3.0]),  # a burst
        (None, [2.0, 2.2, 2.3], [2.0, 2.2, 2.3]),
        ([0.0, 0.0, 0.0], [2.0, 2.2, 2.3], [2.0, 2.2, 2.3]),  # a backend without time stamps
        ([float("nan")] * 3, [2.0, 2.2, 2.3], [2.0, 2.2, 2.3]),
        ([9.0, 9.1, 0.0, 0.1], [2.0, 2.1, 2.25, 2.3], [2.0, 2.1, 2.25, 2.35]),  # a film that begins again
        ([0.0, 0.1, 3600.0, 3600.1], [2.0, 2.1, 2.25, 2.3], [2.0, 2.1, 2.25, 2.35]),
        ([0.0, 0.1, 6.1, 6.2], [2.0, 2.1, 2.2, 2.3], [2.0, 2.1, 8.1, 8.2]),  # a segment that was left out
    ],
)
def test_times_of_a_connection(stamps: list[float] | None, arrivals: list[float], times: list[float]) -> None:
    assert timed(stamps, arrivals) == pytest.approx(times)
    assert timed(stamps, arrivals, begin=7.0) == pytest.approx([time + 5 for time in times])


@pytest.mark.parametrize("rate", [0.4, 2.5])
def test_time_stamps_that_do_not_keep_to_the_clock_are_given_up(rate: float) -> None:
    arrivals = [second / 2 for second in range(2000)]
    times = timed([rate * arrival for arrival in arrivals], arrivals)
    assert abs(times[-1] - arrivals[-1]) < live_buffer.MOST_DRIFT + 1
    assert times[-1] - times[-2] == pytest.approx(0.5)
    assert all(later > former for former, later in pairwise(times))
