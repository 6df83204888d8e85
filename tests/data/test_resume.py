"""A killed run goes on with the clips it would have seen."""

import hashlib
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import ModelCheckpoint

from framepred.clips import ClipBatch
from framepred.data import MovingMNISTData

pytestmark = [
    pytest.mark.filterwarnings("ignore:.*does not have many workers"),
    pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:.*exists and is not empty"),
]
BATCHES, EPOCHS = 5, 3


class PowerCutError(Exception):
    """What kills a run."""


class Witness(LightningModule):
    """Notes the hash of the clips of every batch; dies before batch ``dies_at``, counted from 0 over all epochs."""

    def __init__(self, dies_at: int | None = None) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(()))
        self.dies_at = dies_at
        self.seen: list[str] = []

    def training_step(self, batch: ClipBatch, batch_idx: int) -> torch.Tensor:
        if len(self.seen) == self.dies_at:
            raise PowerCutError
        self.seen.append(hashlib.sha256(batch.clips.numpy().tobytes()).hexdigest())
        return self.weight * batch.context.float().mean()

    def validation_step(self, batch: ClipBatch, batch_idx: int) -> None:
        """Validation in the middle of an epoch must not move the stream."""

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=0.1)


def fit(
    folder: Path,
    witness: Witness,
    *,
    workers: int = 0,
    resume: bool = False,
    every: int | None = 1,
    **trainer: Any,
) -> list[str]:
    data = MovingMNISTData(
        context=1,
        horizon=1,
        batch_size=2,
        clips_per_epoch=2 * BATCHES,
        val_clips=2,
        digits="mnist-5k",
        num_workers=workers,
    )
    saving = ModelCheckpoint(folder, filename="last", every_n_train_steps=every, enable_version_counter=False)
    Trainer(
        default_root_dir=folder,
        accelerator="cpu",
        callbacks=[saving],
        logger=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        use_distributed_sampler=False,
        **{"max_epochs": EPOCHS, "num_sanity_val_steps": 1, **trainer},
    ).fit(witness, data, ckpt_path=folder / "last.ckpt" if resume else None, weights_only=True)
    return witness.seen


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """What an uninterrupted run sees."""
    return fit(tmp_path_factory.mktemp("whole"), Witness())


def test_no_clip_comes_twice(whole: list[str]) -> None:
    assert len(whole) == len(set(whole)) == BATCHES * EPOCHS


@pytest.mark.parametrize(
    "trainer",
    [{}, {"max_steps": 13}, {"val_check_interval": 2}, {"limit_val_batches": 0}],
    ids=["epochs", "steps", "val-within-epoch", "no-val"],
)
@pytest.mark.parametrize("dies_at", [2, 5, 11])
def test_a_killed_run_sees_what_it_would_have_seen(
    tmp_path: Path, whole: list[str], dies_at: int, trainer: dict[str, Any]
) -> None:
    dying = Witness(dies_at)
    with pytest.raises(PowerCutError):
        fit(tmp_path, dying, **trainer)
    rest = fit(tmp_path, Witness(), resume=True, **trainer)
    assert dying.seen + rest == whole[: trainer.get("max_steps")]


@pytest.mark.parametrize("dies_at", [7])
def test_workers_that_read_ahead_change_nothing(tmp_path: Path, whole: list[str], dies_at: int) -> None:
    dying = Witness(dies_at)
    with pytest.raises(PowerCutError):
        fit(tmp_path, dying, workers=2)
    assert dying.seen + fit(tmp_path, Witness(), workers=2, resume=True) == whole


@pytest.mark.parametrize(("dies_at", "kept"), [(5, 4), (9, 7)])
def test_batches_since_the_checkpoint_are_seen_again(tmp_path: Path, whole: list[str], dies_at: int, kept: int) -> None:
    """With gradients summed over two batches an epoch of five takes three steps; each one is saved."""
    dying = Witness(dies_at)
    with pytest.raises(PowerCutError):
        fit(tmp_path, dying, accumulate_grad_batches=2)
    rest = fit(tmp_path, Witness(), accumulate_grad_batches=2, resume=True)
    assert dying.seen == whole[:dies_at]
    assert rest == whole[len(whole) - len(rest) :]


def test_a_run_goes_on_from_the_end_of_an_epoch(tmp_path: Path, whole: list[str]) -> None:
    dying = Witness(8)
    with pytest.raises(PowerCutError):
        fit(tmp_path, dying, every=None)
    assert whole[:BATCHES] + fit(tmp_path, Witness(), resume=True, every=None) == whole


def test_a_finished_run_can_be_made_longer(tmp_path: Path, whole: list[str]) -> None:
    short = fit(tmp_path, Witness(), max_epochs=1)
    assert short + fit(tmp_path, Witness(), resume=True) == whole


def test_shortened_epochs_leave_no_gap(tmp_path: Path, whole: list[str]) -> None:
    assert fit(tmp_path, Witness(), limit_train_batches=3) == whole[:9]


@pytest.mark.parametrize("workers", [0, 1])
@pytest.mark.parametrize(("overfit", "count"), [(1, 1), (3, 3), (9, BATCHES), (1.0, BATCHES)])
def test_overfitting_repeats_the_first_batches(
    tmp_path: Path, whole: list[str], overfit: float, count: int, workers: int
) -> None:
    """Also after a kill in the middle of such an epoch."""
    endless = {"overfit_batches": overfit, "max_epochs": -1, "max_steps": 12, "workers": workers}
    dying = Witness(7)
    with pytest.raises(PowerCutError):
        fit(tmp_path, dying, **endless)
    assert dying.seen + fit(tmp_path, Witness(), resume=True, **endless) == (whole[:count] * 12)[:12]
