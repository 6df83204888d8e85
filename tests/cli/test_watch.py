"""``framepred watch`` as users type it: events, files, refusals, the webhook, and the live page."""

import csv
import fcntl
import json
import os
import re
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import numpy as np
import pytest
import torch
import typer

import framepred as package
from browser import CHROMIUM, browser
from framepred import stop_signals
from framepred.cli.main import app
from framepred.errors import ClipError
from framepred.inference.live_page import is_loopback, serve_page
from framepred.inference.watch import Watch, WatchStep
from framepred.inference.watching import webhook
from framepred.inference.watching.event_tables import EVENT_COLUMNS, locked_events
from framepred.inference.watching.events import Event, EventFinder
from framepred.inference.watching.profile import FrameScore
from framepred.inference.watching.recording import EventFolder, recorded
from framepred.inference.watching.webhook import Webhook
from framepred.media.frame_times import frame_times
from framepred.media.locking import locked_file
from framepred.media.reading import read_video
from framepred.media.writing import write_video

Run = Callable[..., tuple[int, str, str]]


def freezing(count: int = 160, at: int = 120) -> np.ndarray:
    """Noise over a texture that stands still for two seconds: uint8 (t, 32, 48)."""
    random = np.random.default_rng(0)
    scene = np.kron(random.integers(60, 180, (8, 12)), np.ones((4, 4)))
    film = (scene + random.normal(0, 4, (count, 32, 48))).clip(0, 255).astype(np.uint8)
    film[at : at + 20] = film[at]
    return film


@pytest.mark.parametrize("command", ["watch", "stream"])
def test_frames_of_a_varying_rate_have_their_own_times(framepred: Run, command: str) -> None:
    times = [number / 10 if number < 110 else 11 + (number - 110) / 5 for number in range(160)]
    write_video("film.mp4", torch.from_numpy(freezing())[:, None], 10, times=times)
    Path("labels.csv").write_text("start,end\n13,16.9\n")
    options = {
        "watch": ["--normal", 10, "--false-alarms", 30, "--labels", "labels.csv"],
        "stream": ["--weights", "baseline:last-frame"],
    }[command]
    code, out, err = framepred(command, "film.mp4", *options, "--csv", "a.csv", "--output", "a.mp4")
    assert code == 0, err
    with Path("a.csv").open() as table:
        rows = [float(row["time"]) for row in csv.DictReader(table)]
    assert rows == pytest.approx(times[-len(rows) :], abs=1e-3)
    assert frame_times(Path("a.mp4")).seconds == pytest.approx(np.subtract(rows, rows[0]), abs=2e-3)
    if command == "watch":
        assert "100% of 1 events found after 0.20 s" in out


def test_events_tables_video_and_profile(framepred: Run) -> None:
    np.save("film.npy", freezing())
    options = ["--normal", 10, "--false-alarms", 30]
    files = ["--events", "out", "--csv", "a.csv", "--output", "a.mp4", "--profile", "p.safetensors"]
    code, out, err = framepred("watch", "film.npy", *options, *files)
    assert code == 0, err
    assert "s of normal footage" in err
    assert ": freeze, score " in out
    lines = [json.loads(line) for line in Path("out/events.jsonl").read_text().splitlines()]
    frozen = next(line for line in lines if line["kind"] == "freeze")
    assert frozen["start"] == pytest.approx(12.0, abs=0.5)
    clip = read_video(f"out/{frozen['clip']}")
    assert 40 <= len(clip) <= 90  # two seconds before, the event, two seconds after
    assert (Path("out") / frozen["picture"]).stat().st_size > 0
    assert len(Path("out/events.csv").read_text().splitlines()) == len(lines) + 1
    rows = Path("a.csv").read_text().splitlines()
    assert rows[0] == "frame,time,score,threshold,event"
    assert len(rows) == 1 + 160 - 100 == 1 + len(read_video("a.mp4"))
    (Path("labels.csv")).write_text("start,end\n12,14\n")
    again = ["--profile", "p.safetensors", "--false-alarms", 30, "--json", "--labels", "labels.csv"]
    code, out, err = framepred("watch", "film.npy", *again, "--normal", 10, "--max-side", 64)
    assert code == 0
    assert "p.safetensors exists and is used; --normal and --max-side would make a new one." in err
    assert "would make a new one" not in framepred("watch", "film.npy", *again)[2]
    *_, result, end = map(json.loads, out.splitlines())
    assert result["auroc"] > 0.9
    assert result["recall"] == 1.0
    assert (end["event"], end["frames"]) == ("end", 160)


