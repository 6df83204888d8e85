"""framepred: show it frames, it predicts the next ones."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from framepred.media.reading import read_video
    from framepred.media.writing import write_video
    from framepred.models.pretrained import load
    from framepred.training.train import diagnose, train

__all__ = ["diagnose", "load", "read_video", "train", "write_video"]

_HOMES = {
    "diagnose": "framepred.training.train",
    "load": "framepred.models.pretrained",
    "read_video": "framepred.media.reading",
    "train": "framepred.training.train",
    "write_video": "framepred.media.writing",
}


def __getattr__(name: str) -> Any:
    """Import torch only when a name that needs it is used."""
    if name == "__version__":
        return import_module("importlib.metadata").version("framepred")
    if name not in _HOMES:
        raise AttributeError(f"module 'framepred' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return [*globals(), *__all__]
