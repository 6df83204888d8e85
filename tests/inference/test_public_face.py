"""The names of ``framepred`` itself."""

import subprocess
import sys

import pytest

import framepred


@pytest.mark.parametrize("name", framepred.__all__)
def test_every_public_name_can_be_imported(name: str) -> None:
    assert callable(getattr(framepred, name))
    assert name in dir(framepred)


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'nosuch'"):
        framepred.nosuch  # noqa: B018


def test_torch_is_not_imported_before_it_is_needed() -> None:
    code = "import sys, framepred; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
