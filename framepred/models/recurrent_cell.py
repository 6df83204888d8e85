"""What every recurrent cell is: a start, one step, and a state whose first map is shown to what comes next."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from functools import partial
from importlib import import_module
from typing import Any, ClassVar, TypeAlias

from jaxtyping import Float
from torch import Tensor, nn

from framepred.errors import ConfigError

Map: TypeAlias = Float[Tensor, "b c h w"]
Memory: TypeAlias = Float[Tensor, "b d h w"]

PACKAGE = "framepred.models"


class RecurrentCell(nn.Module, ABC):
    """One time step of a recurrent layer over maps.

    A state is a tuple of maps ``(b, d, h, w)``, named by ``parts``; the first is what the cell shows to the layer
    above it and to the drawing of the next frame. A network makes its cells by ``(channels, width, kernel, norm)``,
    so a cell of your own takes these four; what else it takes are keywords, given to ``super().__init__`` as
    ``options``, plain enough for JSON.

    Args:
        channels: channels c of the input map.
        width: channels d of each part of the state.
        kernel: odd side of the convolutions in cells of the map; padding keeps h and w.
        options: the keywords that, with the arguments above, make this cell again.

    Raises:
        ConfigError: if ``kernel`` is even or an argument is less than 1.
    """

    parts: ClassVar[tuple[str, ...]]
    """What the maps of the state are; the first is shown."""

    def __init__(self, channels: int, width: int, kernel: int, **options: bool | float) -> None:
        super().__init__()
        if kernel % 2 == 0 or min(channels, width, kernel) < 1:
            raise ConfigError(
                f"A recurrent cell needs channels and width of at least 1 and an odd kernel, "
                f"not channels {channels}, width {width}, kernel {kernel}."
            )
        self.width = width
        self.options = options

    def start(self, frame: Map) -> tuple[Memory, ...]:
        """The state before the first map: zeros, ``(b, d, h, w)`` each."""
        zeros = frame.new_zeros(frame.shape[0], self.width, *frame.shape[-2:])
        return (zeros,) * len(self.parts)

    @abstractmethod
    def forward(self, frame: Map, state: tuple[Memory, ...]) -> tuple[Memory, ...]:
        """Advance the state by one input map ``(b, c, h, w)``."""


CellFactory: TypeAlias = Callable[[int, int, int, bool], RecurrentCell]
"""Makes a cell of channels, width, kernel and norm: the class of a cell, or a partial of it."""


def describe_cell(cell: RecurrentCell) -> dict[str, Any]:
    """Which cell a network is made of, as a config and as ``config.json`` write it."""
    kind = type(cell)
    module = PACKAGE if kind.__module__.startswith(f"{PACKAGE}.") else kind.__module__
    return {"class_path": f"{module}.{kind.__qualname__}", "init_args": dict(cell.options)}


def described_cell(description: Mapping[str, Any]) -> CellFactory:
    """The factory that such a description stands for. Only cells of ``framepred.models`` are found: the description
    may come from a stranger's file.

    Raises:
        ConfigError: if it names anything else.
    """
    path = str(description.get("class_path"))
    package, _, name = path.rpartition(".")
    kind = getattr(import_module(PACKAGE), name, None) if package == PACKAGE else None
    if not (isinstance(kind, type) and issubclass(kind, RecurrentCell)):
        raise ConfigError(
            f"{path!r} is no cell of {PACKAGE}; build the network yourself with your cell and use load_state_dict."
        )
    make: Callable[..., RecurrentCell] = kind
    return partial(make, **(description.get("init_args") or {}))
