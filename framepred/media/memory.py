"""Checks that this machine has the memory for a request, and saves memory; ``limits`` has fixed bounds on sources."""

import ctypes
import os
from contextlib import suppress
from pathlib import Path

from framepred.errors import ConfigError

USABLE_SHARE = 0.8
"""Share of the available memory that one request may need; the rest is for libraries and other processes."""

ARENAS = 2
"""Arenas of malloc in a process: one for each thread that computes."""
_M_ARENA_MAX = -8
"""Number of this setting in glibc's ``malloc.h``."""

_UNKNOWN = 4 * 1024**3  # bytes: assumed where the system does not tell
_CGROUPS = (  # limit and use of a container
    ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory.current"),
    ("/sys/fs/cgroup/memory/memory.limit_in_bytes", "/sys/fs/cgroup/memory/memory.usage_in_bytes"),
)


def check_memory(needed: int, purpose: str, remedy: str) -> None:
    """Check that the memory for ``purpose`` is available.

    Args:
        needed: bytes, an estimate of the peak.
        purpose: what needs them, as the subject of a sentence.
        remedy: what to do otherwise, as an imperative.

    Raises:
        ConfigError: if they are more than ``USABLE_SHARE`` of the available memory.

    Example:
        >>> check_memory(10**18, "10,000,000 clips", "ask for fewer")
        Traceback (most recent call last):
        framepred.errors.ConfigError: 10,000,000 clips need 1,000,000,000.0 GB of memory but ... is available; ask for \
fewer.
    """
    available = available_memory()
    if needed > USABLE_SHARE * available:
        raise ConfigError(
            f"{purpose} need {needed / 1e9:,.1f} GB of memory but {available / 1e9:,.1f} GB is available; {remedy}."
        )


def limit_arenas() -> None:
    """Limit malloc to ``ARENAS`` arenas for all threads; call it before any thread starts.

    glibc gives each thread an arena of its own, and other threads cannot reuse memory that is freed in it: a prediction
    at 1280×720 pixels then takes .1 to .2 GB more. Other C libraries are left as they are.
    """
    with suppress(OSError, AttributeError, TypeError):
        ctypes.CDLL(None).mallopt(_M_ARENA_MAX, ARENAS)


def release_memory() -> None:
    """Return memory that was freed to the system.

    glibc keeps it in the arena of each thread that ever was, so a process that predicts again and again grows by
    gigabytes. Other C libraries are left as they are.
    """
    with suppress(OSError, AttributeError, TypeError):
        ctypes.CDLL(None).malloc_trim(0)


def available_memory() -> int:
    """Bytes that can be allocated without swapping, within the limits of a container."""
    free = [_available_to_system()]
    for limit, used in _CGROUPS:
        with suppress(OSError, ValueError):  # there is no such file, or no limit ("max")
            free.append(int(Path(limit).read_text()) - int(Path(used).read_text()))
    return max(0, min(free))


def _available_to_system() -> int:
    with suppress(OSError):
        for line in Path("/proc/meminfo").read_text().splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    with suppress(OSError, ValueError, AttributeError):
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return _UNKNOWN
