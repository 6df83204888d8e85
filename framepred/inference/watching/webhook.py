"""Post events to a URL, without ever delaying or ending the watch."""

import json
import time
from collections.abc import Callable
from contextlib import suppress
from http.client import HTTPException
from queue import Empty, Full, Queue
from threading import Event as Flag
from threading import Thread
from urllib.error import HTTPError
from urllib.request import HTTPRedirectHandler, Request, build_opener

from framepred.inference.watch import WatchStep
from framepred.inference.watching.addresses import check_webhook
from framepred.inference.watching.events import Event

QUEUE_LENGTH = 100
"""Events that wait to be posted, at most; further ones are dropped."""

TRIES = 5
"""Times that an event is posted before it is given up."""

FIRST_PAUSE = 1.0
"""Seconds before the second try; each pause is twice as long as the one before."""

TIMEOUT = 10.0
"""Seconds that an answer may take."""

LAST_SECONDS = 5.0
"""Seconds at the end of a watch in which the waiting events are still posted."""


class _NoRedirect(HTTPRedirectHandler):
    """Takes a redirect as an error: urllib would go there with a GET, without the event."""

    def redirect_request(self, *_: object) -> None:
        return None


class Webhook:
    """Posts each event as JSON, in a thread of its own, with retries and a bounded queue.

    Args:
        url: where to post to.
        on_notice: called with a sentence when an event is given up or dropped.
        first_pause: seconds before the second try.

    Raises:
        ConfigError: if ``url`` is not an http or https address.
    """

    def __init__(
        self, url: str, on_notice: Callable[[str], None] = lambda _: None, first_pause: float = FIRST_PAUSE
    ) -> None:
        self._url = check_webhook(url)
        self._on_notice = on_notice
        self._first_pause = first_pause
        self._opener = build_opener(_NoRedirect)
        self._queue: Queue[Event] = Queue(maxsize=QUEUE_LENGTH)
        self._ending = Flag()
        self._given_up = Flag()
        self._thread = Thread(target=self._work, daemon=True)
        self._thread.start()

    def write(self, step: WatchStep) -> None:
        """Frames are not posted."""

    def add(self, event: Event) -> None:
        """Queue an event; returns at once."""
        try:
            self._queue.put_nowait(event)
        except Full:
            self._on_notice(f"{QUEUE_LENGTH} events wait for {self._url}; event {event.number} is not posted.")

    def close(self) -> None:
        """Post what waits, for ``LAST_SECONDS`` at most, and say how many events were not posted."""
        self._ending.set()
        self._thread.join(LAST_SECONDS)
        waiting = self._queue.unfinished_tasks
        self._given_up.set()
        if waiting:
            events = f"{waiting} event{'s' * (waiting != 1)}"
            self._on_notice(f"The watch ended before {self._url} took {events}.")

    def _work(self) -> None:
        while not self._given_up.is_set():
            with suppress(Empty):
                self._post(self._queue.get(timeout=0.1))
                self._queue.task_done()
                continue
            if self._ending.is_set():
                return

    def _post(self, event: Event) -> None:
        pause, reason = self._first_pause, ""
        for number in range(TRIES):
            if number and self._given_up.wait(pause):
                return  # close() has said so
            try:
                self._send(event)
                return
            except (HTTPException, OSError, ValueError) as error:
                if isinstance(error, HTTPError) and 300 <= error.code < 400:  # the next try is redirected as well
                    self._on_notice(f"{self._url} did not take event {event.number} ({_redirect(error)}).")
                    return
                reason, pause = str(getattr(error, "reason", error)), (2 * pause if number else pause)
        self._on_notice(f"{self._url} did not take event {event.number} in {TRIES} tries ({reason}).")

    def _send(self, event: Event) -> None:
        body = json.dumps({"event": "event", "posted": time.time(), **event.to_dict()}).encode()
        request = Request(self._url, body, {"Content-Type": "application/json"}, method="POST")
        with self._opener.open(request, timeout=TIMEOUT):
            return  # the status says that it was taken


def _redirect(error: HTTPError) -> str:
    """Where a redirect leads, for a sentence."""
    target = error.headers.get("Location")
    return f"{error.code} {error.reason}" + (f"; give the address {target}" if target else "")
