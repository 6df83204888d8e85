"""framepred train, as users type it: weights, loggers, stops, and one sentence for everything that cannot be used."""

import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import yaml
from lightning.pytorch import LightningModule, Trainer

import framepred as package
from framepred.errors import ConfigError
from framepred.models import EncoderForecaster, TrackingForecaster, load
from framepred.training import run_summary
from framepred.training.config_files import configs
from framepred.training.configuration import open_config

Run = Callable[..., tuple[int, str, str]]
SMOKE = ("--config", "smoke", "--trainer.accelerator=cpu", "--trainer.enable_progress_bar=false",
         "--trainer.max_steps=2", "--trainer.val_check_interval=1", "--trainer.default_root_dir=run")  # fmt: skip

pytestmark = [pytest.mark.filterwarnings("ignore"), pytest.mark.usefixtures("without_report")]  # as the command does


def test_python_trains_resumes_and_takes_nested_settings(tmp_path: Path) -> None:
    settings = {"accelerator": "cpu", "enable_progress_bar": False, "logger": False, "default_root_dir": str(tmp_path)}
    result = package.train("smoke", trainer=settings | {"max_steps": 2, "val_check_interval": 2})
    assert (result.steps, result.folder) == (2, tmp_path)
    longer = package.train("smoke", resume=True, trainer=settings, **{"trainer.max_steps": 3})
    assert (longer.steps, longer.best) == (3, result.best)


def test_weights_bring_their_network_and_any_logger_works(framepred: Run) -> None:
    EncoderForecaster(hidden_channels=[3, 5], kernel_size=3, stride=2, norm=False).save_pretrained("mine")
    code, _, err = framepred("train", *SMOKE, "--weights", "mine", "--trainer.logger=false")
    assert code == 0, err
    trained = load("run/checkpoints/last.ckpt")
    assert trained.state_dict().keys() == load("mine").state_dict().keys()
    assert yaml.safe_load(Path("run/config.yaml").read_text())["model"]["net"]["init_args"]["stride"] == 2
    code, _, err = framepred("train", "--config", "run/config.yaml", "--ckpt_path", "last")
    assert code == 0
    assert err.endswith("To train on, raise --trainer.max_steps.\n")
    assert "was finished: 2 steps" in err


def test_settings_of_the_network_replace_those_of_the_weights(framepred: Run) -> None:
    TrackingForecaster(coarse_channels=8, fine_channels=4, path_features=8).save_pretrained("mine")
    Path("net.yaml").write_text("model: {net: {class_path: framepred.models.TrackingForecaster}}")
    paths = [*SMOKE, "--config", "net.yaml", "--weights=mine", "--model.net.init_args.revealed_share=0.25"]
    code, _, err = framepred("train", *paths)
    assert code == 0, err
    trained = load("run/checkpoints/last.ckpt")
    assert trained.revealed_share == 0.25
    assert trained.state_dict().keys() == load("mine").state_dict().keys()
    code, _, err = framepred("train", *paths, "--model.net.init_args.coarse_channels=16", "--trainer.max_steps=4")
    assert (code, err.count("\n")) == (2, 1)
    assert "The weights mine do not fit the settings of model.net that were given" in err


def test_a_restorer_does_not_train_in_the_config_of_a_forecaster(framepred: Run) -> None:
    code, _, err = framepred("train", *SMOKE, "--weights", "moving-mnist-restore")
    assert (code, err.count("\n")) == (2, 1)
    assert "restores missing frames, so model.teacher_forcing has no meaning" in err


@pytest.mark.slow
@pytest.mark.parametrize("precision", ["bf16-true", "64-true"])
def test_every_precision_trains(framepred: Run, precision: str) -> None:
    code, _, err = framepred("train", *SMOKE, f"--trainer.precision={precision}")
    assert code == 0, err


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_ends_with_a_sentence_and_a_checkpoint(
    framepred: Run, monkeypatch: pytest.MonkeyPatch, number: int, code: int
) -> None:
    def send(_: object, trainer: Trainer, module: LightningModule) -> None:
        os.kill(os.getpid(), number)

    monkeypatch.setattr(run_summary.RunSummary, "on_train_start", send)
    monkeypatch.setattr(run_summary.RunSummary, "on_train_end", lambda *_: None)
    exit_code, _, err = framepred("train", *SMOKE)
    assert exit_code == code
    assert err.splitlines()[-1] == (
        f"Training stopped by {signal.Signals(number).name} after step 0 of 2. Resume it with --ckpt_path last."
    )
    assert torch.load("run/checkpoints/last.ckpt", weights_only=True)["global_step"] == 0


