"""What holds for every cell, and each held to the classic one, which it is on maps of one place."""

import copy
import json
from functools import partial
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from framepred.errors import ConfigError, WeightsError
from framepred.models import (
    ConvElmanCell,
    ConvGRUCell,
    ConvJordanCell,
    ConvLSTMCell,
    EncoderForecaster,
    RecurrentCell,
    load,
)
from framepred.models.cells import CellFactory

CELLS: dict[str, CellFactory] = {
    "lstm": ConvLSTMCell,
    "lstm, peephole": partial(ConvLSTMCell, peephole=True),
    "lstm of 1997": partial(ConvLSTMCell, forget_gate=False),
    "lstm of 1997, peephole": partial(ConvLSTMCell, forget_gate=False, peephole=True),
    "gru": ConvGRUCell,
    "elman": ConvElmanCell,
    "jordan": ConvJordanCell,
}

every_cell = pytest.mark.parametrize("make", CELLS.values(), ids=CELLS)
CHANNELS, WIDTH, STEPS = 3, 5, 6


def run(cell: RecurrentCell, sequence: Tensor) -> Tensor:
    """What a cell shows at every step of a sequence (t, b, c) of maps of one place."""
    shown, state = [], cell.start(sequence[0, :, :, None, None])
    for step in sequence:
        state = cell(step[:, :, None, None], state)
        shown.append(state[0][..., 0, 0])
    return torch.stack(shown)


@pytest.fixture
def sequence() -> Tensor:
    return torch.randn(STEPS, 2, CHANNELS, dtype=torch.float64)


def joined(classic: nn.RNNBase) -> tuple[Tensor, Tensor]:
    """Weights over input and hidden state together, as one convolution has them, and the sum of both biases."""
    weight = torch.cat([classic.weight_ih_l0, classic.weight_hh_l0], dim=1)
    return weight[:, :, None, None], classic.bias_ih_l0 + classic.bias_hh_l0


@torch.no_grad()
def test_on_one_place_an_lstm_cell_is_torchs_lstm(sequence: Tensor) -> None:
    cell, classic = ConvLSTMCell(CHANNELS, WIDTH, 1).double(), nn.LSTM(CHANNELS, WIDTH).double()
    order = [0, 1, 3, 2]  # ours: write, forget, read, value; torch's: write, forget, value, read
    weight, bias = (part.unflatten(0, (4, WIDTH))[order].flatten(0, 1) for part in joined(classic))
    cell.gates.weight.copy_(weight)
    cell.gates.bias.copy_(bias)
    torch.testing.assert_close(run(cell, sequence), classic(sequence)[0], rtol=0, atol=1e-12)


@torch.no_grad()
def test_on_one_place_a_gru_cell_is_torchs_gru(sequence: Tensor) -> None:
    cell, classic = ConvGRUCell(CHANNELS, WIDTH, 1).double(), nn.GRU(CHANNELS, WIDTH).double()
    cell.inputs.weight.copy_(classic.weight_ih_l0[:, :, None, None])
    cell.memory.weight.copy_(classic.weight_hh_l0[:, :, None, None])
    cell.inputs.bias.copy_(classic.bias_ih_l0)
    cell.memory.bias.copy_(classic.bias_hh_l0)
    torch.testing.assert_close(run(cell, sequence), classic(sequence)[0], rtol=0, atol=1e-12)


@torch.no_grad()
def test_on_one_place_an_elman_cell_is_torchs_rnn(sequence: Tensor) -> None:
    cell, classic = ConvElmanCell(CHANNELS, WIDTH, 1).double(), nn.RNN(CHANNELS, WIDTH).double()
    weight, bias = joined(classic)
    cell.hidden.weight.copy_(weight)
    cell.hidden.bias.copy_(bias)
    torch.testing.assert_close(run(cell, sequence), classic(sequence)[0], rtol=0, atol=1e-12)


@torch.no_grad()
def test_on_one_place_a_jordan_cell_is_two_layers_that_read_the_last_output(sequence: Tensor) -> None:
    cell = ConvJordanCell(CHANNELS, WIDTH, 1).double()
    of_input, of_output = cell.hidden.weight[..., 0, 0].split([CHANNELS, WIDTH], dim=1)
    output, expected = torch.zeros(2, WIDTH, dtype=torch.float64), []
    for step in sequence:
        hidden = torch.tanh(step @ of_input.T + output @ of_output.T + cell.hidden.bias)
        output = torch.tanh(hidden @ cell.output.weight[..., 0, 0].T + cell.output.bias)
        expected.append(output)
    torch.testing.assert_close(run(cell, sequence), torch.stack(expected), rtol=0, atol=1e-12)


@torch.no_grad()
def test_without_forget_gate_it_is_an_lstm_that_never_forgets(sequence: Tensor) -> None:
    cell, gated = ConvLSTMCell(CHANNELS, WIDTH, 3, forget_gate=False).double(), ConvLSTMCell(CHANNELS, WIDTH, 3)
    gated.double()
    kept = [0, 2, 3]
    gated.gates.weight.unflatten(0, (4, WIDTH))[kept] = cell.gates.weight.unflatten(0, (3, WIDTH))
    gated.gates.bias.unflatten(0, (4, WIDTH))[1] = 100.0  # wide open
    torch.testing.assert_close(run(cell, sequence), run(gated, sequence), rtol=0, atol=1e-12)


@pytest.mark.parametrize("bias", [0.0, 2.5])
@pytest.mark.parametrize("norm", [False, True])
def test_forget_bias_is_where_a_new_gate_starts(norm: bool, bias: float) -> None:
    cell = ConvLSTMCell(1, 4, 3, norm, forget_bias=bias)
    biases = (cell.norm if norm else cell.gates).bias.view(4, 4)
    assert biases[1].eq(bias).all()
    assert biases[[0, 2, 3]].eq(0).all()


