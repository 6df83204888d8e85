"""What a watch reports and writes when its source is lost or breaks, or when its files cannot be written."""

import json
from collections.abc import Callable, Iterator
from contextlib import closing
from functools import lru_cache
from pathlib import Path

import numpy as np
import pytest
from torch import Tensor

from framepred.errors import ConfigError, MediaError
from framepred.inference.watch import Watch, WatchStep
from framepred.inference.watching import recording
from framepred.inference.watching.events import Event
from framepred.inference.watching.playing import PlayingSource
from framepred.inference.watching.profile import FrameScore, Profile
from framepred.inference.watching.recording import EventFolder, FrameTable, Recorder, WatchVideo, recorded
from framepred.media.live import Moment
from framepred.media.locking import locked_file
from framepred.media.reading import read_video
from full_disk import full_disk

FPS = 10.0


def noise(count: int, level: int = 100) -> np.ndarray:
    """A still scene with sensor noise: uint8 (t, 1, 32, 32)."""
    return np.random.default_rng(level).integers(level - 10, level + 10, (count, 1, 32, 32), dtype=np.uint8)


@lru_cache
def normal_profile() -> Profile:
    return Profile.fit(list(noise(120)), FPS)


def watching(moments: Iterator[Moment | None]) -> Watch:
    return Watch(PlayingSource(moments, FPS), 0, normal_profile().fresh(), 60.0)


def connection(start: float, dark_after: int, dark: int) -> list[Moment]:
    """The frames of a connection that turn dark and stay so until it is lost."""
    frames = [*noise(dark_after), *noise(dark, level=20)]
    return [Moment(frame, start + number / FPS, number == 0) for number, frame in enumerate(frames)]


def breaking() -> Iterator[Moment]:
    yield from connection(0.0, 20, 10)
    raise MediaError("The source changes the size of its frames.")


class Kept:
    """Keeps the events that it gets."""

    def __init__(self) -> None:
        self.events: list[Event] = []

    def write(self, step: WatchStep) -> None:
        """Frames are not kept."""

    def add(self, event: Event) -> None:
        self.events.append(event)

    def close(self) -> None:
        """There is nothing to close."""


def test_an_event_that_goes_on_is_reported_before_the_error_of_its_source(tmp_path: Path) -> None:
    kept = Kept()
    with pytest.raises(MediaError, match="changes the size"):
        list(recorded(watching(breaking()), [EventFolder(tmp_path), kept]))
    found: list[Event] = []
    with pytest.raises(MediaError, match="changes the size"):
        found.extend(watching(breaking()))
    lines = [json.loads(line) for line in (tmp_path / "events.jsonl").read_text().splitlines()]
    assert [(event.start_frame, event.ended) for event in kept.events] == [(20, False)]
    assert found == kept.events
    assert [(line["start_frame"], line["ended"]) for line in lines] == [(20, False)]
    assert {path.suffix for path in tmp_path.glob("event-000001.*")} == {".mp4", ".png"}


@pytest.mark.parametrize("error", [MediaError("full"), KeyboardInterrupt(), None], ids=["full", "Ctrl-C", "closed"])
@pytest.mark.parametrize(("last", "ended"), [(25, False), (37, False), (43, True)])
def test_an_event_is_reported_whatever_ends_the_watch(
    error: BaseException | None, last: int, ended: bool, tmp_path: Path
) -> None:
    """It goes on, it was below the threshold for less than a second, or it is complete with this frame."""
    event = [*noise(20), *noise(10, level=20), *noise(30)]
    kept, steps = Kept(), []

    def until(step: WatchStep) -> None:
        steps.append(step)
        if step.index == last and error is not None:
            raise error

    kept.write = until  # type: ignore[method-assign]
    moments = (Moment(frame, number / FPS, number == 0) for number, frame in enumerate(event))
    playing = recorded(watching(moments), [kept, EventFolder(tmp_path)])
    with pytest.raises(type(error)) if error is not None else closing(playing):
        next(item for item in playing if isinstance(item, WatchStep) and item.index == last)
    assert (steps[-1].index, steps[-1].event is not None) == (last, ended)
    [line] = map(json.loads, (tmp_path / "events.jsonl").read_text().splitlines())
    assert [(event.start_frame, event.ended) for event in kept.events] == [(20, ended)]
    assert (line["start_frame"], line["ended"]) == (20, ended)
    assert {path.suffix for path in tmp_path.glob("event-000001.*")} == {".mp4", ".png"}


def test_a_score_remembers_nothing_from_before_a_loss() -> None:
    profile = normal_profile().fresh()
    for moment in connection(0.0, 5, 5):
        last = profile.score(moment.frame)
    assert last.current > profile.threshold(60.0)
    profile.reset()
    assert profile.score(noise(1)[0]).score == 0


def test_an_event_is_reported_when_its_source_is_lost_and_not_again(tmp_path: Path) -> None:
    asked = []

    def moments() -> Iterator[Moment | None]:
        yield from connection(0.0, 20, 10)
        yield None
        asked.append("back")
        yield from connection(300.0, 30, 10)
        yield None
        asked.append("back again")
        yield from connection(600.0, 30, 0)

    kept, found = Kept(), []
    for item in recorded(watching(moments()), [EventFolder(tmp_path), kept]):
        if isinstance(item, Event):
            found.append((item.number, item.start_frame, item.ended, len(asked)))
    assert found == [(1, 20, False, 0), (2, 60, False, 1)]
    lines = [json.loads(line) for line in (tmp_path / "events.jsonl").read_text().splitlines()]
    assert [line["clip"] for line in lines] == ["event-000001.mp4", "event-000002.mp4"]
    assert all((tmp_path / line["clip"]).exists() and (tmp_path / line["picture"]).exists() for line in lines)


