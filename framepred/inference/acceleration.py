"""``framepred.accelerate``: a forecaster that runs compiled, as CUDA graphs on a GPU, or in bfloat16."""

from pathlib import Path
from typing import TypeVar

from torch import nn

from framepred.errors import ConfigError
from framepred.forecaster import Forecaster
from framepred.inference.networks import open_forecaster
from framepred.models.accelerated import FLOAT32, AcceleratedForecaster, Precision
from framepred.models.exported import ExportedForecaster

Predictor = TypeVar("Predictor")


def accelerate(
    weights: str | Path | Forecaster, *, compiled: bool = True, precision: Precision = FLOAT32
) -> Forecaster:
    """Return a forecaster whose steps run compiled, in bfloat16 autocast, or both.

    The result is accepted wherever weights are: by ``predict``, ``stream``, ``watch`` and ``evaluate``. Compiling takes
    up to some minutes for each shape of frames, so it pays for long streams, many clips, and on GPUs.

    Args:
        weights: a bundled name, a path, ``owner/name`` of the Hugging Face Hub, or a forecaster.
        compiled: compile the steps with ``torch.compile``; on CUDA they become CUDA graphs.
        precision: ``32-true``, or ``bf16-mixed`` for autocast of convolutions and matrix products to bfloat16.

    Returns:
        The forecaster itself if neither is asked, else an
        :class:`~framepred.models.accelerated.AcceleratedForecaster`.

    Raises:
        ConfigError: if the weights are an export, which ONNX Runtime runs, or there is no such precision.
        WeightsError: if the weights cannot be used.

    Example:
        >>> import torch
        >>> net = accelerate("moving-mnist-convlstm", compiled=False, precision="bf16-mixed")
        >>> net(torch.rand(1, 3, 1, 64, 64), horizon=2).shape
        torch.Size([1, 2, 1, 64, 64])
    """
    net = open_forecaster(weights).net
    if not compiled and precision == FLOAT32:
        return net
    if any(isinstance(module, ExportedForecaster) for module in net.modules()):
        raise ConfigError(
            "ONNX Runtime runs exports as they are; name the weights to compile them or to run them in bfloat16."
        )
    return AcceleratedForecaster(net, compiled=compiled, precision=precision)


def accelerate_predictor(
    predictor: Predictor, name: str, compiled: bool, precision: Precision
) -> Predictor | Forecaster:
    """Accelerate what an evaluation scores; see :func:`accelerate`.

    Raises:
        ConfigError: if acceleration is asked for a callable or for saved predictions; ``name`` is what they are called.
    """
    if not compiled and precision == FLOAT32:
        return predictor
    if not isinstance(predictor, Forecaster):
        raise ConfigError(
            f"Only weights and forecasters can be compiled or run in bfloat16, and {name} is neither; leave out both."
        )
    return accelerate(predictor, compiled=compiled, precision=precision)


def reduced_precision(predictor: object) -> Precision | None:
    """The precision of an accelerated forecaster, also inside another one; None for float32."""
    parts = predictor.modules() if isinstance(predictor, nn.Module) else ()
    used = (part.precision for part in parts if isinstance(part, AcceleratedForecaster))
    return next((precision for precision in used if precision != FLOAT32), None)