@pytest.mark.parametrize(
    ("extra", "expected"),
    [
        (["--seed_everything=-1"], "The seed must be 0 or more, not -1"),
        (["--seed_everything=true"], "not True; give seed_everything a whole number"),
        (["--seed_everything=false"], "not False; give seed_everything a whole number"),
        (["--model.optimizer.init_args.lr=-1"], "The optimizer or its scheduler cannot be made: Invalid learning rate"),
        (["--trainer.devices=99", "--trainer.strategy=nosuch"], "nosuch"),
        (["--model.optimizer.init_args.lr=nan"], 'Parser key "lr": Expected a finite number.'),
        (["--model.loss.init_args.reduction=none"], "a loss must be one number; set its reduction to mean or sum."),
        (["--model.shortest_context=99"], "shortest_context must be at most the context of the data"),
        (
            ["--model.burn_in=9", "--data.init_args.context=1"],
            "burn_in plays the first half of a context of at least 2",
        ),
        (["--trainer.max_steps=0"], "at least 1, not 0"),
        (["--trainer.callbacks+=EarlyStopping", "--trainer.callbacks.monitor=nosuch"], "nosuch"),
        (["--model.net.init_args.nosuch=1"], "nosuch"),
        (["--weights", "nosuch"], "There are no weights 'nosuch'"),
        (["--weights="], "The name of the weights is empty"),
        (["--weights", ""], "The name of the weights is empty"),
        (["--ckpt_path="], "The path of the checkpoint is empty; give a .ckpt, or 'last'"),
        (["--trainer.default_root_dir="], "The path of the output is empty; name a file or a folder."),
        (["--data.init_args.root="], "root is empty; set it, or leave it out."),
        (["--ckpt_path", "last"], "There is no checkpoint run/checkpoints/last.ckpt to resume from"),
        (["--trainer.logger=WandbLogger"], "wandb"),
        (["--trainer.devices=999"], "asks for 999 processes"),
        (["--data.init_args.batch_size=100000000"], "batch_size"),
        (["--data.init_args.batch_size=1000000", "--data.init_args.frame_size=[4000, 4000]"], "GB of memory but"),
        (["--data.init_args.num_workers=100000"], "num_workers"),
        (["--data.init_args.num_workers=-1"], "num_workers must be 0 or more"),
        (["--data.init_args.frame_size=[99999, 99999]"], "memory"),
        (["--trainer.accumulate_grad_batches=0"], "accumulate_grad_batches must be more than 0"),
        (["--trainer.val_check_interval=0"], "val_check_interval must be more than 0"),
        (["--config", "video.mp4"], "video.mp4"),
        (["--config", "latin.yaml"], "YAML"),
        (["--config", "deep.yaml"], "nesting"),
    ],
)
def test_wrong_arguments_are_one_sentence_and_leave_no_folder(framepred: Run, extra: list[str], expected: str) -> None:
    Path("video.mp4").write_bytes(bytes(range(256)) * 8)
    Path("latin.yaml").write_bytes("model: é".encode("latin-1"))
    Path("deep.yaml").write_text("[" * 5000)
    code, out, err = framepred("train", *SMOKE, *extra)
    last = err.splitlines()[-1]
    assert (code, out) == (2, ""), err
    assert expected in last
    assert "Traceback" not in err
    assert not Path("run").exists()


def test_the_scheduler_is_named_when_its_argument_is_wrong(framepred: Run) -> None:
    scheduler = ["--model.lr_scheduler=torch.optim.lr_scheduler.StepLR", "--model.lr_scheduler.init_args.step_size=0"]
    code, _, err = framepred("train", *SMOKE, *scheduler)
    assert code == 2
    assert err.endswith("correct the arguments of model.lr_scheduler.\n")


def test_no_folder_is_the_default_folder() -> None:
    run = open_config([f"--config={configs()['smoke']}", "--trainer.default_root_dir=null"])
    assert run.trainer.default_root_dir == run.config.trainer.default_root_dir == "runs/unnamed"


def test_settings_of_one_run_do_not_reach_the_next() -> None:
    smoke = f"--config={configs()['smoke']}"
    alone = open_config([smoke]).config
    changed = ["--trainer.accumulate_grad_batches=2", "--data.init_args.context=5", "--model.net=FrameStack"]
    assert open_config([smoke, *changed]).config.trainer.accumulate_grad_batches == 2
    with pytest.raises(ConfigError, match="nosuch"):
        open_config([smoke, *changed, "--model.net.init_args.nosuch=1"])
    assert open_config([smoke]).config == alone


PROCESS = {"class_path": "subprocess.Popen", "init_args": {"args": "touch executed", "shell": True}}
EXECUTES = {"class_path": "os.system", "init_args": {"command": "touch executed"}}


@pytest.mark.parametrize(
    "place",
    ["model.net", "model.net.init_args.cell", "model.loss", "model.optimizer", "model.lr_scheduler", "data",
     "trainer.callbacks", "trainer.logger", "trainer.profiler", "trainer.strategy", "trainer.plugins"],
)  # fmt: skip
def test_a_config_does_not_run_what_it_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str) -> None:
    check_that_nothing_runs(tmp_path, monkeypatch, place, EXECUTES)


@pytest.mark.parametrize("place", ["model.net", "model.loss", "trainer.callbacks"])
@pytest.mark.parametrize("named", ["os.system", PROCESS])
def test_a_config_runs_neither_a_bare_name_nor_a_class(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str, named: object
) -> None:
    check_that_nothing_runs(tmp_path, monkeypatch, place, named)


def check_that_nothing_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str, named: object) -> None:
    """Put what is named at a place of the config ``smoke``, and check that it is refused and not run."""
    monkeypatch.chdir(tmp_path)
    config = yaml.safe_load(configs()["smoke"].read_text())
    *parents, last = place.split(".")
    part = config
    for parent in parents:
        part = part[parent]
    part[last] = [named] if place in ("trainer.callbacks", "trainer.plugins") else named
    Path("hostile.yaml").write_text(yaml.safe_dump(config))
    with pytest.raises(ConfigError):
        open_config(["--config=hostile.yaml"])
    assert not Path("executed").exists()