@pytest.mark.parametrize("norm", [False, True])
def test_a_new_gru_cell_remembers(norm: bool) -> None:
    cell = ConvGRUCell(1, 4, 3, norm)
    assert (cell.norm_gates if norm else cell.inputs).bias[:8].view(2, 4).tolist() == [[0.0] * 4, [1.0] * 4]


@every_cell
@pytest.mark.parametrize("norm", [False, True])
def test_state_is_what_the_cell_says(make: CellFactory, norm: bool) -> None:
    cell = make(CHANNELS, WIDTH, 3, norm)
    frame = torch.rand(2, CHANNELS, 6, 7)
    start = cell.start(frame)
    assert len(start) == len(cell.parts)
    assert all(part.shape == (2, WIDTH, 6, 7) and not part.any() for part in start)
    after = cell(frame, start)
    assert [part.shape for part in after] == [part.shape for part in start]


@every_cell
def test_gradients_reach_every_parameter(make: CellFactory) -> None:
    cell = make(CHANNELS, WIDTH, 3, True)
    state = cell.start(torch.rand(2, CHANNELS, 5, 5))
    for _ in range(3):
        state = cell(torch.rand(2, CHANNELS, 5, 5), state)
    state[0].square().mean().backward()
    assert all(parameter.grad is not None and parameter.grad.any() for parameter in cell.parameters())


@every_cell
@pytest.mark.parametrize(("context", "horizon"), [(1, 8), (2, 1), (5, 3)])
def test_any_number_in_and_any_number_out(make: CellFactory, context: int, horizon: int) -> None:
    net = EncoderForecaster(hidden_channels=[4, 3], kernel_size=3, cell=make).double().eval()
    clip = torch.rand(1, context, 1, 9, 8, dtype=torch.float64)
    prediction = net(clip, horizon)
    assert prediction.shape == (1, horizon, 1, 9, 8)
    torch.testing.assert_close(prediction, net(clip, horizon + 1)[:, :-1], rtol=0, atol=1e-12)


@every_cell
def test_memory_is_the_state_layer_by_layer(make: CellFactory) -> None:
    net = EncoderForecaster(hidden_channels=[4, 3], kernel_size=3, cell=make)
    state = net.observe(torch.rand(1, 1, 8, 8))
    assert sum(net.memory(state), start=state[:1]) == state
    assert [layer[0].shape[1] for layer in net.memory(state)] == [4, 3]


@every_cell
def test_saved_weights_know_their_cell(make: CellFactory, tmp_path: Path) -> None:
    net = EncoderForecaster(hidden_channels=[4, 3], kernel_size=3, cell=make).eval()
    net.save_pretrained(tmp_path)
    clip = torch.rand(1, 4, 1, 8, 8)
    for again in (load(tmp_path), EncoderForecaster.from_pretrained(tmp_path).eval()):
        assert torch.equal(again(clip, 3), net(clip, 3))
        assert [cell.options for cell in again.cells] == [cell.options for cell in net.cells]


def test_a_cell_is_described_in_plain_json(tmp_path: Path) -> None:
    EncoderForecaster(cell=partial(ConvLSTMCell, forget_gate=False)).save_pretrained(tmp_path)
    assert json.loads((tmp_path / "config.json").read_text())["cell"] == {
        "class_path": "framepred.models.ConvLSTMCell",
        "init_args": {"forget_gate": False, "peephole": False, "forget_bias": 1.0},
    }


@pytest.mark.parametrize(
    "path",
    [
        "os.system",
        "torch.nn.Conv2d",
        "theirs.ConvGRUCell",
        "framepred.models.load",
        "framepred.models.RecurrentCell.x",
        "",
        None,
    ],
)
def test_only_framepreds_own_cells_are_built(path: str | None, tmp_path: Path) -> None:
    EncoderForecaster(hidden_channels=[4], kernel_size=3).save_pretrained(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps({**config, "cell": {"class_path": path}}))
    with pytest.raises(WeightsError, match=r"is no cell of framepred\.models"):
        load(tmp_path)


def test_a_cell_of_your_own_runs(tmp_path: Path) -> None:
    class Leaky(ConvElmanCell):
        def forward(self, frame: Tensor, state: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
            return ((super().forward(frame, state)[0] + state[0]) / 2,)

    net = EncoderForecaster(hidden_channels=[4], kernel_size=3, cell=Leaky)
    assert net(torch.rand(1, 3, 1, 8, 8), 2).shape == (1, 2, 1, 8, 8)
    assert copy.deepcopy(net).cells[0].parts == ("hidden",)


def test_a_cell_added_to_framepred_is_refused_until_it_is_exported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    added = type("ConvTanhCell", (ConvElmanCell,), {"__module__": "framepred.models.cells"})
    make = partial(EncoderForecaster, hidden_channels=[4], kernel_size=3, cell=added)
    with pytest.raises(ConfigError, match=r"does not export ConvTanhCell.*import it in framepred/models/__init__\.py"):
        make()
    monkeypatch.setattr("framepred.models.ConvTanhCell", added, raising=False)
    make().save_pretrained(tmp_path)
    assert type(load(tmp_path).cells[0]) is added


@every_cell
@pytest.mark.parametrize("arguments", [(1, 4, 2, False), (0, 4, 3, False), (1, 0, 3, False)])
def test_impossible_sizes_are_refused(make: CellFactory, arguments: tuple[int, int, int, bool]) -> None:
    with pytest.raises(ConfigError, match="odd kernel_size"):
        make(*arguments)
