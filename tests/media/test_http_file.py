"""Films at http addresses: connections that break off, answers that are none, servers with and without ranges."""

import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, HTTPServer, ThreadingHTTPServer
from itertools import islice
from pathlib import Path
from typing import Any, ClassVar

import pytest
import torch

from framepred.errors import MediaError
from framepred.inference.watching.playing import play_source
from framepred.media.camera import live_pictures
from framepred.media.http_file import HttpFile, film_at
from framepred.media.live import Player
from framepred.media.reading import open_frames, read_video
from video_zoo import stacked, write_codec


class Film(BaseHTTPRequestHandler):
    """Gives the file of the server in the way that the address names."""

    protocol_version = "HTTP/1.1"
    content = b""
    requests: ClassVar[list[str]] = []

    def log_message(self, *_: object) -> None:
        pass

    def do_HEAD(self) -> None:
        self.close_connection = True
        getattr(self, self.path.split("/")[1])()

    def do_GET(self) -> None:
        self.close_connection = True
        self.requests.append(self.path)
        getattr(self, self.path.split("/")[1])()

    def answer(self, status: int = 200, content: bytes = b"", **headers: object) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), str(value))
        self.end_headers()
        with suppress(ConnectionError):  # which the reader has left
            self.wfile.write(b"" if self.command == "HEAD" else content)

    def whole(self) -> None:
        self.answer(content=self.content, Content_Length=len(self.content))

    def ranges(self, share: float = 1.0) -> None:
        asked, size = self.headers["Range"], len(self.content)
        start = int((asked or "bytes=0-").removeprefix("bytes=").partition("-")[0])
        part = {"Content_Range": f"bytes {start}-{size - 1}/{size}"} if asked else {}
        content = self.content[start : int(share * size)]
        self.answer(206 if asked else 200, content, Content_Length=size - start, Accept_Ranges="bytes", **part)

    def kept(self) -> None:
        self.ranges()
        self.close_connection = False  # wait for another request of this reader until it leaves

    def breaks(self) -> None:
        self.ranges(0.6)

    def endless(self) -> None:
        self.answer(content=self.content)

    def pictures(self) -> None:
        begin = b"\xff\xd8\xff"  # of a JPEG picture
        parts = [b"--next\r\nContent-Type: image/jpeg\r\n\r\n" + begin + part for part in self.content.split(begin)[1:]]
        self.answer(
            content=b"\r\n".join([*parts, b"--next--"]), Content_Type="multipart/x-mixed-replace; boundary=next"
        )

    def in_chunks(self, share: float = 1.0, end: bytes = b"0\r\n\r\n") -> None:
        content = self.content[: int(share * len(self.content))]
        parts = [content[start : start + 1000] for start in range(0, len(content), 1000)]
        body = b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in parts)
        self.answer(content=body + end, Transfer_Encoding="chunked")

    def breaks_between_chunks(self) -> None:
        self.in_chunks(0.6, end=b"")

    def breaks_in_a_chunk(self) -> None:
        self.in_chunks(0.6, end=b"3e8\r\nabc")

    def resets(self) -> None:
        self.answer(content=self.content[: int(0.6 * len(self.content))])
        self.wfile.flush()
        time.sleep(0.1)  # seconds in which the reader takes what was sent
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.connection.close()

    def chunks(self) -> None:
        self.answer(content=b"%x\r\n" % len(self.content) + self.content[:500], Transfer_Encoding="chunked")

    def no_chunks(self) -> None:
        self.answer(content=b"zzz\r\n", Transfer_Encoding="chunked")

    def garbage(self) -> None:
        self.wfile.write(b"no http\r\n\r\n")

    def long_header(self) -> None:
        self.answer(X="a" * 70_000)

    def loop(self) -> None:
        self.answer(302, Location=self.path, Content_Length=0)