@pytest.mark.parametrize("as_json", [False, True])
@pytest.mark.parametrize("labels", ["start,end\n", "start,end\n12,14\n"])
def test_a_watch_that_is_stopped_before_its_first_frame_is_compared_with_nothing(
    framepred: Run, monkeypatch: pytest.MonkeyPatch, labels: str, as_json: bool
) -> None:
    watch = package.watch

    def stopped(*arguments: object, **options: object) -> Watch:
        signal.raise_signal(signal.SIGINT)
        return watch(*arguments, **options)

    np.save("film.npy", freezing())
    Path("labels.csv").write_text(labels)
    watch(freezing(), normal=10).profile.save(Path("p.safetensors"))
    monkeypatch.setattr(package, "watch", stopped)
    options = ["--profile", "p.safetensors", "--labels", "labels.csv", *(["--json"] if as_json else [])]
    code, out, err = framepred("watch", "film.npy", *options)
    assert (code, err.splitlines()[-1]) == (130, "Stopped; the files are complete up to the last frame.")
    result, end = out.splitlines()
    if as_json:
        assert (json.loads(result)["auroc"], json.loads(result)["false_alarms"]) == (None, None)
        assert json.loads(end)["frames"] == 0
    else:
        assert result == "No frame was watched, so nothing was compared with the labels."
        assert end == "film.npy: 0 frames, 0 events."


@pytest.mark.parametrize(
    ("repeat_s", "sentence"),
    [(0.5, "Stopped; the files are complete up to the last frame."), (0.0, "Stopped; nothing half-written is left.")],
    ids=["close together", "apart"],
)
def test_two_signals_do_not_lose_the_event_that_goes_on(
    framepred: Run, monkeypatch: pytest.MonkeyPatch, repeat_s: float, sentence: str
) -> None:
    write = EventFolder.write

    def stopped(folder: EventFolder, step: WatchStep) -> None:
        write(folder, step)
        if step.index == 130:
            signal.raise_signal(signal.SIGTERM)
            signal.raise_signal(signal.SIGTERM)

    np.save("film.npy", freezing())
    monkeypatch.setattr(EventFolder, "write", stopped)
    monkeypatch.setattr(stop_signals, "REPEAT_S", repeat_s)
    options = ["--normal", 10, "--false-alarms", 30, "--events", "out", "--json"]
    code, out, err = framepred("watch", "film.npy", *options)
    assert (code, err.splitlines()[-1]) == (143, sentence)
    event, *end = map(json.loads, out.splitlines())
    assert (event["start_frame"], event["end_frame"], event["ended"]) == (121, 130, False)
    assert [(line["event"], line["frames"]) for line in end] == [("end", 31)] * (repeat_s > 0)
    [line] = map(json.loads, Path("out/events.jsonl").read_text().splitlines())
    assert {name: event[name] for name in ("number", "start", "ended")}.items() <= line.items()
    assert Path("out", line["picture"]).stat().st_size > 0
    assert len(read_video(Path("out", line["clip"]))) > 10


