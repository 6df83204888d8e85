import pytest

from framepred.errors import ConfigError
from framepred.media.memory import USABLE_SHARE, available_memory, check_memory


def test_what_fits_passes_and_what_does_not_is_a_sentence() -> None:
    available = available_memory()
    assert 10 * 1024**2 < available < 2**50
    check_memory(int(USABLE_SHARE * available / 2), "Small clips", "ask for less")
    with pytest.raises(ConfigError, match=r"^Huge clips need [\d,.]+ GB of memory but .* available; ask for less\.$"):
        check_memory(2 * available, "Huge clips", "ask for less")
