import pytest
import torch
from torch import Tensor

from framepred.visualization.pictures import EMPTY
from framepred.visualization.stream_page import MAX_SIDE, StreamPage

RED, GREEN = torch.tensor([250, 0, 0]), torch.tensor([0, 250, 0])


def has(page: Tensor, colour: Tensor | tuple[int, int, int]) -> Tensor:
    return (page == torch.as_tensor(colour).view(3, 1, 1)).all(dim=0)


def plain(colour: Tensor, height: int = 32, width: int = 40) -> Tensor:
    return colour.view(3, 1, 1).expand(3, height, width).to(torch.uint8)


def test_seen_is_left_and_predicted_right_and_both_are_enlarged() -> None:
    page = StreamPage(32, 40, lead=1).drawn(plain(RED), plain(GREEN), 1.0, 0.5)
    half = page.shape[2] // 2
    assert has(page[..., :half], RED).sum() == has(page[..., half:], GREEN).sum() == 8 * 32 * 8 * 40
    assert has(page[..., half:], RED).sum() == has(page[..., :half], GREEN).sum() == 0


def test_what_nobody_predicted_stays_empty() -> None:
    page = StreamPage(32, 40, lead=1).drawn(plain(RED), None, None, 0.0)
    assert has(page[..., page.shape[2] // 2 :], EMPTY).sum() >= 8 * 32 * 8 * 40


def test_a_smaller_prediction_is_as_large_as_what_was_seen() -> None:
    page = StreamPage(720, 1280, lead=1).drawn(plain(RED, 720, 1280), plain(GREEN, 18, 32), 0.0, 0.0)
    assert has(page, RED).sum() == has(page, GREEN).sum() == MAX_SIDE * MAX_SIDE * 720 // 1280


@pytest.mark.parametrize("shape", [(1, 1, 1), (1, 9, 3000), (3, 3000, 7), (3, 33, 47)])
@pytest.mark.parametrize("dtype", [torch.uint8, torch.float32])
def test_pages_have_one_size_whatever_comes(shape: tuple[int, int, int], dtype: torch.dtype) -> None:
    page = StreamPage(shape[1], shape[2], lead=3)
    first = page.drawn(torch.zeros(shape, dtype=dtype), torch.zeros(shape), 1e9, 0.0)
    then = page.drawn(torch.zeros(3, 64, 64, dtype=dtype), torch.zeros(3, 4, 4), None, 1e6)
    assert first.shape == then.shape
    assert max(first.shape) < 2 * MAX_SIDE + 800


def test_pixels_stay_pixels_but_what_was_scaled_for_the_network_is_smooth() -> None:
    checks = torch.zeros(1, 16, 16)
    checks[:, ::2] = 1
    levels = []
    for seen in (torch.zeros(1, 16, 16), torch.zeros(1, 64, 64)):
        page = StreamPage(*seen.shape[1:], lead=1).drawn(seen, checks, None, 0.0)
        levels.append(len(page[0, 80:200, 3 * page.shape[2] // 4].unique()))
    assert levels[0] == 2 < levels[1]
