"""The networks of docs/why-gates.md, each trained once and saved in a folder."""

import json
import math
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from typing_extensions import override

from framepred.forecaster import Forecaster
from framepred.media.atomic import atomic_write
from framepred.models import ConvElmanCell, ConvLSTMCell, EncoderForecaster, RecurrentCell, load
from framepred.training import ForecastTask, WarmupCosine, fit, make_trainer
from gates.hidden_digits import HiddenDigitData, HiddenDigits

WIDTH, KERNEL, STRIDE = 16, 3, 2
CURVE = "curve.json"

CELLS: dict[str, Callable[..., RecurrentCell]] = {
    "Elman": ConvElmanCell,
    "LSTM without forget gate": partial(ConvLSTMCell, forget_gate=False),
    "LSTM, forget bias 0": partial(ConvLSTMCell, forget_bias=0.0),
    "LSTM, forget bias 1": ConvLSTMCell,
    "LSTM, forget bias 5": partial(ConvLSTMCell, forget_bias=5.0),
}


class Trial(NamedTuple):
    """A network and its training.

    Attributes:
        cell: name of its cell, one of ``CELLS``.
        context: frames before the digit returns.
        steps: optimizer steps.
        rate: learning rate of Adam, or of stochastic gradient descent with momentum.
        descent: ``adam`` or ``sgd``.
        clip: norm above which gradients are scaled down; None for no clipping.
        digits: number of digits, one after another.
    """

    cell: str
    context: int
    steps: int
    rate: float = 5e-3
    descent: str = "adam"
    clip: float | None = 1.0
    digits: int = 1

    @property
    def folder(self) -> str:
        """Name of the trial's folder."""
        return "-".join(str(part) for part in self).replace(", ", "-").replace(" ", "-").lower()


SHORT = [Trial(cell, 10, 600) for cell in CELLS]
LONG = [Trial(cell, 100, 600) for cell in CELLS]
STEEP = [Trial("Elman", 30, 80, rate=1.0, descent="sgd", clip=clip) for clip in (None, 0.05)]
STREAM = [Trial(cell, 10, 600, digits=3) for cell in ("LSTM without forget gate", "LSTM, forget bias 1")]


class Return(torch.nn.Module):
    """Mean squared error per pixel of the last frame, the digit's return."""

    def forward(self, pred: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        """Return the error of predictions and targets ``(b, t, c, h, w)``."""
        return (pred[:, -1] - target[:, -1]).square().mean()


class Learned(NamedTuple):
    """A trained network with the measurements of its training.

    Attributes:
        net: the network, in eval mode.
        loss: training loss of each step, mean squared error per pixel of the digit's return.
        gradient: norm of the gradient of each step, before clipping.
        forgotten: squared error of the digit's return on 256 test clips, divided by that of the mean digit: 0 for a
            perfect memory, 1 for none.
    """

    net: Forecaster
    loss: list[float]
    gradient: list[float]
    forgotten: float


class _Curve(Callback):
    """Records the loss and the norm of the gradient of every step."""

    def __init__(self) -> None:
        self.loss: list[float] = []
        self.gradient: list[float] = []

    @override
    def on_before_optimizer_step(self, _: Trainer, pl_module: LightningModule, *__: object) -> None:
        norms = [p.grad.double().norm() for p in pl_module.parameters() if p.grad is not None]
        self.gradient.append(float(torch.stack(norms).norm()))

    @override
    def on_train_batch_end(self, _: Trainer, __: LightningModule, outputs: Any, *___: object) -> None:
        self.loss.append(float(outputs["loss"]))


def new_net(cell: str) -> EncoderForecaster:
    """Return a network of one layer, seeded."""
    torch.manual_seed(0)
    return EncoderForecaster(
        hidden_channels=[WIDTH], kernel_size=KERNEL, stride=STRIDE, norm=False, motion=False, cell=CELLS[cell]
    )


def learned(trial: Trial, folder: Path, root: str | None) -> Learned:
    """Return the trained network of a trial, from its folder where it is trained already."""
    saved = folder / trial.folder
    if not saved.is_dir():
        with atomic_write(saved) as draft:
            _learn(trial, draft, root)
    return Learned(load(saved), **json.loads((saved / CURVE).read_text()))


def _learn(trial: Trial, folder: Path, root: str | None) -> None:
    net, curve = new_net(trial.cell), _Curve()
    task = ForecastTask(net, trial.steps, Return(), _optimizer(trial), partial(WarmupCosine, warmup=10))
    trainer = make_trainer(
        folder,
        trial.steps,
        callbacks=[curve],
        logger=False,
        gradient_clip_val=trial.clip,
        accelerator="cpu",
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        limit_val_batches=0,
    )
    fit(trainer, task, HiddenDigitData(trial.context, trial.digits, root=root))
    net.eval().save_pretrained(folder)
    measured = {
        "loss": curve.loss,
        "gradient": curve.gradient,
        "forgotten": forgotten(net, HiddenDigits("test", trial.context, trial.digits, root)),
    }
    (folder / CURVE).write_text(json.dumps(measured))


def _optimizer(trial: Trial) -> Callable[..., torch.optim.Optimizer]:
    if trial.descent == "adam":
        return partial(torch.optim.Adam, lr=trial.rate)
    return partial(torch.optim.SGD, lr=trial.rate, momentum=0.9)


@torch.inference_mode()
def forgotten(net: Forecaster, digits: HiddenDigits) -> float:
    """Return the squared error of the last return on 256 clips, divided by that of the mean digit."""
    clips = digits.__getitems__(range(256))
    error = (net(clips[:, :-1], 1)[:, 0] - clips[:, -1] / 255).square().mean().item() / digits.blank_error
    return error if math.isfinite(error) else math.inf
