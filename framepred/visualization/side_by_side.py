"""Truth and prediction as one captioned clip, to be watched."""

import math
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Shaped, UInt8
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from framepred.errors import ClipError
from framepred.media.frames import to_8_bits

BACKGROUND = (20, 22, 27)
TEXT = (226, 229, 235)
SEEN = (128, 136, 150)
PREDICTED = (255, 140, 50)
AHEAD = (54, 58, 67)

WATCHABLE = 256  # pixels: smaller frames are enlarged by a whole factor until they are as high
WIDEST = 1024  # pixels: but become no wider than this


def side_by_side(
    context: Shaped[Tensor, "_n _c _h _w"],
    target: Shaped[Tensor, "_m _c _h _w"],
    prediction: Shaped[Tensor, "_m _c _h _w"],
) -> UInt8[Tensor, "t 3 H W"]:
    """A clip with the truth on the left and, on the right, first what was seen, then what was predicted.

    The border of the right picture and the bar below tell seen frames (gray) from predicted ones (orange); these
    carry their lead time, +1 for the first.

    Args:
        context: the frames that the network saw, gray or RGB: uint8, uint16, or floats in [0, 1].
        target: the frames that followed.
        prediction: what the network made of them.

    Returns:
        n + m frames of even height and width, enlarged by a whole factor without smoothing.

    Raises:
        ClipError: if the shapes do not fit or values are not finite.
    """
    _check(tuple(context.shape), tuple(target.shape), tuple(prediction.shape))
    seen, truth, guess = (to_8_bits(clip) for clip in (context, target, prediction))
    _, _, height, width = seen.shape
    page = _Page(height, width, seen=len(seen), count=len(seen) + len(truth))
    pairs = zip(torch.cat([seen, truth]), torch.cat([seen, guess]), strict=True)
    pages = np.stack([np.asarray(page.drawn(time, left, right)) for time, (left, right) in enumerate(pairs)])
    return torch.from_numpy(pages).permute(0, 3, 1, 2).contiguous()


def _check(context: tuple[int, ...], target: tuple[int, ...], prediction: tuple[int, ...]) -> None:
    known = len(context) == 4 and 0 not in (*context, *target) and context[1] in (1, 3)
    if not known or context[1:] != target[1:] or target != prediction:
        raise ClipError(
            "Context, target and prediction need frames of one shape (t, c, h, w), 1 or 3 channels, and as many in the "
            f"prediction as in the target, not {context}, {target} and {prediction}."
        )


@dataclass(frozen=True)
class _Page:
    """Where everything goes, in pixels, for frames of one size."""

    height: int
    width: int
    seen: int
    count: int

    @property
    def scale(self) -> int:
        return max(1, min(math.ceil(WATCHABLE / self.height), WIDEST // self.width))

    @property
    def picture(self) -> tuple[int, int]:
        return self.width * self.scale, self.height * self.scale

    @property
    def letters(self) -> int:
        return max(18, self.picture[1] // 14)

    @property
    def border(self) -> int:
        return max(3, self.letters // 6)

    @property
    def margin(self) -> int:
        return self.letters

    @property
    def cell(self) -> int:
        """Width of one half: a bordered picture, or the captions where these are wider."""
        return max(self.picture[0] + 2 * self.border, 8 * self.letters)

    @property
    def top(self) -> int:
        """Where bordered pictures begin."""
        return self.margin + int(1.6 * self.letters)

    @property
    def bar(self) -> int:
        """Where the bar begins."""
        return self.top + self.picture[1] + 2 * self.border + self.margin

    @property
    def size(self) -> tuple[int, int]:
        width, height = 2 * self.cell + 3 * self.margin, self.bar + 2 * self.border + self.margin
        return width + width % 2, height + height % 2

    def drawn(self, time: int, left: UInt8[Tensor, "c h w"], right: UInt8[Tensor, "c h w"]) -> Image.Image:
        """The page at one time, counted from the first frame seen."""
        page = Image.new("RGB", self.size, BACKGROUND)
        draw = ImageDraw.Draw(page)
        lead = time - self.seen + 1
        colour, moment = (PREDICTED, f"+{lead}") if lead > 0 else (SEEN, "seen")
        self._put(page, draw, left, self.margin, AHEAD, "truth", "")
        self._put(page, draw, right, 2 * self.margin + self.cell, colour, "prediction", moment)
        self._draw_bar(draw, time)
        return page

    def _put(
        self,
        page: Image.Image,
        draw: ImageDraw.ImageDraw,
        frame: UInt8[Tensor, "c h w"],
        start: int,
        colour: tuple[int, int, int],
        name: str,
        moment: str,
    ) -> None:
        font = ImageFont.load_default(self.letters)
        line = self.margin + self.letters
        draw.text((start, line), name, TEXT, font, anchor="ls")
        draw.text((start + self.cell, line), moment, colour, font, anchor="rs")
        inset = start + (self.cell - self.picture[0]) // 2
        outer = (inset - self.border, self.top, inset + self.picture[0] + self.border - 1)
        draw.rectangle((*outer, self.top + self.picture[1] + 2 * self.border - 1), fill=colour)
        pixels = frame.expand(3, -1, -1).permute(1, 2, 0).contiguous().numpy()
        page.paste(
            Image.fromarray(pixels).resize(self.picture, Image.Resampling.NEAREST), (inset, self.top + self.border)
        )

    def _draw_bar(self, draw: ImageDraw.ImageDraw, time: int) -> None:
        """One dash a frame, lit up to now."""
        length = 2 * self.cell + self.margin
        gap = self.border if length > 4 * self.border * self.count else 0
        for place in range(self.count):
            begin, end = (self.margin + (length + gap) * edge // self.count for edge in (place, place + 1))
            colour = AHEAD if place > time else SEEN if place < self.seen else PREDICTED
            draw.rectangle((begin, self.bar, max(begin, end - gap - 1), self.bar + 2 * self.border - 1), fill=colour)
