"""Exported networks: forecasters that run stored graphs of one step; see :mod:`framepred.onnx_graphs`."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TypeAlias

import torch
from torch import Tensor

from framepred.clips import Frame, RawFrame, State, to_unit
from framepred.errors import ClipError
from framepred.forecaster import Forecaster
from framepred.media.ranges import ValueRange
from framepred.models.patches import check_frame, fold, unfold
from framepred.onnx_graphs import ExportInfo, GraphName, OnnxGraph, open_onnx_graphs

Graph: TypeAlias = Callable[[Sequence[Tensor]], State]
"""Runs one graph: a folded frame and the state to the next frame and the new state."""


class ExportedForecaster(Forecaster):
    """A forecaster that runs exported graphs. It has no parameters, so it cannot be trained.

    State: last frame ``(b, c, h, w)``, the next frame as the graph returned it, then the network's state.

    Args:
        graphs: the graphs by name.
        info: the metadata of the export.

    Attributes:
        value_range: the values of files that the network was trained on as 0 and 1; None if it was trained on bytes.

    Raises:
        ConfigError: if the metadata hold no such range.
    """

    def __init__(self, graphs: Mapping[GraphName, Graph], info: ExportInfo) -> None:
        super().__init__()
        self.graphs = dict(graphs)
        self.info = info
        self.channels = info.channels
        self.value_range = None if info.trained_range is None else ValueRange.from_json(info.trained_range)

    def observe(self, frame: RawFrame, state: State | None = None) -> State:
        """Update the state with one frame ``(b, c, h, w)``, integers or floats in [0, 1].

        Raises:
            ClipError: if the frame has other channels or another size than the export, or differs in shape from the
                previous frame.
        """
        return self._advance("start" if state is None else "observe", to_unit(frame).float(), state)

    def feedback(self, frame: Frame, state: State) -> State:
        """Update the state with a frame beyond the context."""
        return self._advance("feedback" if self.info.has_feedback else "observe", frame.clamp(0, 1).float(), state)

    def next_frame(self, state: State) -> Frame:
        """Return the next frame ``(b, c, h, w)``, not clamped to [0, 1]."""
        return unfold(state[1], like=state[0])

    def _advance(self, graph: GraphName, frame: Frame, state: State | None) -> State:
        smallest = 1 if self.info.size else self.info.multiple
        check_frame(frame, state, self.channels, smallest)
        folded = fold(frame, self.channels, self.info.multiple)
        if self.info.size not in (None, tuple(folded.shape[-2:])):
            raise ClipError(
                f"{self.info.weights} was exported for frames of {_shape(self.info.size)} pixels, and these have "
                f"{_shape(frame.shape[-2:])}; scale the frames, or export for their size."
            )
        return (frame, *self.graphs[graph]([folded, *(state or ())[2:]]))


def load_onnx(path: str | Path) -> ExportedForecaster:
    """Load an export of :func:`framepred.export` that ends in ``.onnx``; ONNX Runtime runs it on the CPU.

    Raises:
        WeightsError: if a file is missing or is no such export, or ONNX Runtime is not installed.
    """
    graphs = open_onnx_graphs(path, torch.get_num_threads())
    return ExportedForecaster(
        {name: _on_tensors(graph) for name, graph in graphs.items()}, graphs["observe"].info
    ).eval()


def _on_tensors(graph: OnnxGraph) -> Graph:
    """Return a graph of NumPy arrays as a graph of tensors."""
    return lambda inputs: tuple(map(torch.from_numpy, graph([tensor.detach().cpu().numpy() for tensor in inputs])))


def _shape(size: Sequence[int] | None) -> str:
    assert size is not None
    return f"{size[0]}x{size[1]}"
