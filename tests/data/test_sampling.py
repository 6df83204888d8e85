from itertools import chain

import pytest
from hypothesis import given
from hypothesis import strategies as st

from framepred.data import EpochBatches, OrderedBatches
from framepred.errors import ConfigError


@given(
    clips=st.integers(1, 50),
    size=st.integers(1, 7),
    world=st.integers(1, 3),
    epochs=st.integers(1, 3),
)
def test_an_endless_stream_is_shared_without_repeats_or_gaps(clips: int, size: int, world: int, epochs: int) -> None:
    seen = []
    for rank in range(world):
        for epoch in range(epochs):
            batches = EpochBatches(clips, size, rank=rank, world=world)
            batches.position = (epoch * len(batches) * size * world).__int__
            seen += chain.from_iterable(batches)
    assert len(batches) * size * world >= clips
    assert sorted(seen) == list(range(epochs * len(batches) * size * world))


def test_a_batch_is_known_by_its_position() -> None:
    stream = list(EpochBatches(1000, 4, rank=1, world=2))
    later = EpochBatches(1000, 4, rank=1, world=2, position=lambda: 17 * 2 * 4)
    assert stream[0] == [4, 5, 6, 7]
    assert stream[1] == [12, 13, 14, 15]
    assert list(later)[:3] == stream[17:20]
    assert len(list(later)) == len(later) == 125


def test_the_position_is_asked_when_iteration_starts() -> None:
    position = 0
    batches = EpochBatches(4, 2, position=lambda: position)
    assert list(batches) == [[0, 1], [2, 3]]
    position = 4
    assert list(batches) == [[4, 5], [6, 7]]


@given(clips=st.integers(1, 50), size=st.integers(1, 7), world=st.integers(1, 4))
def test_ordered_clips_come_once_and_in_order(clips: int, size: int, world: int) -> None:
    shares = []
    for rank in range(world):
        batches = OrderedBatches(clips, size, rank=rank, world=world)
        drawn = list(batches)
        assert len(batches) == len(drawn) >= 1  # one batch of no clips, where there are fewer clips than ranks
        assert all(len(batch) == size for batch in drawn[:-1])
        shares.append(list(chain.from_iterable(drawn)))
        assert shares[-1] == list(range(clips))[rank::world]
    assert sorted(chain.from_iterable(shares)) == list(range(clips))


@pytest.mark.parametrize("sizes", [(0, 4), (4, 0)])
def test_empty_sizes_are_refused(sizes: tuple[int, int]) -> None:
    for sampler in (EpochBatches, OrderedBatches):
        with pytest.raises(ConfigError, match="must be at least 1, not 0"):
            sampler(*sizes)
