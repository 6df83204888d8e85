"""Loaders: batches of whole clips, cut into context and target."""

from functools import partial
from typing import Any

from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler

from framepred.clips import ClipBatch
from framepred.errors import ConfigError


class ClipLoader(DataLoader[Any]):
    """Loads ``ClipBatch`` after ``ClipBatch`` from a data set that gives whole batches (``__getitems__``).

    Args:
        dataset: clips ``(t, c, h, w)``, a batch ``(b, t, c, h, w)``.
        batches: gives the clip numbers of each batch.
        context: how many frames are seen; those that follow are the target.
        workers: processes that read ahead; 0 reads in this one.

    Raises:
        ConfigError: if ``context`` or ``workers`` is outside its domain.
    """

    def __init__(self, dataset: Dataset[Tensor], batches: Sampler[list[int]], context: int, workers: int = 0) -> None:
        if context < 1:
            raise ConfigError(f"context must be at least 1 frame, not {context}.")
        if workers < 0:
            raise ConfigError(f"num_workers must be 0 or more, not {workers}.")
        super().__init__(
            dataset,
            batch_sampler=batches,
            collate_fn=partial(ClipBatch.cut, context=context),
            num_workers=workers,
            persistent_workers=workers > 0,
        )

    def state_dict(self) -> dict[str, Any]:
        """Nothing: where training stands is the trainer's to keep, and the sampler asks it.

        With ``load_state_dict`` it tells Lightning that training may go on in the middle of an epoch.
        """
        return {}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Nothing to restore; see ``state_dict``."""
