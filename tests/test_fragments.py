"""Fragments change the devices of any config, and nothing else."""

from pathlib import Path

import pytest

from framepred.cli.train import resolve_configs
from framepred.training.config_files import find_config, fragments
from framepred.training.configuration import TrainCLI, open_config

PROCESSES = {"one_gpu": 1, "eight_gpus": 8, "two_nodes": 16, "slurm": 16, "fsdp": 8}
DOCUMENTATION = Path(__file__).parents[1] / "docs/scaling.md"


@pytest.mark.parametrize("name", fragments())
def test_a_fragment_is_parsed(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Building the trainer would need the GPUs, so it is left out."""
    monkeypatch.setattr(TrainCLI, "instantiate_classes", lambda self: None)
    config, alone = (
        open_config(resolve_configs(arguments)).config
        for arguments in (["--config", "smoke", "--config", name], ["--config=smoke"])
    )
    assert config.trainer.devices * config.trainer.num_nodes == PROCESSES[name]
    assert config.trainer.accelerator == "gpu"
    assert (config.model, config.data) == (alone.model, alone.data)
    assert config.trainer.max_steps == alone.trainer.max_steps


@pytest.mark.parametrize("name", ["eight_gpus", "two_nodes"])
def test_a_fragment_starts_its_processes(name: str, tmp_path: Path) -> None:
    """The same numbers of processes and machines on CPUs."""
    on_cpus = ["--trainer.accelerator=cpu", "--trainer.precision=32-true", f"--trainer.default_root_dir={tmp_path}"]
    trainer = open_config(resolve_configs(["--config=smoke", f"--config={name}", *on_cpus])).trainer
    assert trainer.world_size == PROCESSES[name]


def test_fsdp_does_not_clip_gradients(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lightning raises an error if it clips by norm under FSDP."""
    monkeypatch.setattr(TrainCLI, "instantiate_classes", lambda self: None)
    assert open_config(resolve_configs(["--config=smoke", "--config=fsdp"])).config.trainer.gradient_clip_val is None


def test_every_fragment_is_documented() -> None:
    text = DOCUMENTATION.read_text()
    assert all(f"--config {name}" in text for name in fragments())
    assert set(PROCESSES) == set(fragments())
    assert all(find_config(name).parent.name == "fragments" for name in PROCESSES)
