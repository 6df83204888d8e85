"""What an evaluation saw: clips counted, compared and hashed as they pass."""

import hashlib
from dataclasses import replace
from typing import NamedTuple

import torch

from framepred.clips import ClipBatch, RawClip
from framepred.errors import DataError
from framepred.evaluation.cards import DataRecord


class Geometry(NamedTuple):
    """What all clips of one evaluation share."""

    context: int
    horizon: int
    size: tuple[int, ...]
    dtype: torch.dtype

    def __str__(self) -> str:
        return f"{self.context} → {self.horizon} frames of {' × '.join(map(str, self.size))} {self.dtype}"


class ClipLedger:
    """Counts and hashes clips; memory does not grow with them."""

    def __init__(self) -> None:
        self.clips = 0
        self.geometry: Geometry | None = None
        self._hash = hashlib.sha256()

    def add(self, batch: ClipBatch) -> None:
        """Take in the next clips.

        Raises:
            DataError: if the batch is empty, differs from those before in context, horizon, size or type, or holds
                floats that are NaN or outside [0, 1].
        """
        geometry = _geometry(batch)
        if self.geometry not in (None, geometry):
            raise DataError(
                f"Clips {self.clips} and on are {geometry} but those before are {self.geometry}; "
                "evaluate clips of one shape at a time."
            )
        _check_range(batch.clips, self.clips)
        self.geometry = geometry
        self.clips += len(batch.context)
        self._hash.update(batch.clips.cpu().flatten().view(torch.uint8).numpy().data)

    def complete(self, data: DataRecord) -> DataRecord:
        """The record with count, geometry and hash of what was seen.

        Raises:
            DataError: if no clip was seen.
        """
        if self.geometry is None:
            raise DataError(f"{data.name} gave no clip to evaluate; ask for at least one, or check the data's path.")
        channels, height, width = self.geometry.size
        return replace(
            data,
            clips=self.clips,
            context=self.geometry.context,
            horizon=self.geometry.horizon,
            size=(channels, height, width),
            sha256=self._hash.hexdigest(),
        )


def _geometry(batch: ClipBatch) -> Geometry:
    context, target = batch
    if context.numel() == 0 or target.numel() == 0:
        raise DataError(
            f"A batch has context {tuple(context.shape)} and target {tuple(target.shape)}, axes (b, t, c, h, w); "
            "each needs at least one clip and one frame."
        )
    if (len(context), context.shape[2:], context.dtype) != (len(target), target.shape[2:], target.dtype):
        raise DataError(
            f"Context {tuple(context.shape)} {context.dtype} and target {tuple(target.shape)} {target.dtype} "
            "are not parts of the same clips, axes (b, t, c, h, w); cut both from whole clips."
        )
    return Geometry(context.shape[1], target.shape[1], tuple(context.shape[2:]), context.dtype)


def _check_range(clips: RawClip, first: int) -> None:
    if not clips.is_floating_point():
        return
    fine = ((clips >= 0) & (clips <= 1)).flatten(1).all(dim=1)  # (b,); NaN compares as false
    if not fine.all():
        raise DataError(
            f"Clip {first + int(fine.int().argmin())} (the first is 0) holds pixels that are NaN or outside [0, 1]; "
            "mend it or leave it out."
        )
