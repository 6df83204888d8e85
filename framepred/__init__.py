"""framepred: show it frames, it predicts the next ones."""

import gc
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from framepred.exporting.export import export
    from framepred.inference.acceleration import accelerate
    from framepred.inference.evaluate import evaluate
    from framepred.inference.predict import predict
    from framepred.inference.restore import restore
    from framepred.inference.stream import stream
    from framepred.inference.watch import watch
    from framepred.media.reading import read_video
    from framepred.media.writing import write_video
    from framepred.models.pretrained import load, load_restorer
    from framepred.training.train import diagnose, train

__all__ = [
    "accelerate",
    "diagnose",
    "evaluate",
    "export",
    "load",
    "load_restorer",
    "predict",
    "read_video",
    "restore",
    "stream",
    "train",
    "watch",
    "write_video",
]

_MODULES = {
    "accelerate": "framepred.inference.acceleration",
    "diagnose": "framepred.training.train",
    "evaluate": "framepred.inference.evaluate",
    "export": "framepred.exporting.export",
    "load": "framepred.models.pretrained",
    "load_restorer": "framepred.models.pretrained",
    "predict": "framepred.inference.predict",
    "read_video": "framepred.media.reading",
    "restore": "framepred.inference.restore",
    "stream": "framepred.inference.stream",
    "train": "framepred.training.train",
    "watch": "framepred.inference.watch",
    "write_video": "framepred.media.writing",
}


def __getattr__(name: str) -> Any:
    """Import torch only when a function that needs it is used."""
    if name == "__version__":
        return import_module("importlib.metadata").version("framepred")
    if name not in _MODULES:
        raise AttributeError(f"module 'framepred' has no attribute {name!r}")
    return getattr(_import(_MODULES[name]), name)


def _import(module: str) -> ModuleType:
    """Import a module without collecting garbage, of which there is none: that saves a tenth of the time of PyTorch."""
    collects = gc.isenabled()
    gc.disable()
    try:
        return import_module(module)
    finally:
        if collects:
            gc.enable()


def __dir__() -> list[str]:
    return [*globals(), *__all__]