@pytest.mark.parametrize("labels", ["start,end\n100,110\n", "frame,label\n350,1\n3,0\n"])
def test_labels_beyond_the_film_are_said_to_be(framepred: Run, labels: str) -> None:
    np.save("film.npy", freezing())
    Path("labels.csv").write_text(labels)
    watched = ["watch", "film.npy", "--normal", 10, "--labels", "labels.csv"]
    code, out, err = framepred(*watched)
    assert code == 0, err
    assert "All labels of unusual frames lie outside of the frames that were watched; " in out
    assert "None of the frames" not in out
    results = map(json.loads, framepred(*watched, "--json")[1].splitlines())
    assert next(item for item in results if item["event"] == "evaluation")["outside"] is True


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["nosuch.mp4"], "nosuch.mp4 does not exist"),
        (["film.npy", "--normal", "nosuch.mp4"], "nosuch.mp4 does not exist; give normal footage"),
        (["film.npy", "--normal", "-3"], "--normal must be a positive number of seconds"),
        (["film.npy", "--normal", "2"], "at least 8 s are needed"),
        (["film.npy", "--normal", "100"], "nothing is left to watch"),
        (["film.npy", "--false-alarms", "0"], "--false-alarms must be a positive number an hour"),
        (["film.npy", "--webhook", "ftp://host"], "no http or https address"),
        (["film.npy", "--profile", "p.pkl"], "choose .safetensors"),
        (["film.npy", "--labels", "nosuch.csv"], "nosuch.csv does not exist"),
    ],
)
def test_what_cannot_be_watched_gets_one_sentence(framepred: Run, arguments: list[str], sentence: str) -> None:
    np.save("film.npy", freezing(100, 80))
    code, out, err = framepred("watch", *arguments)
    assert (code, out) == (2, "")
    assert sentence in err.splitlines()[-1]
    assert [path.name for path in Path.cwd().iterdir()] == ["film.npy"]


@pytest.mark.parametrize(
    "arguments",
    [["--weights", "natural-small"], ["--cuts"], ["--normal", "."], ["--adapt", "3"], ["--layout", "thw"]],
)
def test_what_needs_torch_is_refused_without_it(
    framepred: Run, monkeypatch: pytest.MonkeyPatch, arguments: list[str]
) -> None:
    monkeypatch.setattr("framepred.cli.watch.has_torch", lambda: False)
    np.save("film.npy", freezing(20, 10))
    code, out, err = framepred("watch", "film.npy", *arguments)
    assert (code, out) == (2, "")
    assert err.startswith("PyTorch is not installed; without it watch takes a camera, a URL, a video file")


@pytest.mark.parametrize(
    ("arguments", "address"),
    [
        (["--serve"], "127.0.0.1:8400"),
        (["--serve", "--csv", "a.csv"], "127.0.0.1:8400"),
        (["--serve", "0.0.0.0:81"], "0.0.0.0:81"),
        (["--serve=[::1]:81"], "[::1]:81"),
        ([], None),
    ],
)
@pytest.mark.parametrize("first", [True, False])
def test_serve_may_stand_without_an_address(arguments: list[str], address: str | None, first: bool) -> None:
    command = typer.main.get_command(app)
    for source in ("0", "street.mp4", "rtsp://camera/live"):
        given = [*arguments, source] if first else [source, *arguments]
        context = command.commands["watch"].make_context("watch", given)
        assert (context.params["serve"], context.params["source"]) == (address, source)


@pytest.fixture
def port_in_use() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


@pytest.mark.parametrize(
    ("address", "sentence"),
    [
        ("x:y", "'x:y' is not an address of the form HOST:PORT, such as 127.0.0.1:8400."),
        ("127.0.0.1:99999", "'127.0.0.1:99999' is not an address of the form HOST:PORT"),
        ("", "'' is not an address of the form HOST:PORT"),
        ("1.2.3.4:8123", "Cannot listen on 1.2.3.4:8123 ("),
        ("[half:8123", "Cannot listen on [half:8123 ("),
        (f"{'long' * 20}:8123", "Cannot listen on longlong"),
        ("127.0.0.1:IN_USE", "choose another port or host."),
    ],
)
def test_an_address_that_cannot_be_served_is_refused_before_the_watch(
    framepred: Run, monkeypatch: pytest.MonkeyPatch, port_in_use: int, address: str, sentence: str
) -> None:
    np.save("film.npy", freezing(20, 10))
    monkeypatch.setattr(package, "watch", None)
    code, out, err = framepred("watch", "film.npy", f"--serve={address.replace('IN_USE', str(port_in_use))}")
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert sentence in err


