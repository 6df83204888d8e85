"""The examples in docstrings run and give what they show."""

import doctest
import importlib
import pkgutil
from pathlib import Path

import pytest

import framepred


def modules_with_examples() -> list[str]:
    package = Path(framepred.__file__).parent
    names = [module.name for module in pkgutil.walk_packages([str(package)], "framepred.")]
    files = {name: package.parent / f"{name.replace('.', '/')}.py" for name in names}
    return [name for name, file in files.items() if file.is_file() and ">>> " in file.read_text()]


@pytest.mark.parametrize("name", modules_with_examples())
def test_examples_run(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    failed, _ = doctest.testmod(importlib.import_module(name), optionflags=doctest.ELLIPSIS)
    assert failed == 0
