"""Recurrent cells that run compiled in training steps, and as they are elsewhere."""

from types import MethodType
from typing import Any

import torch
from torch import nn

from framepred.errors import ConfigError
from framepred.models.accelerated import unable_to_compile
from framepred.models.cells import RecurrentCell


class CompiledCells:
    """A context in which the recurrent cells of a network run compiled.

    A cell is compiled at its first step. Cells of the same class and sizes share what is compiled. Validation uses
    other batch sizes and no gradients, so it would have to compile anew; it runs outside of this context.

    Args:
        net: the network.

    Raises:
        ConfigError: if the network has no recurrent cells; when it is left, if a cell could not be compiled.
    """

    def __init__(self, net: nn.Module) -> None:
        self._cells = [module for module in net.modules() if isinstance(module, RecurrentCell)]
        if not self._cells:
            raise ConfigError(f"{type(net).__name__} has no recurrent cells to compile; leave out compiled.")
        kinds = {type(cell) for cell in self._cells}
        self._compiled: dict[type, Any] = {kind: torch.compile(kind.forward, dynamic=False) for kind in kinds}

    def __enter__(self) -> None:
        for cell in self._cells:
            cell.forward = MethodType(self._compiled[type(cell)], cell)  # type: ignore[method-assign]

    def __exit__(self, _kind: object, error: BaseException | None, _traceback: object) -> None:
        for cell in self._cells:
            del cell.forward
        if isinstance(error, RuntimeError) and (failure := unable_to_compile(error)):
            raise failure from error.__cause__
