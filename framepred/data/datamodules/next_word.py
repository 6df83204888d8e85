"""Lightning data module of a text: each word is a frame of one pixel, with one channel per word of the vocabulary."""

from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import UInt8
from torch import Tensor
from torch.nn import functional

from framepred.clips import WHITE
from framepred.data.clip_dataset import ClipDataset, check_counts, check_seed
from framepred.data.datamodules.base import ClipData
from framepred.data.digits import Split
from framepred.errors import DataError, reason_of
from framepred.media.text import ENCODING

TEXT = Path(__file__).with_name("next_word.txt")
"""The text of the package, written by ``datasets/next_word/write.py``."""

SHARES: dict[Split, tuple[float, float]] = {"train": (0.0, 0.8), "val": (0.8, 0.9), "test": (0.9, 1.0)}
"""The lines of the text that belong to each split, as a range of shares of all lines."""

Words = UInt8[Tensor, "t v 1 1"]


class NextWordData(ClipData):
    """Loads stretches of a text as uint8 ``ClipBatch``es: 255 in the channel of each word, 0 in the others.

    The vocabulary is the sorted set of words of the whole text. Each line of the text is a sentence. The first eight
    tenths of the lines train, the next tenth validates, the last tests.

    Args:
        context: number of observed words.
        horizon: number of words to predict.
        batch_size: clips per batch and process.
        clips_per_epoch: training clips per epoch.
        seed: seed of the training clips.
        text: a text file with words and punctuation marks separated by spaces; None for the text of the package.
        num_workers: processes that read ahead; 0 reads in this process.

    Raises:
        ConfigError: if a size is outside its domain.
        DataError: if the text cannot be read or a split of it is shorter than a clip.
    """

    free_arguments = ClipData.free_arguments | {"text"}

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
        check_seed(seed)
        check_counts(clips_per_epoch=clips_per_epoch)
        self.clips_per_epoch = clips_per_epoch
        self.seed = seed
        self.file = TEXT if text is None else Path(text)
        self.sentences = _sentences(self.file)
        self.vocabulary = sorted({word for sentence in self.sentences for word in sentence})
        for split in SHARES:
            if (count := len(self._spoken(split))) < context + horizon:
                raise DataError(
                    f"The {split} split of {self.file} has {count} words, too few for clips of "
                    f"{context} + {horizon}; use a longer text, or lower context or horizon."
                )

    def course(self) -> dict[str, Any]:
        """As ``ClipData`` does; the text counts by its words and lines."""
        return super().course() | {"sentences": sha256(repr(self.sentences).encode()).hexdigest()}

    def words(self, split: Split) -> Words:
        """Return all words of a split in order, ``(t, v, 1, 1)``, with ``v`` words in the vocabulary."""
        index = {word: number for number, word in enumerate(self.vocabulary)}
        indices = torch.tensor([index[word] for word in self._spoken(split)])
        frames = functional.one_hot(indices, len(self.vocabulary)) * WHITE[torch.uint8]
        return frames.to(torch.uint8)[:, :, None, None]

    def dataset(self, split: Split) -> ClipDataset:
        """Return the clips of a split: of training random stretches without end, of the others consecutive ones."""
        length, words = self.context + self.horizon, self.words(split)
        if split == "train":
            return _RandomStretches(words, length, self.seed, self.clips_per_epoch)
        return _ConsecutiveStretches(words, length)

    def count(self, split: Split) -> int:
        """Return the number of clips of a split; of training, those of one epoch."""
        return self.clips_per_epoch if split == "train" else len(self._spoken(split)) // (self.context + self.horizon)

    def _spoken(self, split: Split) -> list[str]:
        """Return the words of a split as text."""
        begin, end = (round(share * len(self.sentences)) for share in SHARES[split])
        return [word for sentence in self.sentences[begin:end] for word in sentence]

    def describe(self) -> str:
        """Return one line on the text."""
        return f"{self.file.name}: {len(self.sentences):,} sentences of {len(self.vocabulary)} different words."


class _ConsecutiveStretches(ClipDataset):
    """Stretches of a text that follow one another."""

    def __init__(self, words: Words, length: int) -> None:
        self.words, self.length = words, length

    def __len__(self) -> int:
        return len(self.words) // self.length

    def __getitems__(self, indices: Sequence[int]) -> list[Tensor]:
        return [self.words[first : first + self.length] for first in map(self._first, indices)]

    def _first(self, index: int) -> int:
        return index * self.length


class _RandomStretches(_ConsecutiveStretches):
    """An endless stream of stretches; the first word of each is a function of (seed, index) alone."""

    def __init__(self, words: Words, length: int, seed: int, clips: int) -> None:
        super().__init__(words, length)
        self.seed, self.clips = seed, clips

    def __len__(self) -> int:
        return self.clips

    def _first(self, index: int) -> int:
        return int(np.random.default_rng([self.seed, index]).integers(len(self.words) - self.length + 1))


def _sentences(file: Path) -> list[list[str]]:
    try:
        lines = file.read_text(encoding=ENCODING).splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"The text {file} cannot be read ({reason_of(error)}); give a text file in UTF-8.") from error
    return [line.split() for line in lines if line.strip()]
