import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from skimage.metrics import peak_signal_noise_ratio, structural_similarity
from torch import Tensor
from torch.nn.functional import avg_pool2d

from framepred.errors import ClipError
from framepred.evaluation import find_protocol
from framepred.evaluation.formulas import (
    FrameFormula,
    frame_mae,
    frame_mse,
    frame_psnr,
    frame_ssim_openstl,
    frame_ssim_wang2004,
)

FORMULAS = [frame_mse, frame_mae, frame_psnr, frame_ssim_openstl, frame_ssim_wang2004]
SSIMS = {
    frame_ssim_openstl: {"data_range": 2.0},
    frame_ssim_wang2004: {
        "gaussian_weights": True,
        "sigma": 1.5,
        "use_sample_covariance": False,
        "data_range": 1.0,
    },
}

sizes = st.tuples(
    st.integers(1, 2), st.integers(1, 2), st.integers(1, 4), st.integers(11, 24), st.integers(11, 24)
)  # (b, t, c, h, w)


def pair(size: tuple[int, ...], kind: str) -> tuple[Tensor, Tensor]:
    """A prediction, partly outside [0, 1], and its target."""
    generator = torch.Generator().manual_seed(sum(size))
    target = torch.rand(size, generator=generator)
    predictions = {
        "random": torch.rand(size, generator=generator) * 1.4 - 0.2,
        "blurred": avg_pool2d(target.flatten(0, 1), 3, 1, 1).reshape(size),
        "exact": target,
        "blank": torch.zeros(size),
    }
    return (torch.full(size, 0.3), torch.full(size, 0.7)) if kind == "constant" else (predictions[kind], target)


KINDS = ["random", "blurred", "exact", "blank", "constant"]


def skimage_ssim(pred: Tensor, target: Tensor, **settings: object) -> NDArray[np.float64]:
    p, t = pred.clamp(0, 1).double().numpy(), target.double().numpy()
    return np.array(
        [
            [structural_similarity(a, b, channel_axis=0, **settings) for a, b in zip(*clips, strict=True)]
            for clips in zip(p, t, strict=True)
        ]
    )


