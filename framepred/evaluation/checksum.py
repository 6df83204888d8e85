"""Counts, checks and hashes the clips of an evaluation as they pass."""

import hashlib
from dataclasses import replace
from typing import NamedTuple

import torch
from jaxtyping import Shaped
from torch import Tensor

from framepred.clips import ClipBatch, RawClip, fill_missing
from framepred.errors import DataError
from framepred.evaluation.cards import DataRecord

LEVELS = 255
GRID_TOLERANCE = 1e-4  # of a gray level: float32 keeps k / 255 to about 1e-5 of a level


class Geometry(NamedTuple):
    """The properties that all clips of one evaluation share."""

    context: int
    horizon: int
    size: tuple[int, ...]
    dtype: torch.dtype

    def __str__(self) -> str:
        return f"{self.context} → {self.horizon} frames of {' × '.join(map(str, self.size))} {self.dtype}"


class ClipChecksum:
    """Counts and hashes clips; memory does not grow with their number.

    Attributes:
        clips: number of clips.
        missing: number of missing pixels (NaN) in their targets.
        geometry: what the clips share; None before the first.

    The hash is the SHA-256 of the raw bytes of whole clips in order. A clip of floats whose pixels are all k / 255 is
    hashed as uint8, so that data saved as floats by another program are recognized as the same data.
    """

    def __init__(self) -> None:
        self.clips = 0
        self.missing = 0
        self.geometry: Geometry | None = None
        self._hash = hashlib.sha256()

    def add(self, batch: ClipBatch) -> None:
        """Add the next clips; the context may hold no frames where only the truth is known.

        Raises:
            DataError: if the batch is empty, differs from those before in context, horizon, size or type, or holds
                floats outside [0, 1], or NaN though the batch states no filler for missing pixels.
        """
        geometry = _geometry(batch)
        if self.geometry not in (None, geometry):
            raise DataError(
                f"Clips {self.clips} and on are {geometry} but those before are {self.geometry}; "
                "evaluate clips of one shape at a time."
            )
        clips = batch.clips.cpu()
        _check_range(fill_missing(clips, batch.filler), self.clips)
        self.missing += int(batch.target.isnan().sum()) if batch.filler is not None else 0
        self.geometry = geometry
        self.clips += len(clips)
        for part in [_on_grid(clip) for clip in clips] if clips.is_floating_point() else [clips]:
            self._hash.update(part.flatten().view(torch.uint8).numpy().data)

    def complete(self, data: DataRecord) -> DataRecord:
        """The record with count, geometry and hash of the clips.

        Raises:
            DataError: if there was no clip.
        """
        if self.geometry is None:
            raise DataError(f"{data.name} gave no clip to evaluate; ask for at least one, or check the data's path.")
        channels, height, width = self.geometry.size
        return replace(
            data,
            clips=self.clips,
            context=self.geometry.context or None,
            horizon=self.geometry.horizon,
            size=(channels, height, width),
            sha256=self._hash.hexdigest(),
        )


def _on_grid(clip: Shaped[Tensor, "t c h w"]) -> Shaped[Tensor, "t c h w"]:
    """The clip as uint8 if every pixel is k / 255, else as it is."""
    levels = clip * LEVELS
    rounded = levels.round()
    return rounded.to(torch.uint8) if (levels - rounded).abs().max() < GRID_TOLERANCE else clip.contiguous()


def _geometry(batch: ClipBatch) -> Geometry:
    context, target, _ = batch
    if target.numel() == 0 or len(context) == 0:
        raise DataError(
            f"A batch has context {tuple(context.shape)} and target {tuple(target.shape)}, axes (b, t, c, h, w); "
            "it needs at least one clip and one frame to predict."
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
            "correct it or leave it out."
        )
