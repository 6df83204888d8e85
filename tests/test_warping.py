import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional

from framepred.models.correlation import between_correlation, local_correlation
from framepred.warping import compose, shift, warp


def constant(x: float, y: float, height: int, width: int) -> torch.Tensor:
    return torch.tensor([x, y], dtype=torch.float64).view(1, 2, 1, 1).expand(1, 2, height, width)


def noise(*shape: int) -> torch.Tensor:
    return torch.rand(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(0))


@settings(max_examples=30)
@given(st.integers(-3, 3), st.integers(-3, 3))
def test_whole_pixels_shift_and_the_border_goes_on(x: int, y: int) -> None:
    picture = noise(1, 2, 6, 8)
    rows = (torch.arange(6) + y).clamp(0, 5)
    columns = (torch.arange(8) + x).clamp(0, 7)
    expected = picture[:, :, rows][:, :, :, columns]
    torch.testing.assert_close(warp(picture, constant(x, y, 6, 8)), expected, rtol=0, atol=1e-9)


@settings(max_examples=40)
@given(st.floats(-9, 9), st.floats(-9, 9), st.sampled_from([6, 8]))
def test_a_shift_is_a_warp_by_the_same_everywhere(x: float, y: float, width: int) -> None:
    picture = noise(2, 3, 6, width)
    offset = torch.tensor([[x, y], [-y, 0.5]], dtype=torch.float64)
    fields = constant(-x, -y, 6, width), constant(y, -0.5, 6, width)
    warped = torch.cat([warp(picture[[row]], field) for row, field in enumerate(fields)])
    torch.testing.assert_close(shift(picture, offset), warped, rtol=0, atol=1e-9)


def test_half_a_pixel_is_the_mean_of_two() -> None:
    picture = noise(1, 1, 4, 6)
    expected = (picture[..., :-1] + picture[..., 1:]) / 2
    torch.testing.assert_close(warp(picture, constant(0.5, 0, 4, 6))[..., :-1], expected, rtol=0, atol=1e-9)


@pytest.mark.parametrize("half", [torch.float16, torch.bfloat16])
def test_positions_in_half_precision_are_exact_in_wide_pictures(half: torch.dtype) -> None:
    picture = torch.zeros(1, 1, 3, 600, dtype=half)
    picture[..., 500] = 1
    back = constant(3.25, 0, 3, 600).to(half)
    offset = torch.tensor([[-3.25, 0]], dtype=half)
    for moved in (warp(picture, back), shift(picture, offset), warp(picture, compose(back / 2, back / 2))):
        assert moved.dtype == half
        assert moved[0, 0, 1, 496:498].tolist() == [0.25, 0.75]
        assert moved[0, 0, 1].count_nonzero() == 2


def test_pictures_of_a_batch_move_on_their_own() -> None:
    picture = noise(2, 1, 5, 5)
    moved = warp(picture, torch.cat([constant(1, 0, 5, 5), constant(0, 2, 5, 5)]))
    torch.testing.assert_close(moved[0, :, :, :-1], picture[0, :, :, 1:], rtol=0, atol=1e-9)
    torch.testing.assert_close(moved[1, :, :-2], picture[1, :, 2:], rtol=0, atol=1e-9)


def test_two_halves_of_a_pixel_make_a_whole_one_without_blur() -> None:
    picture, half = noise(1, 1, 5, 7), constant(0.5, 0, 5, 7)
    moved = warp(picture, compose(half, half))
    torch.testing.assert_close(moved[..., :-1], picture[..., 1:], rtol=0, atol=1e-9)


def test_a_path_leads_back_through_the_earlier_field() -> None:
    later, earlier = constant(2, 0, 4, 8), noise(1, 2, 4, 8)
    path = compose(later, earlier)
    torch.testing.assert_close(path[..., :-2], later[..., :-2] + earlier[..., 2:], rtol=0, atol=1e-9)


def test_coarse_paths_are_in_pixels() -> None:
    later, earlier = constant(8, 0, 4, 8), noise(1, 2, 4, 8)
    torch.testing.assert_close(
        compose(later, earlier, scale=8)[..., :-1], later[..., :-1] + earlier[..., 1:], rtol=0, atol=1e-9
    )


@pytest.mark.parametrize(("x", "y"), [(0, 0), (2, 0), (-3, 1), (0, -2)])
def test_correlation_is_highest_at_the_true_displacement(x: int, y: int) -> None:
    coarse = torch.rand(1, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    before = functional.interpolate(coarse, size=(32, 32), mode="bicubic")
    frame = torch.roll(before, (-2 * y, -2 * x), dims=(2, 3))
    scores = local_correlation(frame, before, reach=3, cell=8)
    assert scores.shape == (1, 49, 4, 4)
    inner = scores[0, :, 1:3, 1:3].flatten(1)
    assert (inner.argmax(dim=0) == (y + 3) * 7 + x + 3).all()
    assert inner.max() <= 1.05


def test_a_flat_frame_matches_nothing() -> None:
    flat = torch.full((1, 1, 16, 16), 0.7)
    assert local_correlation(flat, flat, reach=1, cell=8).abs().max() < 1e-6


def test_no_gradient_passes_through_what_is_measured() -> None:
    frame = torch.rand(1, 1, 16, 16, requires_grad=True)
    assert not local_correlation(frame, frame, reach=1, cell=8).requires_grad


@pytest.mark.parametrize(("x", "y"), [(0, 0), (2, 1), (-3, 0), (1, -2)])
@pytest.mark.parametrize("distances", [(1, 1), (1, 3), (2, 2)])
def test_a_steady_pan_across_a_gap_agrees_best_at_its_velocity(x: int, y: int, distances: tuple[int, int]) -> None:
    picture = functional.avg_pool2d(noise(1, 1, 98, 98), 3, stride=1)

    def seen(time: int) -> torch.Tensor:
        return picture[..., 16 - time * y : 80 - time * y, 16 - time * x : 80 - time * x]

    agreement = between_correlation(seen(-distances[0]), seen(distances[1]), distances, reach=3, cell=8)
    best = agreement[0, :, 3:5, 3:5].flatten(1).argmax(dim=0)
    assert (best == (y + 3) * 7 + x + 3).all()
