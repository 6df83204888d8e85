import io
import os
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from threading import Event, Thread
from typing import Any

import pytest
import torch
from torch import Tensor

from framepred.errors import ConfigError, MediaError
from framepred.media import live as player
from framepred.media.encoding import VideoWriter
from framepred.media.frames import FrameStream
from framepred.media.live import Player
from framepred.media.ranges import ValueRange
from framepred.media.writing import write_video
from video_zoo import write_codec


class Patience(Event):
    """An event on which nobody waits; what was waited for is remembered, and after so many waits it is time to end."""

    def __init__(self, waits: int) -> None:
        super().__init__()
        self.waits = waits
        self.waited: list[float] = []

    def wait(self, timeout: float | None = None) -> bool:
        self.waited.append(timeout or 0)
        if len(self.waited) == self.waits:
            self.set()
        return self.is_set()


def picture(level: int) -> Tensor:
    return torch.full((1, 4, 4), level, dtype=torch.uint8)


def plug_in(monkeypatch: pytest.MonkeyPatch, *connections: list[int] | None) -> None:
    """Make the camera give these levels at each connection; at None it is not there, and after the last never."""
    waiting = iter(connections)

    def connect(source: str, *_: object) -> FrameStream:
        levels = next(waiting, None)
        if levels is None:
            raise MediaError("The camera is not there.")
        return FrameStream(iter([picture(level) for level in levels]), fps=20, endless=True)

    monkeypatch.setattr(player, "play", connect)


@pytest.mark.parametrize("suffix", [".mp4", ".gif"])
def test_frames_of_a_varying_rate_have_their_own_times(tmp_path: Path, gray: Tensor, suffix: str) -> None:
    times = [number / 10 if number < 4 else 0.4 + (number - 4) / 5 for number in range(len(gray))]
    write_video(tmp_path / f"a{suffix}", gray, 10, times=times)
    played = Player(tmp_path / f"a{suffix}", print)
    assert [moment.time for moment in played] == pytest.approx(times, abs=0.011)


def test_frames_of_pipes_and_addresses_have_their_own_times(tmp_path: Path, gray: Tensor) -> None:
    times = [number**2 / 10 for number in range(len(gray))]
    write_video(tmp_path / "a.mp4", gray, 10, times=times)
    os.mkfifo(tmp_path / "pipe.mp4")
    content = (tmp_path / "a.mp4").read_bytes()
    Thread(target=(tmp_path / "pipe.mp4").write_bytes, args=(content,), daemon=True).start()
    for source in (tmp_path / "pipe.mp4", (tmp_path / "a.mp4").as_uri()):
        assert [moment.time for moment in Player(source, print)] == pytest.approx(times, abs=1e-3)


def test_a_file_is_played_to_its_end_at_its_rate(tmp_path: Path, gray: Tensor) -> None:
    with VideoWriter(tmp_path / "a.mp4", 20) as writer:
        for frame in gray:
            writer.write(frame)
    for source in (tmp_path / "a.mp4", (tmp_path / "a.mp4").as_uri()):
        told: list[str] = []
        played = list(Player(source, told.append))
        assert [moment.time for moment in played] == pytest.approx([count / 20 for count in range(len(gray))])
        assert [moment.fresh for moment in played] == [True] + [False] * (len(gray) - 1)
        assert told == []


def test_what_is_not_there_at_first_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    plug_in(monkeypatch)
    with pytest.raises(MediaError, match="not there"):
        Player("0", print)


