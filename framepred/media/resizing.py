"""Single frames made gray or brought to another size, by OpenCV; types and ranges stay as they are."""

import numpy as np
import torch
from jaxtyping import Shaped
from torch import Tensor

from framepred.media.opencv import cv2


def to_gray(frame: Shaped[Tensor, "3 h w"]) -> Shaped[Tensor, "1 h w"]:
    """The luma of an RGB frame, 0.299 R + 0.587 G + 0.114 B (ITU-R BT.601): uint8, uint16 or float32.

    This is the only formula for gray in the package.
    """
    gray = cv2.cvtColor(np.ascontiguousarray(frame.permute(1, 2, 0).numpy()), cv2.COLOR_RGB2GRAY)
    return torch.from_numpy(np.asarray(gray))[None]


def resized(frame: Shaped[Tensor, "c _h _w"], size: tuple[int, int]) -> Shaped[Tensor, "c h w"]:
    """A frame scaled to a height and width, uint8, uint16 or float32: averaged where it shrinks, else bilinear."""
    height, width = size
    shrinks = height <= frame.shape[1] and width <= frame.shape[2]
    how = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    pictures = [np.ascontiguousarray(channel) for channel in frame.numpy()]
    return torch.from_numpy(np.stack([cv2.resize(picture, (width, height), interpolation=how) for picture in pictures]))
