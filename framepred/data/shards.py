"""Clips in shards: large files that a data set beyond one disk is divided into, on a disk or in cloud storage.

Shards have the format of LitData. It reads any clip by its index and downloads only the shards that are asked for. The
position in the training stream therefore determines the next clip, as with every other data set, and a run resumes in
the middle of an epoch without reading what it has trained already. docs/scaling.md compares it with WebDataset.
"""

import json
from collections.abc import Sequence
from functools import lru_cache
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Shaped
from torch import Tensor
from typing_extensions import override

from framepred.clips import missing_pixels
from framepred.data.clip_dataset import ClipDataset, ShuffledClips, check_counts
from framepred.errors import ConfigError, DataError, reason_of
from framepred.media.atomic import atomic_write
from framepred.media.ranges import ValueRange

INDEX = "index.json"
"""File that lists the shards of a folder."""

RANGE = "value_range"
"""Entry of the index: the values of files that became 0 and 1 in the clips."""

SHARD_BYTES = 1 << 26
"""Default size of a shard: 64 MiB, 800 clips of 20 gray frames of 64x64 pixels."""

CACHE = "50GB"
"""Default bound of the disk space for downloaded shards."""

BLOCK = 256
"""Default number of consecutive clips that stay together in the random order, fewer than a shard holds."""

WINDOW_BLOCKS = 8
"""Number of blocks whose clips are mixed: about as many shards are read at the same time."""


def write_shards(clips: ClipDataset, folder: str | Path, *, shard_bytes: int = SHARD_BYTES) -> None:
    """Write the clips of a data set to shards, whole or not at all; their index keeps its range of values.

    Args:
        clips: a data set of clips ``(t, c, h, w)``.
        folder: a folder that does not exist or is empty; copy it to cloud storage afterwards if need be.
        shard_bytes: size of a shard; at least one clip is in each.

    Raises:
        ConfigError: if LitData is not installed, or the folder holds anything.
        DataError: if a clip holds NaN and the range of values does not say what NaN is read as.
        MediaError: if the folder cannot be written.
    """
    _litdata()
    from litdata.streaming.writer import BinaryWriter

    folder = Path(folder)
    if folder.exists() and any(folder.iterdir()):
        raise ConfigError(f"{folder} is not empty; choose a new folder for the shards.")
    with atomic_write(folder) as draft:
        draft.mkdir()
        writer = BinaryWriter(str(draft), chunk_bytes=shard_bytes)
        for index in range(len(clips)):
            writer[index] = {"clip": _checked(clips[index], index, clips.value_range).numpy()}
        writer.done()
        writer.merge()
        _note_range(draft / INDEX, clips.value_range)


def _checked(clip: Shaped[Tensor, "t c h w"], index: int, value_range: ValueRange | None) -> Shaped[Tensor, "t c h w"]:
    if missing_pixels(clip) is not None and (value_range is None or value_range.filler is None):
        raise DataError(
            f"Clip {index} (the first is 0) holds NaN, and nothing says what networks read for it; state it in the "
            "value_range of the data set, such as -32,60,nan=-32, or replace NaN."
        )
    return clip


def _note_range(index: Path, value_range: ValueRange | None) -> None:
    if value_range is not None:
        index.write_text(json.dumps(json.loads(index.read_text()) | {RANGE: value_range.to_json()}))