@pytest.mark.parametrize("formula", SSIMS)
@settings(max_examples=30)
@given(size=sizes, kind=st.sampled_from(KINDS))
def test_ssim_is_scikit_images(formula: FrameFormula, kind: str, size: tuple[int, ...]) -> None:
    pred, target = pair(size, kind)
    expected = skimage_ssim(pred, target, **SSIMS[formula])
    np.testing.assert_allclose(formula(pred, target).numpy(), expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize("formula", SSIMS)
def test_ssim_of_a_gray_frame_is_scikit_images_without_channels(formula: FrameFormula) -> None:
    pred, target = pair((1, 1, 1, 17, 23), "random")
    expected = structural_similarity(
        pred[0, 0, 0].clamp(0, 1).double().numpy(), target[0, 0, 0].double().numpy(), **SSIMS[formula]
    )
    assert formula(pred, target).item() == pytest.approx(expected, abs=1e-6)


def test_ssim_by_hand() -> None:
    """On constant frames a, b only the luminance term remains: (2ab + c1) / (a² + b² + c1)."""
    pred, target = torch.full((1, 1, 1, 11, 11), 0.25).double(), torch.full((1, 1, 1, 11, 11), 0.5).double()
    by_range = {frame_ssim_openstl: 0.02**2, frame_ssim_wang2004: 0.01**2}
    for formula, c1 in by_range.items():
        assert formula(pred, target).item() == pytest.approx((0.25 + c1) / (0.3125 + c1), abs=1e-12)


def test_ssim_is_computed_in_float64() -> None:
    """Bright frames that hardly vary: in float32 the variances drown in rounding."""
    target = 1 - 1e-3 * pair((1, 1, 1, 32, 32), "random")[1].double()
    pred = 1 - 1e-3 * pair((1, 1, 1, 32, 32), "random")[0].double().clamp(0, 1)
    expected = skimage_ssim(pred.float(), target.float(), data_range=2.0)
    np.testing.assert_allclose(frame_ssim_openstl(pred.float(), target.float()).numpy(), expected, rtol=0, atol=1e-9)


@pytest.mark.parametrize(("formula", "side"), [(frame_ssim_openstl, 7), (frame_ssim_wang2004, 11)])
def test_ssim_needs_its_window(formula: FrameFormula, side: int) -> None:
    fits, small = torch.rand(1, 2, 1, side, side), torch.rand(1, 2, 1, side + 5, side - 1)
    assert formula(fits, fits).shape == (1, 2)
    with pytest.raises(ClipError, match=f"at least {side} × {side} pixels, not {side + 5} × {side - 1}"):
        formula(small, small)


@settings(max_examples=30)
@given(size=sizes, kind=st.sampled_from(KINDS))
def test_errors_are_summed_over_the_frame_and_not_clipped(kind: str, size: tuple[int, ...]) -> None:
    pred, target = pair(size, kind)
    difference = pred.double().numpy() - target.double().numpy()
    np.testing.assert_allclose(frame_mse(pred, target), (difference**2).sum((2, 3, 4)), rtol=1e-5)
    np.testing.assert_allclose(frame_mae(pred, target), np.abs(difference).sum((2, 3, 4)), rtol=1e-5)


@settings(max_examples=30)
@given(size=sizes, kind=st.sampled_from(["random", "blurred", "blank", "constant"]))
def test_psnr_is_scikit_images(kind: str, size: tuple[int, ...]) -> None:
    pred, target = pair(size, kind)
    p, t = pred.clamp(0, 1).double().numpy(), target.double().numpy()
    expected = [
        [peak_signal_noise_ratio(a, b, data_range=1) for a, b in zip(*clips, strict=True)]
        for clips in zip(t, p, strict=True)
    ]
    np.testing.assert_allclose(frame_psnr(pred, target), expected, rtol=0, atol=1e-4)


def test_psnr_of_an_exact_frame_is_capped() -> None:
    frame = torch.rand(2, 3, 1, 8, 8)
    assert (frame_psnr(frame, frame) == 100).all()
    assert (frame_psnr(frame, (frame + 1e-7).clamp(max=1)) == 100).all()


@pytest.mark.parametrize("formula", FORMULAS)
def test_lead_times_and_clips_are_kept_apart(formula: FrameFormula) -> None:
    pred, target = pair((3, 4, 2, 12, 15), "random")
    values = formula(pred, target)
    assert values.shape == (3, 4)
    assert values.dtype == torch.float64
    for b in range(3):
        for t in range(4):
            alone = formula(pred[b : b + 1, t : t + 1], target[b : b + 1, t : t + 1])
            torch.testing.assert_close(values[b : b + 1, t : t + 1], alone, rtol=1e-12, atol=0)


@pytest.mark.parametrize("formula", FORMULAS)
@pytest.mark.parametrize("shape", [(2, 3, 1, 12, 13), (1, 3, 1, 12, 12), (2, 3, 12, 12)])
def test_shapes_must_match(formula: FrameFormula, shape: tuple[int, ...]) -> None:
    with pytest.raises(ClipError) as caught:
        formula(torch.rand(2, 3, 1, 12, 12), torch.rand(shape))
    assert "(2, 3, 1, 12, 12)" in str(caught.value)
    assert str(shape) in str(caught.value)


@pytest.mark.parametrize("formula", FORMULAS)
def test_integer_targets_are_refused(formula: FrameFormula) -> None:
    with pytest.raises(ClipError, match=r"torch\.uint8.*to_unit"):
        formula(torch.rand(1, 1, 1, 12, 12), torch.zeros(1, 1, 1, 12, 12, dtype=torch.uint8))


@pytest.mark.parametrize("formula", FORMULAS)
def test_half_precision_is_measured_in_float32(formula: FrameFormula) -> None:
    pred, target = pair((1, 2, 1, 12, 12), "random")
    half = pred.bfloat16()
    torch.testing.assert_close(formula(half, target), formula(half.float(), target), rtol=0, atol=0)


def predrnn_in_numpy(pred: Tensor, target: Tensor) -> dict[str, NDArray[np.float64]]:
    """The loop of core/trainer.py of thuml/predrnn-pytorch, frame by frame, with differences in wide integers."""
    p, t = np.clip(pred.numpy(), 0, 1), target.numpy()
    frames = [(a, b) for clips in zip(p, t, strict=True) for a, b in zip(*clips, strict=True)]
    bytes_ = [(np.uint8(a * 255), np.uint8(b * 255)) for a, b in frames]
    wide = [((a.astype(np.int32) - b.astype(np.int32)) ** 2).mean() for a, b in bytes_]
    found = {
        "mse": [np.square(a - b).sum() for a, b in frames],
        "mae": [np.abs(a - b).sum() for a, b in frames],
        "psnr": [min(100.0, 20 * np.log10(255) - 10 * np.log10(error)) if error else 100.0 for error in wide],
        "ssim": [structural_similarity(a, b, channel_axis=0) for a, b in bytes_],
    }
    return {name: np.reshape(values, pred.shape[:2]) for name, values in found.items()}


@settings(max_examples=15)
@given(size=sizes, kind=st.sampled_from(KINDS))
def test_predrnn_is_what_its_program_computes(kind: str, size: tuple[int, ...]) -> None:
    pred, target = pair(size, kind)
    expected = predrnn_in_numpy(pred, target)
    for name, measure in find_protocol("predrnn").measures.items():
        np.testing.assert_allclose(measure.formula(pred, target), expected[name], rtol=1e-5, atol=1e-6, err_msg=name)


def test_gray_levels_survive_predrnns_truncation() -> None:
    levels = torch.arange(256, dtype=torch.float32).reshape(1, 1, 1, 16, 16) / 255
    assert find_protocol("predrnn").measures["psnr"].formula(levels, levels).item() == 100
    assert find_protocol("predrnn").measures["ssim"].formula(levels, levels).item() == pytest.approx(1)


FROZEN = {  # computed with NumPy 2 and scikit-image 0.26 from the frames of the test below
    "openstl": {"mse": 5.4402113, "mae": 31.71825, "psnr": 17.3776115, "ssim": 0.8443249},
    "predrnn": {"mse": 4.6825113, "mae": 29.12399, "psnr": 17.3706321, "ssim": 0.8397863},
    "wang2004": {"mse": 5.4402113, "mae": 31.71825, "psnr": 17.3776115, "ssim": 0.8071857},
}


@pytest.mark.parametrize("name", FROZEN)
def test_protocols_keep_their_values(name: str) -> None:
    """A formula that changes a value needs a new version of its protocol."""
    sides = torch.arange(16.0).double()
    rows, columns = torch.meshgrid(sides, sides, indexing="ij")
    truth = 0.5 + 0.5 * torch.sin(rows / 2) * torch.cos(columns / 3)
    guess = 1.1 * truth + 0.2 * torch.sin(rows * columns)
    pred, target = (frame.float().reshape(1, 1, 1, 16, 16) for frame in (guess, truth))
    protocol = find_protocol(name)
    assert protocol.version == 1
    values = {metric: measure.formula(pred, target).item() for metric, measure in protocol.measures.items()}
    assert values == pytest.approx(FROZEN[name], rel=1e-4)
