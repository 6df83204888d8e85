"""``framepred stream`` as users type it: cuts, what it leaves behind however it ends, and what it refuses."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from pathlib import Path
from threading import Event, Thread

import av
import numpy as np
import pytest
import torch
from PIL import Image

from framepred.media.reading import read_clips, read_video
from framepred.media.writing import write_video
from full_disk import full_disk

Run = Callable[..., tuple[int, str, str]]
DIGITS = ("--weights", "moving-mnist-convlstm")


def rows(path: str | Path) -> list[list[str]]:
    head, *lines = Path(path).read_text().splitlines()
    assert head == "frame,time,mse,cut"
    return [line.split(",") for line in lines]


@pytest.mark.parametrize("shape", [(7, 3, 47, 59), (7, 33, 150)])
def test_table_and_film_of_any_size(framepred: Run, shape: tuple[int, ...]) -> None:
    np.save("clip.npy", np.random.default_rng(0).integers(0, 60, shape, dtype=np.uint8))
    code, out, err = framepred("stream", "clip.npy", "--csv", "new/a.csv", "--output", "new/a.mp4", "--frames", 2)
    assert code == 0
    assert err == ("150x33 frames are scaled to 128 pixels for the network (--max-side).\n" if 150 in shape else "")
    assert out.splitlines()[1:] == ["new/a.csv", "new/a.mp4"]
    film = read_clips("new/a.mp4")
    assert (film.clips.shape[1], film.fps) == (7, 10)
    assert [(row[0], row[1]) for row in rows("new/a.csv")] == [(str(n), f"{n / 10:.3f}") for n in range(7)]


def test_a_scene_cut_is_said(framepred: Run) -> None:
    levels = np.random.default_rng(0).integers(0, 9, (60, 32, 32), dtype=np.uint8)
    levels[30:] += 200
    np.save("clip.npy", levels)
    code, out, err = framepred("stream", "clip.npy", "--weights", "baseline:last-frame")
    assert code == 0
    assert err == "Scene cut at frame 30, 3.00 s: the state is reset.\n"
    assert "1 cut;" in out


def test_json_is_a_line_an_event(framepred: Run) -> None:
    np.save("clip.npy", np.random.default_rng(0).integers(0, 60, (12, 16, 16), dtype=np.uint8))
    code, out, _ = framepred("stream", "clip.npy", "--weights", "baseline:last-frame", "--json")
    assert code == 0
    end = json.loads(out)
    assert (end["event"], end["frames"], end["cuts"], end["files"]) == ("end", 12, 0, [])
    assert end["frames_per_second"] > 0


LONG = [
    "stream",
    "long.npy",
    "--weights",
    "baseline:last-frame",
    "--frames",
    "1",
    "--csv",
    "a.csv",
    "--output",
    "a.mp4",
]


def save_long_clip(folder: Path) -> None:
    """Save a clip that takes long to stream."""
    np.save(folder / "long.npy", np.random.default_rng(0).integers(0, 60, (20_000, 16, 16), dtype=np.uint8))


def wait_for_rows(table: Path, count: int = 20, is_running: Callable[[], bool] = lambda: True) -> None:
    """Wait until the table of a running stream has some rows."""
    while not table.exists() or len(table.read_text().splitlines()) < count:
        assert is_running(), "the stream ended before it wrote its table"
        time.sleep(0.02)


def test_what_a_killed_stream_wrote_can_be_opened(tmp_path: Path) -> None:
    save_long_clip(tmp_path)
    with subprocess.Popen(
        [sys.executable, "-m", "framepred.cli", *LONG], cwd=tmp_path, stdout=subprocess.PIPE
    ) as stream:
        wait_for_rows(tmp_path / "a.csv", is_running=lambda: stream.poll() is None)
        stream.kill()
    table = rows(tmp_path / "a.csv")
    assert len(table) >= 19
    assert all(len(row) == 4 for row in table)
    assert len(table) - len(read_video(tmp_path / "a.mp4")) in (0, 1, 2)


def signal_after(number: int, wait: Callable[[], None]) -> None:
    """Send this process a signal when ``wait`` returns in a thread of its own."""
    Thread(target=lambda: (wait(), os.kill(os.getpid(), number)), daemon=True).start()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_stream_leaves_complete_files(framepred: Run, number: int) -> None:
    save_long_clip(Path())
    signal_after(number, lambda: wait_for_rows(Path("a.csv")))
    code, out, err = framepred(*LONG)
    assert (code, err) == (128 + number, "Stopped; the files are complete up to the last frame.\n")
    table = rows("a.csv")
    assert out.startswith(f"long.npy: {len(table)} frames, ")
    assert 19 <= len(table) < 20_000
    assert len(read_video("a.mp4")) == len(table)


@pytest.mark.parametrize(("share", "number"), [(0.0, signal.SIGINT), (0.9, signal.SIGTERM)])
@pytest.mark.parametrize("command", [["stream", "-", "--weights", "baseline:last-frame"], ["watch", "-"]])
def test_standard_input_that_stalls_can_be_stopped(
    tmp_path: Path, command: list[str], number: int, share: float
) -> None:
    clip = torch.randint(0, 256, (60, 1, 64, 64), dtype=torch.uint8)
    write_video(tmp_path / "a.mp4", clip, 10)
    content = remuxed(tmp_path / "a.mp4", tmp_path / "a.ts").read_bytes()
    with subprocess.Popen(
        [sys.executable, "-m", "framepred.cli", *command],
        cwd=tmp_path,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as running:
        assert running.stdin is not None
        running.stdin.write(content[: int(share * len(content))])
        running.stdin.flush()
        time.sleep(4)
        running.send_signal(number)
        assert running.wait(20) == 128 + number
        assert running.stderr is not None
        told = running.stderr.read().decode()
        assert "Traceback" not in told
        assert "Stopped" in told


def remuxed(source: Path, target: Path) -> Path:
    """Copy a film into another container."""
    with av.open(str(source)) as film, av.open(str(target), "w") as copy:
        stream = copy.add_stream_from_template(film.streams.video[0])
        for packet in film.demux(video=0):
            if packet.dts is not None:
                packet.stream = stream
                copy.mux(packet)
    return target


class Broadcast(BaseHTTPRequestHandler):
    """Serve a few pictures of an endless stream to each client, then break off; a second client sets ``again``."""

    clients = 0
    again = Event()

    def do_GET(self) -> None:
        type(self).clients += 1
        self.send_response(200)
        self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=next")
        self.end_headers()
        for level in range(100, 115):
            picture = BytesIO()
            Image.new("L", (32, 32), level).save(picture, "jpeg")
            self.wfile.write(b"--next\r\nContent-Type: image/jpeg\r\n\r\n" + picture.getvalue() + b"\r\n")
            time.sleep(0.02)
        if self.clients > 1:
            self.again.set()

    def log_message(self, *_: object) -> None:
        """Log nothing."""


def test_a_broadcast_that_breaks_off_is_opened_again_until_ctrl_c(
    framepred: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with ThreadingHTTPServer(("127.0.0.1", 0), Broadcast) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        source = f"http://127.0.0.1:{server.server_port}/live"
        signal_after(signal.SIGINT, Broadcast.again.wait)
        code, _, err = framepred(
            "stream", source, "--weights", "baseline:last-frame", "--frames", "1", "--csv", "a.csv"
        )
        server.shutdown()
    assert code == 130
    assert err.startswith(f"{source} is lost; trying again in 1 s.\n{source} is back.\n")
    assert len(rows("a.csv")) > 15


WRONG_ARGUMENTS = [
    (["nosuch.mp4"], "nosuch.mp4 does not exist"),
    (["clip.npy", "--frames", "0"], "--frames"),
    (["clip.npy", "--csv", "a.txt"], "a.txt cannot be written because .txt is not known; choose .csv."),
    (["clip.npy", "--output", "a.gif"], "because .gif is not known; choose .mp4."),
    (["clip.npy", "--csv", "folder.csv"], "folder.csv is a folder"),
    (["clip.mp4", "--output", "./clip.mp4"], "clip.mp4 is the input and would be overwritten"),
]
WITHOUT_TORCH = """
import json, sys
sys.modules["torch"] = None
from framepred.cli.main import main
for arguments in json.loads(sys.argv[1]):
    sys.argv[1:] = ["stream", *arguments]
    try:
        main()
    except SystemExit as end:
        assert end.code == 2
