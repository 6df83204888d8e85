"""Many clips as one: a grid."""

import math

import torch
from jaxtyping import Shaped
from torch import Tensor

from framepred.clips import WHITE

GAP = 2  # pixels between clips


def tile_clips(clips: Shaped[Tensor, "n t c h w"]) -> Shaped[Tensor, "t c H W"]:
    """Lay clips out in a near-square grid, row by row, with thin gray lines between them; unused cells are black."""
    count, time, channels, height, width = clips.shape
    columns = min(count, max(1, math.ceil(math.sqrt(count * height / width))))
    rows = math.ceil(count / columns)
    size = (time, channels, rows * (height + GAP) - GAP, columns * (width + GAP) - GAP)
    white = 1.0 if clips.is_floating_point() else WHITE[clips.dtype]
    grid = torch.full(size, white / 2 if clips.is_floating_point() else white // 2, dtype=clips.dtype)
    for cell in range(rows * columns):
        top, left = cell // columns * (height + GAP), cell % columns * (width + GAP)
        grid[..., top : top + height, left : left + width] = clips[cell] if cell < count else 0
    return grid
