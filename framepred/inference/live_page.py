"""Live web page of a watch: newest frame, heat map, anomaly score with threshold, and events with clips."""

import secrets
import socket
import tempfile
from collections import deque
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from importlib.resources import files
from io import BytesIO
from ipaddress import ip_address
from pathlib import Path
from threading import Lock, Thread
from typing import Any

import numpy as np
from PIL import Image

from framepred.errors import ConfigError, reason_of
from framepred.inference.watch import Watch, WatchStep
from framepred.inference.watching.event_tables import event_name
from framepred.inference.watching.events import Event, heat_map
from framepred.inference.watching.recording import viewable
from framepred.visualization.heat_map import heat_picture
from framepred.visualization.pictures import picture_size, to_picture

try:
    import uvicorn
    from starlette.applications import Starlette
    from starlette.middleware import Middleware
    from starlette.middleware.base import BaseHTTPMiddleware
    from starlette.requests import Request
    from starlette.responses import (
        FileResponse,
        HTMLResponse,
        JSONResponse,
        PlainTextResponse,
        RedirectResponse,
        Response,
    )
    from starlette.routing import Route
except ImportError as error:
    raise ConfigError("The live page needs Starlette and Uvicorn; install framepred[web].") from error

CURVE_LENGTH = 600
"""Maximum number of scores in the curve."""

EVENTS_SHOWN = 100
"""Maximum number of events in the list."""

JPEG_QUALITY = 80
PICTURE_SIDE = 640  # pixels
VIEWS = ("seen", "usual", "heat")  # the newest frame, the expected frame and the heat map
RATES = (0.01, 3600.0)
"""Range of the slider, in false alarms per hour."""

