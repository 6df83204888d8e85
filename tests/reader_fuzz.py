"""Mutated files for every reader, and what reading them gives."""

import re
import signal
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType
from typing import Any

import numpy as np

from framepred.errors import FramepredError
from fuzz_seeds import Reader, readers
from structure_fuzz import restructure

LIMIT_SECONDS = 20  # of processor time that reading one small file may take
LIMIT_MIB = 2048  # that reading one small file may take beyond what the process holds already
_MEMORY = Path("/proc/self/status")


class Hang(BaseException):
    """Reading took longer than ``LIMIT_SECONDS``; no ``Exception``, so that no reader takes it for a damaged file."""


_EXTREMES = (0, 1, 0x7F, 0x80, 0xFF, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0xFFFFFFFF, 0x7FFFFFFFFFFFFFFF, 0xFFFFFFFFFFFFFFFF)
_NESTING = 3000  # levels: more than Python's recursion limit


def mutate(source: Path, target: Path, rng: np.random.Generator) -> None:
    """Copy a file or folder with one to four changes in one of its files."""
    files = [source] if source.is_file() else sorted(file for file in source.rglob("*") if file.is_file())
    chosen = files[int(rng.integers(len(files)))]
    for file in files:
        copy = target if file == source else target / file.relative_to(source)
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_bytes(_changed(file, rng) if file == chosen else file.read_bytes())


def _changed(file: Path, rng: np.random.Generator) -> bytes:
    """The content of a file with changed bytes; of structured files every other time with a changed value."""
    restructured = restructure(file, rng) if rng.random() < 0.5 else None
    if restructured is not None:
        return restructured
    content = bytearray(file.read_bytes())
    for _ in range(int(rng.integers(1, 5))):
        _CHANGES[int(rng.integers(len(_CHANGES)))](content, rng)
    return bytes(content)


def _position(content: bytearray, rng: np.random.Generator) -> int:
    """A position; every other time within the header."""
    end = len(content) if rng.random() < 0.5 else min(len(content), 256)
    return int(rng.integers(max(1, end)))


def _overwrite(content: bytearray, rng: np.random.Generator) -> None:
    start = _position(content, rng)
    new = rng.integers(0, 256, int(rng.integers(1, 33)), dtype=np.uint8).tobytes()
    content[start : start + len(new)] = new


def _flip(content: bytearray, rng: np.random.Generator) -> None:
    if content:
        content[_position(content, rng)] ^= 1 << int(rng.integers(8))


def _extreme(content: bytearray, rng: np.random.Generator) -> None:
    start, width = _position(content, rng), int(rng.choice([1, 2, 4, 8]))
    value = _EXTREMES[int(rng.integers(len(_EXTREMES)))] & (1 << 8 * width) - 1
    content[start : start + width] = value.to_bytes(width, "little" if rng.random() < 0.5 else "big")


def _cut(content: bytearray, rng: np.random.Generator) -> None:
    del content[_position(content, rng) :]


def _remove(content: bytearray, rng: np.random.Generator) -> None:
    start = _position(content, rng)
    del content[start : start + int(rng.integers(1, 65))]


def _repeat(content: bytearray, rng: np.random.Generator) -> None:
    start = _position(content, rng)
    content[start:start] = content[start : start + int(rng.integers(1, 129))]


def _digit(content: bytearray, rng: np.random.Generator) -> None:
    """Make a number in text larger, or negative."""
    places = [index for index, byte in enumerate(content[:4096]) if 48 <= byte < 58]
    if places:
        at = places[int(rng.integers(len(places)))]
        content[at : at + 1] = [b"99999999", b"-1", b"0", b"null", b"[]", b"1e99"][int(rng.integers(6))]


def _nest(content: bytearray, rng: np.random.Generator) -> None:
    """Nest text too deeply."""
    start = _position(content, rng)
    content[start:start] = (b"[", b'{"a":')[int(rng.integers(2))] * _NESTING


def _quote(content: bytearray, rng: np.random.Generator) -> None:
    """Give a value of text another type."""
    values = list(re.finditer(rb":\s*([^\s,{}\[\]]+)", content[:4096]))
    if values:
        start, end = values[int(rng.integers(len(values)))].span(1)
        content[start:end] = [b"[1, 2]", b'{"a": 1}', b"null", b'"text"', b"-1", b"1e308", b"true"][
            int(rng.integers(7))
        ]


_CHANGES: list[Callable[[bytearray, np.random.Generator], None]] = [
    _overwrite, _flip, _extreme, _cut, _remove, _repeat, _digit, _nest, _quote,
]  # fmt: skip


def outcome(path: Path) -> str:
    """Return what the readers make of a file: ``read``, ``refused``, or what went wrong first.

    Wrong are exceptions other than a FramepredError, hangs, files that reading leaves, and too much memory.
    """
    results = set()
    before, resident = _files(path), _begin_peak()
    for reader in readers(path.name):
        result = _result(reader, path)
        if result not in ("read", "refused"):
            return result
        results.add(result)
    if left := _files(path) - before:
        return f"files are left: {sorted(left)}"
    if (peak := peak_mib() - resident) > LIMIT_MIB:
        return f"takes {peak} MiB"
    return "refused" if "refused" in results else "read"


def _result(reader: Reader, path: Path) -> str:
    try:
        with _limited():
            reader(path)
    except FramepredError:
        return "refused"
    except (Exception, Hang) as error:
        last = traceback.extract_tb(error.__traceback__)[-1]
        line = f"{Path(last.filename).name}:{last.lineno}"
        return f"{type(error).__name__} at {line} ({reader.__name__}): {error}"[:300]
    return "read"


def _files(path: Path) -> set[Path]:
    return set(path.parent.rglob("*"))


def _begin_peak() -> int:
    """Let the peak of memory begin anew; return the resident memory in MiB."""
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")
    return _memory("VmRSS")


def peak_mib() -> int:
    """Return the peak of the resident memory since it last began, in MiB; 0 where it is unknown."""
    return _memory("VmHWM")


def _memory(field: str) -> int:
    try:
        lines = _MEMORY.read_text().splitlines()
    except OSError:  # not Linux
        return 0
    return next(int(line.split()[1]) // 1024 for line in lines if line.startswith(field))


@contextmanager
def _limited() -> Iterator[None]:
    """Raise ``Hang`` after ``LIMIT_SECONDS`` of processor time, or ten times as long on the clock."""

    def stop(number: int, frame: FrameType | None) -> Any:
        raise Hang(f"not read in {LIMIT_SECONDS} s")

    numbers = signal.SIGPROF, signal.SIGALRM
    former = {number: signal.signal(number, stop) for number in numbers}
    signal.setitimer(signal.ITIMER_PROF, LIMIT_SECONDS)
    signal.setitimer(signal.ITIMER_REAL, 10 * LIMIT_SECONDS)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.setitimer(signal.ITIMER_REAL, 0)
        for number in numbers:
            signal.signal(number, former[number])