@pytest.fixture
def served() -> Iterator[Callable[..., str]]:
    """Serve a file; gives the address, to which the way is appended."""
    servers = []
    Film.requests.clear()

    def serve(path: Path, kind: type[HTTPServer] = ThreadingHTTPServer) -> str:
        handler: Any = type("Handler", (Film,), {"content": path.read_bytes()})
        quiet: Any = type("Quiet", (kind,), {"handle_error": lambda *_: None})  # a client may leave early
        server: HTTPServer = quiet(("127.0.0.1", 0), handler)
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        servers.append(server)
        return f"http://127.0.0.1:{server.server_port}"

    yield serve
    for server in servers:
        server.shutdown()
        server.server_close()


def watched(url: str) -> None:
    list(play_source(url).moments)


def streamed(url: str) -> None:
    list(Player(url, pytest.fail))


@pytest.mark.parametrize("read", [read_video, streamed, watched])
@pytest.mark.parametrize("name", ["a.mkv", "a.flv", "a.avi", "raw.y4m"])
def test_a_connection_that_breaks_off_is_no_end(
    served: Callable[[Path], str], tmp_path: Path, read: Callable[[str], object], name: str
) -> None:
    codec = "wrapped_avframe" if name == "raw.y4m" else "libx264"
    address = f"{served(write_codec(tmp_path / name, codec, options={'g': '5'}))}/breaks/{name}"
    with pytest.raises(MediaError, match=rf"^{address} broke off \(\d+ of \d+ bytes arrived\); try again\.$"):
        read(address)


@pytest.mark.parametrize("read", [read_video, streamed, watched])
@pytest.mark.parametrize("way", ["breaks_between_chunks", "breaks_in_a_chunk", "resets"])
def test_a_connection_that_breaks_off_without_a_stated_size_is_no_end(
    served: Callable[[Path], str], tmp_path: Path, read: Callable[[str], object], way: str
) -> None:
    address = f"{served(write_codec(tmp_path / 'a.mkv', options={'g': '5'}))}/{way}/a.mkv"
    with pytest.raises(MediaError, match=rf"^{address} broke off \([^\n]+\); try again\.$"):
        read(address)


@pytest.mark.parametrize(
    ("way", "name"),
    [
        *(("whole", name) for name in ("a.mkv", "a.avi", "a.ts")),
        *(("ranges", name) for name in ("a.mkv", "a.avi", "a.ts")),
        *(("in_chunks", name) for name in ("a.mkv", "a.avi")),
    ],
)
def test_a_whole_film_is_played_to_its_end(served: Callable[[Path], str], tmp_path: Path, way: str, name: str) -> None:
    path = write_codec(tmp_path / name, "mpeg4", frames=20)
    address = f"{served(path)}/{way}/{name}"
    truth = stacked(open_frames(path).frames)
    assert torch.equal(stacked(moment.frame for moment in Player(address, pytest.fail)), truth)
    assert torch.equal(stacked(torch.from_numpy(moment.frame.copy()) for moment in play_source(address).moments), truth)


def test_a_film_with_its_header_at_the_end_is_played_where_the_server_gives_parts(
    served: Callable[[Path], str], tmp_path: Path
) -> None:
    path = write_codec(tmp_path / "a.mov", "rawvideo", "rgb24", frames=12, size=(240, 320))
    with_parts = stacked(moment.frame for moment in Player(f"{served(path)}/ranges/a.mov", pytest.fail))
    assert torch.equal(with_parts, stacked(open_frames(path).frames))


def test_a_file_is_read_from_any_byte(served: Callable[[Path], str], tmp_path: Path) -> None:
    content = bytes(range(256)) * 10_000
    (tmp_path / "a").write_bytes(content)
    with HttpFile(f"{served(tmp_path / 'a')}/ranges") as file:
        assert file.seekable()
        assert file.size == len(content)
        for start in (5, 2_000_000, 300, len(content) - 4, len(content), 0):
            assert file.seek(start) == file.tell() == start
            assert file.read(7) == content[start : start + 7]
        assert file.seek(-3, 2) == len(content) - 3
        assert file.seek(-2, 1) == len(content) - 5