def test_a_live_page_without_its_packages_is_refused_before_the_watch(
    framepred: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    np.save("film.npy", freezing(20, 10))
    monkeypatch.setattr(package, "watch", None)
    monkeypatch.delitem(sys.modules, "framepred.inference.live_page")
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    expected = "The live page needs Starlette and Uvicorn; install framepred[web].\n"
    assert framepred("watch", "film.npy", "--serve") == (2, "", expected)


def test_the_address_is_free_again_after_a_watch_that_failed(framepred: Run) -> None:
    np.save("film.npy", freezing(100, 80))
    for _ in range(2):
        code, _, err = framepred("watch", "film.npy", "--normal", 100, "--serve", "127.0.0.1:0")
        assert code == 2
        assert "nothing is left to watch" in err
    port = int(re.search(r"http://127\.0\.0\.1:(\d+)/", err)[1])
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port))


def event(number: int) -> Event:
    return Event(number, 1.0, 1.5, 2.0, 10, 20, 5.0, 3.0, "freeze")


class Receiver(BaseHTTPRequestHandler):
    """Refuses the first post, and keeps the others."""

    refused = 0
    kept: list[dict] = []  # noqa: RUF012

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if type(self).refused == 0:
            type(self).refused = 1
            self.send_error(503)
            return
        self.kept.append(json.loads(body))
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def test_the_webhook_tries_again_and_never_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(webhook, "LAST_SECONDS", 0.5)
    with ThreadingHTTPServer(("127.0.0.1", 0), Receiver) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        hook = Webhook(f"http://127.0.0.1:{server.server_port}/", first_pause=0.05)
        hook.add(event(1))
        hook.add(event(2))
        hook.close()
        server.shutdown()
    assert [post["number"] for post in Receiver.kept] == [1, 2]
    notices: list[str] = []
    lost = Webhook("http://127.0.0.1:9/", notices.append, first_pause=0.01)
    start = time.monotonic()
    for number in range(300):
        lost.add(event(number))
    assert time.monotonic() - start < 1
    assert any("is not posted" in notice for notice in notices)
    lost.close()


def test_events_that_nobody_took_are_counted_at_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("framepred.inference.watching.webhook.LAST_SECONDS", 0.05)
    notices: list[str] = []
    hook = Webhook("http://127.0.0.1:9/", notices.append, first_pause=10)
    hook.add(event(1))
    hook.add(event(2))
    hook.close()
    assert notices == ["The watch ended before http://127.0.0.1:9/ took 2 events."]


