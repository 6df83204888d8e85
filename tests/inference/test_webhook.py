"""What receivers of events may answer, and what addresses they may have."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from framepred.errors import ConfigError
from framepred.inference.watching.addresses import check_webhook
from framepred.inference.watching.events import Event
from framepred.inference.watching.webhook import TRIES, Webhook

ODD_ANSWERS = {
    "/garbage": b"hello nonsense\r\n\r\n",
    "/nothing": b"",
    "/long-line": b"HTTP/1.0 200 OK\r\nX: " + b"a" * 70_000 + b"\r\n\r\n",
    "/number": b"HTTP/1.0 99999 OK\r\n\r\n",
}
REDIRECTS = (300, 301, 302, 303, 307, 308)


class Receiver(BaseHTTPRequestHandler):
    """Answers the first event of each path oddly, and takes the second one."""

    posts: list[tuple[str, str, int]] = []  # noqa: RUF012  method, path, number of the event

    def do_POST(self) -> None:
        number = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["number"]
        self.posts.append(("POST", self.path, number))
        if number == 1 and self.path in ODD_ANSWERS:
            self.wfile.write(ODD_ANSWERS[self.path])
        elif number == 1 and self.path == "/chunk":
            self.wfile.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzzz\r\n")
        else:
            code = int(self.path[1:]) if number == 1 else 204
            self.send_response(code)
            self.send_header("Location", "/final")
            self.end_headers()

    def do_GET(self) -> None:
        self.posts.append(("GET", self.path, 0))
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def receiver() -> Iterator[str]:
    """The address of a server that answers oddly."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Receiver) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        Receiver.posts.clear()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def post_two(url: str) -> list[str]:
    """Post two events; the notices."""
    notices: list[str] = []
    hook = Webhook(url, notices.append, first_pause=0.001)
    for number in (1, 2):
        hook.add(Event(number, 1.0, 1.5, 2.0, 10, 20, 5.0, 3.0, "freeze"))
    hook.close()
    return notices


@pytest.mark.filterwarnings("error::pytest.PytestUnhandledThreadExceptionWarning")
@pytest.mark.parametrize("path", ODD_ANSWERS)
def test_an_odd_answer_holds_no_later_event_back(receiver: str, path: str) -> None:
    (notice,) = post_two(f"{receiver}{path}")
    assert f"{path} did not take event 1 in {TRIES} tries (" in notice
    assert Receiver.posts == [("POST", path, 1)] * TRIES + [("POST", path, 2)]


@pytest.mark.parametrize("code", REDIRECTS)
def test_a_redirect_is_an_error_that_is_said_at_once(receiver: str, code: int) -> None:
    (notice,) = post_two(f"{receiver}/{code}")
    assert f"/{code} did not take event 1 ({code} " in notice
    assert "; give the address /final)." in notice
    assert Receiver.posts == [("POST", f"/{code}", 1), ("POST", f"/{code}", 2)]


def test_an_event_counts_as_taken_by_the_status_of_the_answer(receiver: str) -> None:
    assert post_two(f"{receiver}/chunk") == []
    assert Receiver.posts == [("POST", "/chunk", 1), ("POST", "/chunk", 2)]


@pytest.mark.parametrize("url", ["", "host/path", "ftp://host", "http://", "http://[", "http://[x]/", "http://:80/",
                                 "http://host:port/", "http://host:99999/", "file:///etc/passwd"])  # fmt: skip
def test_what_is_no_address_is_refused(url: str) -> None:
    with pytest.raises(ConfigError, match=r"is no http or https address; give one such as https://host/path\.$"):
        check_webhook(url)


@pytest.mark.parametrize("url", ["http://host/a b", "http://ho st/", "http://host/a\n", "http://host/\x00", "http://host/ß",
                                 "http://host/?q=ß", "http://me:secret@host/", " http://host/"])  # fmt: skip
def test_an_address_that_nothing_can_be_posted_to_is_refused(url: str) -> None:
    with pytest.raises(ConfigError, match=r"write such characters as %XX, a space as %20\.$"):
        check_webhook(url)


@pytest.mark.parametrize("url", ["http://host", "https://host:1/a%20b?q=1#x", "http://[::1]:8/", "http://höst/"])
def test_an_address_is_taken_as_it_is(url: str) -> None:
    assert check_webhook(url) == url
