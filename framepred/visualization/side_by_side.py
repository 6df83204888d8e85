"""Truth and prediction side by side, as a captioned clip."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Shaped, UInt8
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from framepred.errors import ClipError
from framepred.media.frames import as_tensor
from framepred.visualization.pictures import (
    BACKGROUND,
    EMPTY,
    OBSERVED,
    PREDICTED,
    TEXT,
    Colour,
    picture_size,
    to_picture,
)


def side_by_side(
    context: Shaped[Tensor | np.ndarray, "_n _c _h _w"],
    target: Shaped[Tensor | np.ndarray, "_m _c _h _w"],
    prediction: Shaped[Tensor | np.ndarray, "_m _c _h _w"],
) -> UInt8[Tensor, "t 3 H W"]:
    """A clip with the truth on the left and, on the right, first the context and then the prediction.

    The border of the right picture and the bar below are gray for observed frames and orange for predicted ones;
    predicted frames carry their lead time, +1 for the first.

    Args:
        context: the observed frames, gray or RGB: uint8, uint16, or floats in [0, 1].
        target: the frames that followed.
        prediction: the frames that were predicted for the same times.

    Returns:
        n + m frames of even height and width. Small frames are enlarged by a whole factor without smoothing, large
        ones are reduced; see ``picture_size``.

    Raises:
        ClipError: if the shapes do not fit or values are not finite.
    """
    context, target, prediction = as_tensor(context), as_tensor(target), as_tensor(prediction)
    _check(tuple(context.shape), tuple(target.shape), tuple(prediction.shape))
    return torch.stack(list(side_by_side_pages(context, target, prediction)))


def side_by_side_pages(
    context: Shaped[Tensor, "_n _c _h _w"],
    target: Shaped[Tensor, "_m _c _h _w"],
    prediction: Iterable[Shaped[Tensor, "_c _h _w"]],
) -> Iterator[UInt8[Tensor, "3 H W"]]:
    """Yield the pages of ``side_by_side``, each as soon as its frame is predicted.

    Raises:
        ClipError: if values are not finite.
    """
    _, _, height, width = context.shape
    page = _Page(*picture_size(height, width), observed=len(context), count=len(context) + len(target))
    for time, frame in enumerate(context):
        picture = page.picture(frame)
        yield page.draw(time, picture, picture)
    for time, (truth, guess) in enumerate(zip(target, prediction, strict=True), start=len(context)):
        yield page.draw(time, page.picture(truth), page.picture(guess))


def _check(context: tuple[int, ...], target: tuple[int, ...], prediction: tuple[int, ...]) -> None:
    if len(context) == 4 and context[1] not in (1, 3):
        raise ClipError(
            f"Pictures have 1 or 3 channels but the frames have {context[1]}; write the prediction as an array, or "
            "show its error."
        )
    known = len(context) == 4 and 0 not in (*context, *target)
    if not known or context[1:] != target[1:] or target != prediction:
        raise ClipError(
            "Context, target and prediction need frames of one shape (t, c, h, w), and as many in the prediction as "
            f"in the target, not {context}, {target} and {prediction}."
        )


@dataclass(frozen=True)
class _Page:
    """Layout in pixels for two pictures of one size.

    Attributes:
        width: of a picture.
        height: of a picture.
        observed: how many frames are observed.
        count: how many frames there are.
    """

    width: int
    height: int
    observed: int
    count: int

    @property
    def text_height(self) -> int:
        return max(18, self.height // 14)

    @property
    def border(self) -> int:
        return max(3, self.text_height // 6)

    @property
    def margin(self) -> int:
        return self.text_height

    @property
    def column(self) -> int:
        """Width of one half: a picture with its border, or the captions where these are wider."""
        return max(self.width + 2 * self.border, 8 * self.text_height)

    @property
    def pictures_top(self) -> int:
        return self.margin + int(1.6 * self.text_height)

    @property
    def bar_top(self) -> int:
        return self.pictures_top + self.height + 2 * self.border + self.margin

    @property
    def size(self) -> tuple[int, int]:
        width, height = 2 * self.column + 3 * self.margin, self.bar_top + 2 * self.border + self.margin
        return width + width % 2, height + height % 2

    def picture(self, frame: Shaped[Tensor, "c h w"]) -> Image.Image:
        return to_picture(frame, (self.width, self.height))

    def draw(self, time: int, left: Image.Image, right: Image.Image) -> UInt8[Tensor, "3 H W"]:
        """Draw the page of one frame, counted from the first observed one."""
        page = Image.new("RGB", self.size, BACKGROUND)
        draw = ImageDraw.Draw(page)
        lead = time - self.observed + 1
        colour, caption = (PREDICTED, f"+{lead}") if lead > 0 else (OBSERVED, "context")
        self._put(page, draw, left, self.margin, EMPTY, "truth", "")
        self._put(page, draw, right, 2 * self.margin + self.column, colour, "prediction", caption)
        self._draw_bar(draw, time)
        return torch.from_numpy(np.array(page)).permute(2, 0, 1).contiguous()

    def _put(
        self,
        page: Image.Image,
        draw: ImageDraw.ImageDraw,
        picture: Image.Image,
        left: int,
        colour: Colour,
        name: str,
        caption: str,
    ) -> None:
        """Draw one picture with its border and captions."""
        font = ImageFont.load_default(self.text_height)
        baseline = self.margin + self.text_height
        draw.text((left, baseline), name, TEXT, font, anchor="ls")
        draw.text((left + self.column, baseline), caption, colour, font, anchor="rs")
        inset = left + (self.column - self.width) // 2
        outer = (inset - self.border, self.pictures_top, inset + self.width + self.border - 1)
        draw.rectangle((*outer, self.pictures_top + self.height + 2 * self.border - 1), fill=colour)
        page.paste(picture, (inset, self.pictures_top + self.border))

    def _draw_bar(self, draw: ImageDraw.ImageDraw, time: int) -> None:
        """Draw one dash for each frame; those up to the current one are coloured."""
        length = 2 * self.column + self.margin
        gap = self.border if length > 4 * self.border * self.count else 0
        for index in range(self.count):
            left, right = (self.margin + (length + gap) * edge // self.count for edge in (index, index + 1))
            colour = EMPTY if index > time else OBSERVED if index < self.observed else PREDICTED
            draw.rectangle(
                (left, self.bar_top, max(left, right - gap - 1), self.bar_top + 2 * self.border - 1), fill=colour
            )
