"""Standard input, named pipes and addresses are read like files."""

import functools
import io
import os
import threading
import types
from collections.abc import Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import torch

from framepred.errors import FramepredError, MediaError
from framepred.media.live import Player, play
from framepred.media.reading import open_frames, read_clips, read_video
from video_zoo import stacked, write_codec


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def server(tmp_path: Path) -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(tmp_path))) as http:
        threading.Thread(target=http.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{http.server_port}"
        http.shutdown()


def feed(monkeypatch: pytest.MonkeyPatch, content: bytes) -> None:
    stream = io.BytesIO(content)
    monkeypatch.setattr("sys.stdin", types.SimpleNamespace(isatty=lambda: False, buffer=stream))


@pytest.mark.parametrize("suffix", [".mp4", ".ts", ".mkv"])
def test_standard_input_can_be_read_more_than_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, suffix: str
) -> None:
    path = write_codec(tmp_path / f"a{suffix}", frames=20)
    feed(monkeypatch, path.read_bytes())
    assert torch.equal(read_clips("-", last=5).clips, read_clips(path, last=5).clips)
    assert torch.equal(stacked(open_frames("-").frames), stacked(open_frames(path).frames))


def test_standard_input_plays_as_it_arrives(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_codec(tmp_path / "a.ts", frames=20)
    feed(monkeypatch, path.read_bytes())
    moments = list(Player("-", lambda sentence: pytest.fail(sentence)))
    assert torch.equal(stacked(moment.frame for moment in moments), stacked(open_frames(path).frames))
    assert moments[5].time == pytest.approx(0.2)


def test_empty_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    feed(monkeypatch, b"")
    with pytest.raises(MediaError, match="standard input ended without a byte"):
        read_video("-")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_a_named_pipe_is_read(tmp_path: Path) -> None:
    path = write_codec(tmp_path / "a.mp4", frames=12)
    truth = read_video(path)
    for number, read in enumerate([read_video, lambda pipe: stacked(play(pipe).frames)]):
        source = path if number == 0 else write_codec(tmp_path / "b.ts", frames=12)
        pipe = tmp_path / f"pipe{number}.mp4"
        os.mkfifo(pipe)
        writer = threading.Thread(target=lambda pipe=pipe, source=source: pipe.write_bytes(source.read_bytes()))
        writer.start()
        assert read(pipe).shape == truth.shape
        writer.join()


def test_an_address_is_read(tmp_path: Path, server: str) -> None:
    path = write_codec(tmp_path / "a.mp4", frames=12)
    for source in (f"{server}/a.mp4", Path(f"{server}/a.mp4"), f"{server}/a.mp4?token=1", path.as_uri()):
        assert torch.equal(read_video(source), read_video(path))
    with pytest.raises(MediaError, match=r"/b\.mp4 cannot be opened \(.*\); check the address and the network"):
        read_video(f"{server}/b.mp4")


@pytest.mark.parametrize("kind", ["input", "pipe", "address"])
@pytest.mark.parametrize("damage", ["start only", "cut off", "layout"])
def test_errors_name_what_was_given_and_not_its_copy(
    kind: str, damage: str, tmp_path: Path, server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = write_codec(tmp_path / "whole.mp4", frames=20).read_bytes()
    content = {"start only": content[:40], "cut off": content[:-2000], "layout": content}[damage]
    layout = "thw" if damage == "layout" else None
    source, name = {
        "input": ("-", "standard input"),
        "pipe": (str(tmp_path / "pipe"), str(tmp_path / "pipe")),
        "address": (f"{server}/a.mp4", f"{server}/a.mp4"),
    }[kind]
    (tmp_path / "a.mp4").write_bytes(content)
    feed(monkeypatch, content)
    os.mkfifo(tmp_path / "pipe")
    if kind == "pipe":
        threading.Thread(target=(tmp_path / "pipe").write_bytes, args=[content], daemon=True).start()
    with pytest.raises(FramepredError) as caught:
        read_video(source, layout=layout)
    assert name in str(caught.value)
    assert "framepred-" not in str(caught.value)


def test_a_playlist_behind_an_address_reaches_nothing(tmp_path: Path, server: str) -> None:
    write_codec(tmp_path / "part.ts", frames=5)
    (tmp_path / "a.mp4").write_text("#EXTM3U\n#EXT-X-TARGETDURATION:5\n#EXTINF:5,\npart.ts\n#EXT-X-ENDLIST\n")
    with pytest.raises(MediaError, match="holds no video that can be decoded"):
        read_video(f"{server}/a.mp4")


def test_what_does_not_end_is_refused(tmp_path: Path, server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    write_codec(tmp_path / "a.mp4", frames=12)
    monkeypatch.setattr("framepred.media.fetching.MAX_FETCHED_BYTES", 1000)
    with pytest.raises(MediaError, match=r"goes on after .* GB and has no end in sight; record a part of it first"):
        read_video(f"{server}/a.mp4")
