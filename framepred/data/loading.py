"""Samplers and the loader: which clips a batch holds, as a function of the training position alone."""

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Protocol, TypeAlias, runtime_checkable

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler

from framepred.clips import ClipBatch, RawClip
from framepred.data.clip_dataset import check_counts
from framepred.errors import ConfigError, DataError, FramepredError

CPU = torch.device("cpu")


@runtime_checkable
class Unrendered(Protocol):
    """Clips that are moved to the device as what they are rendered from, and rendered there."""

    def render(self) -> RawClip:
        """Return the clips ``(b, t, c, h, w)``, on the device of the batch."""


Clips: TypeAlias = Sequence[Tensor] | Tensor
"""Clips ``(t, c, h, w)`` in a list, or a batch ``(b, t, c, h, w)``."""


def pins_memory(device: torch.device) -> bool:
    """Whether loaders put batches for this device in pinned memory, which a CUDA GPU copies while it computes."""
    return device.type == "cuda"


class EpochBatches(Sampler[list[int]]):
    """Batches of an endless stream of training clips; no clip is repeated or left out.

    With ``n`` clips trained so far, batch ``k`` of the epoch on rank ``r`` of ``w`` holds ``batch_size`` consecutive
    clips from ``n + (k · w + r) · batch_size`` on. All ranks together train ``w · batch_size`` different clips a step.

    Args:
        clips_per_epoch: clips of an epoch over all ranks, rounded up to whole batches.
        batch_size: clips per batch and rank.
        rank: index of this process, 0 to ``world`` − 1.
        world: number of processes that share the stream.
        position: returns the number of clips trained so far by all ranks; called whenever iteration starts.

    Raises:
        ConfigError: if a size is less than 1.
    """

    def __init__(
        self,
        clips_per_epoch: int,
        batch_size: int,
        *,
        rank: int = 0,
        world: int = 1,
        position: Callable[[], int] = int,
    ) -> None:
        check_counts(clips_per_epoch=clips_per_epoch, batch_size=batch_size)
        self.batches = math.ceil(clips_per_epoch / (batch_size * world))
        self.batch_size = batch_size
        self.rank = rank
        self.world = world
        self.position = position

    def __len__(self) -> int:
        return self.batches

    def __iter__(self) -> Iterator[list[int]]:
        start = self.position()
        for batch in range(self.batches):
            first = start + (batch * self.world + self.rank) * self.batch_size
            yield list(range(first, first + self.batch_size))


class OrderedBatches(Sampler[list[int]]):
    """Every clip once, in order: rank r of w takes the clips r, r + w, r + 2w, …, without padding.

    A rank without clips, where there are fewer clips than ranks, takes one batch of no clips: Lightning runs
    validation only on ranks that have a batch, and the others would wait for it.

    Args:
        clips: number of clips.
        batch_size: clips per batch; the last batch may be smaller.
        rank: index of this process, 0 to ``world`` − 1.
        world: number of processes that share the clips.

    Raises:
        ConfigError: if a size is less than 1.
    """

    def __init__(self, clips: int, batch_size: int, *, rank: int = 0, world: int = 1) -> None:
        check_counts(clips=clips, batch_size=batch_size)
        self.share = range(rank, clips, world)
        self.batch_size = batch_size

    def __len__(self) -> int:
        return max(1, math.ceil(len(self.share) / self.batch_size))

    def __iter__(self) -> Iterator[list[int]]:
        for batch in range(len(self)):
            yield list(self.share[batch * self.batch_size : (batch + 1) * self.batch_size])


