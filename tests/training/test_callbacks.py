"""Callbacks of a run: what they leave alone where processes share the parameters, and when they measure."""

from pathlib import Path
from unittest.mock import Mock, patch

import pytest
import torch
from lightning.pytorch import Trainer
from lightning.pytorch.loggers import TensorBoardLogger
from lightning.pytorch.strategies import DDPStrategy, DeepSpeedStrategy, FSDPStrategy, ModelParallelStrategy, Strategy
from lightning.pytorch.trainer.states import TrainerFn
from torch import nn

from framepred.clips import ClipBatch
from framepred.data import MovingMNISTData
from framepred.data.datamodules.moving_mnist_paths import MovingMNISTPathData
from framepred.errors import ConfigError
from framepred.models import EncoderForecaster, TrackingForecaster
from framepred.models.cost import count_parameters
from framepred.training import ForecastTask, PathTask, fit, make_trainer
from framepred.training.callbacks import GradientFlow, PredictionPanels, RunReport
from framepred.training.divergence import StopOnDivergence
from framepred.visualization.panels import panel

BATCH = ClipBatch.cut(torch.rand(4, 5, 1, 16, 16), 3)


class Divided(EncoderForecaster):
    """A network that no process can run alone."""

    def observe(self, *_: object) -> tuple[torch.Tensor, ...]:
        raise AssertionError("one process runs a network that all of them hold together")


@pytest.fixture
def task() -> ForecastTask:
    return ForecastTask(Divided(hidden_channels=[4], kernel_size=3), 10, nn.MSELoss())


def trainer_of(strategy: type[Strategy]) -> Mock:
    trainer = Mock(spec=Trainer, global_step=0, is_global_zero=True, fast_dev_run=False, checkpoint_callbacks=[])
    trainer.strategy, trainer.logger = Mock(spec=strategy), Mock(spec=TensorBoardLogger)
    trainer.datamodule, trainer.fit_loop, trainer.state = None, Mock(), Mock(fn=TrainerFn.FITTING)
    trainer.fit_loop._should_accumulate.return_value = trainer.sanity_checking = False
    trainer.num_val_batches = []
    return trainer


@pytest.mark.parametrize("strategy", [FSDPStrategy, ModelParallelStrategy, DeepSpeedStrategy])
def test_a_divided_network_is_reported_without_being_run(
    task: ForecastTask, strategy: type[Strategy], capsys: pytest.CaptureFixture[str]
) -> None:
    trainer, report, parameters = trainer_of(strategy), RunReport(Path("run")), count_parameters(task.net)
    report.setup(trainer, task, "fit")
    for parameter in task.net.parameters():  # what this process holds of them
        parameter.data = parameter.data[:0]
    report.on_train_batch_start(trainer, task, BATCH, 0)
    assert f"Divided: {parameters:,} parameters, uncounted GMACs per clip" in capsys.readouterr().err


@pytest.mark.parametrize("strategy", [FSDPStrategy, ModelParallelStrategy, DeepSpeedStrategy])
def test_the_gradient_flow_of_a_divided_network_is_not_measured(
    task: ForecastTask, strategy: type[Strategy], capsys: pytest.CaptureFixture[str]
) -> None:
    trainer, flow = trainer_of(strategy), GradientFlow(interval=1)
    flow.on_train_start(trainer, task)
    for _ in range(3):
        flow.on_train_batch_end(trainer, task, None, BATCH, 0)
    assert capsys.readouterr().err.count("Gradient flow is not measured") == 1
    trainer.logger.experiment.add_scalar.assert_not_called()


@pytest.mark.parametrize("strategy", [FSDPStrategy, ModelParallelStrategy, DeepSpeedStrategy])
def test_a_divided_network_predicts_nothing_before_it_is_saved(task: ForecastTask, strategy: type[Strategy]) -> None:
    trainer, stop = trainer_of(strategy), StopOnDivergence()
    trainer.strategy.reduce_boolean_decision.return_value = False
    stop.on_train_start(trainer, task)
    stop.on_train_batch_end(trainer, task, {"loss": torch.zeros(())}, BATCH, 0)
    with patch.object(task, "predict_target", side_effect=AssertionError):
        stop.on_save_checkpoint(trainer, task, {})
        stop.on_train_end(trainer, task)


@pytest.mark.parametrize("strategy", [FSDPStrategy, DDPStrategy])
def test_panels_show_the_predictions_of_the_validation(task: ForecastTask, strategy: type[Strategy]) -> None:
    trainer, predictions = trainer_of(strategy), torch.rand(4, 2, 1, 16, 16)
    PredictionPanels(clips=2).on_validation_batch_end(trainer, task, predictions, BATCH, 0)
    ((_, picture, _), _) = trainer.logger.experiment.add_image.call_args
    assert torch.equal(picture, panel(BATCH.context[:2], BATCH.target[:2], predictions[:2]))


def test_a_validation_step_returns_its_predictions() -> None:
    task = ForecastTask(EncoderForecaster(hidden_channels=[4], kernel_size=3).eval(), 10, nn.MSELoss())
    torch.testing.assert_close(task.validation_step(BATCH), task.net(BATCH.context, 2))
    assert task.validation_step(ClipBatch(BATCH.context[:0], BATCH.target[:0])) is None


@pytest.mark.usefixtures("without_report")
@pytest.mark.parametrize("accumulated", [1, 4])
def test_gradient_flow_is_measured_once_after_every_so_many_steps(
    tmp_path: Path, accumulated: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    measured: list[int] = []
    monkeypatch.setattr(
        "framepred.training.callbacks.gradient_flow", lambda *_: measured.append(task.global_step) or []
    )
    monkeypatch.setattr("framepred.training.callbacks.flow_image", lambda _: torch.zeros(1, 1, 3))
    task = ForecastTask(EncoderForecaster(hidden_channels=[4], kernel_size=3), 4, nn.MSELoss())
    data = MovingMNISTData(3, 3, 1, 6, 0, frame_size=(32, 32), digits_per_clip=1, digits="mnist-5k")
    trainer = make_trainer(
        tmp_path,
        4,
        accelerator="cpu",
        enable_progress_bar=False,
        log_every_n_steps=1,
        accumulate_grad_batches=accumulated,
    )
    trainer.callbacks.append(GradientFlow(interval=2, clips=1))
    fit(trainer, task, data)
    assert measured == [2, 4]


def test_gradient_flow_is_refused_where_no_clips_are_trained(tmp_path: Path) -> None:
    task = PathTask(TrackingForecaster(), budget=2, loss=nn.NLLLoss())
    data = MovingMNISTPathData(path_frame_sizes=[(64, 64)], batch_size=2, clips_per_epoch=4, digits="mnist-5k")
    trainer = make_trainer(
        tmp_path, 2, accelerator="cpu", enable_progress_bar=False, log_every_n_steps=1, limit_val_batches=0
    )
    trainer.callbacks.append(GradientFlow(interval=1))
    with pytest.raises(ConfigError, match="measured on clips, not on a PathBatch"):
        fit(trainer, task, data)