"""


def test_wrong_arguments_get_one_sentence_before_torch_is_imported(tmp_path: Path) -> None:
    (tmp_path / "clip.npy").write_text("never read")
    (tmp_path / "clip.mp4").write_text("never read")
    (tmp_path / "folder.csv").mkdir()
    before = set(tmp_path.iterdir())
    listed = json.dumps([arguments for arguments, _ in WRONG_ARGUMENTS])
    command = [sys.executable, "-c", WITHOUT_TORCH, listed]
    end = subprocess.run(command, cwd=tmp_path, check=False, capture_output=True, text=True)
    assert (end.returncode, end.stdout) == (0, ""), end.stderr
    for line, (_, sentence) in zip(end.stderr.splitlines(), WRONG_ARGUMENTS, strict=True):
        assert sentence in line
    assert set(tmp_path.iterdir()) == before


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["97"], "Camera 97 cannot be opened; check that it is plugged in"),
        (["clip.npy", "--weights", "nosuch"], "There are no weights 'nosuch'"),
        (["clip.npy", "--weights", "baseline:nosuch"], "There is no baseline 'nosuch'"),
        (["clip.npy", "--layout", "ab"], "The layout ab is no order of axes"),
        (["clip.npy", *DIGITS], "Frames must be at least 4 pixels"),
    ],
)
def test_what_cannot_be_followed_leaves_nothing(framepred: Run, arguments: list[str], sentence: str) -> None:
    np.save("clip.npy", np.zeros((30, 2, 2), dtype=np.uint8))
    code, out, err = framepred("stream", *arguments, "--csv", "new/a.csv", "--output", "new/a.mp4")
    assert (code, out) == (2, "")
    assert err.startswith(sentence)
    assert err.count("\n") == 1
    assert [path.name for path in Path.cwd().iterdir()] == ["clip.npy"]


def test_a_full_disk_is_told_in_a_sentence(framepred: Run) -> None:
    np.save("clip.npy", np.zeros((3, 8, 8), dtype=np.uint8))
    with full_disk(40):
        code, _, err = framepred("stream", "clip.npy", "--csv", "a.csv")
    assert code == 2
    assert err == "a.csv cannot be written (File too large); free disk space or choose another path.\n"
