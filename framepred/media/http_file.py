"""Files at http addresses, read so that a connection that breaks off is noticed."""

import io
from email.message import Message
from http import HTTPStatus
from http.client import HTTPException
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

from framepred.errors import MediaError, name_original, reason_of
from framepred.media.formats import split_url
from framepred.media.video_file import VideoFile

_SILENCE_SECONDS = 10.0  # without data before a connection is given up
_HEAD_SECONDS = 2.0  # without an answer about the size; some cameras give none
_SKIPPED_BYTES = 1 << 20  # read over rather than asked for anew


class HttpFile(io.BufferedIOBase):
    """The bytes at an http address, read as they arrive.

    Attributes:
        size: stated number of bytes; None where the server states none, as for a live stream.
        failure: the error that was raised when the connection broke off; None as long as it did not.

    Args:
        url: the address.

    Raises:
        MediaError: if it cannot be opened; while reading, if the connection breaks off.
    """

    def __init__(self, url: str) -> None:
        self._url = url
        self._position = self._wanted = 0
        self.failure: MediaError | None = None
        self._response = _open(url, 0)
        headers = self._response.headers
        self.size = _stated_size(headers)
        self._has_ranges = headers.get("Accept-Ranges", "").lower() == "bytes" and self.size is not None

    def readable(self) -> bool:
        """Yes."""
        return True

    def seekable(self) -> bool:
        """Whether the server gives parts of the file."""
        return self._has_ranges

    def tell(self) -> int:
        """Number of bytes before the next one."""
        return self._wanted

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Move to a byte; the server is asked for it when it is read."""
        origin = {io.SEEK_SET: 0, io.SEEK_CUR: self._wanted, io.SEEK_END: self.size or 0}[whence]
        self._wanted = min(max(0, origin + offset), self.size or 0)
        return self._wanted

    def read(self, size: int | None = -1) -> bytes:
        """The next bytes, as many as asked for; fewer at the end."""
        if size == 0 or self._wanted == self.size or self.failure is not None:
            return b""  # FFmpeg reads on before an error reaches anybody
        try:
            self._move()
            found: bytes = self._response.read(None if size is None or size < 0 else size)
        except (OSError, HTTPException) as error:
            raise self._broke_off(reason_of(error)) from error
        if not found and self.size is not None:
            raise self._broke_off(f"{self._position} of {self.size} bytes arrived")
        self._position = self._wanted = self._position + len(found)
        return found

    def close(self) -> None:
        """Close the connection."""
        self._response.close()
        super().close()

    def _move(self) -> None:
        """Go to the wanted byte, by reading what lies before it or by a new connection."""
        if 0 < self._wanted - self._position <= _SKIPPED_BYTES:
            self._position += len(self._response.read(self._wanted - self._position))
        if self._position != self._wanted:
            self._response.close()
            self._response, self._position = _open(self._url, self._wanted), self._wanted

    def _broke_off(self, reason: str) -> MediaError:
        self.failure = MediaError(f"{self._url} broke off ({reason}); try again.")
        return self.failure


def _stated_size(headers: Message) -> int | None:
    length = "" if "Transfer-Encoding" in headers else headers.get("Content-Length", "")
    return int(length) if length.isdecimal() else None


def _open(url: str, start: int) -> Any:
    """The answer to a request for the bytes from ``start`` on."""
    headers = {"User-Agent": "framepred"} | ({"Range": f"bytes={start}-"} if start else {})
    try:
        # urllib follows redirects to http, https and ftp only.
        response = urlopen(Request(url, headers=headers), timeout=_SILENCE_SECONDS)
    except (HTTPException, OSError, ValueError) as error:
        cause = getattr(error, "reason", None)
        reason = reason_of(cause if isinstance(cause, Exception) else error)
        raise MediaError(f"{url} cannot be opened ({reason}); check the address and the network.") from error
    if start and response.status != HTTPStatus.PARTIAL_CONTENT:
        response.close()
        raise MediaError(f"{url} cannot be read from byte {start} on; download it first.")
    return response


def is_http(url: str) -> bool:
    """Whether an address is read by http or https.

    Raises:
        MediaError: if it is no address.
    """
    return split_url(url).scheme in ("http", "https")


def states_size(url: str) -> bool:
    """Whether the server of an http address states a size without sending the bytes, which begins no live stream."""
    try:
        request = Request(url, headers={"User-Agent": "framepred"}, method="HEAD")
        with urlopen(request, timeout=_HEAD_SECONDS) as response:
            return bool(_stated_size(response.headers))
    except (HTTPException, OSError, ValueError):
        return False


def film_at(url: str, *, has_end: bool = False) -> VideoFile | None:
    """The film at an http address, read as its bytes arrive.

    OpenCV takes a connection that breaks off for the end of the film. None for what OpenCV has to read nevertheless:
    live streams, playlists, what needs a password, and gray films with more than 8 bits.

    Args:
        url: the address.
        has_end: whether it is known to be no live stream. A server that states the size of a film says so itself.

    Raises:
        MediaError: if it is no address, or the connection breaks off at once.
    """
    name_original(str(Path(url)), url)  # a Path joins the slashes
    try:
        file = HttpFile(url)
    except MediaError:
        return None
    try:
        film = VideoFile(Path(url), file) if has_end or file.size is not None else None
    except MediaError as error:
        if file.failure is not None:
            raise file.failure from error
        return None
    if film is not None and film.white is None:
        return film
    (film or file).close()
    return None
