"""Several processes share the clips, and a run resumes with another number of them at the very clip.

Ranks are simulated: a stand-in for the trainer gives rank, world and the number of batches.
"""

from types import SimpleNamespace
from typing import Any

import pytest
import torch

from framepred.data import MovingMNISTData
from framepred.errors import DataError

CLIPS_PER_EPOCH = 24


def on_rank(rank: int, world: int, batches: int = 0, **arguments: Any) -> MovingMNISTData:
    """The data module on a rank, after ``batches`` batches of training."""
    sizes = {"context": 1, "horizon": 1, "batch_size": 2, "clips_per_epoch": CLIPS_PER_EPOCH, "val_clips": 5}
    data = MovingMNISTData(**{"digits": "mnist-5k", **sizes, **arguments})
    progress = SimpleNamespace(total=SimpleNamespace(processed=batches))
    loop = SimpleNamespace(epoch_loop=SimpleNamespace(batch_progress=progress))
    on_cpu = SimpleNamespace(root_device=torch.device("cpu"))
    data.trainer = SimpleNamespace(  # type: ignore[assignment]
        global_rank=rank, world_size=world, fit_loop=loop, strategy=on_cpu, overfit_batches=0
    )
    return data


def indices(data: MovingMNISTData, batches: int) -> list[int]:
    """The clips of a rank's next batches."""
    drawn = list(data.train_dataloader().batch_sampler)[:batches]
    return [index for batch in drawn for index in batch]


def train(world: int, batches: int, state: dict[str, Any] | None, **arguments: Any) -> tuple[list[int], dict[str, Any]]:
    """Train on all ranks; return the clips, and the state that rank 0 saves."""
    before = state["batches"] if state else 0
    clips: list[int] = []
    for rank in range(world):
        data = on_rank(rank, world, before, **arguments)
        if state:
            data.load_state_dict(state)
        clips += indices(data, batches)
    saving = on_rank(0, world, before + batches, **arguments)
    if state:
        saving.load_state_dict(state)
    return clips, saving.state_dict()


@pytest.mark.parametrize("worlds", [(1, 2), (2, 1), (2, 3, 1), (3, 2, 4)])
def test_no_clip_is_trained_twice_or_skipped_when_the_number_of_processes_changes(worlds: tuple[int, ...]) -> None:
    clips: list[int] = []
    state = None
    for world, batches in zip(worlds, (3, 2, 1), strict=False):
        trained, state = train(world, batches, state)
        clips += trained
    assert sorted(clips) == list(range(len(clips)))
    assert state is not None
    assert state["clips"] == len(clips)


def test_the_batch_size_may_change() -> None:
    first, state = train(2, 3, None)
    second, _ = train(1, 2, state, batch_size=5)
    assert sorted(first + second) == list(range(3 * 4 + 2 * 5))


def test_the_clips_of_a_step_are_those_of_one_process_with_a_larger_batch() -> None:
    together, _ = train(2, 3, None)
    alone, _ = train(1, 3, None, batch_size=4)
    assert sorted(together) == alone


@pytest.mark.parametrize("clips", [1, 2, 5, 13])
@pytest.mark.parametrize("world", [1, 2, 3])
def test_validation_clips_are_counted_once(clips: int, world: int) -> None:
    expected = on_rank(0, 1).dataset("val").render(range(clips))
    shares = [
        torch.cat([batch.clips for batch in on_rank(rank, world, val_clips=clips).val_dataloader()])
        for rank in range(world)
    ]
    assert [len(share) for share in shares] == [len(range(rank, clips, world)) for rank in range(world)]
    for rank, share in enumerate(shares):
        assert torch.equal(share, expected[rank::world])


def test_without_validation_clips_there_is_no_loader() -> None:
    data = on_rank(0, 2, val_clips=0)
    data.setup("fit")
    assert data.val_dataloader() == []
    assert "val" not in data.describe()


@pytest.mark.parametrize("state", [{}, {"clips": -1, "batches": 2}, {"clips": "many", "batches": 2}])
def test_a_state_of_another_kind_is_refused(state: dict[str, Any]) -> None:
    with pytest.raises(DataError, match="resume from another one"):
        on_rank(0, 1).load_state_dict(state)
