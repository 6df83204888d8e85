"""Convolutional recurrent cells: the interface, Elman, Jordan, LSTM and GRU, each as one time step."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, ClassVar, TypeAlias

import torch
from jaxtyping import Float
from torch import Tensor, nn

from framepred.errors import ConfigError
from framepred.models.class_names import PACKAGE, check_exported, exported_class

Map: TypeAlias = Float[Tensor, "b c h w"]
Memory: TypeAlias = Float[Tensor, "b d h w"]
CellState: TypeAlias = tuple[Memory, ...]


class RecurrentCell(nn.Module, ABC):
    """One time step of a recurrent layer over maps.

    A state is a tuple of maps ``(b, d, h, w)``. The first map is the output: the layer above and the readout read it.
    Networks call a cell's class with ``(in_channels, hidden_channels, kernel_size, norm)``. A custom cell takes these
    four arguments. Further arguments are keywords that JSON can hold; the cell passes them to ``super().__init__``.

    Args:
        in_channels: channels c of the input map.
        hidden_channels: channels d of each map of the state.
        kernel_size: odd side of the convolutions; padding keeps height and width.
        options: further keywords of the cell, needed to build it again.

    Raises:
        ConfigError: if ``kernel_size`` is even or an argument is less than 1.
    """

    parts: ClassVar[tuple[str, ...]]
    """Names of the maps in the state; the first is the output."""

    def __init__(self, in_channels: int, hidden_channels: int, kernel_size: int, **options: bool | float) -> None:
        super().__init__()
        if kernel_size % 2 == 0 or min(in_channels, hidden_channels, kernel_size) < 1:
            raise ConfigError(
                "A recurrent cell needs in_channels and hidden_channels of at least 1 and an odd kernel_size, not "
                f"in_channels {in_channels}, hidden_channels {hidden_channels}, kernel_size {kernel_size}."
            )
        self.hidden_channels = hidden_channels
        self.options = options

    def start(self, frame: Map) -> CellState:
        """Return the initial state for an input map ``(b, c, h, w)``: zeros of shape ``(b, d, h, w)``."""
        zeros = frame.new_zeros(frame.shape[0], self.hidden_channels, *frame.shape[-2:])
        return (zeros,) * len(self.parts)

    @abstractmethod
    def forward(self, frame: Map, state: CellState) -> CellState:
        """Advance the state by one input map ``(b, c, h, w)``."""


CellFactory: TypeAlias = Callable[[int, int, int, bool], RecurrentCell]
"""Builds a cell from in_channels, hidden_channels, kernel_size and norm: a cell class, or a partial of one."""


def describe_cell(cell: RecurrentCell) -> dict[str, Any]:
    """Describe a cell's class and options in the form that configs and ``config.json`` use.

    Raises:
        ConfigError: if the class is one of ``framepred.models`` that is not exported.
    """
    kind = type(cell)
    check_exported(kind)
    module = PACKAGE if kind.__module__.startswith(f"{PACKAGE}.") else kind.__module__
    return {"class_path": f"{module}.{kind.__qualname__}", "init_args": dict(cell.options)}


def described_cell(description: Mapping[str, Any]) -> CellFactory:
    """Return the factory for such a description; only cells of ``framepred.models`` are accepted.

    The description may come from an untrusted file, so its class is checked before anything is called.

    Raises:
        ConfigError: if it names any other class, or its arguments are not keywords.
    """
    path = str(description.get("class_path"))
    package, _, name = path.rpartition(".")
    kind = exported_class(name) if package == PACKAGE else None
    if kind is None or not issubclass(kind, RecurrentCell):
        raise ConfigError(
            f"{path!r} is no cell of {PACKAGE}; build the network yourself with your cell and use load_state_dict."
        )
    arguments = description.get("init_args") or {}
    if not isinstance(arguments, Mapping):
        raise ConfigError(f"The init_args of a cell map names to values; {arguments!r:.80} does not.")
    make: Callable[..., RecurrentCell] = kind
    return partial(make, **arguments)


class ConvElmanCell(RecurrentCell):
    """One time step of a convolutional simple recurrent network (Elman 1990, "Finding structure in time").

    The hidden layer reads the input and its own previous value. Both pass through weights and a tanh at every step,
    so memory and gradients shrink or grow exponentially with the number of steps. On 1x1 maps this is
    ``torch.nn.RNN``.

    Args:
        in_channels: channels c of the input map.
        hidden_channels: channels d of the hidden state.
        kernel_size: odd side of the convolution; padding keeps height and width.
        norm: apply group normalisation with one group (Wu & He 2018, arXiv:1803.08494) before the tanh.

    Raises:
        ConfigError: if ``kernel_size`` is even or a size is less than 1.
    """

    parts = ("hidden",)

    def __init__(self, in_channels: int, hidden_channels: int, kernel_size: int = 5, norm: bool = False) -> None:
        super().__init__(in_channels, hidden_channels, kernel_size)
        self.hidden = _convolution(in_channels + hidden_channels, hidden_channels, kernel_size, bias=not norm)
        self.norm = nn.GroupNorm(1, hidden_channels) if norm else nn.Identity()

    def forward(self, frame: Map, state: CellState) -> CellState:
        """Advance the hidden state by one input map ``(b, c, h, w)``."""
        (hidden,) = state
        return (self.norm(self.hidden(torch.cat([frame, hidden], dim=1))).tanh(),)


class ConvJordanCell(RecurrentCell):
    """One time step of a convolutional Jordan network (Jordan 1986, "Serial order").

    The hidden layer reads the input and the cell's previous *output*; the output layer reads the hidden layer. Only
    what the output contains is remembered, and each step applies two nonlinearities where an Elman cell has one.

    Args:
        in_channels: channels c of the input map.
        hidden_channels: channels d of the hidden layer and of the output.
        kernel_size: odd side of the hidden layer's convolution; padding keeps height and width. The output layer is a
            1x1 convolution.
        norm: apply group normalisation with one group (Wu & He 2018, arXiv:1803.08494) to the hidden layer.

    Raises:
        ConfigError: if ``kernel_size`` is even or a size is less than 1.
    """

    parts = ("output",)

    def __init__(self, in_channels: int, hidden_channels: int, kernel_size: int = 5, norm: bool = False) -> None:
        super().__init__(in_channels, hidden_channels, kernel_size)
        self.hidden = _convolution(in_channels + hidden_channels, hidden_channels, kernel_size, bias=not norm)
        self.norm = nn.GroupNorm(1, hidden_channels) if norm else nn.Identity()
        self.output = nn.Conv2d(hidden_channels, hidden_channels, 1)

    def forward(self, frame: Map, state: CellState) -> CellState:
        """Advance the output by one input map ``(b, c, h, w)``."""
        (output,) = state
        hidden = self.norm(self.hidden(torch.cat([frame, output], dim=1))).tanh()
        return (self.output(hidden).tanh(),)


class ConvLSTMCell(RecurrentCell):
    """One time step of a convolutional LSTM (Shi et al. 2015, arXiv:1506.04214, eq. 3).

    One convolution over input and hidden state computes all gates. New values are added to the cell state, so
    gradients pass through time without being scaled. On 1x1 maps this is the classic LSTM.

    Args:
        in_channels: channels c of the input map.
        hidden_channels: channels d of the hidden and of the cell state.
        kernel_size: odd side of the convolution; padding keeps height and width.
        norm: normalise each gate over its channels and the map (Wu & He 2018, arXiv:1803.08494) before the sigmoid.
        forget_gate: scale the previous cell state by a forget gate (Gers, Schmidhuber & Cummins 2000); without it the
            cell state is kept as it is (Hochreiter & Schmidhuber 1997).
        peephole: let the gates read the cell state with one weight per channel (Gers & Schmidhuber 2000). Shi et al.
            use one weight per position, which would fix the frame size.
        forget_bias: initial bias of the forget gate; 1 keeps most of the cell state (Jozefowicz et al. 2015).

    Raises:
        ConfigError: if ``kernel_size`` is even or a size is less than 1.
    """

    parts = ("hidden", "cell")

    def __init__(
        self,
        in_channels: int,
        hidden_channels: int,
        kernel_size: int = 5,
        norm: bool = False,
        *,
        forget_gate: bool = True,
        peephole: bool = False,
        forget_bias: float = 1.0,
    ) -> None:
        options = {"forget_gate": forget_gate, "peephole": peephole, "forget_bias": forget_bias}
        super().__init__(in_channels, hidden_channels, kernel_size, **options)
        self.forget_gate = forget_gate
        self.count = 4 if forget_gate else 3  # write, forget, read, value
        out_channels = self.count * hidden_channels
        self.gates = _convolution(in_channels + hidden_channels, out_channels, kernel_size, bias=not norm)
        self.norm = nn.GroupNorm(self.count, out_channels) if norm else nn.Identity()
        self.peephole = nn.Parameter(torch.zeros(self.count - 1, hidden_channels, 1, 1)) if peephole else None
        self._set_biases(forget_bias)

    @torch.no_grad()
    def _set_biases(self, forget_bias: float) -> None:
        bias = self.norm.bias if isinstance(self.norm, nn.GroupNorm) else self.gates.bias
        assert bias is not None
        bias.zero_()
        if self.forget_gate:
            bias.view(4, self.hidden_channels)[1] = forget_bias

    def forward(self, frame: Map, state: CellState) -> CellState:
        """Advance hidden and cell state by one input map ``(b, c, h, w)``."""
        hidden, cell = state
        gates = self.norm(self.gates(torch.cat([frame, hidden], dim=1))).chunk(self.count, dim=1)
        write, *forget, read, value = gates
        kept = self._add_peephole(forget[0], cell, 1).sigmoid() * cell if forget else cell
        new = kept + self._add_peephole(write, cell, 0).sigmoid() * value.tanh()
        return self._add_peephole(read, new, -1).sigmoid() * new.tanh(), new

    def _add_peephole(self, gate: Tensor, cell: Tensor, index: int) -> Tensor:
        """Add the weighted cell state to a gate if the cell has peepholes."""
        return gate if self.peephole is None else gate + self.peephole[index] * cell


class ConvGRUCell(RecurrentCell):
    """One time step of a convolutional GRU (Cho et al. 2014, arXiv:1406.1078; Ballas et al. 2016, arXiv:1511.06432).

    The update gate mixes the old state with a new value. The reset gate scales the convolved state, not the state
    itself, as in cuDNN and PyTorch; this saves one sequential convolution. On 1x1 maps this is ``torch.nn.GRU``.

    Args:
        in_channels: channels c of the input map.
        hidden_channels: channels d of the state.
        kernel_size: odd side of the convolutions; padding keeps height and width.
        norm: normalise each gate and the value over its channels and the map (Wu & He 2018, arXiv:1803.08494).
        update_bias: initial bias of the update gate; 1 keeps most of the old state.

    Raises:
        ConfigError: if ``kernel_size`` is even or a size is less than 1.
    """

    parts = ("hidden",)

    def __init__(
        self,
        in_channels: int,
        hidden_channels: int,
        kernel_size: int = 5,
        norm: bool = False,
        *,
        update_bias: float = 1.0,
    ) -> None:
        super().__init__(in_channels, hidden_channels, kernel_size, update_bias=update_bias)
        self.inputs = _convolution(in_channels, 3 * hidden_channels, kernel_size, bias=not norm)
        self.memory = _convolution(hidden_channels, 3 * hidden_channels, kernel_size, bias=not norm)
        self.norm_gates = nn.GroupNorm(2, 2 * hidden_channels) if norm else nn.Identity()
        self.norm_value = nn.GroupNorm(1, hidden_channels) if norm else nn.Identity()
        self._set_biases(update_bias)

    @torch.no_grad()
    def _set_biases(self, update_bias: float) -> None:
        for name, parameter in self.named_parameters():
            if name.endswith("bias"):
                parameter.zero_()
        bias = self.norm_gates.bias if isinstance(self.norm_gates, nn.GroupNorm) else self.inputs.bias
        assert bias is not None
        bias[self.hidden_channels : 2 * self.hidden_channels] = update_bias

    def forward(self, frame: Map, state: CellState) -> CellState:
        """Advance the hidden state by one input map ``(b, c, h, w)``."""
        (hidden,) = state
        sizes = [2 * self.hidden_channels, self.hidden_channels]
        input_gates, input_value = self.inputs(frame).split(sizes, dim=1)
        memory_gates, memory_value = self.memory(hidden).split(sizes, dim=1)
        reset, update = self.norm_gates(input_gates + memory_gates).sigmoid().chunk(2, dim=1)
        value = self.norm_value(input_value + reset * memory_value).tanh()
        return (update * hidden + (1 - update) * value,)


def _convolution(in_channels: int, out_channels: int, kernel_size: int, bias: bool) -> nn.Conv2d:
    """Build a convolution that keeps height and width."""
    return nn.Conv2d(in_channels, out_channels, kernel_size, padding=kernel_size // 2, bias=bias)
