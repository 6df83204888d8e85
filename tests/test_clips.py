import pytest
import torch

from framepred.clips import WHITE, from_unit, to_unit

HALF = [torch.float16, torch.bfloat16]


@pytest.mark.parametrize("half", HALF)
@pytest.mark.parametrize("dtype", WHITE)
def test_floats_in_half_precision_get_the_level_of_their_value(half: torch.dtype, dtype: torch.dtype) -> None:
    frames = torch.cat([torch.linspace(0, 1, 1001), torch.tensor([0.999, 1.0, 1.001, -0.001])]).to(half)
    levels = from_unit(frames, dtype).int()
    assert torch.equal(levels, from_unit(frames.float(), dtype).int())
    assert levels.max() == WHITE[dtype]


@pytest.mark.parametrize("half", HALF)
def test_bytes_in_half_precision_come_back(half: torch.dtype) -> None:
    levels = torch.arange(256, dtype=torch.uint8)
    assert torch.equal(from_unit(to_unit(levels).to(half), torch.uint8), levels)
