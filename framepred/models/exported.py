"""Exported networks: forecasters that run stored graphs of one step, such as ONNX files.

An export holds two or three graphs, each in a file of its own. Every graph returns the next frame, then the state:

- ``start`` reads the first frame of a clip;
- ``observe`` reads the next frame and the state;
- ``feedback`` reads a frame beyond the context and the state. It exists only where it differs from ``observe``.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, TypeAlias

import torch
from torch import Tensor

from framepred.clips import Frame, RawFrame, State, to_unit
from framepred.errors import ClipError, WeightsError
from framepred.forecaster import Forecaster
from framepred.models.patches import check_frame, fold, unfold

GraphName: TypeAlias = Literal["start", "observe", "feedback"]
Graph: TypeAlias = Callable[[Sequence[Tensor]], State]
"""Runs one graph: a folded frame and the state to the next frame and the new state."""

METADATA_KEY = "framepred"
"""Key of the JSON text in a file's metadata."""
GRAPH_KEY = "framepred_graph"
"""Key of the graph's name in a file's metadata."""
INSTALL_HINT = "install it by pip install 'framepred[onnx]'"


@dataclass(frozen=True)
class ExportInfo:
    """The metadata of an export, the same in each of its files.

    Attributes:
        id: a random text that the files of one export share.
        framepred: version that exported.
        network: class of the network.
        weights: name of the weights.
        sha256: hash of the weights' file; None for a network without a file.
        channels: channels c of the graphs' frames.
        multiple: height and width of the graphs' frames are multiples of this; frames are padded to it by repeating
            the last row and column.
        size: height and width of the graphs' frames; None if they may change.
        has_feedback: whether there is a feedback graph.
        context: observed frames in the evaluation of the weights; None if it is unknown.
        card: the results card of bundled weights.
        axes: axes of frames.
        value_range: values of frames.
    """

    id: str
    framepred: str
    network: str
    weights: str
    sha256: str | None
    channels: int
    multiple: int
    size: tuple[int, int] | None
    has_feedback: bool
    context: int | None = None
    card: Mapping[str, Any] | None = None
    axes: str = "b c h w"
    value_range: tuple[float, float] = (0.0, 1.0)

    @property
    def graphs(self) -> tuple[GraphName, ...]:
        """The names of the graphs."""
        return ("start", "observe", "feedback") if self.has_feedback else ("start", "observe")

    def to_json(self) -> str:
        """Return the metadata as JSON."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> "ExportInfo":
        """Read metadata that :meth:`to_json` wrote.

        Raises:
            ValueError: if it is none.
        """
        try:
            values = json.loads(text)
            for name in ("size", "value_range"):  # JSON has no tuples
                values[name] = None if values[name] is None else tuple(values[name])
            info = cls(**values)
        except (TypeError, KeyError, IndexError, RecursionError) as error:
            raise ValueError("its metadata is incomplete") from error
        if not all(isinstance(number, int) and number > 0 for number in (info.channels, info.multiple)):
            raise ValueError("its metadata holds sizes that are no positive numbers")
        return info


class ExportedForecaster(Forecaster):
    """A forecaster that runs exported graphs. It has no parameters, so it cannot be trained.

    State: last frame ``(b, c, h, w)``, the next frame as the graph returned it, then the network's state.

    Args:
        graphs: the graphs by name.
        info: the metadata of the export.
    """

    def __init__(self, graphs: Mapping[GraphName, Graph], info: ExportInfo) -> None:
        super().__init__()
        self.graphs = dict(graphs)
        self.info = info
        self.channels = info.channels

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


def graph_path(path: Path, graph: GraphName) -> Path:
    """Return the file of a graph; the file that the user names holds ``observe``.

    Example:
        >>> graph_path(Path("model.onnx"), "start").name
        'model.start.onnx'
    """
    return path if graph == "observe" else path.with_name(f"{path.stem}.{graph}{path.suffix}")


def load_onnx(path: str | Path) -> ExportedForecaster:
    """Load an export of :func:`framepred.export` that ends in ``.onnx``; ONNX Runtime runs it on the CPU.

    Raises:
        WeightsError: if a file is missing or is no such export, or ONNX Runtime is not installed.
    """
    path = Path(path).resolve()
    observe = _OnnxGraph(path, "observe")
    graphs: dict[GraphName, Graph] = {"observe": observe}
    for name in observe.info.graphs:
        if name != "observe":
            graphs[name] = graph = _OnnxGraph(graph_path(path, name), name)
            if graph.info.id != observe.info.id:
                raise WeightsError(f"{graph.path} and {path} are of different exports; export the weights again.")
    return ExportedForecaster(graphs, observe.info).eval()


class _OnnxGraph:
    """A graph that ONNX Runtime runs.

    Args:
        path: the ONNX file.
        name: the graph that it must hold.
    """

    def __init__(self, path: Path, name: GraphName) -> None:
        try:
            import onnxruntime
        except ImportError as error:
            raise WeightsError(f"{path} needs ONNX Runtime, which is not installed; {INSTALL_HINT}.") from error
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = torch.get_num_threads()
        options.log_severity_level = 4  # errors are raised; the log would repeat them on stderr
        self.path = path
        try:
            self._session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
            metadata = self._session.get_modelmeta().custom_metadata_map
            self.info, found = ExportInfo.from_json(metadata[METADATA_KEY]), metadata[GRAPH_KEY]
        except Exception as error:  # ONNX Runtime raises a class of its own for each kind of damage
            reason = "the file is missing" if not path.is_file() else _first_line(error)
            raise WeightsError(
                f"{path} is no file that framepred export wrote ({reason}); export the weights again."
            ) from error
        if found != name:
            raise WeightsError(f"{path} holds the graph {found}, not {name}; name the file that export was given.")
        self._inputs = [entry.name for entry in self._session.get_inputs()]

    def __call__(self, inputs: Sequence[Tensor]) -> State:
        feed = {name: value.detach().cpu().numpy() for name, value in zip(self._inputs, inputs, strict=True)}
        return tuple(torch.from_numpy(value) for value in self._session.run(None, feed))


def _shape(size: Sequence[int] | None) -> str:
    assert size is not None
    return f"{size[0]}x{size[1]}"


def _first_line(error: Exception) -> str:
    if isinstance(error, KeyError):
        return "it has no metadata of framepred"
    return str(error).strip().split("\n")[0].rstrip(".")
