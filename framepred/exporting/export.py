"""Export a network: write its graphs, run them beside PyTorch, and keep them only if both agree."""

import math
import os
import secrets
import warnings
from collections.abc import Callable, Mapping
from copy import deepcopy
from dataclasses import dataclass, replace
from importlib.metadata import version
from io import BytesIO
from pathlib import Path
from typing import TypeAlias

import torch
from torch.export import ExportedProgram

from framepred.clips import State
from framepred.errors import ConfigError, WeightsError, reason_of
from framepred.exporting.graphs import frame_multiple, has_dynamic_size, trace
from framepred.exporting.parity import rollout_differences, rounding_difference
from framepred.forecaster import Forecaster, check_name
from framepred.media.atomic import atomic_write
from framepred.media.outputs import check_output
from framepred.media.ranges import ValueRange
from framepred.models.accelerated import AcceleratedForecaster
from framepred.models.exported import ExportedForecaster, Graph, load_onnx
from framepred.models.pretrained import ONNX, PT2, bundled_cards, load_weights
from framepred.onnx_graphs import GRAPH_KEY, INSTALL_HINT, METADATA_KEY, ExportInfo, GraphName, graph_path
from framepred.restorer import Restorer

SUFFIXES = (ONNX, PT2)
TOLERANCE = 1e-4
"""Largest allowed difference of a pixel in [0, 1] from PyTorch: a twentieth of half an 8-bit level, 1/510."""

CLIPS = 8
"""Generated clips that are tried, at most, where rounding tips decisions of the network."""

DYNAMIC_SIZES = [(64, 64), (40, 56), (37, 50)]
"""Frame sizes of the comparison where any size is allowed; the last one is no multiple of any patch."""

Programs: TypeAlias = Mapping[GraphName, ExportedProgram]


@dataclass(frozen=True)
class Export:
    """Result of an export: its files, their differences from PyTorch, and their metadata.

    Attributes:
        files: the files, one per graph.
        differences: the largest difference of a pixel from PyTorch over 30 steps, by frame size (height, width).
        info: the metadata in the files.
    """

    files: tuple[Path, ...]
    differences: Mapping[tuple[int, int], float]
    info: ExportInfo


def export(weights: str | Path | Forecaster, path: str | Path, *, size: tuple[int, int] = (64, 64)) -> Export:
    """Write the graphs of one step of a forecaster as ONNX or ``torch.export`` files.

    The file ``path`` holds the graph that takes a frame and the state and gives the next frame and the new state. The
    file ``NAME.start`` beside it holds the graph for the first frame of a clip; ``NAME.feedback`` holds the graph for
    predicted frames, where it differs. The batch size is dynamic, and so is the frame size of networks that work on
    patches. The files are kept only if 30 steps (10 observed, 20 fed back) give the frames of PyTorch.

    Args:
        weights: a bundled name, a path, ``owner/name`` of the Hugging Face Hub, or a forecaster.
        path: ends in ``.onnx`` or ``.pt2``.
        size: height and width of the frames, for networks whose graphs hold the size; rounded up to a multiple of what
            the network pads frames to: 8 for ``LayeredForecaster``, else 1.

    Raises:
        WeightsError: if the weights cannot be used or restore missing frames.
        ConfigError: if the network cannot be traced or converted, is accelerated, differs from its export by more than
            1e-4, or the size is not positive; for ONNX also if its weights are not float32.
        MediaError: if the files cannot be written.
    """
    path = Path(os.path.realpath(check_output(path, inputs=_files_of(weights), suffixes=SUFFIXES)))
    if min(size) < 1:
        raise ConfigError(f"Frames have at least one pixel in height and width, not {size[0]}x{size[1]}.")
    net, info = _open(weights, size)
    if path.suffix.lower() == ONNX:
        _check_float32(net)
    programs = trace(net, info.size or size)
    info = replace(info, has_feedback="feedback" in programs)
    with atomic_write(path) as draft:
        exported = _WRITERS[path.suffix.lower()](programs, info, draft)
        differences = {size: _checked_difference(net, exported, size, info.weights) for size in _sizes(info)}
        del exported  # Windows does not rename open files
        for name in info.graphs:
            if name != "observe":
                graph_path(draft, name).replace(graph_path(path, name))
    return Export(tuple(graph_path(path, name) for name in info.graphs), differences, info)


def _files_of(weights: str | Path | Forecaster) -> list[str | Path]:
    return [weights] if isinstance(weights, str | Path) else []


def _open(weights: str | Path | Forecaster, size: tuple[int, int]) -> tuple[Forecaster, ExportInfo]:
    """Load the network, and describe its export."""
    sha256: str | None = None
    if isinstance(weights, Forecaster):
        net, name = deepcopy(weights), type(weights).__name__  # the caller's keeps its device and its mode
    else:
        if isinstance(weights, Restorer):
            raise _no_step(type(weights).__name__)
        check_name(weights)
        loaded, name, sha256 = load_weights(weights)
        if not isinstance(loaded, Forecaster):
            raise _no_step(str(weights))
        net = loaded
    if isinstance(net, ExportedForecaster):
        raise WeightsError(f"{weights} is an export already; name the weights that it was made from.")
    if isinstance(net, AcceleratedForecaster):
        raise ConfigError("An accelerated forecaster cannot be exported; give the weights that it was made from.")
    card = bundled_cards().get(name)
    multiple = frame_multiple(net)
    info = ExportInfo(
        id=secrets.token_hex(8),
        framepred=version("framepred"),
        network=type(net).__name__,
        weights=name,
        sha256=sha256,
        channels=getattr(net, "channels", 1),
        multiple=multiple,
        size=None if has_dynamic_size(net) else (_round_up(size[0], multiple), _round_up(size[1], multiple)),
        has_feedback=False,
        context=card["data"]["context"] if card else None,
        card=card,
        trained_range=_trained_range(net),
    )
    return net.cpu().eval(), info