_NO_CACHE = {"Cache-Control": "no-store"}
_HEADERS = {
    "Content-Security-Policy": "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}
_COOKIE = "framepred_token"


class LivePage:
    """Content of the live page; the watch thread writes it and the server thread reads it.

    Attributes:
        folder: folder with the clips of the events.
        address: URL of the page, including the access token if one is required.
    """

    def __init__(self, folder: Path, address: str, token: str | None, false_alarms: float) -> None:
        self.folder = folder
        self.address = address
        self._token = token
        self._lock = Lock()
        self._scores: deque[tuple[float, float]] = deque(maxlen=CURVE_LENGTH)
        self._events: deque[dict[str, Any]] = deque(maxlen=EVENTS_SHOWN)
        self._step: WatchStep | None = None
        self._rate = false_alarms
        self._ended = False

    def write(self, step: WatchStep) -> None:
        """Add the result of one frame."""
        with self._lock:
            self._step = step
            self._scores.append((round(step.time, 3), round(step.scored.score, 3)))

    def add(self, event: Event) -> None:
        """Add one event, whose clip is already in the folder."""
        clip = f"{event_name(event.number)}.mp4"
        shown = event.to_dict() | {"clip": clip if (self.folder / clip).exists() else None, "sentence": event.sentence}
        with self._lock:
            self._events.appendleft(shown)

    def close(self) -> None:
        """Do nothing: the page has no open file."""

    def apply(self, watching: Watch) -> None:
        """Set the watch's false-alarm rate to the rate chosen on the page."""
        if watching.false_alarms != self._rate:
            watching.false_alarms = self._rate

    def end(self) -> None:
        """Show that the source has ended."""
        self._ended = True

    def app(self) -> Starlette:
        """Return the web application."""
        routes = [
            Route("/", self._html),
            Route("/page.js", self._script),
            Route("/state", self._state),
            Route("/frame/{view}", self._frame),
            Route("/events/{name}", self._clip),
            Route("/false-alarms", self._set_rate, methods=["POST"]),
        ]
        return Starlette(routes=routes, middleware=[Middleware(BaseHTTPMiddleware, dispatch=self._check_request)])

    async def _check_request(self, request: Request, call_next: Callable[[Request], Awaitable[Response]]) -> Response:
        """Reject requests without a valid token, requests from other sites, and host names that are not loopback.

        The host name is checked only where no token is required; this prevents DNS rebinding.
        """
        given = request.query_params.get("token", "")
        if self._token is not None:
            if secrets.compare_digest(given.encode(), self._token.encode()) and request.url.path == "/":
                redirect = RedirectResponse("/", headers=_NO_CACHE)
                redirect.set_cookie(_COOKIE, self._token, httponly=True, samesite="strict")
                return redirect
            if not secrets.compare_digest(request.cookies.get(_COOKIE, "").encode(), self._token.encode()):
                return PlainTextResponse(
                    "Access token missing or wrong. Open the full address that the watch printed.", 403
                )
        elif not is_loopback(request.url.hostname or ""):
            return PlainTextResponse("This page can be opened only on the machine that serves it.", 403)
        origin = request.headers.get("origin")
        if origin is not None and origin.partition("://")[2] != request.headers.get("host"):
            return PlainTextResponse("Requests from other sites are not allowed.", 403)
        response = await call_next(request)
        response.headers.update(_HEADERS)
        return response

    async def _html(self, _: Request) -> Response:

        return HTMLResponse(_template("live.html"), headers=_NO_CACHE)

    async def _script(self, _: Request) -> Response:

        return Response(_template("live.js"), media_type="text/javascript", headers=_NO_CACHE)

    async def _state(self, _: Request) -> Response:

        with self._lock:
            step = self._step
            state = {
                "frame": None if step is None else step.index,
                "time": None if step is None else step.time,
                "threshold": None if step is None else step.threshold,
                "active": step is not None and step.active and not self._ended,
                "false_alarms": self._rate,
                "ended": self._ended,
                "scores": list(self._scores),
                "events": list(self._events),
            }
        return JSONResponse(state, headers=_NO_CACHE)

    def _frame(self, request: Request) -> Response:
        """Return a JPEG view of the newest frame; Starlette runs this in a thread, because encoding is slow."""
        view = request.path_params["view"]
        with self._lock:
            step = self._step
        if view not in VIEWS or step is None:
            return PlainTextResponse("There is no such picture.", 404)
        buffer = BytesIO()
        _picture(step, view).save(buffer, "jpeg", quality=JPEG_QUALITY)
        return Response(buffer.getvalue(), media_type="image/jpeg", headers=_NO_CACHE)

    def _clip(self, request: Request) -> Response:

        path = self.folder / Path(request.path_params["name"]).name
        if path.suffix not in (".mp4", ".png") or not path.name.startswith("event-") or not path.is_file():
            return PlainTextResponse("There is no such clip.", 404)
        return FileResponse(path)

    async def _set_rate(self, request: Request) -> Response:

        try:
            rate = float((await request.json())["false_alarms"])
        except (ValueError, KeyError, TypeError):
            return PlainTextResponse("false_alarms must be a number.", 400)
        if not RATES[0] <= rate <= RATES[1]:
            return PlainTextResponse(f"false_alarms must be in [{RATES[0]}, {RATES[1]}] per hour.", 400)
        self._rate = rate
        return JSONResponse({"false_alarms": rate})


@contextmanager
def serve_page(address: str, events: Path | None, false_alarms: float) -> Iterator[LivePage]:
    """Serve a live page in a thread while the block runs.

    Args:
        address: ``host:port``; port 0 selects a free port. Addresses other than loopback require a token.
        events: folder of the events; None creates a temporary folder.
        false_alarms: initial value of the slider, false alarms per hour.

    Raises:
        ConfigError: if the address is invalid or in use.
    """
    listener, host = _listen(address)
    port = listener.getsockname()[1]
    token = None if is_loopback(host) else secrets.token_urlsafe(16)
    shown = f"http://{f'[{host}]' if ':' in host else host}:{port}/{'' if token is None else f'?token={token}'}"
    with tempfile.TemporaryDirectory(prefix="framepred-watch-") as temporary:
        folder = Path(temporary) if events is None else events
        page = LivePage(folder, shown, token, false_alarms)
        config = uvicorn.Config(page.app(), log_level="error", lifespan="off", timeout_graceful_shutdown=1)
        server = uvicorn.Server(config)
        thread = Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
        thread.start()
        try:
            yield page
        finally:
            server.should_exit = True
            thread.join(5)
            listener.close()


def is_loopback(host: str) -> bool:
    """Whether a host name or IP address is a loopback address."""
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def _listen(address: str) -> tuple[socket.socket, str]:
    host, _, port = address.rpartition(":")
    host = host.strip("[]") or "127.0.0.1"
    if not port.isdecimal() or int(port) > 65_535:
        raise ConfigError(f"{address!r} is not an address of the form HOST:PORT, such as 127.0.0.1:8400.")
    listener = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, int(port)))
        listener.listen()
    except (OSError, UnicodeError) as error:  # UnicodeError: a name that is too long
        listener.close()
        raise ConfigError(f"Cannot listen on {address} ({reason_of(error)}); choose another port or host.") from error
    return listener, host


def _picture(step: WatchStep, view: str) -> Image.Image:
    frame = viewable(step.frame)
    height, width = frame.shape[-2:]
    size = picture_size(height, width, PICTURE_SIDE)
    if view == "heat":
        empty = np.zeros((0, 0), dtype=np.float32)
        return heat_picture(frame, heat_map(step.scored) if step.scored.deviations.size else empty, size)
    if view == "usual" and step.scored.expected is not None:
        levels = (step.scored.expected.clip(0, 1) * 255).astype(np.uint8)
        return Image.fromarray(levels).resize(size, Image.Resampling.BILINEAR)
    return to_picture(frame, size)


def _template(name: str) -> str:
    return (files("framepred.visualization") / "templates" / name).read_text(encoding="utf-8")
