"""Whole runs on the CPU: what they leave behind, and exact resume after kills, signals and damage."""

import json
import os
import pickle
import re
import signal
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from filelock import FileLock
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.callbacks import EarlyStopping, ModelCheckpoint
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from torch.optim.lr_scheduler import ConstantLR, ReduceLROnPlateau

from framepred.clips import ClipBatch, State
from framepred.data import MovingMNISTData
from framepred.errors import ConfigError, FramepredError, MediaError, WeightsError
from framepred.evaluation import Card
from framepred.evaluation.protocols import PROTOCOLS, Measure
from framepred.models import EncoderForecaster, load
from framepred.models.checkpoints import read_checkpoint, write_checkpoint
from framepred.training import ForecastTask, TrainingResult, WarmupCosine, fit, make_trainer
from framepred.training.run import default_logger, standard_callbacks, training_result
from framepred.training.stopping import TrainingStopped
from framepred.training.task import Task
from full_disk import full_disk

STEPS, KILLED_AT = 11, 7

pytestmark = pytest.mark.usefixtures("without_report")  # but ``finished``, which is made before, has it


class Kill(Callback):
    """Ends training between two steps; by default after the checkpoint of step 6."""

    def __init__(self, step: int = KILLED_AT) -> None:
        self.step = step

    def on_train_batch_end(self, trainer: Trainer, pl_module: LightningModule, *_: object) -> None:
        if trainer.global_step == self.step:
            raise RuntimeError("killed")


class Signal(Callback):
    """Sends a signal to this process within a step, once or several times in quick succession."""

    def __init__(self, number: int, step: int = KILLED_AT, times: int = 1) -> None:
        self.number = number
        self.step = step
        self.times = times

    def on_before_optimizer_step(self, trainer: Trainer, *_: object) -> None:
        if trainer.global_step == self.step - 1:
            for _ in range(self.times):
                os.kill(os.getpid(), self.number)


class Validations(Callback):
    """Notes the score of each validation of a training, by the number of batches before it."""

    def __init__(self) -> None:
        self.scores: dict[int, float] = {}

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if not trainer.sanity_checking:
            batches = trainer.fit_loop.epoch_loop.batch_progress.total.completed
            self.scores[batches] = float(trainer.callback_metrics["val/mse"])


class WithDropout(EncoderForecaster):
    """A network that draws random numbers in training."""

    def next_frame(self, state: State) -> torch.Tensor:
        return torch.nn.functional.dropout(super().next_frame(state), 0.5, self.training)


class Worsening(ForecastTask):
    """Validates worse each time."""

    def validation_step(self, batch: ClipBatch) -> None:
        self.log("val/mse", float(self.global_step), batch_size=len(batch.target))


def train(
    folder: Path,
    *extra: Callback,
    ckpt_path: str | None = None,
    tbptt_steps: int | None = None,
    kind: type[ForecastTask] = ForecastTask,
    steps: int = STEPS,
    data: dict[str, Any] | None = None,
    settings: dict[str, Any] | None = None,
    network: type[EncoderForecaster] = EncoderForecaster,
    **trainer_arguments: object,
) -> tuple[Task, TrainingResult]:
    torch.manual_seed(0)
    net = network(hidden_channels=[4], kernel_size=3)
    of_task = {"lr_scheduler": partial(WarmupCosine, warmup=2), "tbptt_steps": tbptt_steps} | (settings or {})
    task = kind(net, steps, torch.nn.MSELoss(), **of_task)
    clips = {
        "context": 3, "horizon": 3, "batch_size": 2, "clips_per_epoch": 8, "val_clips": 4, "frame_size": (32, 32),
        "digits_per_clip": 1, "digits": "mnist-5k",
    } | (data or {})  # fmt: skip
    of_trainer = {
        "val_check_interval": 3, "accelerator": "cpu", "enable_progress_bar": False, "log_every_n_steps": 1,
        "logger": False,
    } | trainer_arguments  # fmt: skip
    trainer = make_trainer(folder, steps, **of_trainer)  # type: ignore[arg-type]
    trainer.callbacks += extra
    return task, fit(trainer, task, MovingMNISTData(**clips), ckpt_path=ckpt_path)