def test_a_folder_of_events_stays_within_its_bound(tmp_path: Path) -> None:
    watching = package.watch(freezing(), normal=10.0, false_alarms=30)
    list(recorded(watching, [EventFolder(tmp_path)]))
    size = sum(path.stat().st_size for path in tmp_path.iterdir())
    for _ in range(2):
        watching = package.watch(freezing()[100:], profile=watching.profile.fresh(), false_alarms=30)
        list(recorded(watching, [EventFolder(tmp_path, keep_mb=1.5 * size / 1e6)]))
    assert sum(path.stat().st_size for path in tmp_path.iterdir()) < 2.5 * size
    lines = [json.loads(line) for line in (tmp_path / "events.jsonl").read_text().splitlines()]
    with (tmp_path / "events.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    clips = {path.name for path in tmp_path.glob("event-*.mp4")}
    assert clips == {line["clip"] for line in lines} == {row["clip"] for row in rows}
    assert {path.stem for path in tmp_path.glob("event-*.png")} == {Path(clip).stem for clip in clips}


def test_the_bound_neither_counts_nor_deletes_files_of_others(tmp_path: Path) -> None:
    foreign = ["event-recording.mov", "event-000-notes.txt", "event-000001.txt", "event-000000.mov", "events.zip"]
    for name in foreign:
        (tmp_path / name).write_bytes(bytes(1_000_000))
    watching = package.watch(freezing(), normal=10.0, false_alarms=30)
    events = list(recorded(watching, [EventFolder(tmp_path, keep_mb=0.9)]))
    assert all((tmp_path / name).stat().st_size == 1_000_000 for name in foreign)
    lines = (tmp_path / "events.jsonl").read_text().splitlines()
    assert len(lines) == sum(isinstance(found, Event) for found in events) > 0


def test_the_numbers_of_events_go_on_in_a_folder_that_is_used_again(tmp_path: Path) -> None:
    def watch_into_folder() -> None:
        watching = package.watch(freezing(), normal=10.0, false_alarms=30)
        list(recorded(watching, [EventFolder(tmp_path)]))

    watch_into_folder()
    watch_into_folder()
    for path in tmp_path.glob("event-*.*"):
        path.unlink()
    watch_into_folder()
    lines = [json.loads(line) for line in (tmp_path / "events.jsonl").read_text().splitlines()]
    with (tmp_path / "events.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    numbers = [line["number"] for line in lines]
    assert numbers == list(range(1, 1 + len(lines))) == [int(row["number"]) for row in rows]
    assert len(numbers) >= 3
    assert [line["clip"] for line in lines] == [f"event-{number:06d}.mp4" for number in numbers]


@pytest.mark.parametrize(
    ("name", "content"), [("events.csv", "a,b\n1,2\n"), ("events.jsonl", '{"a": 1}\n'), ("events.jsonl", "text\n")]
)
def test_tables_of_others_are_not_added_to(framepred: Run, name: str, content: str) -> None:
    np.save("film.npy", freezing())
    Path("out").mkdir()
    (Path("out") / name).write_text(content)
    code, out, err = framepred("watch", "film.npy", "--normal", 10, "--false-alarms", 30, "--events", "out")
    assert (code, out) == (2, "")
    assert err == f"out/{name} is no table of events that watch wrote; name another folder, or move the file.\n"
    assert (Path("out") / name).read_text() == content


@pytest.fixture
def earlier(framepred: Run, monkeypatch: pytest.MonkeyPatch) -> dict[Path, bytes]:
    """The files of a folder of events of an earlier watch; from now on no watch gets beyond its checks."""
    np.save("film.npy", freezing(20, 10))
    Path("out").mkdir()
    Path("out/events.csv").write_text(",".join(EVENT_COLUMNS) + "\n")
    Path("out/events.jsonl").write_text("")
    Path("out/event-000001.mp4").write_bytes(b"clip")
    os.link("out/events.csv", "hard.csv")
    Path("soft.csv").symlink_to("out/events.csv")
    Path("loop").symlink_to("out")
    Path("a.csv").symlink_to("shared")
    Path("a.mp4").symlink_to("shared")
    monkeypatch.setattr(package, "watch", None)
    return {path: path.read_bytes() for path in Path("out").iterdir()}


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ("--events out --csv out/events.csv", "out/events.csv is a table of events, which would be lost"),
        ("--events new --csv new/events.csv", "new/events.csv is a file of the folder of events new"),
        ("--events new --csv new/../new/Events.CSV", "is a file of the folder of events new"),
        ("--events out --output loop/event-000002.mp4", "is a file of the folder of events out"),
        ("--events out --profile out/event-000002.safetensors", "is a file of the folder of events out"),
        ("--events b.csv --csv b.csv", "b.csv is or holds the folder of events b.csv"),
        ("--events b.mp4/c/d --output b.mp4", "b.mp4 is or holds the folder of events b.mp4/c/d"),
        ("--csv out/events.csv", "is a table of events, which would be lost"),
        ("--csv hard.csv", "hard.csv is a table of events, which would be lost"),
        ("--csv soft.csv", "soft.csv is a table of events, which would be lost"),
        ("--csv a.csv --output a.mp4", "a.csv and a.mp4 are the same, or one would hold the other"),
        ("--csv b.csv/c.csv/d.csv --output b.csv/c.mp4 --profile b.csv/c.mp4/p.safetensors", "would hold the other"),
    ],
)
def test_an_output_that_would_spoil_another_is_refused_at_the_start(
    framepred: Run, earlier: dict[Path, bytes], arguments: str, sentence: str
) -> None:
    before = sorted(Path.cwd().iterdir())
    code, out, err = framepred("watch", "film.npy", *arguments.split())
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert sentence in err
    assert {path: path.read_bytes() for path in Path("out").iterdir()} == earlier
    assert sorted(Path.cwd().iterdir()) == before


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [("--csv soft.csv", "soft.csv is a table of events"), ("--csv a.csv --output a.mp4", "are the same, or one")],
)
def test_a_stream_spoils_no_events_and_no_other_output(
    framepred: Run, earlier: dict[Path, bytes], arguments: str, sentence: str
) -> None:
    code, _, err = framepred("stream", "film.npy", "--weights", "baseline:last-frame", *arguments.split())
    assert (code, err.count("\n")) == (2, 1)
    assert sentence in err
    assert {path: path.read_bytes() for path in Path("out").iterdir()} == earlier