class ClipLoader(DataLoader[Any]):
    """A ``DataLoader`` that cuts every batch of clips into context and target, a ``ClipBatch``.

    An ``Unrendered`` batch is passed on as it is; the data module cuts it after rendering. An error in a worker process
    is raised here as the same one-sentence error.

    Args:
        dataset: clips ``(t, c, h, w)``; its ``__getitems__`` returns a list of them, a batch ``(b, t, c, h, w)``, or an
            ``Unrendered`` batch.
        batches: yields the clip indices of each batch.
        context: number of context frames; the frames that follow are the target.
        workers: processes that read ahead; 0 reads in this process.
        filler: see :class:`framepred.clips.ClipBatch`; needed where clips hold NaN.
        device: where the batches are used; see :func:`pins_memory`.

    Raises:
        ConfigError: if ``context`` or ``workers`` is outside its domain.
    """

    def __init__(
        self,
        dataset: Dataset[Tensor],
        batches: Sampler[list[int]],
        context: int,
        workers: int = 0,
        filler: float | None = None,
        device: torch.device = CPU,
    ) -> None:
        if context < 1:
            raise ConfigError(f"context must be at least 1 frame, not {context}.")
        if workers < 0:
            raise ConfigError(f"num_workers must be 0 or more, not {workers}.")
        super().__init__(
            _ReturnedErrors(dataset) if workers else dataset,
            batch_sampler=batches,
            collate_fn=_ClipCollate(dataset, context, filler),
            num_workers=workers,
            persistent_workers=workers > 0,
            pin_memory=pins_memory(device),
            # DataLoader draws a worker seed at every iteration; a generator of its own leaves the global one unchanged.
            generator=torch.Generator().manual_seed(0),
        )

    def __iter__(self) -> Iterator[ClipBatch]:  # type: ignore[override]
        """Iterate over the batches.

        Raises:
            FramepredError: if clips cannot be read, or a worker process was killed.
        """
        return self._raised(super().__iter__()) if self.num_workers else super().__iter__()

    def _raised(self, batches: Any) -> Iterator[ClipBatch]:
        """Raise the errors that workers returned, and a killed worker as one sentence."""
        try:
            for batch in batches:
                if isinstance(batch, FramepredError):
                    raise batch
                yield batch
        except Exception as error:
            batches._shutdown_workers()  # now: the garbage collector would wait five seconds for each worker
            self._iterator = None
            raise (killed_worker(error) if isinstance(error, RuntimeError) else None) or error from None

    def state_dict(self) -> dict[str, Any]:
        """Return nothing: the data module keeps the position, and the sampler asks for it.

        The presence of this method and of ``load_state_dict`` tells Lightning that training may resume within an epoch.
        """
        return {}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Do nothing; see ``state_dict``."""


class _ClipCollate:
    """Stacks clips to a batch and cuts it; a batch of no clips has the shape of the first clip."""

    def __init__(self, dataset: Dataset[Tensor], context: int, filler: float | None) -> None:
        self.dataset = dataset
        self.context = context
        self.filler = filler

    def __call__(self, clips: Clips | Unrendered | FramepredError) -> ClipBatch | Unrendered | FramepredError:
        if isinstance(clips, (FramepredError, Unrendered)):
            return clips
        if not len(clips):
            return ClipBatch.cut(_stacked(fetched(self.dataset, [0]))[:0], self.context, self.filler)
        return ClipBatch.cut(_stacked(clips), self.context, self.filler)


class _ReturnedErrors(Dataset[Tensor]):
    """Returns errors instead of raising them, because PyTorch adds a worker's whole traceback to their text."""

    def __init__(self, dataset: Dataset[Tensor]) -> None:
        self.dataset = dataset

    def __getitems__(self, indices: list[int]) -> Clips | FramepredError:
        try:
            return fetched(self.dataset, indices)
        except FramepredError as error:
            return error.with_traceback(None)


def fetched(dataset: Dataset[Tensor], indices: list[int]) -> Clips:
    """Return clips of a dataset as its ``__getitems__`` does: a list of them, or a batch."""
    clips: Clips = dataset.__getitems__(indices)  # type: ignore[attr-defined]
    return clips


def _stacked(clips: Clips) -> Tensor:
    return clips if isinstance(clips, Tensor) else torch.stack(list(clips))


def killed_worker(error: RuntimeError) -> DataError | None:
    """Return the one-sentence error for PyTorch's report of a killed worker process; None for any other error.

    PyTorch may also raise its report from a signal handler, at any line of the main process.
    """
    text = str(error).partition("\n")[0].strip().rstrip(".")
    if not text.startswith("DataLoader worker"):
        return None
    return DataError(
        f"A process that reads clips ended before its time ({text}); "
        "if memory was short, lower num_workers or batch_size."
    )
