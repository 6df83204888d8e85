"""Single frames made gray or brought to another size, by OpenCV; types and ranges stay as they are."""

import torch
from jaxtyping import Shaped
from torch import Tensor

from framepred.media.pictures import gray_picture, resized_picture


def to_gray(frame: Shaped[Tensor, "3 h w"]) -> Shaped[Tensor, "1 h w"]:
    """The luma of an RGB frame, 0.299 R + 0.587 G + 0.114 B (ITU-R BT.601): uint8, uint16 or float32."""
    return torch.from_numpy(gray_picture(frame.numpy()))


def resized(frame: Shaped[Tensor, "c _h _w"], size: tuple[int, int]) -> Shaped[Tensor, "c h w"]:
    """A frame scaled to a height and width, uint8, uint16 or float32: averaged where it shrinks, else bilinear."""
    return torch.from_numpy(resized_picture(frame.numpy(), size))