def test_what_a_watch_writes_is_locked_while_it_learns(framepred: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def learned(*_: object, **__: object) -> Watch:
        for name in ("a/b.csv", "a/b.mp4", "a/c/watch.lock"):
            with Path(name).open("ab") as file, pytest.raises(BlockingIOError):
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        raise ClipError("The normal footage is too short.")

    np.save("film.npy", freezing(20, 10))
    monkeypatch.setattr(package, "watch", learned)
    code, _, err = framepred("watch", "film.npy", "--csv", "a/b.csv", "--output", "a/b.mp4", "--events", "a/c")
    assert (code, err) == (2, "The normal footage is too short.\n")
    assert [path.name for path in Path.cwd().iterdir()] == ["film.npy"]


@pytest.mark.parametrize("arguments", ["--csv b.csv", "--output b.mp4", "--events b"])
def test_a_second_watch_is_refused_at_its_start(
    framepred: Run, monkeypatch: pytest.MonkeyPatch, arguments: str
) -> None:
    np.save("film.npy", freezing(20, 10))
    monkeypatch.setattr(package, "watch", None)
    path = Path(arguments.split()[1])
    with locked_events(path) if path.name == "b" else locked_file(path):
        code, _, err = framepred("watch", "film.npy", *arguments.split())
    assert (code, err.count("\n")) == (2, 1)
    assert err.startswith("Another process writes ")


def test_other_files_may_lie_in_the_folder_of_events(framepred: Run) -> None:
    np.save("film.npy", freezing())
    files = ["--csv", "out/frames.csv", "--output", "out/frames.mp4", "--profile", "out/p.safetensors"]
    for _ in range(2):
        code, _, err = framepred("watch", "film.npy", "--normal", 10, "--false-alarms", 30, "--events", "out", *files)
        assert code == 0, err
    assert Path("out/frames.csv").read_text().startswith("frame,time,score")


def test_an_empty_table_gets_its_header(tmp_path: Path) -> None:
    (tmp_path / "events.csv").touch()
    watching = package.watch(freezing(), normal=10.0, false_alarms=30)
    list(recorded(watching, [EventFolder(tmp_path)]))
    assert (tmp_path / "events.csv").read_text().startswith("number,start,peak,")


def test_a_clip_lasts_from_two_seconds_before_its_event_to_two_seconds_after(tmp_path: Path) -> None:
    watching = package.watch(freezing(200, 140), normal=10.0, false_alarms=30)
    events = [item for item in recorded(watching, [EventFolder(tmp_path)]) if isinstance(item, Event)]
    frozen = next(item for item in events if item.kind == "freeze")
    frames = len(read_video(tmp_path / f"event-{frozen.number:06d}.mp4"))
    assert frames / 10 == pytest.approx(frozen.end - frozen.start + 4, abs=0.21)


def test_an_event_of_a_slow_source_has_its_picture(tmp_path: Path) -> None:
    folder, finder = EventFolder(tmp_path), EventFinder(3.0)
    for index, score in enumerate((0.0, 5.0, 0.0, 0.0)):
        scored, time = FrameScore(score, score), 4.0 * index
        done = finder.add(index, time, scored)
        folder.write(WatchStep(index, time, np.zeros((1, 32, 48), np.uint8), scored, 3.0, finder.active, done))
        if done is not None:
            folder.add(done)
    folder.close()
    assert (tmp_path / "event-000001.png").exists()


@pytest.fixture
def page(tmp_path: Path) -> Iterator[object]:
    pytest.importorskip("starlette")
    pytest.importorskip("uvicorn")
    with serve_page("127.0.0.1:0", tmp_path, 30.0) as served:
        watching = package.watch(freezing(), normal=10.0, false_alarms=30)
        for _ in recorded(watching, [EventFolder(tmp_path), served]):
            pass
        yield served


def get(address: str, **headers: str) -> bytes:
    with urlopen(Request(address, headers=headers), timeout=20) as answer:
        return answer.read()


def test_the_page_serves_state_pictures_and_clips_to_this_machine_alone(page: object) -> None:
    address = page.address.rstrip("/")
    state = json.loads(get(f"{address}/state"))
    assert state["frame"] == 159
    assert len(state["scores"]) == 60
    shown = next(entry for entry in state["events"] if entry["kind"] == "freeze")
    assert b"ftyp" in get(f"{address}/events/{shown['clip']}")[:32]
    for view in ("seen", "usual", "heat"):
        assert get(f"{address}/frame/{view}").startswith(b"\xff\xd8")
    for path, headers in (
        ("/state", {"Host": "evil.example"}),
        ("/state", {"Origin": "http://evil.example"}),
        ("/state", {"Origin": "http://["}),
    ):
        with pytest.raises(HTTPError, match="403"):
            get(f"{address}{path}", **headers)
    for path in ("/events/..%2f..%2fetc%2fpasswd", "/frame/nosuch"):
        with pytest.raises(HTTPError, match="404"):
            get(f"{address}{path}")


def test_only_loopback_addresses_need_no_token(tmp_path: Path) -> None:
    pytest.importorskip("starlette")
    assert is_loopback("127.0.0.1")
    assert is_loopback("::1")
    assert not is_loopback("0.0.0.0")
    assert not is_loopback("example.com")
    with serve_page("0.0.0.0:0", tmp_path, 1.0) as served:
        base, token = served.address.split("/?token=")
        local = base.replace("0.0.0.0", "127.0.0.1")
        with pytest.raises(HTTPError, match="403"):
            get(f"{local}/state")
        assert json.loads(get(f"{local}/state", Cookie=f"framepred_token={token}"))["frame"] is None


@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium here: the page was not opened in a browser")
def test_the_page_works_in_a_browser(tmp_path: Path) -> None:
    with serve_page("127.0.0.1:0", tmp_path / "events", 30.0) as served, browser(tmp_path / "browser") as shown:
        shown.call("Page.navigate", url=served.address)
        assert shown.wait("document.getElementById('status')?.textContent") == "Waiting for frames"
        watching = package.watch(freezing(), normal=10.0, false_alarms=30)
        for _ in recorded(watching, [EventFolder(tmp_path / "events"), served]):
            served.apply(watching)
        shown.wait("document.getElementById('seen').naturalWidth > 0")
        shown.wait("document.querySelector('#curve polyline').getAttribute('points').split(' ').length > 50")
        shown.wait(
            "[...document.querySelectorAll('#events button')].some((item) => item.textContent.includes('freeze'))"
        )
        shown.press("Tab")  # to the slider
        shown.press("ArrowRight")
        shown.wait("document.getElementById('rate-shown').textContent === '40'")  # a step of the slider above 30
        shown.press("Tab")  # to the newest event
        shown.press("Enter")
        shown.wait("document.getElementById('clip').currentTime > 0.2")
        for width in (360, 1280):
            shown.show(width, 800)
            assert shown.evaluate("document.documentElement.scrollWidth <= innerWidth")
        wrong = [*shown.found("Runtime.exceptionThrown"), *shown.found("Log.entryAdded")]
        assert wrong + [call for call in shown.found("Runtime.consoleAPICalled") if call["type"] == "error"] == []
        urls = {request["request"]["url"] for request in shown.found("Network.requestWillBeSent")}
        assert all(url.startswith((served.address, "data:")) for url in urls)


def test_what_events_may_take_is_refused_without_events(framepred: Run) -> None:
    np.save("film.npy", freezing())
    code, _, err = framepred("watch", "film.npy", "--keep", 5)
    assert code == 2
    assert err == "--keep has no effect on a watch without --events or --serve; leave it out.\n"
