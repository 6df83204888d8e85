import platform
import subprocess
import sys
from pathlib import Path

import pytest

from framepred.errors import ConfigError
from framepred.media.memory import ARENAS, USABLE_SHARE, available_memory, check_memory


def test_what_fits_passes_and_what_does_not_is_a_sentence() -> None:
    available = available_memory()
    assert 10 * 1024**2 < available < 2**50
    check_memory(int(USABLE_SHARE * available / 2), "Small clips", "ask for less")
    with pytest.raises(ConfigError, match=r"^Huge clips need [\d,.]+ GB of memory but .* available; ask for less\.$"):
        check_memory(2 * available, "Huge clips", "ask for less")


COUNT_ARENAS = """
import ctypes, sys, threading
from framepred.media.memory import limit_arenas

limit_arenas()
reached = threading.Barrier(6)


def work():
    kept = [bytearray(1000) for _ in range(1000)]
    reached.wait()
    reached.wait()
    return kept


for _ in range(5):
    threading.Thread(target=work).start()
reached.wait()
libc = ctypes.CDLL(None)
libc.fopen.restype = ctypes.c_void_p
file = ctypes.c_void_p(libc.fopen(sys.argv[1].encode(), b"w"))
libc.malloc_info(0, file)
libc.fclose(file)
reached.wait()
"""


RELEASE = """
from pathlib import Path
from framepred.media.memory import release_memory


def resident():
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096


kept = [bytearray(100_000) for _ in range(1000)]
kept = kept[::2]  # holes, so that the heap does not shrink by itself
before = resident()
release_memory()
print(before - resident())
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="other C libraries are left as they are")
def test_freed_memory_is_returned() -> None:
    done = subprocess.run([sys.executable, "-c", RELEASE], check=True, capture_output=True, text=True)
    assert int(done.stdout) > 40_000_000


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="other C libraries have no arenas of threads")
def test_threads_share_two_arenas(tmp_path: Path) -> None:
    """In a process of its own, because arenas stay as long as a process."""
    report = tmp_path / "heaps.xml"
    subprocess.run([sys.executable, "-c", COUNT_ARENAS, str(report)], check=True)
    assert report.read_text().count("<heap ") == ARENAS
