"""Choice between PyTorch and ONNX Runtime alone."""

from importlib.util import find_spec
from pathlib import Path

from framepred.errors import ConfigError


def runs_without_torch(weights: str, source: str | Path, output: Path | None = None) -> bool:
    """Whether an ONNX export can predict this source, and write this output, by NumPy and ONNX Runtime alone."""
    if Path(weights).suffix.lower() != ".onnx" or not Path(weights).is_file():
        return False
    from framepred.inference.onnx_only import OUTPUTS, is_readable

    if not is_readable(source) or (output is not None and output.suffix.lower() not in OUTPUTS):
        return False
    if Path(source).suffix.lower() != ".npy":
        return True  # no range of values is for films of bytes
    from framepred.onnx_graphs import OnnxGraph

    return is_readable(source, OnnxGraph(Path(weights), "observe").info.trained_range)


def check_torch(command: str) -> None:
    """Refuse a call that needs PyTorch where it is not installed.

    Raises:
        ConfigError: in this case.
    """
    if not has_torch():
        raise ConfigError(
            f"PyTorch is not installed; without it {command} takes an .onnx export as --weights, a video file or .npy "
            "of bytes, --no-blend and --no-cuts, and no option that trains, scores, scales or draws."
        )


def has_torch() -> bool:
    """Whether PyTorch is installed."""
    try:
        return find_spec("torch") is not None
    except (ImportError, ValueError):  # an import hook refuses it
        return False
