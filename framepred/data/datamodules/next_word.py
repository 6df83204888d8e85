"""Sentences as clips: every word a frame of one place, its channels the words that there are."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from jaxtyping import UInt8
from torch import Tensor
from torch.nn import functional
from torch.utils.data import Dataset

from framepred.clips import WHITE
from framepred.data.datamodules.base import ClipData
from framepred.data.digits import Split
from framepred.errors import DataError

TEXT = Path(__file__).with_name("next_word.txt")
SHARES: dict[Split, tuple[float, float]] = {"train": (0.0, 0.8), "val": (0.8, 0.9), "test": (0.9, 1.0)}
"""Which lines of a text belong to which split, in shares of the whole."""

Words = UInt8[Tensor, "t v 1 1"]


class NextWordData(ClipData):
    """Loads stretches of a text as uint8 ``ClipBatch``es, 255 in the channel of each word.

    The words of the whole text, sorted, are the vocabulary. Of the text's lines, one sentence each, the first eight
    tenths train, one validates, the last tests.

    Args:
        context: words that are seen.
        horizon: words to be predicted.
        batch_size: clips a batch and process.
        clips_per_epoch: training clips in an epoch.
        seed: which stretches training sees, and in which order.
        text: a text file, words and marks parted by blanks; None is the text that ships with framepred.
        num_workers: processes that read ahead; 0 reads in this one.

    Raises:
        ConfigError: if a size is outside its domain.
        DataError: if the text cannot be read or a split of it is shorter than a clip.
    """

    def __init__(
        self,
        context: int = 15,
        horizon: int = 1,
        batch_size: int = 32,
        clips_per_epoch: int = 3200,
        seed: int = 0,
        text: str | None = None,
        num_workers: int = 0,
    ) -> None:
        super().__init__(context, horizon, batch_size, num_workers)
        self.clips_per_epoch = clips_per_epoch
        self.seed = seed
        self.file = TEXT if text is None else Path(text)
        self.sentences = _sentences(self.file)
        self.vocabulary = sorted({word for sentence in self.sentences for word in sentence})
        for split in SHARES:
            if len(self.words(split)) <= context + horizon:
                raise DataError(
                    f"The {split} split of {self.file} has {len(self.words(split))} words, too few for clips of "
                    f"{context} + {horizon}; give a longer text, or lower context."
                )

    def words(self, split: Split) -> Words:
        """A split of the text from its first word to its last, ``(t, v, 1, 1)``."""
        begin, end = (round(share * len(self.sentences)) for share in SHARES[split])
        number = {word: place for place, word in enumerate(self.vocabulary)}
        numbers = torch.tensor([number[word] for sentence in self.sentences[begin:end] for word in sentence])
        frames = functional.one_hot(numbers, len(self.vocabulary)) * WHITE[torch.uint8]
        return frames.to(torch.uint8)[:, :, None, None]

    def dataset(self, split: Split) -> Dataset[Tensor]:
        """The clips of a split; training's begin anywhere, the others follow one another."""
        length, words = self.context + self.horizon, self.words(split)
        return _Anywhere(words, length, self.seed) if split == "train" else _InARow(words, length)

    def count(self, split: Split) -> int:
        """Clips of a split; of training, those of an epoch."""
        return self.clips_per_epoch if split == "train" else len(self.words(split)) // (self.context + self.horizon)

    def describe(self) -> str:
        """What is trained on, in one line."""
        return f"{self.file.name}: {len(self.sentences):,} sentences of {len(self.vocabulary)} words."


class _InARow(Dataset[Tensor]):
    """Stretches of a text, one after the other."""

    def __init__(self, words: Words, length: int) -> None:
        self.words, self.length = words, length

    def __getitems__(self, indices: Sequence[int]) -> Tensor:
        return torch.stack([self.words[first : first + self.length] for first in map(self._first, indices)])

    def _first(self, index: int) -> int:
        return index * self.length


class _Anywhere(_InARow):
    """Stretches that begin at any word, by (seed, index) alone, without end."""

    def __init__(self, words: Words, length: int, seed: int) -> None:
        super().__init__(words, length)
        self.seed = seed

    def _first(self, index: int) -> int:
        return int(np.random.default_rng([self.seed, index]).integers(len(self.words) - self.length + 1))


def _sentences(file: Path) -> list[list[str]]:
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"The text {file} cannot be read ({error}); give a file of words in UTF-8.") from error
    return [line.split() for line in lines if line.strip()]
