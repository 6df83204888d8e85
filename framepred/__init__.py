"""framepred: show it frames, it predicts the next ones."""

from importlib import import_module
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from framepred.inference.evaluate import evaluate
    from framepred.media.reading import read_video
    from framepred.media.writing import write_video
    from framepred.models.pretrained import load

__version__ = version("framepred")
__all__ = ["evaluate", "load", "read_video", "write_video"]

_HOMES = {
    "evaluate": "framepred.inference.evaluate",
    "load": "framepred.models.pretrained",
    "read_video": "framepred.media.reading",
    "write_video": "framepred.media.writing",
}


def __getattr__(name: str) -> Any:
    """Import torch only when something that needs it is asked for."""
    if name not in _HOMES:
        raise AttributeError(f"module 'framepred' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return [*globals(), *__all__]
