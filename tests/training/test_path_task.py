from pathlib import Path

import pytest
import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from torch import nn

from framepred.data import MovingMNIST, MovingMNISTPathData, MovingMNISTPaths
from framepred.errors import ConfigError
from framepred.models import EncoderForecaster
from framepred.training import PathNoise, PathTask, fit, make_trainer
from framepred.training.path_task import simulate
from small_networks import tracking

SIZES = [(64, 64), (48, 80)]
EXACT = PathNoise(0, 0, 0, 0, 0, 0, 0)


def paths() -> MovingMNISTPaths:
    variants = [
        MovingMNIST("train", length=20, frame_size=size, digits_per_clip=1, digits="mnist-5k") for size in SIZES
    ]
    return MovingMNISTPaths(variants)


def make_task() -> PathTask:
    torch.manual_seed(0)
    return PathTask(tracking(), budget=4, loss=nn.NLLLoss())


def test_paths_are_those_of_the_clips() -> None:
    batch = paths().__getitems__([4, 5])
    for index, size in enumerate(SIZES):
        data = MovingMNIST("train", length=20, frame_size=size, digits_per_clip=1, digits="mnist-5k")
        clip = data.render([4 + index])[0, :, 0]
        assert batch.sizes[index].tolist() == [size[1], size[0]]
        for frame, (right, down) in zip(clip, batch.corners[index].tolist(), strict=True):
            assert torch.equal(frame[down : down + 28, right : right + 28], batch.images[index])


def test_without_noise_the_simulated_tracker_is_exact() -> None:
    batch = paths().__getitems__(range(8))
    inputs = simulate(batch, 10, EXACT, torch.Generator())
    corners = batch.corners.float()
    assert torch.equal(inputs.positions[:, 0], corners[:, :10] - corners[:, 9:10])
    assert torch.equal(inputs.displacements.mT, corners[:, 10:] - corners[:, 9:10])
    assert inputs.observed.all()
    sizes = batch.sizes.float()
    torch.testing.assert_close(inputs.distances[:, 0, :, :2].sum(dim=-1), sizes)
    lit = sizes - inputs.distances[:, 0, :, 2] - inputs.distances[:, 0, :, 3]
    assert ((lit > 0) & (lit <= 28)).all()
    centre = inputs.distances[:, 0, :, 0] - corners[:, 9]
    assert (centre.floor() == 14).all()  # MNIST's digits are centred by their light


def test_noise_depends_on_the_generator_only_and_has_the_configured_rate() -> None:
    batch = paths().__getitems__(range(400))
    noise = PathNoise(centre_px=0.5, misplaced_share=0.1, short_share=0.5)
    first, again = (simulate(batch, 10, noise, torch.Generator().manual_seed(3)) for _ in range(2))
    assert all(torch.equal(one, other) for one, other in zip(first, again, strict=True))
    assert (~first.observed).any(dim=-1).float().mean() == pytest.approx(0.5, abs=0.1)
    assert first.observed[..., -1].all()
    exact = simulate(batch, 10, EXACT, torch.Generator())
    assert (first.positions - exact.positions).abs().max() <= 2
    assert (first.distances - exact.distances)[..., 0].std() == pytest.approx(0.5, rel=0.2)


class Kill(Callback):
    """Ends training between two steps, after the checkpoint of step 2."""

    def on_train_batch_end(self, trainer: Trainer, pl_module: LightningModule, *_: object) -> None:
        if trainer.global_step == 3:
            raise RuntimeError("killed")


def run(folder: Path, *extra: Callback, ckpt_path: str | None = None) -> dict[str, torch.Tensor]:
    task = make_task()
    data = MovingMNISTPathData(path_frame_sizes=SIZES, batch_size=2, clips_per_epoch=4, val_clips=1, digits="mnist-5k")
    trainer = make_trainer(folder, 4, 2, accelerator="cpu", enable_progress_bar=False, log_every_n_steps=1)
    trainer.callbacks += extra
    fit(trainer, task, data, ckpt_path)
    assert set(task.metrics) <= set(trainer.callback_metrics)
    return {name: value.clone() for name, value in task.net.state_dict().items()}


@pytest.mark.usefixtures("without_report")
def test_only_the_path_network_learns_and_a_killed_run_resumes_bit_for_bit(tmp_path: Path) -> None:
    before = make_task().net.state_dict()
    unbroken = run(tmp_path / "unbroken")
    changed = {name for name, value in before.items() if not torch.equal(value, unbroken[name])}
    assert changed
    assert all(name.startswith("path.") for name in changed)
    with pytest.raises(RuntimeError, match="killed"):
        run(tmp_path / "killed", Kill())
    resumed = run(tmp_path / "killed", ckpt_path="last")
    for name, value in unbroken.items():
        assert torch.equal(value, resumed[name]), name


def test_other_networks_have_no_paths() -> None:
    with pytest.raises(ConfigError, match="has no path network"):
        PathTask(EncoderForecaster(), budget=1, loss=nn.NLLLoss())


@pytest.mark.parametrize(
    "wrong", [{"centre_px": -1}, {"outlier_share": 1.5}, {"jittered_share": 2}, {"short_share": -0.1}]
)
def test_noise_is_checked(wrong: dict[str, float]) -> None:
    with pytest.raises(ConfigError, match="PathNoise needs"):
        PathNoise(**wrong)