def _no_step(name: str) -> WeightsError:
    return WeightsError(
        f"The weights {name} restore missing frames: their graph depends on which frames are missing, so there is no "
        "step to export; choose weights that forecast."
    )


def _check_float32(net: Forecaster) -> None:
    """Refuse a network in another precision, for which ONNX Runtime has no convolutions on the CPU."""
    for parameter in net.parameters():
        if parameter.dtype != torch.float32:
            raise ConfigError(
                f"{type(net).__name__} computes in {str(parameter.dtype).removeprefix('torch.')}, and ONNX exports in "
                f"float32; convert it by net.float(), or export it to {PT2}."
            )


def _round_up(value: int, multiple: int) -> int:
    return math.ceil(value / multiple) * multiple


def _trained_range(net: Forecaster) -> Mapping[str, float] | None:
    """Return the file values that training scaled to 0 and 1, as JSON; None for files of 8 bits."""
    found = getattr(net, "value_range", None)
    return found.to_json() if isinstance(found, ValueRange) else None


def _sizes(info: ExportInfo) -> list[tuple[int, int]]:
    """Return the frame sizes of the comparison; for a fixed size, it and two that are padded to it."""
    if info.size is None:
        return DYNAMIC_SIZES
    height, width = info.size
    if info.multiple == 1:
        return [info.size]
    return [(height, width), (height - 1, width - 2), (height - info.multiple + 1, width)]


def _checked_difference(net: Forecaster, exported: Forecaster, size: tuple[int, int], name: str) -> float:
    """Return the largest difference from PyTorch, on the first clip on which rounding tips no decision of the network.

    Raises:
        ConfigError: if it is too large, or there is no such clip.
    """
    for clip in range(CLIPS):
        found = rollout_differences(net, exported, [size], clip)[size]
        if found <= TOLERANCE:
            return found
        if not 2 * rounding_difference(net, size, clip) > found:  # so that the export deviates by itself
            raise ConfigError(f"{_deviation(found, size, name)} Run the weights in PyTorch.")
    raise ConfigError(
        f"{_deviation(found, size, name)} PyTorch itself differs as much there where numbers are rounded otherwise, "
        f"because rounding tips decisions of the network, on {CLIPS} generated clips; choose another size."
    )


def _deviation(found: float, size: tuple[int, int], name: str) -> str:
    return (
        f"The export of {name} differs from PyTorch by {found:.2g} at {size[0]}x{size[1]} pixels, and at "
        f"most {TOLERANCE:g} is allowed; nothing was written."
    )


def _write_onnx(programs: Programs, info: ExportInfo, draft: Path) -> ExportedForecaster:
    """Convert the graphs to ONNX, and load them with ONNX Runtime."""
    try:
        import onnxruntime  # noqa: F401  the comparison needs it
        import onnxscript  # noqa: F401  the converter needs it
    except ImportError as error:
        raise ConfigError(f"ONNX files need {error.name}, which is not installed; {INSTALL_HINT}.") from error
    try:
        for name, program in programs.items():
            _convert(name, program, info, draft)
        return load_onnx(draft)
    except OSError:  # such as a full disk
        raise
    except Exception as error:  # the converter and ONNX Runtime raise a class of their own for each kind of problem
        raise ConfigError(
            f"{info.network} cannot be exported to ONNX ({reason_of(error.__cause__ or error):.160}); export it to "
            f"{PT2}, or run it in PyTorch."
        ) from error


def _convert(name: GraphName, program: ExportedProgram, info: ExportInfo, draft: Path) -> None:
    """Convert one graph to an ONNX file beside the draft."""
    states = range(len(program.graph_signature.user_outputs) - 1)
    inputs = [] if name == "start" else [f"state_{index}" for index in states]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the exporter, on deprecations in PyTorch and onnxscript
        converted = torch.onnx.export(
            program,
            dynamo=True,
            verbose=False,
            input_names=["frame", *inputs],
            output_names=["next_frame", *(f"new_state_{index}" for index in states)],
        )
    assert converted is not None
    converted.model.metadata_props.update({METADATA_KEY: info.to_json(), GRAPH_KEY: name})
    converted.save(graph_path(draft, name))


def _write_pt2(programs: Programs, info: ExportInfo, draft: Path) -> ExportedForecaster:
    """Save the graphs, and load them with ``torch.export``."""
    graphs: dict[GraphName, Graph] = {}
    for name, program in programs.items():
        saved = BytesIO()  # PyTorch's own writer ends the process on a full disk
        torch.export.save(program, saved, extra_files={f"{METADATA_KEY}.json": info.to_json()})
        file = graph_path(draft, name)
        file.write_bytes(saved.getbuffer())
        graphs[name] = _unpack_inputs(torch.export.load(file).module())
    return ExportedForecaster(graphs, info).eval()


def _unpack_inputs(module: Callable[..., State]) -> Graph:
    """Return a module of several arguments as a function of one sequence."""
    return lambda inputs: module(*inputs)


_WRITERS = {ONNX: _write_onnx, PT2: _write_pt2}
