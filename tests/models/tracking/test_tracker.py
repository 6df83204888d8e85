import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional

from framepred.models.tracking.tracker import track

STILL = torch.zeros(1, 1, 2)


def blob(x: float, y: float, size: int = 48) -> torch.Tensor:
    """A round spot of light, ``(h, w)``."""
    at = torch.arange(size) + 0.5
    return (-((at - x).square() + (at[:, None] - y).square()) / 8).exp()


def patch(x: int, y: int, seed: int, size: int = 48) -> torch.Tensor:
    """A square of 9 pixels of noise, ``(h, w)``, its corner at (x, y)."""
    picture = torch.zeros(size, size)
    picture[y : y + 9, x : x + 9] = torch.rand(9, 9, generator=torch.Generator().manual_seed(seed))
    return picture


@pytest.mark.parametrize(("x", "y"), [(0, 0), (3, -2), (-4, 4), (2.25, 0), (-1.25, 0.75)])
def test_a_layer_is_found_where_it_went(x: float, y: float) -> None:
    found = track(blob(24 + x, 24 + y)[None, None], blob(24, 24)[None, None, None], STILL, reach=5)
    torch.testing.assert_close(
        found.displacement[0, 0], torch.tensor([x, y], dtype=torch.float32).round(), rtol=0, atol=0
    )
    assert found.score[0, 0, 0] > 0.9
    assert found.agreement[0, 0, round(24 + y), round(24 + x)] > 0.8


@settings(max_examples=20)
@given(st.integers(-9, 9), st.integers(-9, 9), st.integers(-3, 3), st.integers(-3, 3), st.integers(0, 9))
def test_a_layer_is_found_wherever_it_was_expected(x: int, y: int, right: int, down: int, seed: int) -> None:
    frame, layer = patch(20 + x, 20 + y, seed), patch(20, 20, seed)
    found = track(frame[None, None], layer[None, None, None], torch.tensor([[[x + right, y + down]]]).float(), reach=4)
    torch.testing.assert_close(found.displacement[0, 0], torch.tensor([x, y], dtype=torch.float32), rtol=0, atol=0)


def test_layers_that_look_alike_follow_different_objects() -> None:
    """Both hold the whole scene, as after the first frame; the two objects part."""
    before, frame = patch(8, 8, 0) + patch(30, 30, 1), patch(8, 11, 0) + patch(27, 30, 1)
    found = track(frame[None, None], before.expand(1, 2, 1, -1, -1), STILL.expand(1, 2, 2), reach=6)
    offsets = sorted(found.displacement[0].tolist())
    assert offsets[0] == pytest.approx([-3, 0], abs=0.5)
    assert offsets[1] == pytest.approx([0, 3], abs=0.5)


def test_what_one_layer_explains_is_not_explained_again() -> None:
    frame = blob(24, 24)[None, None]
    found = track(frame, torch.stack([blob(24, 24), blob(20, 24)])[None, :, None], STILL.expand(1, 2, 2), reach=6)
    assert found.score[0, 0, 0] > 0.9
    assert found.score[0, 1, 0] < 0.3


def test_an_empty_layer_and_an_empty_frame_go_on_as_expected() -> None:
    nothing, something = torch.zeros(1, 1, 16, 24), torch.rand(1, 1, 16, 24)
    for frame, layer in ((nothing, something), (something, nothing), (nothing, nothing)):
        found = track(frame, layer[:, None], STILL + 2, reach=3)
        assert all(part.isfinite().all() for part in found)
        assert torch.equal(found.displacement, STILL + 2)


def test_light_on_a_bright_ground_is_followed_too() -> None:
    ground = functional.interpolate(torch.rand(1, 1, 4, 4, generator=torch.Generator().manual_seed(0)), size=(48, 48))
    frame, layer = ground * 0.5 + blob(27, 22) / 2, ground * 0.5 + blob(24, 24) / 2
    assert (
        track(frame, layer[:, None], STILL, reach=5).displacement.abs().max() < 0.5
    )  # the ground is the dominant motion


def test_gradient_passes_through_what_layers_show_and_not_through_where_they_are_found() -> None:
    frame, layer = torch.rand(1, 1, 16, 16, requires_grad=True), torch.rand(1, 1, 1, 16, 16, requires_grad=True)
    found = track(frame, layer, STILL.clone().requires_grad_(), reach=2)
    assert not any(part.requires_grad for part in (found.displacement, found.score, found.agreement))
    (gradient,) = torch.autograd.grad(found.aligned.sum(), layer, retain_graph=True)
    assert gradient.sum() == pytest.approx(16 * 16)
    assert torch.autograd.grad(found.aligned.sum(), frame, allow_unused=True) == (None,)