def test_a_server_that_answers_for_another_part_is_not_believed(served: Callable[[Path], str], tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(bytes(3_000_000))
    with HttpFile(f"{served(tmp_path / 'a')}/whole") as file:
        assert not file.seekable()
        file.seek(2_500_000)
        with pytest.raises(MediaError, match="cannot be read from byte 2500000 on"):
            file.read(1)


@pytest.mark.parametrize(
    ("way", "reason"),
    [
        ("garbage", r"cannot be opened \(no http\)"),
        ("long_header", r"cannot be opened \(got more than 65536 bytes"),
        ("loop", r"cannot be opened \(HTTP Error 302: [^\n]*\)"),
        ("chunks", "broke off"),
        ("no_chunks", "broke off"),
    ],
)
def test_an_answer_that_is_none_is_one_sentence(
    served: Callable[[Path], str], tmp_path: Path, way: str, reason: str
) -> None:
    address = f"{served(write_codec(tmp_path / 'a.ts', frames=5))}/{way}/a.ts"
    with pytest.raises(MediaError, match=f"^{address} {reason}"):
        read_video(address)


def test_an_address_that_http_does_not_allow_is_one_sentence() -> None:
    with pytest.raises(MediaError, match=r"a b\.mp4 cannot be opened \(URL can't contain control characters"):
        read_video("http://127.0.0.1:9/a b.mp4")


@pytest.mark.parametrize("name", ["a%00.mp4", "a" * 300 + ".mp4", "a%2Fb.mp4"])
def test_an_address_may_name_what_no_file_is_called(served: Callable[[Path], str], tmp_path: Path, name: str) -> None:
    path = write_codec(tmp_path / "a.mp4", frames=5)
    assert torch.equal(read_video(f"{served(path)}/whole/{name}"), read_video(path))


def test_a_live_stream_is_left_to_opencv(served: Callable[[Path], str], tmp_path: Path) -> None:
    address = f"{served(write_codec(tmp_path / 'a.ts', frames=10))}/endless/a.ts"
    assert film_at(address) is None
    live = live_pictures(address)
    assert live.endless
    assert len(list(live.frames)) == 10
    assert len(Film.requests) == 2  # of film_at and of live_pictures, which leaves the stream open
    assert film_at("rtsp://127.0.0.1:9/camera") is None


@pytest.mark.parametrize("suffix", [".ts", ".mkv"])
def test_a_live_stream_that_arrives_at_once_loses_no_frame_and_keeps_its_times(
    served: Callable[[Path], str], tmp_path: Path, suffix: str
) -> None:
    times = [40 * number + 100 * (number > 20) for number in range(60)]
    address = f"{served(write_codec(tmp_path / f'a{suffix}', times=times))}/endless/a{suffix}"
    moments = list(islice(Player(address, print), 60))
    assert [moment.time - moments[0].time for moment in moments] == pytest.approx([time / 1000 for time in times])
    assert [moment.fresh for moment in moments] == [True] + [False] * 59


def test_motion_jpeg_is_timed_by_the_clock(served: Callable[[Path], str], tmp_path: Path) -> None:
    address = f"{served(write_codec(tmp_path / 'a.mjpeg', 'mjpeg', 'yuvj420p'))}/pictures/camera"
    live = live_pictures(address)
    assert live.endless
    assert live.times is None
    assert len(list(live.frames)) == 40


@pytest.mark.parametrize(("codec", "pixels"), [("libx264", "yuv420p"), ("ffv1", "gray10le")])  # OpenCV reads the second
def test_a_server_that_answers_one_request_at_a_time_is_enough(
    served: Callable[..., str], tmp_path: Path, codec: str, pixels: str
) -> None:
    address = f"{served(write_codec(tmp_path / 'a.mkv', codec, pixels), HTTPServer)}/kept/a.mkv"
    start = time.monotonic()
    assert len(list(live_pictures(address).frames)) == 40
    assert time.monotonic() - start < 5  # seconds; half of what a request that is not answered takes
