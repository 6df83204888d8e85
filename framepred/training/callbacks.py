"""What a run tells while it trains: its first lines, a line per validation, a picture of its predictions."""

from pathlib import Path

from lightning.pytorch import Callback, LightningDataModule, LightningModule, Trainer
from lightning.pytorch.loggers import TensorBoardLogger
from rich.console import Console
from typing_extensions import override

from framepred.clips import ClipBatch
from framepred.errors import ConfigError
from framepred.media.panels import panel
from framepred.models.cost import count_parameters, macs_per_clip
from framepred.training.diagnosis import gradient_flow
from framepred.training.flow_plot import flow_picture
from framepred.training.task import ForecastTask


class RunReport(Callback):
    """Prints what is trained on what, what it costs and where it is written; then a line per validation.

    Args:
        folder: the run's folder.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.console = Console(stderr=True, highlight=False, soft_wrap=True, markup=False)

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Print the first lines of a run."""
        if not trainer.is_global_zero:
            return
        assert isinstance(pl_module, ForecastTask)
        data: LightningDataModule = trainer.datamodule  # type: ignore[attr-defined]
        batch: ClipBatch = next(iter(data.val_dataloader()))
        context, horizon = batch.context.shape[1], batch.target.shape[1]
        channels, height, width = batch.context.shape[2:]
        macs = macs_per_clip(pl_module.predictor, context, horizon, (channels, height, width))
        for line in (
            f"Trains   {type(pl_module.net).__name__}: {count_parameters(pl_module.net):,} parameters, "
            f"{macs / 1e9:.2f} GMACs a clip",
            f"on       {data.describe() if hasattr(data, 'describe') else type(data).__name__}",
            f"to see   {context} frames of {channels}x{height}x{width} and predict {horizon}",
            f"for      {pl_module.budget:,} steps, from step {trainer.global_step:,}, on {pl_module.device}",
            f"writes   {self.folder}: checkpoints/best.ckpt, checkpoints/last.ckpt, TensorBoard logs",
        ):
            self.console.print(line)

    def on_validation_end(self, trainer: Trainer, *_: object) -> None:
        """Print how the validation went."""
        if trainer.is_global_zero and not trainer.sanity_checking:
            mse = float(trainer.callback_metrics["val/mse"])
            self.console.print(f"step {trainer.global_step:>7,}   val/mse {mse:.2f} (protocol openstl)")


class PredictionPanels(Callback):
    """Draws the first validation clips beside their predictions, for TensorBoard.

    Args:
        clips: how many clips a panel shows.
    """

    def __init__(self, clips: int = 3) -> None:
        self.clips = clips

    @override
    def on_validation_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: object,
        batch: ClipBatch,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Draw from the first batch of a validation."""
        if batch_idx or trainer.sanity_checking or not isinstance(trainer.logger, TensorBoardLogger):
            return
        if batch.context.shape[2] not in (1, 3):  # measurements or words: no picture shows them
            return
        assert isinstance(pl_module, ForecastTask)
        context, target = (frames[: self.clips] for frames in batch)
        prediction = pl_module.predictor(context, target.shape[1])
        picture = panel(context, target, prediction)
        trainer.logger.experiment.add_image("val/panel", picture, trainer.global_step, dataformats="HWC")


class GradientFlow(Callback):
    """Logs to TensorBoard how far learning reaches back in time, as ``framepred diagnose`` measures it.

    For each memory a number, the gradient at the first step over that at the last, and for all of them a plot.

    Args:
        every: optimizer steps from one measurement to the next.
        clips: how many clips of the training batch are looked at.

    Raises:
        ConfigError: if an argument is less than 1, or, in training, if the network has no memory.
    """

    def __init__(self, every: int = 500, clips: int = 4) -> None:
        if min(every, clips) < 1:
            raise ConfigError(f"every and clips must be at least 1, not {every} and {clips}.")
        self.every = every
        self.clips = clips

    @override
    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: object, batch: ClipBatch, batch_idx: int
    ) -> None:
        """Measure on a batch just trained on."""
        if trainer.global_step % self.every or not isinstance(trainer.logger, TensorBoardLogger):
            return
        if not trainer.is_global_zero:
            return
        assert isinstance(pl_module, ForecastTask)
        few = ClipBatch(*(frames[: self.clips] for frames in batch))
        flows = gradient_flow(pl_module.net, pl_module.loss, few)
        board, step = trainer.logger.experiment, trainer.global_step
        for flow in flows:
            board.add_scalar(f"gradient-flow/{flow.name.replace(': ', '-').replace(' ', '-')}", flow.shares[-1], step)
        board.add_image("gradient-flow/plot", flow_picture(flows), step, dataformats="HWC")
