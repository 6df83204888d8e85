import math

import pytest
import torch

from framepred.models.tracking.slot_cell import Flight, SlotCell, in_pixels, room_of
from framepred.models.tracking.tracker import Tracks


def square(x: int, y: int, wide: int = 4, high: int = 2) -> torch.Tensor:
    """A lit rectangle in a frame of 12 rows and 16 columns, its corner at (x, y): ``(1, 1, h, w)``."""
    picture = torch.zeros(1, 1, 12, 16)
    picture[..., y : y + high, x : x + wide] = 1
    return picture


def seen_at(travel: list[float]) -> Tracks:
    return Tracks(torch.tensor([[travel]]), torch.ones(1, 1, 1), torch.ones(1, 1, 1, 12, 16), torch.ones(1, 1, 12, 16))


def cell_of(place_gain: float, speed_gain: float, turn: float = -50.0, sure: float = -50.0) -> SlotCell:
    """Gains in logits; adds nothing of its own."""
    cell = SlotCell(3, 5)
    with torch.no_grad():
        cell.act.weight.zero_()
        cell.act.bias.copy_(torch.tensor([place_gain, speed_gain, turn, 0.0, 0.0, sure]))
    return cell


def flying(travel: list[float], velocity: list[float]) -> Flight:
    empty = torch.zeros(1, 1, 2, 5)
    return Flight(torch.tensor([[travel]]), torch.tensor([[travel]]), torch.tensor([[velocity]]), empty, empty)


def test_distances_to_the_edges_and_size() -> None:
    room = room_of(square(3, 4) * 1e3)
    torch.testing.assert_close(room.distances[0, 0, 0], torch.tensor([5.5, 10.5, 3.0, 9.0]), rtol=0, atol=0.01)
    torch.testing.assert_close(room.distances[0, 0, 1], torch.tensor([5.5, 6.5, 4.0, 6.0]), rtol=0, atol=0.01)
    assert room.size.item() == pytest.approx(torch.tensor(8e3).log().item() / 4, abs=0.01)


def test_what_holds_no_light_is_in_the_middle() -> None:
    room = room_of(torch.zeros(1, 1, 12, 16))
    assert room.distances[0, 0, :, :2].tolist() == [[8.5, 7.5], [6.5, 5.5]]
    assert room.distances.isfinite().all()
    assert room.size.item() == 0


def test_what_is_not_off_flies_on_exactly() -> None:
    flight = cell_of(1.0, 0.0)(
        torch.rand(1, 1, 3), room_of(square(5, 5)), flying([2.5, -1.25], [2.5, -1.25]), seen_at([2.5, -1.25])
    )
    assert flight.travel[0, 0].tolist() == [2.5, -1.25]
    for lead in (2, 3):
        flight = cell_of(1.0, 0.0)(torch.rand(1, 1, 3), room_of(square(5, 5)), flight)
        assert flight.travel[0, 0].tolist() == [lead * 2.5, lead * -1.25]


def test_place_and_velocity_are_corrected_by_gains_of_their_own() -> None:
    """Found a pixel further right: half of that is believed of the place, a quarter of it of the velocity."""
    quarter = torch.tensor(1 / 3).log().item()
    flight = cell_of(0.0, quarter)(
        torch.rand(1, 1, 3), room_of(square(5, 5)), flying([2.0, 0.0], [2.0, 0.0]), seen_at([3.0, 0.0])
    )
    torch.testing.assert_close(flight.velocity[0, 0], torch.tensor([2.25, 0.0]))
    torch.testing.assert_close(flight.travel[0, 0], torch.tensor([2.25 - 0.5, 0.0]))


def test_a_gate_loses_or_reverses_velocity_after_the_step() -> None:
    for turn, kept in ((0.0, 0.0), (50.0, -1.0)):
        flight = cell_of(0.0, 0.0, turn)(torch.rand(1, 1, 3), room_of(square(5, 5)), flying([2.0, -1.0], [2.0, -1.0]))
        assert flight.velocity[0, 0].tolist() == pytest.approx([2 * kept, -kept])
        assert flight.travel[0, 0].tolist() == [4.0, -2.0]


def test_whole_pixels_seen_tell_of_parts_of_them() -> None:
    """Four thirds of a pixel a frame, seen rounded down: after thirty frames velocity is known to a tenth."""
    torch.manual_seed(0)
    cell = cell_of(-1.0, -3.0)
    flight, place = cell.start(torch.zeros(1, 1)), 0
    for time in range(1, 31):
        there = int(time * 4 / 3)
        found = seen_at([float(there - place), 0.0])
        flight, place = cell(torch.rand(1, 1, 3), room_of(square(5, 5)), flight, found), there
    assert flight.velocity[0, 0, 0].item() == pytest.approx(4 / 3, abs=0.1)


def test_what_is_sure_is_shown_in_whole_pixels_and_goes_on_between_them() -> None:
    flight = flying([0.0, 0.0], [1.3, -0.7])
    for lead in (1, 2, 3, 4):
        flight = cell_of(0.0, 0.0, sure=50.0)(torch.rand(1, 1, 3), room_of(square(5, 5)), flight)
        torch.testing.assert_close(flight.place[0, 0], lead * torch.tensor([1.3, -0.7]))
        torch.testing.assert_close(flight.travel[0, 0], flight.place[0, 0].round(), rtol=0, atol=0.15)


@pytest.mark.parametrize("deviation", [0.15, 0.3, 0.6])
def test_pixels_of_an_unsure_place_are_the_mean_of_what_may_be(deviation: float) -> None:
    place = torch.linspace(-2, 2, 41)
    noise = torch.distributions.Normal(0.0, deviation).icdf((torch.arange(20_000) + 0.5) / 20_000)
    mean = (place[:, None] + noise).round().mean(dim=1)
    sure = torch.full_like(place, math.exp(-2 * math.pi**2 * deviation**2))
    torch.testing.assert_close(in_pixels(place, sure), mean, rtol=0, atol=1e-3)
    torch.testing.assert_close(in_pixels(place, torch.zeros_like(place)), place)


def test_axes_and_layers_are_told_apart_by_what_they_are_told_alone() -> None:
    cell, light = SlotCell(3, 5), torch.cat([square(3, 4), square(9, 1)], dim=1)
    flight = cell(torch.rand(1, 1, 3).expand(1, 2, 3), room_of(light), cell.start(light))
    swapped = cell(torch.zeros(1, 2, 3), room_of(light.flip(1)), cell.start(light))
    plain = cell(torch.zeros(1, 2, 3), room_of(light), cell.start(light))
    torch.testing.assert_close(swapped.travel.flip(1), plain.travel)
    assert not torch.equal(flight.travel, plain.travel)
