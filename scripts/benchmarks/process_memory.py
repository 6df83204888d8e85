"""Peak memory of this process."""

import re
from pathlib import Path


def peak_mib() -> float:
    """Peak resident memory in MiB since this program began; Linux only.

    ``ru_maxrss`` is no substitute in a started process: it begins with the peak of the process that started it.
    """
    status = Path("/proc/self/status").read_text()
    found = re.search(r"VmHWM:\s*(\d+) kB", status)
    assert found is not None
    return int(found[1]) / 1024