def test_an_event_on_a_full_disk_reaches_the_other_recorders(tmp_path: Path) -> None:
    folder, after = EventFolder(tmp_path), Kept()
    (tmp_path / "events.jsonl").mkdir()  # in the place of a full disk
    with pytest.raises(MediaError, match=r"events\.jsonl cannot be written"):
        list(recorded(watching(iter(connection(0.0, 20, 10))), [folder, after]))
    assert [event.start_frame for event in after.events] == [20]


def test_an_event_without_room_for_its_picture_has_its_lines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(path: Path) -> None:
        raise MediaError(f"{path.name} cannot be written")

    monkeypatch.setattr(recording, "atomic_write", full)
    with pytest.raises(MediaError, match=r"^event-000001\.png cannot be written"):
        list(recorded(watching(iter(connection(0.0, 20, 10))), [EventFolder(tmp_path)]))
    for table, lines in (("events.jsonl", 1), ("events.csv", 2)):
        assert len((tmp_path / table).read_text().splitlines()) == lines


def test_a_clip_on_a_full_disk_can_be_played_and_has_its_lines(tmp_path: Path) -> None:
    with full_disk(22_000), pytest.raises(MediaError, match=r"event-000001\.mp4 cannot be encoded \(File too large"):
        list(recorded(watching(iter(connection(0.0, 20, 30))), [EventFolder(tmp_path)]))
    assert 5 < len(read_video(tmp_path / "event-000001.mp4")) < 45
    [line] = map(json.loads, (tmp_path / "events.jsonl").read_text().splitlines())
    assert (line["start_frame"], line["ended"]) == (20, False)
    assert (tmp_path / line["picture"]).stat().st_size > 0


@pytest.mark.parametrize("frames", [10, 25])
def test_a_table_on_a_full_disk_keeps_whole_rows_and_no_event_back(frames: int, tmp_path: Path) -> None:
    table, kept = FrameTable(tmp_path / "a.csv"), Kept()
    size = len("frame,time,score,threshold,event\n") + frames * len("0,0.000,0.0000,0.0000,0\n")
    with full_disk(size), pytest.raises(MediaError, match=r"a\.csv cannot be written \(File too large\)"):
        list(recorded(watching(iter(connection(0.0, 20, 10))), [table, kept]))
    *rows, rest = (tmp_path / "a.csv").read_text().split("\n")
    assert rest == ""
    assert {row.count(",") for row in rows} == {4}
    assert len(rows) >= frames - 2
    assert [event.ended for event in kept.events] == [False] * (frames > 22)


def test_events_have_the_numbers_of_the_folder_everywhere(tmp_path: Path) -> None:
    kept = Kept()
    for _ in range(2):
        list(recorded(watching(iter(connection(0.0, 20, 10))), [kept, EventFolder(tmp_path)]))
    lines = [json.loads(line) for line in (tmp_path / "events.jsonl").read_text().splitlines()]
    assert [event.number for event in kept.events] == [line["number"] for line in lines] == [1, 2]
    assert [line["clip"] for line in lines] == ["event-000001.mp4", "event-000002.mp4"]


@pytest.mark.parametrize("fps", [1.0, 3.0, 25.0, 60.0])
def test_a_clip_begins_two_seconds_before_its_event_at_any_rate(tmp_path: Path, fps: float) -> None:
    assert len(clip_of_event(tmp_path, fps)) == pytest.approx(2 * fps + 1, abs=1)


def test_frames_before_an_event_take_bounded_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recording, "BEFORE_BYTES", 30 * 32 * 48)
    assert len(clip_of_event(tmp_path, 25.0)) == 31


def clip_of_event(folder: Path, fps: float) -> Tensor:
    """The clip of an event whose first frame, after five seconds, is the last that is watched."""
    events, first = EventFolder(folder), round(5 * fps)
    for index in range(first + 1):
        events.write(
            WatchStep(index, index / fps, np.zeros((1, 32, 48), np.uint8), FrameScore(0, 0), 1.0, index == first)
        )
    events.close()
    return read_video(folder / "event-000001.mp4")


@pytest.mark.parametrize("record", [FrameTable, lambda path: WatchVideo(path, FPS)])
def test_a_file_of_another_watch_is_said_to_be_and_stays(record: Callable[[Path], Recorder], tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    path.write_text("of the other watch")
    with locked_file(path), pytest.raises(ConfigError, match=r"^Another process writes .*a\.mp4; "):
        list(recorded(watching(iter(connection(0.0, 20, 10))), [record(path)]))
    assert path.read_text() == "of the other watch"


@pytest.mark.parametrize(
    "record", [lambda folder: WatchVideo(folder / "a.mp4", FPS), lambda folder: EventFolder(folder)]
)
def test_a_video_whose_first_frame_cannot_be_written_says_why_and_leaves_no_file(
    record: Callable[[Path], Recorder], tmp_path: Path
) -> None:
    with full_disk(), pytest.raises(MediaError, match=r"\.mp4 cannot be encoded \(File too large\)"):
        list(recorded(watching(iter(connection(0.0, 20, 10))), [record(tmp_path)]))
    assert not list(tmp_path.glob("*.mp4"))
