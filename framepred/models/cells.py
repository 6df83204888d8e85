"""Recurrent cells: the interface, Elman, Jordan, LSTM and GRU, each as one convolutional time step."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from functools import partial
from importlib import import_module
from typing import Any, ClassVar, TypeAlias

import torch
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


class ConvElmanCell(RecurrentCell):
    """One time step of a convolutional simple recurrent network (Elman 1990, "Finding structure in time").

    The hidden layer reads the input and itself as it was one step before. Its memory goes through weights and a tanh
    at every step, so it, and the gradient back through it, shrinks or grows as a power of the number of steps. On
    1x1 maps this is ``torch.nn.RNN``.

    Args:
        channels: channels c of the input map.
        width: channels d of the hidden state.
        kernel: odd side of the convolution in cells of the map; padding keeps h and w.
        norm: normalise over the channels and the map (Wu & He 2018, arXiv:1803.08494) before the tanh.

    Raises:
        ConfigError: if ``kernel`` is even or a size is less than 1.
    """

    parts = ("hidden",)

    def __init__(self, channels: int, width: int, kernel: int = 5, norm: bool = False) -> None:
        super().__init__(channels, width, kernel)
        self.hidden = nn.Conv2d(channels + width, width, kernel, padding=kernel // 2, bias=not norm)
        self.norm = nn.GroupNorm(1, width) if norm else nn.Identity()

    def forward(self, frame: Map, state: tuple[Memory, ...]) -> tuple[Memory, ...]:
        """Advance the hidden state by one input map ``(b, c, h, w)``."""
        (hidden,) = state
        return (self.norm(self.hidden(torch.cat([frame, hidden], dim=1))).tanh(),)


class ConvJordanCell(RecurrentCell):
    """One time step of a convolutional Jordan network (Jordan 1986, "Serial order").

    A hidden layer reads the input and the cell's own *output* of one step before, which an output layer makes of the
    hidden layer. What the output does not show is forgotten at once: beside an Elman cell there is one squashing more
    in every step of memory.

    Args:
        channels: channels c of the input map.
        width: channels d of the hidden layer and of the output.
        kernel: odd side of the hidden layer's convolution in cells of the map; padding keeps h and w. The output
            layer sees one cell.
        norm: normalise the hidden layer over the channels and the map (Wu & He 2018, arXiv:1803.08494) before its tanh.

    Raises:
        ConfigError: if ``kernel`` is even or a size is less than 1.
    """

    parts = ("output",)

    def __init__(self, channels: int, width: int, kernel: int = 5, norm: bool = False) -> None:
        super().__init__(channels, width, kernel)
        self.hidden = nn.Conv2d(channels + width, width, kernel, padding=kernel // 2, bias=not norm)
        self.norm = nn.GroupNorm(1, width) if norm else nn.Identity()
        self.output = nn.Conv2d(width, width, 1)

    def forward(self, frame: Map, state: tuple[Memory, ...]) -> tuple[Memory, ...]:
        """Advance the output by one input map ``(b, c, h, w)``."""
        (output,) = state
        hidden = self.norm(self.hidden(torch.cat([frame, output], dim=1))).tanh()
        return (self.output(hidden).tanh(),)


class ConvLSTMCell(RecurrentCell):
    """One time step of a convolutional LSTM (Shi et al. 2015, arXiv:1506.04214, eq. 3).

    The gates are one convolution over input and hidden state together. What is taken in is added to the cell state,
    never multiplied into it, so a gradient passes through time as it is. On 1x1 maps this is the classic LSTM.

    Args:
        channels: channels c of the input map.
        width: channels d of the hidden and of the cell state.
        kernel: odd side of the convolution in cells of the map; padding keeps h and w.
        norm: normalise each gate over its channels and the map (Wu & He 2018, arXiv:1803.08494) before it opens.
        forget_gate: let a gate decide how much of the cell state is kept (Gers, Schmidhuber & Cummins 2000);
            without it all of it is, for ever (Hochreiter & Schmidhuber 1997).
        peephole: let the gates see the cell state, one weight a channel (Gers & Schmidhuber 2000; Shi's weights, a
            map of one frame size, would tie the cell to that size).
        forget_bias: bias of a new cell's forget gate; at 1 it remembers (Jozefowicz et al. 2015).

    Raises:
        ConfigError: if ``kernel`` is even or a size is less than 1.
    """

    parts = ("hidden", "cell")

    def __init__(
        self,
        channels: int,
        width: int,
        kernel: int = 5,
        norm: bool = False,
        *,
        forget_gate: bool = True,
        peephole: bool = False,
        forget_bias: float = 1.0,
    ) -> None:
        super().__init__(channels, width, kernel, forget_gate=forget_gate, peephole=peephole, forget_bias=forget_bias)
        gates = 4 if forget_gate else 3
        self.forget_gate = forget_gate
        self.gates = nn.Conv2d(channels + width, gates * width, kernel, padding=kernel // 2, bias=not norm)
        self.norm = nn.GroupNorm(gates, gates * width) if norm else nn.Identity()
        self.peephole = nn.Parameter(torch.zeros(gates - 1, width, 1, 1)) if peephole else None
        self._set_biases(forget_bias)

    @torch.no_grad()
    def _set_biases(self, forget_bias: float) -> None:
        bias = self.norm.bias if isinstance(self.norm, nn.GroupNorm) else self.gates.bias
        assert bias is not None
        bias.zero_()
        if self.forget_gate:
            bias.view(4, self.width)[1] = forget_bias

    def forward(self, frame: Map, state: tuple[Memory, ...]) -> tuple[Memory, ...]:
        """Advance hidden and cell state by one input map ``(b, c, h, w)``."""
        hidden, cell = state
        signals = self.norm(self.gates(torch.cat([frame, hidden], dim=1))).chunk(4 if self.forget_gate else 3, dim=1)
        write, *forget, read, value = signals
        kept = self._seeing(cell, forget[0], 1).sigmoid() * cell if forget else cell
        new = kept + self._seeing(cell, write, 0).sigmoid() * value.tanh()
        return self._seeing(new, read, -1).sigmoid() * new.tanh(), new

    def _seeing(self, cell: Tensor, gate: Tensor, place: int) -> Tensor:
        """A gate that sees the cell state, where there are peepholes."""
        return gate if self.peephole is None else gate + self.peephole[place] * cell


class ConvGRUCell(RecurrentCell):
    """One time step of a convolutional GRU (Cho et al. 2014, arXiv:1406.1078; Ballas et al. 2016, arXiv:1511.06432).

    The new state is a mean of the old one and of a new value, weighted by the update gate, so that memory is kept by
    addition as in an LSTM. The reset gate acts on what the convolution brings from the old state, not on the state
    itself: the variant of cuDNN and PyTorch, which needs one convolution less in a row. On 1x1 maps this is
    ``torch.nn.GRU``.

    Args:
        channels: channels c of the input map.
        width: channels d of the state.
        kernel: odd side of the convolutions in cells of the map; padding keeps h and w.
        norm: normalise each gate and the value over its channels and the map (Wu & He 2018, arXiv:1803.08494).
        update_bias: bias of a new cell's update gate; at 1 it remembers, as an LSTM does by its forget gate.

    Raises:
        ConfigError: if ``kernel`` is even or a size is less than 1.
    """

    parts = ("hidden",)

    def __init__(
        self, channels: int, width: int, kernel: int = 5, norm: bool = False, *, update_bias: float = 1.0
    ) -> None:
        super().__init__(channels, width, kernel, update_bias=update_bias)
        self.inputs = nn.Conv2d(channels, 3 * width, kernel, padding=kernel // 2, bias=not norm)
        self.memory = nn.Conv2d(width, 3 * width, kernel, padding=kernel // 2, bias=not norm)
        self.norm_gates = nn.GroupNorm(2, 2 * width) if norm else nn.Identity()
        self.norm_value = nn.GroupNorm(1, width) if norm else nn.Identity()
        self._set_biases(update_bias)

    @torch.no_grad()
    def _set_biases(self, update_bias: float) -> None:
        for name, parameter in self.named_parameters():
            if name.endswith("bias"):
                parameter.zero_()
        bias = self.norm_gates.bias if isinstance(self.norm_gates, nn.GroupNorm) else self.inputs.bias
        assert bias is not None
        bias[self.width : 2 * self.width] = update_bias

    def forward(self, frame: Map, state: tuple[Memory, ...]) -> tuple[Memory, ...]:
        """Advance the hidden state by one input map ``(b, c, h, w)``."""
        (hidden,) = state
        sizes = [2 * self.width, self.width]
        gates, value = self.inputs(frame).split(sizes, dim=1)
        gates_of_memory, value_of_memory = self.memory(hidden).split(sizes, dim=1)
        reset, update = self.norm_gates(gates + gates_of_memory).sigmoid().chunk(2, dim=1)
        value = self.norm_value(value + reset * value_of_memory).tanh()
        return (update * hidden + (1 - update) * value,)