def equal(one: Task, other: Task) -> bool:
    return all(torch.equal(tensor, other.state_dict()[name]) for name, tensor in one.state_dict().items())


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[Task, TrainingResult]:
    """An undisturbed run."""
    return train(tmp_path_factory.mktemp("finished"))


@pytest.mark.parametrize("tbptt_steps", [None, pytest.param(2, marks=pytest.mark.slow)])
def test_a_killed_run_resumes_to_the_same_weights_bit_for_bit(
    tmp_path: Path, finished: tuple[Task, TrainingResult], tbptt_steps: int | None
) -> None:
    whole = train(tmp_path / "whole", tbptt_steps=tbptt_steps)[0] if tbptt_steps else finished[0]
    with pytest.raises(RuntimeError, match="killed"):
        train(tmp_path / "killed", Kill(), tbptt_steps=tbptt_steps)
    torch.manual_seed(99)
    resumed, result = train(tmp_path / "killed", ckpt_path="last", tbptt_steps=tbptt_steps)
    assert (resumed.global_step, result.steps) == (STEPS, STEPS)
    assert equal(whole, resumed)
    summary = json.loads((tmp_path / "killed/run.json").read_text())
    assert (summary["steps"], summary["sessions"]) == (STEPS, 2)


@pytest.mark.parametrize("killed_at", [7, 8])
@pytest.mark.parametrize("accumulated", [3, 4])
def test_a_run_that_accumulates_gradients_resumes_bit_for_bit(tmp_path: Path, accumulated: int, killed_at: int) -> None:
    """Validations come between the batches of a step, and epochs of eight batches end with a smaller step."""
    rhythm = {"accumulate_grad_batches": accumulated, "val_check_interval": 5, "data": {"clips_per_epoch": 16}}
    whole, _ = train(tmp_path / "whole", **rhythm)
    with pytest.raises(RuntimeError, match="killed"):
        train(tmp_path / "killed", Kill(killed_at), **rhythm)
    assert read_checkpoint(tmp_path / "killed/checkpoints/last.ckpt")["global_step"] > 0
    assert equal(whole, train(tmp_path / "killed", ckpt_path="last", **rhythm)[0])


@pytest.mark.parametrize("accumulated", [1, 2])
def test_a_network_that_draws_random_numbers_resumes_bit_for_bit(tmp_path: Path, accumulated: int) -> None:
    drawing = {"network": WithDropout, "accumulate_grad_batches": accumulated}
    whole, _ = train(tmp_path / "whole", **drawing)
    with pytest.raises(RuntimeError, match="killed"):
        train(tmp_path / "killed", Kill(), **drawing)
    assert equal(whole, train(tmp_path / "killed", ckpt_path="last", **drawing)[0])


def test_a_plateau_is_counted_in_validations_also_after_a_kill(tmp_path: Path) -> None:
    """Without progress the first of three validations is the best, and the third exceeds a patience of one."""
    still = {
        "optimizer": partial(torch.optim.SGD, lr=1e-6),
        "lr_scheduler": partial(ReduceLROnPlateau, patience=1, factor=0.1),
    }
    for folder, killed in (("whole", False), ("killed", True)):
        if killed:
            with pytest.raises(RuntimeError, match="killed"):
                train(tmp_path / folder, Kill(), settings=still)
        task, _ = train(tmp_path / folder, ckpt_path="last" if killed else None, settings=still)
        assert task.optimizers().param_groups[0]["lr"] == pytest.approx(1e-7)
        assert task.lr_schedulers().num_bad_epochs == 0


