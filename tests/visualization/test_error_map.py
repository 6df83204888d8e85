from collections.abc import Iterator

import pytest
import torch
from matplotlib import colormaps
from torch import Tensor

from framepred.errors import ClipError
from framepred.visualization.colour_map import COLOURMAP
from framepred.visualization.error_map import colour_error, error_pages, error_view
from framepred.visualization.pictures import MAX_SIDE


def test_colours_are_those_of_matplotlib_on_a_fixed_scale() -> None:
    levels = torch.linspace(-0.2, 1.2, 300).view(10, 30)
    expected = torch.from_numpy(colormaps[COLOURMAP](levels.clamp(0, 1).numpy(), bytes=True)[..., :3].copy())
    assert torch.equal(colour_error(levels), expected.permute(2, 0, 1))


def test_large_errors_are_averaged_over_areas() -> None:
    target = torch.zeros(1, 3, 8, 4 * MAX_SIDE, dtype=torch.uint8)
    prediction = target.clone()
    prediction[..., ::2] = 255
    [page] = error_view(target, prediction)
    assert page.shape == (3, 2, MAX_SIDE)
    assert page.flatten(1).unique(dim=1).T.tolist() == [colour_error(torch.tensor([[0.5]])).flatten().tolist()]


def test_pages_come_one_by_one() -> None:
    frame = torch.zeros(1, 4, 4)

    def predicted() -> Iterator[Tensor]:
        yield frame
        raise ZeroDivisionError

    pages = error_pages([frame, frame], predicted())
    assert next(pages).shape == (3, 4, 4)
    with pytest.raises(ZeroDivisionError):
        next(pages)


def test_shapes_and_values_are_checked() -> None:
    with pytest.raises(ClipError, match="need one shape"):
        error_view(torch.zeros(2, 1, 4, 4), torch.zeros(3, 1, 4, 4))
    with pytest.raises(ClipError, match="need frames of one shape"):
        list(error_pages([torch.zeros(1, 4, 4)], [torch.zeros(1, 4, 5)]))
