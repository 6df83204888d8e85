"""What a report shows beside the numbers of a card: example clips and a map of the error."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from jaxtyping import Float, Shaped
from torch import Tensor


class Example(NamedTuple):
    """One evaluated clip with its prediction.

    Attributes:
        title: why it was chosen: best, median or worst.
        number: of the clip in the data, from 0.
        mse: of the clip, as the protocol defines it.
        context: the frames before, ``(n, c, h, w)``; n may be 0.
        target: the true frames, ``(t, c, h, w)``.
        prediction: the predicted frames, ``(t, c, h, w)``.
    """

    title: str
    number: int
    mse: float
    context: Shaped[Tensor, "_n _c _h _w"]
    target: Shaped[Tensor, "_t _c _h _w"]
    prediction: Shaped[Tensor, "_t _c _h _w"]


@dataclass(frozen=True)
class Evidence:
    """Pictures of an evaluation, for its report.

    Attributes:
        error_map: squared error of a pixel, averaged over clips and channels, by lead time and position; large frames
            are averaged over blocks.
        examples: predicts the best, the median and the worst clip again; empty where the clips can be read only once.
    """

    error_map: Float[Tensor, "_t _h _w"]
    examples: Callable[[], list[Example]]