@pytest.mark.parametrize(("number", "times"), [(signal.SIGINT, 1), (signal.SIGTERM, 2)])
def test_a_signal_saves_the_step_and_the_run_resumes_bit_for_bit(
    tmp_path: Path, finished: tuple[Task, TrainingResult], number: int, times: int
) -> None:
    former = signal.getsignal(number)
    with pytest.raises(TrainingStopped, match=f"after step {KILLED_AT} of {STEPS}") as stop:
        train(tmp_path, Signal(number, times=times))
    assert stop.value.number == number
    assert signal.getsignal(number) == former
    assert read_checkpoint(tmp_path / "checkpoints/last.ckpt")["global_step"] == KILLED_AT
    assert equal(finished[0], train(tmp_path, ckpt_path="last")[0])


@pytest.fixture(scope="module", params=[1, 3], ids=["", "accumulated"])
def validated(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Any], Any]:
    """Settings of a run whose learning rate depends on its validations, and what it leaves."""
    course = {
        "settings": {"lr_scheduler": partial(ReduceLROnPlateau, patience=0, threshold=0.5)},
        "accumulate_grad_batches": request.param,
        "val_check_interval": 3 if request.param == 1 else 5,
        "data": {"clips_per_epoch": 16},
    }
    return course, course_of(tmp_path_factory.mktemp("validated"), course)


def course_of(folder: Path, course: dict[str, Any], *ends: Callback) -> tuple[dict[int, float], float | None, Task]:
    """Train to the end, with interruptions; return the validation scores by batch, the best one, and the task."""
    validations = Validations()
    for end in ends:
        with pytest.raises((TrainingStopped, RuntimeError), match=r"stopped|killed"):
            train(folder, validations, end, ckpt_path="last" if (folder / "checkpoints").exists() else None, **course)
    task, result = train(folder, validations, ckpt_path="last" if ends else None, **course)
    return validations.scores, result.best_score, task


@pytest.mark.parametrize(
    "ends",
    [[Signal(signal.SIGTERM, 5)], [Kill(4), Signal(signal.SIGTERM, 6), Signal(signal.SIGTERM, 7)]],
    ids=["stopped", "killed and stopped"],
)
def test_an_interrupted_run_validates_after_the_same_batches(
    tmp_path: Path, validated: tuple[dict[str, Any], Any], ends: list[Callback]
) -> None:
    """Stopped before, at and after a validation; with accumulation, validations come between the batches of a step."""
    course, (scores, best, whole) = validated
    found, found_best, resumed = course_of(tmp_path, course, *ends)
    assert (found, found_best) == (scores, best)
    assert equal(whole, resumed)


def test_a_run_leaves_loadable_best_and_last_checkpoints(finished: tuple[Task, TrainingResult]) -> None:
    _, result = finished
    assert {file.name for file in (result.folder / "checkpoints").iterdir()} == {"best.ckpt", "last.ckpt"}
    assert result.weights == result.best
    card = Card.read(result.folder)
    assert card.metrics["mse"].value == pytest.approx(result.best_score, rel=1e-5)
    assert card.data.clips == 4
    assert (result.folder / "report.html").is_file()
    assert "(protocol openstl v1). Its report is " in result.summary
    assert read_checkpoint(result.folder / "checkpoints/last.ckpt")["global_step"] == STEPS
    assert load(result.folder / "checkpoints/best.ckpt")(torch.rand(1, 2, 1, 8, 8), 2).shape == (1, 2, 1, 8, 8)


@pytest.mark.parametrize("mine", [{"monitor": "val/ssim", "mode": "max"}, {"monitor": "val/mse", "save_top_k": 3}])
def test_checkpoints_of_the_users_own_leave_those_of_the_run(
    tmp_path: Path, finished: tuple[Task, TrainingResult], mine: dict[str, Any]
) -> None:
    def callbacks() -> list[Callback]:
        own = ModelCheckpoint(tmp_path / "mine", filename="{step}", **mine)
        return [own, *standard_callbacks(tmp_path, progress=False, logs=False)]

    with pytest.raises(RuntimeError, match="killed"):
        train(tmp_path, Kill(), callbacks=callbacks())
    _, result = train(tmp_path, ckpt_path="last", callbacks=callbacks())
    assert result.best_score == finished[1].best_score
    assert len(list((tmp_path / "mine").iterdir())) == mine.get("save_top_k", 1)


