"""Shards in the formats of LitData and WebDataset: time to write, to read an epoch, and to resume within it."""

import io
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from rich.console import Console
from rich.table import Table

from framepred.data import BlockShuffledClips, ClipShards, MovingMNIST, write_shards

LENGTH = 20
SHARD_BYTES = 1 << 23
RESUMED_SHARE = 0.9
"""Where in the epoch the resumed run continues."""


def print_shards(clips: int) -> None:
    """Write the same clips in both formats, read them in a random order, and print a table."""
    source = MovingMNIST("train", clips=clips, length=LENGTH, digits="mnist-5k")
    with TemporaryDirectory() as folder:
        root = Path(folder)
        (root / "webdataset").mkdir()
        written = {
            "LitData": seconds(lambda: write_shards(source, root / "litdata", shard_bytes=SHARD_BYTES)),
            "WebDataset": seconds(lambda: _write_tars(source, root / "webdataset")),
        }
        readers: dict[str, Callable[[int], Iterator[object]]] = {
            "LitData": lambda start: _read_shards(root / "litdata", start),
            "WebDataset": lambda start: islice(_read_tars(root / "webdataset"), start, None),
        }
        table = Table("", *readers, title=f"{clips} clips of {LENGTH} frames of 64x64 on a local disk, one process")
        resumed = int(RESUMED_SHARE * clips)
        epochs = {name: seconds(lambda read=read: list(read(0))) for name, read in readers.items()}
        starts = {name: seconds(lambda read=read: next(read(resumed))) for name, read in readers.items()}
        table.add_row("write, clips/s", *(f"{clips / written[name]:.0f}" for name in readers))
        table.add_row("read an epoch in random order, clips/s", *(f"{clips / epochs[name]:.0f}" for name in readers))
        table.add_row(
            f"first clip after {RESUMED_SHARE:.0%} of the epoch, ms", *(f"{1e3 * starts[n]:.0f}" for n in readers)
        )
    Console(width=100).print(table)


def seconds(work: Callable[[], object]) -> float:
    """Return the seconds that a call takes."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def _read_shards(folder: Path, start: int) -> Iterator[object]:
    stream = BlockShuffledClips(ClipShards(folder, LENGTH))
    for index in range(start, len(stream)):
        yield stream.__getitems__([index])


def _write_tars(source: MovingMNIST, folder: Path) -> None:
    import webdataset

    with closing(webdataset.ShardWriter(str(folder / "%04d.tar"), maxsize=SHARD_BYTES, verbose=0)) as writer:
        for index in range(len(source)):
            file = io.BytesIO()
            np.save(file, source[index].numpy())
            writer.write({"__key__": f"{index:08d}", "npy": file.getvalue()})


def _read_tars(folder: Path) -> Iterator[object]:
    import webdataset

    tars = sorted(map(str, folder.glob("*.tar")))
    return iter(webdataset.WebDataset(tars, shardshuffle=len(tars), seed=0).shuffle(1000).decode())
