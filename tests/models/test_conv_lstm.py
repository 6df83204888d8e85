import pytest
import torch
from torch import nn

from framepred.errors import ConfigError
from framepred.models import ConvLSTMCell


def test_on_one_pixel_it_is_the_classic_lstm() -> None:
    cell, classic = ConvLSTMCell(3, 5, kernel=1).double(), nn.LSTMCell(3, 5).double()
    order = [0, 1, 3, 2]  # ours: write, forget, read, value; torch: write, forget, value, read
    with torch.no_grad():
        weights = torch.cat([classic.weight_ih, classic.weight_hh], dim=1).view(4, 5, 8)
        cell.gates.weight.copy_(weights[order].reshape(20, 8, 1, 1))
        cell.gates.bias.copy_((classic.bias_ih + classic.bias_hh).view(4, 5)[order].reshape(20))
    frames = torch.rand(6, 2, 3, dtype=torch.float64)
    state = cell.start(frames[0, :, :, None, None])
    expected = tuple(torch.zeros(2, 5, dtype=torch.float64) for _ in range(2))
    for frame in frames:
        state = cell(frame[:, :, None, None], state)
        expected = classic(frame, expected)
    for ours, theirs in zip(state, expected, strict=True):
        torch.testing.assert_close(ours[..., 0, 0], theirs, rtol=0, atol=1e-9)


@pytest.mark.parametrize("norm", [False, True])
def test_a_new_cell_remembers(norm: bool) -> None:
    cell = ConvLSTMCell(1, 4, kernel=3, norm=norm)
    bias = (cell.norm if norm else cell.gates).bias
    assert bias.view(4, 4)[1].eq(1).all()
    assert bias.view(4, 4)[[0, 2, 3]].eq(0).all()


def test_peephole_opens_the_gates_by_the_cell_state() -> None:
    cell = ConvLSTMCell(1, 2, kernel=1, peephole=True)
    nn.init.zeros_(cell.gates.weight)
    nn.init.zeros_(cell.gates.bias)
    with torch.no_grad():
        cell.peephole[1], cell.peephole[2] = 2.0, 3.0
    kept = torch.full((1, 2, 1, 1), 0.7)
    hidden, memory = cell(torch.zeros(1, 1, 1, 1), (torch.zeros_like(kept), kept))
    torch.testing.assert_close(memory, torch.sigmoid(2 * kept) * kept)
    torch.testing.assert_close(hidden, torch.sigmoid(3 * memory) * memory.tanh())


@pytest.mark.parametrize("arguments", [(1, 4, 2), (0, 4, 3), (1, 0, 3)])
def test_impossible_sizes_are_refused(arguments: tuple[int, int, int]) -> None:
    with pytest.raises(ConfigError, match="odd kernel"):
        ConvLSTMCell(*arguments)
