"""Trace the graphs of one step of a forecaster; :mod:`framepred.onnx_graphs` describes them."""

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.export import Dim, ExportedProgram

from framepred.clips import State
from framepred.errors import ConfigError, FramepredError, reason_of
from framepred.forecaster import Forecaster
from framepred.models.layered_forecaster import COARSE, LayeredForecaster
from framepred.onnx_graphs import GraphName

EXAMPLE_ROWS, EXAMPLE_COLUMNS = 5, 7
"""Positions of the example's feature map: different primes, so that each axis is recognised by its length."""

EXAMPLE_BATCH = 2
"""A batch of 1 would be taken for a constant."""

MAX_POSITIONS, MAX_BATCH = 1 << 14, 1 << 16
"""Upper bounds of the dynamic axes: far above any frame and any batch."""


class StepGraph(nn.Module):
    """A frame and a state to the next frame and the new state.

    Args:
        net: the network.
        name: which update of the state the graph runs.
    """

    def __init__(self, net: Forecaster, name: GraphName) -> None:
        super().__init__()
        self.net = net
        self.name = name

    def forward(self, frame: Tensor, *state: Tensor) -> State:
        """Update the state with a frame and predict the next one."""
        if self.name == "feedback":
            new_state = self.net.feedback(frame, state)
        else:
            new_state = self.net.observe(frame, state or None)
        # A graph may not return its input itself.
        return (self.net.next_frame(new_state), *(tensor.clone() for tensor in new_state))


def frame_multiple(net: Forecaster) -> int:
    """Return the number of pixels to whose multiples frames are padded before they enter the graphs.

    Networks that pad frames inside predict the same for frames that are padded beforehand: those of patches, and the
    layered forecaster. Others see the frame edges, so their graphs take frames of exactly one size.
    """
    if isinstance(net, LayeredForecaster):
        return COARSE
    stride = getattr(net, "stride", None)
    return stride if isinstance(stride, int) else 1


def has_dynamic_size(net: Forecaster) -> bool:
    """Whether the graphs take frames of any size: those of networks of patches, which have a ``stride``, do."""
    return isinstance(getattr(net, "stride", None), int)


@torch.no_grad()
def trace(net: Forecaster, size: tuple[int, int]) -> dict[GraphName, ExportedProgram]:
    """Trace the graphs of a network; ``feedback`` only where it differs from ``observe``.

    Args:
        net: the network, in eval mode on the CPU.
        size: height and width, multiples of :func:`frame_multiple`, if the network does not take any size.

    Raises:
        ConfigError: if the network does not take float32 frames, or ``torch.export`` cannot trace it.
    """
    multiple = frame_multiple(net)
    height, width = (EXAMPLE_ROWS * multiple, EXAMPLE_COLUMNS * multiple) if has_dynamic_size(net) else size
    shape = (EXAMPLE_BATCH, getattr(net, "channels", 1), height, width)
    frame = torch.rand(shape, generator=torch.Generator().manual_seed(0))  # the caller's generator stays as it is
    names: list[GraphName] = ["start", "observe"]
    with _explained(net, "its observe or feedback fails on float32 frames"):
        # A tensor that is given twice is traced as one input, so the state must not hold the frame itself.
        state = tuple(tensor.clone() for tensor in net.observe(frame))
        if _feedback_differs(net, frame, state):
            names.append("feedback")
    return {name: _trace_graph(net, name, (frame, *(() if name == "start" else state))) for name in names}


def _feedback_differs(net: Forecaster, frame: Tensor, state: State) -> bool:
    pairs = zip(net.observe(frame.flip(-1), state), net.feedback(frame.flip(-1), state), strict=True)
    return not all(torch.equal(observed, fed_back) for observed, fed_back in pairs)


def _trace_graph(net: Forecaster, name: GraphName, inputs: State) -> ExportedProgram:
    with _explained(net, f"torch.export cannot trace its {name} graph"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        first, *others = _dynamic_axes(net, inputs)
        axes = (first, tuple(others)) if others else (first,)
        return torch.export.export(StepGraph(net, name), inputs, dynamic_shapes=axes)


@contextmanager
def _explained(net: Forecaster, problem: str) -> Iterator[None]:
    """Turn an error of the block into one sentence that names the problem of the network."""
    try:
        yield
    except FramepredError:
        raise
    except Exception as error:  # the tracer and networks raise many classes; a state of unknown shape is a KeyError
        raise ConfigError(
            f"{type(net).__name__} cannot be exported because {problem} ({reason_of(error):.160}); run it in PyTorch."
        ) from error


def _dynamic_axes(net: Forecaster, inputs: Sequence[Tensor]) -> tuple[dict[int, Dim], ...]:
    """Return the dynamic axes of each input: batch and, for networks of patches, height and width."""
    batch = Dim("batch", min=1, max=MAX_BATCH)
    if not has_dynamic_size(net):
        return tuple({0: batch} for _ in inputs)
    rows, columns = Dim("rows", min=1, max=MAX_POSITIONS), Dim("columns", min=1, max=MAX_POSITIONS)
    multiple = frame_multiple(net)
    if multiple == 1:
        return tuple({0: batch, 2: rows, 3: columns} for _ in inputs)
    heights = {EXAMPLE_ROWS: rows, EXAMPLE_ROWS * multiple: multiple * rows}
    widths = {EXAMPLE_COLUMNS: columns, EXAMPLE_COLUMNS * multiple: multiple * columns}
    return tuple({0: batch, 2: heights[tensor.shape[2]], 3: widths[tensor.shape[3]]} for tensor in inputs)