def test_the_best_checkpoint_of_an_earlier_version_stays_the_best(tmp_path: Path) -> None:
    """Earlier versions named its callback as any ``ModelCheckpoint``."""
    _, result = train(tmp_path, kind=Worsening, steps=3)
    assert result.best_score == 3
    for path in (tmp_path / "checkpoints").iterdir():
        contents = read_checkpoint(path)
        former = (
            "ModelCheckpoint{'monitor': 'val/mse', 'mode': 'min', 'every_n_train_steps': 0, 'every_n_epochs': 1, "
            "'train_time_interval': None}"
        )
        contents["callbacks"] = {former: contents["callbacks"].pop("BestCheckpoint")}
        write_checkpoint(contents, path)
    assert training_result(tmp_path, "").best_score == 3
    assert train(tmp_path, kind=Worsening, steps=6, ckpt_path="last")[1].best_score == 3


def worst_pixel(pred: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    return (pred - target).abs().flatten(1).amax(1)


def test_every_metric_of_the_protocol_can_be_monitored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    openstl = PROTOCOLS["openstl"]
    measures = {**openstl.measures, "worst": Measure(worst_pixel, higher_is_better=False)}
    monkeypatch.setitem(PROTOCOLS, "openstl", replace(openstl, measures=measures))
    task, result = train(tmp_path, EarlyStopping("val/worst"), steps=3)
    assert result.steps == 3
    assert task.trainer.callback_metrics["val/worst"] > 0


def test_what_may_be_monitored_is_logged(finished: tuple[Task, TrainingResult]) -> None:
    task, _ = finished
    assert set(task.metrics) <= set(task.trainer.callback_metrics)


def test_last_is_the_last_even_where_best_is_long_ago(tmp_path: Path) -> None:
    _, result = train(tmp_path, kind=Worsening)
    assert result.best is not None
    assert read_checkpoint(result.best)["global_step"] == 3
    assert result.steps == STEPS


@pytest.mark.parametrize("same", [True, False], ids=["the trainer of the run", "a new trainer"])
def test_a_validation_by_hand_leaves_the_run_as_it_is(
    tmp_path: Path, same: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    """Checkpoints, the summary and the panels are those of the training."""

    def left() -> dict[str, bytes]:
        files = (file for file in tmp_path.rglob("*") if file.is_file() and "tfevents" not in file.name)
        return {str(file): file.read_bytes() for file in files}

    task, result = train(tmp_path, steps=3, logger=default_logger(tmp_path))
    data, before = task.trainer.datamodule, left()
    trainer = task.trainer if same else make_trainer(tmp_path, 3, accelerator="cpu", enable_progress_bar=False)
    capsys.readouterr()
    trainer.validate(task, data, ckpt_path=result.best, weights_only=True, verbose=False)
    assert left() == before
    assert "step " not in capsys.readouterr().err
    assert train(tmp_path, steps=4, ckpt_path="last")[1].steps == 4
    panels = EventAccumulator(str(tmp_path)).Reload().Images("val/panel")
    assert [panel.step for panel in panels] == [3]


@pytest.mark.parametrize("arguments", [{"val_check_interval": 50}, {"limit_val_batches": 0}])
def test_a_run_without_validation_leaves_its_last_checkpoint(tmp_path: Path, arguments: dict[str, int]) -> None:
    _, result = train(tmp_path, steps=2, **arguments)
    assert (result.best, result.steps) == (None, 2)
    assert "no validation took place" in result.summary
    assert load(tmp_path / "checkpoints/last.ckpt")(torch.rand(1, 2, 1, 8, 8), 2).shape == (1, 2, 1, 8, 8)


def test_a_finished_run_says_so_and_a_raised_budget_continues_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    train(tmp_path, steps=2)
    _, again = train(tmp_path, steps=2, ckpt_path="last")
    assert again.already_finished
    assert "was finished: 2 steps" in again.summary
    capsys.readouterr()
    task, longer = train(tmp_path, steps=4, ckpt_path="last")
    assert (task.global_step, longer.steps) == (4, 4)
    assert "a budget of 2 steps before" in capsys.readouterr().err


@pytest.mark.parametrize(
    "data", [{"seed": 9}, {"digits_per_clip": 2}, {"val_clips": 3}, {"horizon": 2}, {"speed": 0.2}]
)
def test_a_run_is_not_continued_on_other_clips(tmp_path: Path, data: dict[str, Any]) -> None:
    train(tmp_path, steps=1)
    before = (tmp_path / "checkpoints/last.ckpt").read_bytes()
    with pytest.raises(ConfigError, match=f"follows the schedule {{'data.{next(iter(data))}': "):
        train(tmp_path, steps=2, ckpt_path="last", data=data)
    assert (tmp_path / "checkpoints/last.ckpt").read_bytes() == before


def test_a_run_is_not_continued_on_a_part_of_its_validation_clips(tmp_path: Path) -> None:
    """One batch is not 1.0, which is all of them. A validation by hand may use a part."""
    task, result = train(tmp_path, steps=1, val_check_interval=1)
    with pytest.raises(
        ConfigError, match=r"'trainer.limit_val_batches': '1.0'} and .*'trainer.limit_val_batches': '1'}"
    ):
        train(tmp_path, steps=2, ckpt_path="last", limit_val_batches=1)
    trainer = make_trainer(tmp_path, 1, limit_val_batches=1, accelerator="cpu", enable_progress_bar=False, logger=False)
    trainer.validate(task, task.trainer.datamodule, ckpt_path=result.best, weights_only=True, verbose=False)


def test_a_run_continues_with_other_batches_workers_and_logs(tmp_path: Path) -> None:
    train(tmp_path, steps=1)
    changed = {"batch_size": 1, "num_workers": 1, "clips_per_epoch": 6, "test_clips": 5}
    assert train(tmp_path, steps=2, ckpt_path="last", data=changed, logger=True, val_check_interval=1)[1].steps == 2


def test_the_bar_counts_epochs_and_batches_also_after_a_continuation(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def last_bar() -> tuple[str, ...]:
        return re.findall(r"Epoch (\d+)/(\d+).*? (\d+)/(\d+)", capsys.readouterr().err)[-1]

    epoch = 4  # batches: 8 clips, 2 at a time
    train(tmp_path, steps=epoch + 1, enable_progress_bar=True)
    assert last_bar() == ("2", "2", "1", "1")
    train(tmp_path, steps=epoch + 3, ckpt_path="last", enable_progress_bar=True)
    assert last_bar() == ("2", "2", "3", "3")
    train(tmp_path, steps=2 * epoch + 2, ckpt_path="last", enable_progress_bar=True)
    assert last_bar() == ("3", "3", "2", "2")


def test_a_run_is_not_overwritten(finished: tuple[Task, TrainingResult]) -> None:
    with pytest.raises(ConfigError, match="holds a run already; resume it"):
        train(finished[1].folder)


def test_two_runs_do_not_share_a_folder(tmp_path: Path) -> None:
    with FileLock(tmp_path / "train.lock"), pytest.raises(ConfigError, match="Another process trains in"):
        train(tmp_path)


def test_nothing_to_resume_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="There is no checkpoint"):
        train(tmp_path, ckpt_path="last")


class Malicious:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.system, ("touch executed",)


@pytest.mark.parametrize("content", ["empty", "cut off", "damaged", "foreign", "malicious"])
def test_unusable_checkpoints_are_one_sentence(
    tmp_path: Path, finished: tuple[Task, TrainingResult], content: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    whole = bytearray((finished[1].folder / "checkpoints/last.ckpt").read_bytes())
    path = tmp_path / "given.ckpt"
    if content in ("foreign", "malicious"):
        torch.save({"state_dict": {}} if content == "foreign" else Malicious(), path)
    else:
        whole[len(whole) // 2] ^= content == "damaged"
        path.write_bytes(whole[: {"empty": 0, "cut off": len(whole) // 2}.get(content)])
    for use in (lambda: train(tmp_path / "run", ckpt_path=str(path)), lambda: load(path)):
        with pytest.raises(WeightsError, match=r"^\S+given.ckpt is not a checkpoint of framepred train \(.*\); take"):
            use()
    assert not Path("executed").exists()
    assert not Path("run").exists()


def test_a_checkpoint_of_weights_alone_cannot_be_resumed(tmp_path: Path, finished: tuple[Task, TrainingResult]) -> None:
    whole = read_checkpoint(finished[1].folder / "checkpoints/last.ckpt")
    torch.save({name: whole[name] for name in ("net", "state_dict")}, tmp_path / "given.ckpt")
    with pytest.raises(WeightsError, match="no run can be resumed from it"):
        train(tmp_path / "run", ckpt_path=str(tmp_path / "given.ckpt"))


def test_every_byte_of_a_checkpoint_is_hashed(tmp_path: Path, finished: tuple[Task, TrainingResult]) -> None:
    whole = (finished[1].folder / "checkpoints/last.ckpt").read_bytes()
    path = tmp_path / "flipped.ckpt"
    for place in range(0, len(whole), len(whole) // 40):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
        with pytest.raises(WeightsError):
            read_checkpoint(path)


def test_checkpoints_need_no_temporary_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "nosuch"))
    assert train(tmp_path / "run", steps=1)[1].steps == 1


def test_a_full_disk_is_one_sentence_and_keeps_the_last_good_checkpoint(tmp_path: Path) -> None:
    train(tmp_path, steps=2)
    last = tmp_path / "checkpoints/last.ckpt"
    before = last.read_bytes()
    with full_disk(len(before) // 2), pytest.raises(MediaError, match=r"^\S+\.ckpt cannot be written \(.*\); "):
        train(tmp_path, steps=4, ckpt_path="last")
    assert last.read_bytes() == before
    assert train(tmp_path, steps=4, ckpt_path="last")[1].steps == 4


def test_a_full_disk_of_the_logs_is_one_sentence(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """TensorBoard writes in a thread of its own."""
    with full_disk(5_000), pytest.raises(MediaError, match=f"^A file in {tmp_path} cannot be read or written"):
        train(tmp_path, steps=9, logger=default_logger(tmp_path), enable_checkpointing=False)
    assert "Traceback" not in capfd.readouterr().err


def test_an_unwritable_checkpoint_folder_ends_the_run(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run/checkpoints").write_text("a file where the folder would be")
    with pytest.raises(FramepredError):
        train(tmp_path / "run", steps=1)


def test_an_error_before_the_first_step_leaves_no_folder(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be made"):
        train(tmp_path / "runs/new", kind=WrongRate, logger=True)
    assert list(tmp_path.iterdir()) == []


class WrongRate(ForecastTask):
    def __init__(self, *arguments: object, **settings: object) -> None:
        super().__init__(*arguments, **settings | {"optimizer": partial(torch.optim.SGD, lr=-1)})  # type: ignore


def test_the_first_lines_say_what_is_trained_and_the_last_what_it_took(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    train(tmp_path, steps=1)
    lines = capsys.readouterr().err.splitlines()
    for expected in ("EncoderForecaster: ", " parameters, ", "GMACs per clip", "Moving digits", "0 to 1", "last.ckpt"):
        assert any(expected in line for line in lines), expected
    assert lines[-1].startswith("took ")
    assert "1 steps" in lines[-1]


def test_callbacks_can_be_pickled_for_spawned_processes(tmp_path: Path) -> None:
    trainer = make_trainer(tmp_path, 1, accelerator="cpu", logger=False)
    pickle.loads(pickle.dumps(trainer.callbacks))


class Diverge(Callback):
    """Makes the weights NaN after a step, as an infinite gradient does."""

    def __init__(self, step: int, value: float = float("nan")) -> None:
        self.step, self.value = step, value

    def on_train_batch_end(self, trainer: Trainer, pl_module: LightningModule, *_: object) -> None:
        if trainer.global_step == self.step:
            next(pl_module.parameters()).data.fill_(self.value)


class Overflowing(ForecastTask):
    """Has losses that are not finite after step 1, as steps in float16 may."""

    finite_from = 99

    def training_step(self, batch: ClipBatch) -> torch.Tensor:
        loss = super().training_step(batch)
        return loss * (1 if self.global_step < 1 or self.global_step >= self.finite_from else float("inf"))

    def on_before_optimizer_step(self, *_: object) -> None:
        for parameter in self.parameters():
            if parameter.grad is not None:
                parameter.grad.nan_to_num_(0, 0, 0)


class Recovering(Overflowing):
    finite_from = 5


@pytest.mark.parametrize("step", [1, 5, 10])
@pytest.mark.parametrize("steps_between", [3, 99])
def test_a_training_that_diverges_says_so_and_keeps_the_last_sound_checkpoint(
    tmp_path: Path, step: int, steps_between: int
) -> None:
    rhythm = {"val_check_interval": steps_between, "logger": default_logger(tmp_path)}
    with pytest.raises(ConfigError, match=rf"^The training diverged after step {step} of {STEPS}: .*gradient_clip_val"):
        train(tmp_path, Diverge(step), **rhythm)
    last, kept = tmp_path / "checkpoints/last.ckpt", step // 3 * 3 if steps_between == 3 else 0
    assert last.exists() == bool(kept)
    if kept:
        assert read_checkpoint(last)["global_step"] == kept
        assert train(tmp_path, ckpt_path="last", **rhythm)[1].steps == STEPS


def test_predictions_that_are_not_finite_are_never_the_best(tmp_path: Path) -> None:
    """The weights are finite, and the activations overflow."""
    rhythm = {"val_check_interval": 3, "logger": default_logger(tmp_path)}
    with pytest.raises(ConfigError, match="The training diverged"):
        train(tmp_path, Diverge(3, 3e38), **rhythm)
    assert not list(tmp_path.rglob("*.ckpt"))


@pytest.mark.parametrize("data", [{}, {"val_clips": 0}])
def test_weights_that_no_validation_has_tried_are_tried_before_they_are_saved(
    tmp_path: Path, data: dict[str, Any]
) -> None:
    rate = {"optimizer": partial(torch.optim.AdamW, lr=1e30), "lr_scheduler": partial(ConstantLR, factor=1)}
    with pytest.raises(ConfigError, match="The training diverged after step 1 of 1: "):
        train(tmp_path, steps=1, settings=rate, data=data, val_check_interval=4)
    assert not list(tmp_path.rglob("*.ckpt"))


def test_a_signal_does_not_save_weights_that_are_not_finite(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="The training diverged"):
        train(tmp_path, Diverge(KILLED_AT - 2), Signal(signal.SIGTERM), val_check_interval=99)
    assert not list(tmp_path.rglob("*.ckpt"))


def test_losses_may_overflow_for_a_few_steps_but_not_for_ever(tmp_path: Path) -> None:
    assert train(tmp_path / "few", kind=Recovering)[1].steps == STEPS
    with pytest.raises(ConfigError, match="The training diverged after step 1 of 31"):
        train(tmp_path / "all", kind=Overflowing, steps=31, val_check_interval=99)
