"""Formulas that score predicted frames: pure functions, one value per frame, no averages.

Every formula takes predictions and targets ``(b, t, c, h, w)`` of one shape, in [0, 1], and returns float64 ``(b, t)``.

Pixels whose target is NaN are missing and are left out: sums over a frame are those of its other pixels, scaled up to
the whole frame; PSNR uses the mean over its other pixels; SSIM is the mean over the windows without missing pixels. A
frame without such pixels or windows has the value NaN. The predictions of missing pixels are ignored.

:mod:`framepred.evaluation.metrics` averages them; :mod:`framepred.evaluation.protocols` gives them names.
"""

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple, TypeAlias

import torch
from jaxtyping import Float, Shaped
from torch import Tensor

from framepred.clips import Clip, Frame, PerFrame
from framepred.errors import ClipError

Truth: TypeAlias = Shaped[Tensor, "..."]  # a clip of the shape of the predictions, which the formula checks
FrameFormula: TypeAlias = Callable[[Clip, Truth], PerFrame]
ClipFormula: TypeAlias = Callable[[Clip, Truth], Float[Tensor, "..."]]
"""A formula with one value per frame, ``(b, t)``, or one value per clip, ``(b,)``."""

LocalMeans: TypeAlias = Float[Tensor, "b c i j"]  # one value for each position of the window

PIXELS = (-3, -2, -1)
MAX_PSNR_DB = 100.0
K1, K2 = 0.01, 0.03  # constants of SSIM, Wang et al. 2004, section III-C


def frame_mse(pred: Clip, target: Truth) -> PerFrame:
    """Squared error of each frame, **summed** over c, h and w; predictions are not clipped.

    This is the convention of OpenSTL (Tan et al. 2023, arXiv:2306.11249). At 64×64 it is 4096 times the mean squared
    error of a pixel.

    Raises:
        ClipError: if the shapes differ or the targets are integers.

    >>> frame_mse(torch.zeros(1, 2, 1, 8, 8), torch.full((1, 2, 1, 8, 8), 0.5)).tolist()
    [[16.0, 16.0]]
    """
    pred, target = _matched(pred, target)
    return _frame_sums((pred - target).square(), target)


def frame_mae(pred: Clip, target: Truth) -> PerFrame:
    """Absolute error of each frame, **summed** over c, h and w; predictions are not clipped.

    Raises:
        ClipError: if the shapes differ or the targets are integers.
    """
    pred, target = _matched(pred, target)
    return _frame_sums((pred - target).abs(), target)


def frame_psnr(pred: Clip, target: Truth) -> PerFrame:
    """PSNR of each frame in dB for a peak of 1; ``pred`` is clipped to [0, 1], the result to ``MAX_PSNR_DB``.

    Raises:
        ClipError: if the shapes differ or the targets are integers.
    """
    pred, target = _matched(pred, target)
    error = _frame_means((pred.clamp(0, 1) - target).square(), target)
    return (-10 * error.log10()).clamp(max=MAX_PSNR_DB)


def frame_ssim_openstl(pred: Clip, target: Truth) -> PerFrame:
    """SSIM of each frame as OpenSTL computes it: the defaults of scikit-image for floats, data range 2.

    7×7 uniform window, sample covariance, windows inside the frame only, mean over channels, ``pred`` clipped to
    [0, 1]. Equals ``skimage.metrics.structural_similarity(data_range=2.0)``.

    Raises:
        ClipError: if the shapes differ, the targets are integers or a frame is smaller than the window.
    """
    return _ssim(*_clipped(pred, target), OPENSTL)


def frame_ssim_wang2004(pred: Clip, target: Truth) -> PerFrame:
    """SSIM of each frame as Wang et al. 2004 (doi:10.1109/TIP.2003.819861) define it, data range 1.

    11×11 Gaussian window of σ 1.5, population covariance, windows inside the frame only, mean over channels,
    ``pred`` clipped to [0, 1]. Equals ``skimage.metrics.structural_similarity(gaussian_weights=True, sigma=1.5,
    use_sample_covariance=False, data_range=1.0)``.

    Raises:
        ClipError: if the shapes differ, the targets are integers or a frame is smaller than the window.
    """
    return _ssim(*_clipped(pred, target), WANG2004)


