"""Checks of addresses that need neither torch nor OpenCV."""

import re
from urllib.parse import SplitResult, urlsplit

from framepred.errors import ConfigError

_NOT_IN_URL = re.compile(r"[\x00-\x20\x7f]")  # control characters and the space


def check_webhook(url: str) -> str:
    """The address of a webhook.

    Raises:
        ConfigError: if it is not an http or https address, or one that no event can be posted to.
    """
    parts = _split(url)
    if parts is None or parts.scheme not in ("http", "https") or not parts.hostname:
        raise ConfigError(f"The webhook {url} is no http or https address; give one such as https://host/path.")
    if _NOT_IN_URL.search(url) or "@" in parts.netloc or not f"{parts.path}{parts.query}".isascii():
        raise ConfigError(
            f"The webhook {url!r} has a user name, which is not sent, or a character that an address cannot have; "
            "write such characters as %XX, a space as %20."
        )
    return url


def _split(url: str) -> SplitResult | None:
    """The parts of an address; None where brackets hold no IPv6 address, or the port is no number up to 65535."""
    try:
        parts = urlsplit(url)
        return parts if parts.port != 0 else None
    except ValueError:
        return None
