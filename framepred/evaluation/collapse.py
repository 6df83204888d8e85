"""Finds predictions that have collapsed: NaN, constant, flat, saturated, or no better than a blank frame."""

from dataclasses import dataclass

import torch
from jaxtyping import Bool
from torch import Tensor

from framepred.clips import Clip, at_least_float32

LEVEL = 1 / 255  # one gray level: smaller differences are invisible
SATURATED_EXCESS = 0.5  # share of pixels that are white, black or either in predictions but not in the truth

CAUSES = (
    "Likely causes: a learning rate that is too high, training that has hardly begun or diverged, weights of another "
    "data set, or pixels on another scale than [0, 1]."
)


@dataclass
class PixelStatistics:
    """Running statistics of predicted and true pixels; a few numbers, however many clips there are.

    >>> statistics = PixelStatistics()
    >>> statistics.add(torch.zeros(1, 2, 1, 8, 8), torch.rand(1, 2, 1, 8, 8))
    >>> statistics.collapse().split(":")[0]
    'All predictions are blank'
    """

    darkest: float = torch.inf
    brightest: float = -torch.inf
    widest: float = 0.0  # largest difference between two pixels of one predicted frame
    darkest_truth: float = torch.inf
    brightest_truth: float = -torch.inf
    widest_truth: float = 0.0
    white: float = 0.0  # sum over pixels: predicted white minus truly white
    black: float = 0.0
    broken: float = 0.0  # predicted frames that hold NaN or infinite pixels
    frames: int = 0
    pixels: int = 0

    def add(self, pred: Clip, target: Clip) -> None:
        """Add predictions and the truth, ``(b, t, c, h, w)``; pixels whose truth is NaN are left out."""
        # half precision holds neither counts nor sums of pixels
        pred, target = _without_missing(at_least_float32(pred), at_least_float32(target))
        low, high = pred.flatten(2).amin(dim=2), pred.flatten(2).amax(dim=2)  # (b, t)
        truth_low, truth_high = target.flatten(2).amin(dim=2), target.flatten(2).amax(dim=2)
        white = (pred > 1 - LEVEL).sum() - (target > 1 - LEVEL).sum()
        black = (pred < LEVEL).sum() - (target < LEVEL).sum()
        predicted = [low.min(), high.max(), (high - low).max()]
        true = [truth_low.min(), truth_high.max(), (truth_high - truth_low).max()]
        broken = (~(low.isfinite() & high.isfinite())).sum()  # a NaN pixel makes both extremes NaN
        few = torch.stack([*predicted, *true, *(count.to(low) for count in (white, black, broken))]).tolist()
        added = PixelStatistics(*few)
        added.frames, added.pixels = low.numel(), pred.numel()
        self.merge(added)

    def merge(self, other: "PixelStatistics") -> None:
        """Add the statistics of other clips."""
        self.darkest, self.brightest = min(self.darkest, other.darkest), max(self.brightest, other.brightest)
        self.widest = max(self.widest, other.widest)
        self.darkest_truth = min(self.darkest_truth, other.darkest_truth)
        self.brightest_truth = max(self.brightest_truth, other.brightest_truth)
        self.widest_truth = max(self.widest_truth, other.widest_truth)
        self.white, self.black = self.white + other.white, self.black + other.black
        self.broken, self.frames, self.pixels = (
            self.broken + other.broken,
            self.frames + other.frames,
            self.pixels + other.pixels,
        )

    def collapse(self, mse: float | None = None, blank_mse: float | None = None) -> str:
        """One sentence if the predictions have collapsed, with likely causes; empty if they have not.

        Args:
            mse: of the predictions.
            blank_mse: of the blank baseline on the same clips.
        """
        found = self._not_finite() or self._sameness() or self._saturation() or _no_better_than_blank(mse, blank_mse)
        return f"{found} {CAUSES}" if found else ""

    def _not_finite(self) -> str:
        if not self.broken:
            return ""
        hold = "holds" if self.broken == 1 else "hold"
        return f"{self.broken:,.0f} of {self.frames:,} predicted frames {hold} NaN or infinite pixels."

    def _sameness(self) -> str:
        if self.pixels == 0 or self.brightest_truth - self.darkest_truth < LEVEL:  # blank is right for blank data
            return ""
        if self.brightest - self.darkest < LEVEL:
            return (
                f"All predictions are blank: every pixel is {self.brightest:.2f} to within 1/255, "
                "in every frame of every clip."
            )
        if self.widest < LEVEL <= self.widest_truth:
            return "Every predicted frame is flat: its pixels are equal to within 1/255."
        return ""

    def _saturation(self) -> str:
        excesses = {"white": self.white, "black": self.black, "white or black": self.white + self.black}
        for name, excess in excesses.items():
            if self.pixels and excess / self.pixels > SATURATED_EXCESS:
                return (
                    f"Predictions are saturated: {excess / self.pixels:.0%} of the pixels are {name} where the truth "
                    "is not."
                )
        return ""


def _without_missing(pred: Clip, target: Clip) -> tuple[Clip, Clip]:
    """Give missing pixels the mean of the others of their frame, or 0, so that the extremes of the frame stay."""
    missing = target.isnan()
    if not missing.any():
        return pred, target
    return _with_means(pred, missing), _with_means(target, missing)


def _with_means(clip: Clip, missing: Bool[Tensor, "b t c h w"]) -> Clip:
    means = clip.masked_fill(missing, torch.nan).flatten(2).nanmean(dim=2).nan_to_num(0)  # (b, t)
    return torch.where(missing, means[:, :, None, None, None], clip)


def _no_better_than_blank(mse: float | None, blank_mse: float | None) -> str:
    if mse is None or blank_mse is None or mse < blank_mse or blank_mse == 0:
        return ""
    return f"Predictions are no better than a blank frame: mse {mse:.2f}, blank {blank_mse:.2f}."
