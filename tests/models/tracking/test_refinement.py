import torch

from framepred.models.tracking.refinement import has_own_light, search_nearby, second_smallest
from framepred.models.tracking.translation import translate


def two_squares() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Two squares of noise that cross: frames ``(1, 8, 1, 32, 32)``, layers and true positions ``(1, 2, 8, 2)``."""
    layers = torch.zeros(1, 2, 1, 32, 32)
    layers[0, :, 0, 12:20, 12:20] = 0.1 + torch.rand(2, 8, 8, generator=torch.Generator().manual_seed(0))
    time = torch.arange(8.0) - 7
    positions = torch.stack([torch.stack([time, time], -1), torch.stack([2 - time, time + 3], -1)])[None]
    moved = translate(layers[:, :, None], positions[..., None, :], beyond=0.0)
    return moved.amax(dim=1), translate(layers, positions[:, :, -1:], beyond=0.0), positions - positions[:, :, -1:]


def test_layers_are_apart_once_they_have_moved_on() -> None:
    frames, layers, positions = two_squares()
    usable = torch.ones(1, 2, 8, dtype=torch.bool)
    assert (frames[:, None, -1] - layers).abs().max() > 0.5  # in the last frame they overlap or lie side by side
    torch.testing.assert_close(second_smallest(frames, usable, positions), layers)


def test_one_wrong_position_does_not_harm_the_layers() -> None:
    frames, layers, positions = two_squares()
    positions[0, 0, 2] += 5
    torch.testing.assert_close(
        second_smallest(frames, torch.ones(1, 2, 8, dtype=torch.bool), positions)[:, 0], layers[:, 0]
    )


def test_frames_that_were_not_observed_do_not_count() -> None:
    frames, _, positions = two_squares()
    usable = (torch.arange(8) >= 7).expand(1, 2, 8)
    layers = second_smallest(frames, usable, positions)
    torch.testing.assert_close(layers, frames[:, None, -1].expand_as(layers))


def test_positions_a_pixel_off_are_corrected() -> None:
    frames, layers, positions = two_squares()
    wrong = positions.clone()
    wrong[0, 0, 1:4, 0] += 1
    wrong[0, 1, 5] -= 1
    assert torch.equal(search_nearby(frames, layers, wrong)[0], positions)


def test_an_empty_layer_stays() -> None:
    frames, layers, positions = two_squares()
    layers[:, 1] = 0
    assert torch.equal(search_nearby(frames, layers, positions)[0][:, 1], positions[:, 1])


def test_a_layer_does_not_fit_where_it_is_brighter_than_the_frame() -> None:
    frames, layers, positions = two_squares()
    wrong = positions.clone()
    wrong[0, 0, 0] += 9
    fits = search_nearby(frames, layers, wrong)[2]
    assert not fits[0, 0, 0]
    assert fits.sum() == fits.numel() - 1


def test_light_that_another_layer_always_covers_is_not_its_own() -> None:
    """Both squares move alike, side by side: each layer's window holds the other square too."""
    left, right = torch.zeros(2, 1, 32, 32)
    left[0, 12:20, 4:12], right[0, 12:20, 12:20] = 0.5, 0.9
    positions = torch.zeros(1, 2, 8, 2)
    positions[..., 0] = torch.arange(8) - 7
    layers = torch.stack([left, right])[None]
    moved = translate(layers[:, :, None], positions[..., None, :], beyond=0.0)
    frames, observed = moved.amax(dim=1), torch.ones(1, 8, dtype=torch.bool)
    own = has_own_light(frames, observed, moved.flip(1), positions)
    assert torch.equal(own, layers > 0)