@pytest.mark.parametrize("source", ["0", "-", "pipe", "rtsp://localhost/camera", "http://localhost/film.mp4"])
@pytest.mark.parametrize("stated", [{"layout": "thw"}, {"array_name": "a"}], ids=["layout", "name"])
def test_a_live_source_has_no_layout_or_name(
    source: str, stated: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    os.mkfifo("pipe")
    with pytest.raises(ConfigError, match=r"is for arrays.* is none; leave it out"):
        Player(source, print, **stated)


@pytest.mark.parametrize("source", ["0", "rtsp://localhost/camera", "http://localhost/film.mp4"])
def test_a_camera_has_no_range(source: str) -> None:
    with pytest.raises(ConfigError, match=r"is for arrays.* is none; leave it out"):
        Player(source, print, value_range=ValueRange(0, 5))


def test_a_film_of_bytes_has_no_range_where_it_arrives(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with io.TextIOWrapper(write_codec(tmp_path / "a.mkv", frames=2).open("rb")) as film:
        monkeypatch.setattr("sys.stdin", film)
        with pytest.raises(ConfigError, match=r"standard input is none; leave it out"):
            Player("-", print, value_range=ValueRange(0, 5))


def test_a_lost_source_is_tried_again_with_a_growing_delay(monkeypatch: pytest.MonkeyPatch) -> None:
    plug_in(monkeypatch, [1, 2], None, None, [3], [], [], [4])
    told: list[str] = []
    ended = Patience(waits=15)
    clock = iter(range(100))
    played = list(Player("0", told.append, ended=ended, clock=lambda: next(clock)))
    assert [(int(moment.frame[0, 0, 0]), moment.fresh) for moment in played] == [
        (1, True),
        (2, False),
        (3, True),
        (4, True),
    ]
    assert [moment.time for moment in played] == [1, 2, 3, 4]
    assert ended.waited == [1, 2, 4, 1, 2, 4, 1, 2, 4, 8, 16, 32, 60, 60, 60]
    assert told[:4] == [
        "Camera 0 is lost; trying again in 1 s.",
        "Camera 0 is lost; trying again in 2 s.",
        "Camera 0 is lost; trying again in 4 s.",
        "Camera 0 is back.",
    ]


def test_each_loss_of_a_source_is_known_before_it_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    plug_in(monkeypatch, [1, 2], None, [3])
    told: list[str] = []
    levels = []
    for moment in Player("0", told.append, ended=Patience(waits=5)).with_losses():
        levels.append(None if moment is None else int(moment.frame[0, 0, 0]))
        if moment is None:
            assert not told or told[-1] == "Camera 0 is back."
    assert levels == [1, 2, None, 3, None]


def test_a_burst_is_played_whole_and_with_its_own_times() -> None:
    told: list[str] = []

    def connect() -> FrameStream:
        times = (number / 20 for number in range(60))
        return FrameStream(map(picture, range(60)), fps=20, endless=True, times=times)

    clock = count(step=0.001)  # seconds
    moments = Player("0", told.append, ended=Patience(waits=2), clock=lambda: next(clock), opened=connect)
    played = list(moments)
    assert [int(moment.frame[0, 0, 0]) for moment in played] == [*range(60)] * 2
    assert [moment.time - played[0].time for moment in played] == pytest.approx([number / 20 for number in range(120)])
    assert not any("left out" in sentence for sentence in told)


def test_frames_that_are_left_out_are_counted_and_told_of() -> None:
    taken, read, clock, told = Event(), Event(), count(), list[str]()

    def come() -> Iterator[Tensor]:
        yield picture(0)
        taken.wait()
        yield from map(picture, range(1, 20))
        read.set()

    player = Player(
        "0",
        told.append,
        ended=Patience(waits=1),
        clock=lambda: next(clock),
        opened=lambda: FrameStream(come(), endless=True),
    )
    moments = iter(player)
    levels = [int(next(moments).frame[0, 0, 0])]
    taken.set()
    read.wait()  # this is slow processing
    levels += [int(moment.frame[0, 0, 0]) for moment in moments]
    assert levels == [0, 19]
    assert player.dropped == 18
    assert told[0] == "Camera 0: processing is too slow for all frames, so that some are left out."
    assert told[-1] == "Camera 0: 18 frames were left out, because processing was too slow for them."
    assert sum("left out" in sentence for sentence in told) == 2