def frame_mse_predrnn(pred: Clip, target: Truth) -> PerFrame:
    """Squared error of each frame, summed over c, h and w, of predictions clipped to [0, 1].

    Source: ``core/trainer.py`` of thuml/predrnn-pytorch, which clips predictions before every metric.

    Raises:
        ClipError: if the shapes differ or the targets are integers.
    """
    return frame_mse(*_clipped(pred, target))


def frame_mae_predrnn(pred: Clip, target: Truth) -> PerFrame:
    """Absolute error of each frame, summed over c, h and w, of predictions clipped to [0, 1].

    Raises:
        ClipError: if the shapes differ or the targets are integers.
    """
    return frame_mae(*_clipped(pred, target))


def frame_psnr_predrnn(pred: Clip, target: Truth) -> PerFrame:
    """PSNR of each frame in dB, of frames truncated to 8 bits, ``uint8(255 · x)``; at most ``MAX_PSNR_DB``.

    Differences are taken in floats. Code that subtracts uint8 arrays wraps around and reports 34 dB and more.

    Raises:
        ClipError: if the shapes differ or the targets are integers.
    """
    pred, target = _truncated(pred, target)
    error = _frame_means((pred - target).square(), target)
    return (10 * (WHITE_LEVEL**2 / error).log10()).clamp(max=MAX_PSNR_DB)


def frame_ssim_predrnn(pred: Clip, target: Truth) -> PerFrame:
    """SSIM of each frame, of frames truncated to 8 bits, ``uint8(255 · x)``: scikit-image's defaults for uint8.

    7×7 uniform window, sample covariance, data range 255, mean over channels.

    Raises:
        ClipError: if the shapes differ, the targets are integers or a frame is smaller than the window.
    """
    return _ssim(*_truncated(pred, target), PREDRNN)


class SsimSetting(NamedTuple):
    """The parameters in which the definitions of SSIM differ."""

    taps: tuple[float, ...]  # weights of the window along each axis; their sum is 1
    data_range: float
    unbias: float  # factor on the covariances: n / (n - 1) for samples, 1 for populations

    @property
    def side(self) -> int:
        """Side of the window in pixels."""
        return len(self.taps)


