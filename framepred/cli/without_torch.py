"""Choice between PyTorch and ONNX Runtime alone."""

from importlib.util import find_spec
from pathlib import Path

from framepred.errors import ConfigError

PACKAGES = ("torch", "torchvision", "torchmetrics", "lightning")
"""PyTorch, and packages that need it."""


def runs_without_torch(weights: str, source: str | Path, max_side: int, output: Path | None = None) -> bool:
    """Whether an ONNX export predicts this source, and writes this output, by NumPy and ONNX Runtime alone.

    Frames with a side above ``max_side`` pixels are left to PyTorch, which scales them, where it is installed.
    """
    if Path(weights).suffix.lower() != ".onnx" or not Path(weights).is_file():
        return False
    from framepred.inference.onnx_only import OUTPUTS, is_readable, longest_side

    if not is_readable(source) or (output is not None and output.suffix.lower() not in OUTPUTS):
        return False
    if has_torch() and longest_side(source) > max_side:
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


def explain_without_torch(error: ModuleNotFoundError) -> str | None:
    """Describe an error of the import of PyTorch where it is not installed; None for any other."""
    if has_torch() or (error.name or "").partition(".")[0] not in PACKAGES:
        return None
    return (
        "PyTorch is not installed, and this command needs it; install it by pip install torch, or call predict, stream "
        "or watch with an .onnx export."
    )
