import torch
from torch import nn

from framepred.models import ConvLSTMCell


def test_peephole_opens_the_gates_by_the_cell_state() -> None:
    cell = ConvLSTMCell(1, 2, kernel_size=1, peephole=True)
    nn.init.zeros_(cell.gates.weight)
    nn.init.zeros_(cell.gates.bias)
    with torch.no_grad():
        cell.peephole[1], cell.peephole[2] = 2.0, 3.0
    kept = torch.full((1, 2, 1, 1), 0.7)
    hidden, memory = cell(torch.zeros(1, 1, 1, 1), (torch.zeros_like(kept), kept))
    torch.testing.assert_close(memory, torch.sigmoid(2 * kept) * kept)
    torch.testing.assert_close(hidden, torch.sigmoid(3 * memory) * memory.tanh())