def _gaussian(side: int, sigma: float) -> tuple[float, ...]:
    weights = [math.exp(-0.5 * ((tap - side // 2) / sigma) ** 2) for tap in range(side)]
    return tuple(weight / math.fsum(weights) for weight in weights)


WHITE_LEVEL = 255.0  # of 8-bit frames
UNIFORM_7 = (1 / 7,) * 7
OPENSTL = SsimSetting(UNIFORM_7, data_range=2.0, unbias=49 / 48)
PREDRNN = SsimSetting(UNIFORM_7, data_range=WHITE_LEVEL, unbias=49 / 48)
WANG2004 = SsimSetting(_gaussian(side=11, sigma=1.5), data_range=1.0, unbias=1.0)

CACHED_PIXELS = 1 << 15  # a block of frames, with its moments in float64, stays in the cache of a processor
GPU_PIXELS = 1 << 22  # a GPU needs larger blocks to be busy


def _ssim(pred: Clip, target: Clip, setting: SsimSetting) -> PerFrame:
    """SSIM of one block of frames after the other, so that memory does not grow with the clips."""
    if min(pred.shape[-2:]) < setting.side:
        raise ClipError(
            f"This SSIM needs frames of at least {setting.side} × {setting.side} pixels, "
            f"not {pred.shape[-2]} × {pred.shape[-1]}; evaluate on larger frames."
        )
    pixels = CACHED_PIXELS if pred.device.type == "cpu" else GPU_PIXELS
    block = max(1, pixels // pred.shape[2:].numel())
    frames = zip(torch.split(pred.flatten(0, 1), block), torch.split(target.flatten(0, 1), block), strict=True)
    return torch.cat([_ssim_of_frames(p.double(), t.double(), setting) for p, t in frames]).view(pred.shape[:2])


def _ssim_of_frames(pred: Frame, target: Frame, setting: SsimSetting) -> Float[Tensor, " b"]:
    """SSIM averaged over channels and over the windows without missing pixels; NaN if there is none."""
    value = _similarity(pred, target, setting).mean(dim=PIXELS)
    if not value.isnan().any():
        return value
    missing = target.isnan()
    similarity = _similarity(pred.masked_fill(missing, 0), target.masked_fill(missing, 0), setting)
    incomplete = _local_means(missing.to(pred), setting.taps) > 0
    return similarity.masked_fill(incomplete, 0).sum(dim=PIXELS) / (~incomplete).sum(dim=PIXELS)


def _similarity(pred: Frame, target: Frame, setting: SsimSetting) -> LocalMeans:
    """Equation 13 of Wang et al. 2004 for every window inside the frame."""
    c1, c2 = (K1 * setting.data_range) ** 2, (K2 * setting.data_range) ** 2
    moments = torch.cat([pred, target, pred.square().add_(target.square()), pred * target])
    mean_p, mean_t, power, product = _local_means(moments, setting.taps).chunk(4)
    cross = mean_p * mean_t
    means = mean_p.square_().add_(mean_t.square_())
    variance, covariance = power.sub_(means).mul_(setting.unbias), product.sub_(cross).mul_(setting.unbias)
    similarity = cross.mul_(2).add_(c1).mul_(covariance.mul_(2).add_(c2))
    return similarity.div_(means.add_(c1).mul_(variance.add_(c2)))


def _local_means(maps: Frame, taps: Sequence[float]) -> LocalMeans:
    """Weighted means over every window inside the frame, along one axis after the other."""
    for axis in (-2, -1):
        length = maps.shape[axis] - len(taps) + 1
        means = taps[0] * maps.narrow(axis, 0, length)
        for offset, weight in enumerate(taps[1:], start=1):
            means.add_(maps.narrow(axis, offset, length), alpha=weight)
        maps = means
    return maps


def _frame_sums(error: Clip, target: Clip) -> PerFrame:
    """Sum over the pixels of each frame; where some are missing, that of the others, scaled up to the whole frame."""
    total = error.sum(dim=PIXELS, dtype=torch.float64)
    if total.device.type == "cpu" and not total.isnan().any():  # the question would make training wait for a GPU
        return total
    missing = target.isnan()
    measured = error.masked_fill(missing, 0).sum(dim=PIXELS, dtype=torch.float64)
    return measured * (error.shape[2:].numel() / (~missing).sum(dim=PIXELS))


def _frame_means(error: Clip, target: Clip) -> PerFrame:
    """Mean over the pixels of each frame that are not missing."""
    mean = error.mean(dim=PIXELS, dtype=torch.float64)
    return _frame_sums(error, target) / error.shape[2:].numel() if mean.isnan().any() else mean


def _clipped(pred: Clip, target: Truth) -> tuple[Clip, Clip]:
    """Checked clips with the predictions clipped to [0, 1]."""
    pred, target = _matched(pred, target)
    return pred.clamp(0, 1), target


def _truncated(pred: Clip, target: Truth) -> tuple[Clip, Clip]:
    """Both clips as ``uint8(255 · x)``, computed in float32 as NumPy does it, held as float64 from 0 to 255."""
    pred, target = ((WHITE_LEVEL * clip.float()).trunc().double() for clip in _clipped(pred, target))
    return pred, target


def _matched(pred: Clip, target: Truth) -> tuple[Clip, Clip]:
    """Both clips in float32 or float64, after a check that they can be compared."""
    if pred.ndim != 5 or pred.shape != target.shape:
        raise ClipError(
            f"Predictions and targets must have one shape (b, t, c, h, w), "
            f"but predictions are {tuple(pred.shape)} and targets are {tuple(target.shape)}."
        )
    if not target.is_floating_point():
        raise ClipError(f"Targets are {target.dtype} but only floats in [0, 1] are measured; use to_unit.")
    dtype = torch.promote_types(torch.promote_types(pred.dtype, target.dtype), torch.float32)
    device = float64_device(pred.device)
    return pred.to(device, dtype), target.to(device, dtype)


def float64_device(device: torch.device) -> torch.device:
    """The device itself; the CPU in place of an Apple GPU, which has no float64."""
    return torch.device("cpu") if device.type == "mps" else device
