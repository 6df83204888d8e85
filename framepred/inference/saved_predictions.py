"""Open the saved predictions of another program with the clips that they predict."""

from pathlib import Path
from typing import NamedTuple

import torch

from framepred.errors import ConfigError, DataError
from framepred.evaluation import DataRecord, SavedPredictions, WeightsRecord
from framepred.inference.evaluation_data import ClipChoice, EvaluationData, first_clips_note
from framepred.inference.saved_clips import ClipSource, SavedBatches, SavedClips
from framepred.media.ranges import ValueRange, as_choice
from framepred.media.values import WHITE_16_BITS, suggested_range


class SavedRun(NamedTuple):
    """Saved predictions, what the card says of them, and the clips that they predict."""

    predictions: SavedPredictions
    record: WeightsRecord
    data: EvaluationData


def open_saved(
    predictions: ClipSource | None, truth: ClipSource | None, context_frames: ClipSource | None, choice: ClipChoice
) -> SavedRun:
    """Open another program's predictions with the true clips.

    A range of values that is stated holds for predictions, truth and context alike.

    Raises:
        ConfigError: if predictions come without truth or the other way round, or the range is not two numbers.
        DataError: if predictions, truth and context hold different numbers of clips or of frames.
    """
    if predictions is None or truth is None:
        raise ConfigError("Saved predictions are scored against the true frames; give both predictions and truth.")
    stated = as_choice(choice.value_range)
    if stated == "auto":
        raise ConfigError("The range of saved predictions is two numbers, low,high, for all files alike, not auto.")
    known = stated if isinstance(stated, ValueRange) else None
    predicted, true = (SavedClips(source, choice.layout, known) for source in (predictions, truth))
    before = None if context_frames is None else SavedClips(context_frames, choice.layout, known)
    for name, other in (("truth", true), ("context", before)):
        if other is not None and len(other) != len(predicted):
            raise DataError(
                f"There are predictions for {len(predicted)} clips but {name} for {len(other)}; save all from the "
                "same clips in the same order."
            )
    if predicted.frames != true.frames:
        raise DataError(
            f"Predictions have {predicted.frames} frames per clip but the truth has {true.frames}; save both from the "
            "first predicted frame on."
        )
    count = min(len(true), choice.clips)
    batches = SavedBatches(true, before, count, choice.batch_size)
    record = DataRecord(_stem(truth, "truth"), value_range=None if known is None else known.limits)
    notes = [*first_clips_note(count, len(true)), *_depth_note(true)]
    data = EvaluationData(batches, count, record, notes)
    return SavedRun(SavedPredictions(predicted), WeightsRecord(_stem(predictions, "predictions")), data)


def _depth_note(truth: SavedClips) -> list[str]:
    """A sentence if the first clip uses fewer bits than the 16 of its type."""
    clip = truth[0]
    if clip.dtype != torch.uint16:
        return []
    low, high = (float(edge) for edge in clip.to(torch.int32).aminmax())
    found = suggested_range(low, high, clip.numpy().dtype)
    if found is None or found.high == WHITE_16_BITS:
        return []
    return [
        f"The first clip of {truth.name} holds 16-bit integers of at most {high:g}, and white is {WHITE_16_BITS:g}; "
        f"state the range if it is another, such as 0,{found.high:g} (--range)."
    ]


def _stem(source: ClipSource, otherwise: str) -> str:
    return Path(source).name if isinstance(source, str | Path) else otherwise