class ClipShards(ClipDataset):
    """Clips ``(t, c, h, w)`` of shards that :func:`write_shards` wrote; in every process all of them.

    Args:
        address: a folder, or an address such as ``s3://bucket/train`` or ``gs://bucket/train``.
        length: frames per clip; longer clips are cut after this many.
        cache: disk space for downloaded shards, such as ``50GB``; the shards used least recently are removed.

    Attributes:
        index_sha256: hash of the index of the shards, which holds their sizes and the time when they were written.
        value_range: see :class:`framepred.data.ClipDataset`; None where the index keeps none.

    Raises:
        DataError: if there are no shards.
        ConfigError: if LitData is not installed.
    """

    def __init__(self, address: str | Path, length: int = 20, *, cache: str = CACHE) -> None:
        check_counts(length=length)
        self.address, self.length = str(address), length
        if "://" not in self.address and not (Path(self.address) / INDEX).is_file():
            raise DataError(f"{address} holds no shards; write them with framepred.data.write_shards.")
        try:
            # By default all clips of a shard are decoded whenever a clip of another shard was read in between.
            self._shards = _litdata().StreamingDataset(self.address, max_cache_size=cache, batch_decode=False)
            copied = Path(self._shards.input_dir.path)  # the folder that an address is copied to
            index = (copied / INDEX).read_bytes()
            self.index_sha256 = sha256(index).hexdigest()
            noted = json.loads(index).get(RANGE)
            self.value_range = None if noted is None else ValueRange.from_json(noted)
            # Its own length is that of the share of this process; the data module divides the clips by their index.
            self._count: int = sum(end - start for start, end in self._shards.region_of_interest)
        except (OSError, ValueError, RuntimeError) as error:
            raise DataError(
                f"The shards of {address} cannot be opened ({reason_of(error)}); check the address."
            ) from error

    def __len__(self) -> int:
        return self._count

    def __getitems__(self, indices: Sequence[int]) -> list[Tensor]:
        """Return the clips at these indices, each 0 or more.

        Raises:
            DataError: if a shard is damaged or missing, or a clip is too short.
        """
        return [self._clip(int(index)) for index in indices]

    def _clip(self, index: int) -> Shaped[Tensor, "t c h w"]:
        try:
            clip = self._shards[index]["clip"]
        except (OSError, ValueError, RuntimeError, KeyError, IndexError, TypeError) as error:
            raise DataError(
                f"Clip {index} of {self.address} cannot be read ({reason_of(error)}); copy its shard again."
            ) from error
        if not isinstance(clip, np.ndarray) or clip.ndim != 4 or len(clip) < self.length:
            raise DataError(
                f"Clip {index} of {self.address} has the shape {tuple(getattr(clip, 'shape', ()))} but "
                f"{self.length} frames (t, c, h, w) are needed; lower context or horizon, or write longer clips."
            )
        return torch.from_numpy(clip[: self.length].copy())


class BlockShuffledClips(ShuffledClips):
    """Infinite training stream in a random order that reads few shards at the same time.

    Each epoch contains every clip once. Blocks of consecutive clips come in random order, and clips are mixed within
    ``WINDOW_BLOCKS`` blocks. Clip ``i`` of the stream depends only on (seed, i), so a resumed run gets the same clips.

    Args:
        clips: the data set, with at least one clip.
        seed: seed of the random orders, 0 or more.
        block: consecutive clips that stay together.

    Raises:
        ConfigError: if ``seed`` is negative or ``block`` is less than 1.
    """

    def __init__(self, clips: ClipDataset, seed: int = 0, block: int = BLOCK) -> None:
        check_counts(block=block)
        super().__init__(clips, seed)
        self.block = block

    @override
    def order(self, epoch: int) -> np.ndarray:
        return _block_order(len(self.clips), self.block, self.seed, epoch)


@lru_cache(maxsize=2)
def _block_order(count: int, block: int, seed: int, epoch: int) -> np.ndarray:
    """Return the indices of an epoch: blocks in random order, mixed within windows of several blocks."""
    random = np.random.default_rng([seed, epoch])
    starts = random.permutation(np.arange(0, count, block))
    order = np.concatenate([np.arange(start, min(start + block, count)) for start in starts])
    window = block * WINDOW_BLOCKS
    return np.concatenate([random.permutation(order[start : start + window]) for start in range(0, count, window)])


def _litdata() -> Any:
    try:
        import litdata
    except ImportError as error:
        raise ConfigError(
            "Shards need LitData, which is not installed; install it by pip install 'framepred[shards]'."
        ) from error
    return litdata
