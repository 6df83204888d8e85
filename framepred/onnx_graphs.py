"""The ONNX files of an export: their metadata, and ONNX Runtime, which runs them on NumPy arrays without PyTorch.

An export holds two or three graphs, each in a file of its own. Every graph returns the next frame, then the state:

- ``start`` reads the first frame of a clip;
- ``observe`` reads the next frame and the state;
- ``feedback`` reads a frame beyond the context and the state. It exists only where it differs from ``observe``.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from framepred.errors import WeightsError, reason_of

GraphName: TypeAlias = Literal["start", "observe", "feedback"]

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
        trained_range: the values of files that the weights were trained on as 0 and 1, as
            ``framepred.media.ranges.ValueRange.to_json`` writes them; None for weights that were trained on bytes.
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
    trained_range: Mapping[str, float] | None = None

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


def graph_path(path: Path, graph: GraphName) -> Path:
    """Return the file of a graph; the file that the user names holds ``observe``.

    Example:
        >>> graph_path(Path("model.onnx"), "start").name
        'model.start.onnx'
    """
    return path if graph == "observe" else path.with_name(f"{path.stem}.{graph}{path.suffix}")


class OnnxGraph:
    """A graph that ONNX Runtime runs on the CPU.

    Args:
        path: the ONNX file.
        name: the graph that it must hold.
        threads: number of threads; 0 takes one per core.

    Raises:
        WeightsError: if the file is missing or is no such graph, or ONNX Runtime is not installed.
    """

    def __init__(self, path: Path, name: GraphName, threads: int = 0) -> None:
        try:
            import onnxruntime
        except ImportError as error:
            raise WeightsError(f"{path} needs ONNX Runtime, which is not installed; {INSTALL_HINT}.") from error
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.log_severity_level = 4  # errors are raised; the log would repeat them on stderr
        self.path = path
        try:
            self._session = onnxruntime.InferenceSession(
                path,
                options,
                providers=["CPUExecutionProvider"],
                enable_fallback=0,  # the fallback prints to stdout
            )
            metadata = self._session.get_modelmeta().custom_metadata_map
            self.info, found = ExportInfo.from_json(metadata[METADATA_KEY]), metadata[GRAPH_KEY]
        except Exception as error:  # ONNX Runtime raises a class of its own for each kind of damage
            reason = reason_of(error)
            if not path.is_file():
                reason = "the file is missing"
            elif isinstance(error, KeyError):
                reason = "it has no metadata of framepred"
            raise WeightsError(
                f"{path} is no file that framepred export wrote ({reason}); export the weights again."
            ) from error
        if found != name:
            raise WeightsError(f"{path} holds the graph {found}, not {name}; name the file that export was given.")
        self._inputs = [entry.name for entry in self._session.get_inputs()]

    def __call__(self, inputs: Sequence[NDArray[Any]]) -> tuple[NDArray[Any], ...]:
        """Run a folded frame and the state to the next frame and the new state.

        Raises:
            WeightsError: if the graph does not take them, as that of a damaged file.
        """
        try:
            feed = {name: np.ascontiguousarray(value) for name, value in zip(self._inputs, inputs, strict=True)}
            return tuple(self._session.run(None, feed))
        except Exception as error:  # ONNX Runtime raises a class of its own for each kind of damage
            raise WeightsError(f"{self.path} cannot be run ({reason_of(error)}); export the weights again.") from error


def open_onnx_graphs(path: str | Path, threads: int = 0) -> dict[GraphName, OnnxGraph]:
    """Open the graphs of an export that ends in ``.onnx``.

    Raises:
        WeightsError: if a file is missing or is no such export, or ONNX Runtime is not installed.
    """
    path = Path(path).resolve()
    observe = OnnxGraph(path, "observe", threads)
    graphs: dict[GraphName, OnnxGraph] = {"observe": observe}
    for name in observe.info.graphs:
        if name != "observe":
            graphs[name] = graph = OnnxGraph(graph_path(path, name), name, threads)
            if graph.info.id != observe.info.id:
                raise WeightsError(f"{graph.path} and {path} are of different exports; export the weights again.")
    return graphs
