"""Checks of addresses that need neither torch nor OpenCV."""

from urllib.parse import urlsplit

from framepred.errors import ConfigError


def check_webhook(url: str) -> str:
    """The address of a webhook.

    Raises:
        ConfigError: if it is not an http or https address.
    """
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.netloc:
        raise ConfigError(f"The webhook {url} is no http or https address; give one such as https://host/path.")
    return url
