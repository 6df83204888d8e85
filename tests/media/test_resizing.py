import pytest
import torch

from framepred.media.resizing import resized, to_gray

TYPES = {torch.uint8: 255, torch.uint16: 65535, torch.float32: 1.0}


def ramp(channels: int, dtype: torch.dtype, height: int = 12, width: int = 18) -> torch.Tensor:
    """From black on the left to white on the right; each further channel a tenth darker."""
    shades = torch.linspace(0, 1, width).expand(channels, height, width) * (1 - torch.arange(channels) / 10).view(
        -1, 1, 1
    )
    return (shades * TYPES[dtype]).to(dtype)


@pytest.mark.parametrize("dtype", TYPES)
def test_gray_is_luma(dtype: torch.dtype) -> None:
    frame = ramp(3, dtype)
    red, green, blue = frame.double()
    gray = to_gray(frame)
    assert (gray.dtype, gray.shape) == (dtype, (1, 12, 18))
    torch.testing.assert_close(
        gray[0].double(),
        0.299 * red + 0.587 * green + 0.114 * blue,
        atol=1e-5 if dtype.is_floating_point else 1,
        rtol=0,
    )


@pytest.mark.parametrize("dtype", [torch.uint8, torch.uint16])
def test_gray_of_gray_is_the_same(dtype: torch.dtype) -> None:
    gray = ramp(1, dtype)
    assert torch.equal(to_gray(gray.expand(3, -1, -1)), gray)


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("channels", [1, 3, 7])
@pytest.mark.parametrize("size", [(6, 9), (4, 6), (12, 40), (30, 30), (5, 30)])
def test_a_ramp_stays_a_ramp(size: tuple[int, int], channels: int, dtype: torch.dtype) -> None:
    small = resized(ramp(channels, dtype), size)
    assert (small.dtype, small.shape) == (dtype, (channels, *size))
    rows = small.double() / TYPES[dtype]
    assert (rows - rows[:, :1]).abs().max() < 0.004  # one level of 8 bits
    expected = ramp(channels, torch.float32, *size).double()
    assert (rows - expected).abs().max() < 0.5 / min(size[1], 18) + 0.01


def test_shrinking_averages() -> None:
    frame = torch.tensor([[0, 100, 0, 200], [100, 0, 200, 0]], dtype=torch.uint8)[None]
    assert resized(frame, (1, 2)).tolist() == [[[50, 100]]]


def test_a_cropped_view_can_be_resized() -> None:
    frame = ramp(3, torch.uint8)
    assert torch.equal(resized(frame[:, 2:10, 4:16], (4, 6)), resized(frame[:, 2:10, 4:16].contiguous(), (4, 6)))
