"""Comparison of the recurrent cells with the same number of parameters and the same training time."""

import json
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias

import torch
from rich.console import Console

from benchmarks.learning import clip_task, moving_mnist, score, train_for
from benchmarks.timing import median_seconds
from framepred.baselines import MarkovForecaster, load_baseline
from framepred.clips import RawClip
from framepred.data import MovingMNISTData
from framepred.errors import ConfigError
from framepred.forecaster import Forecaster
from framepred.media.atomic import atomic_write
from framepred.models import (
    ConvElmanCell,
    ConvGRUCell,
    ConvJordanCell,
    ConvLSTMCell,
    EncoderForecaster,
    FrameStack,
)
from framepred.models.cells import CellFactory
from framepred.models.cost import count_parameters, macs_per_clip
from framepred.models.pretrained import PretrainedForecaster
from framepred.training import TeacherForcing

REFERENCE = 32
"""Width of the ConvLSTM's two layers; the others are made as wide as its number of parameters allows."""

BATCH = 4
MARKOV_CLIPS = 2000
SIZE = (1, 64, 64)

Maker: TypeAlias = Callable[[int], PretrainedForecaster]
Row: TypeAlias = dict[str, Any]


def _of(cell: CellFactory) -> Maker:
    """Return a maker of networks with two layers of a cell; their input is one frame, so the past is in memory only."""
    return lambda width: EncoderForecaster(hidden_channels=[width] * 2, kernel_size=3, motion=False, cell=cell)


CELLS: dict[str, Maker] = {
    "frame stack": lambda width: FrameStack(frames=4, hidden_channels=[width] * 2, kernel_size=3),
    "Jordan": _of(ConvJordanCell),
    "Elman": _of(ConvElmanCell),
    "LSTM, no forget gate": _of(partial(ConvLSTMCell, forget_gate=False)),
    "LSTM": _of(ConvLSTMCell),
    "LSTM, peephole": _of(partial(ConvLSTMCell, peephole=True)),
    "GRU": _of(ConvGRUCell),
}
"""Networks by hidden channels. ``motion`` is off, because it would input the previous frame as well."""


def compare(minutes: float, clips: int, root: str | None, names: Iterable[str], output: Path, save: Path | None) -> str:
    """Train the cells that ``output`` does not hold, write it after each, and return the table as Markdown.

    Raises:
        ConfigError: if there is no such cell, or ``output`` holds rows of another comparison.
    """
    names = list(names) or list(CELLS)
    if unknown := [name for name in names if name not in CELLS]:
        raise ConfigError(f"There is no cell {unknown[0]!r}; choose of {', '.join(CELLS)}.")
    setting = {"minutes": minutes, "clips": clips, "digits": _digits(root), "threads": torch.get_num_threads()}
    rows = _finished_rows(output, setting)
    for name, measure in {**_baselines(clips, root), **_cells(names, minutes, clips, root, save)}.items():
        if name not in rows:
            Console(stderr=True).print(f"{name} …")
            rows[name] = measure()
            with atomic_write(output) as draft:
                draft.write_text(json.dumps({"setting": setting, "rows": rows}, indent=2) + "\n")
    return table(setting, rows)


def _cells(
    names: list[str], minutes: float, clips: int, root: str | None, save: Path | None
) -> dict[str, Callable[[], Row]]:
    return {name: partial(learn, name, minutes, clips, root, save) for name in names}


def _baselines(clips: int, root: str | None) -> dict[str, Callable[[], Row]]:
    return {
        "blank": lambda: _baseline(load_baseline("blank"), moving_mnist(16, clips, root)),
        "last frame": lambda: _baseline(load_baseline("last-frame"), moving_mnist(16, clips, root)),
        "Markov chain": lambda: _baseline(
            MarkovForecaster().fit(training_clips(moving_mnist(16, clips, root))), moving_mnist(16, clips, root)
        ),
    }


def training_clips(data: MovingMNISTData) -> RawClip:
    """Return the training clips of the Markov chain, uint8."""
    data.setup("fit")
    return data.dataset("train").render(range(MARKOV_CLIPS))


def _baseline(net: Forecaster, data: MovingMNISTData) -> Row:
    return {"mse": score(net, data), "latency": _latency(net)}


def learn(name: str, minutes: float, clips: int, root: str | None, save: Path | None) -> Row:
    """Train one cell from scratch for about ``minutes`` and measure it."""
    torch.manual_seed(0)
    width = as_wide(CELLS[name], count_parameters(CELLS["LSTM"](REFERENCE)))
    net = CELLS[name](width)
    data = moving_mnist(BATCH, clips, root)
    spent = train_for(minutes, data, lambda steps: clip_task(net, steps, TeacherForcing(fade=0.5)))
    net.eval()
    if save is not None:
        net.save_pretrained(save / name.replace(", ", "-").replace(" ", "-").lower())
    return {
        "mse": score(net, data),
        "latency": _latency(net),
        "width": width,
        "parameters": count_parameters(net),
        "macs": macs_per_clip(net, 10, 10, SIZE),
        **spent._asdict(),
    }


def as_wide(make: Maker, parameters: int) -> int:
    """Return the number of hidden channels whose number of parameters comes nearest."""
    return min(range(8, 161), key=lambda width: abs(count_parameters(make(width)) - parameters))


@torch.inference_mode()
def _latency(net: Forecaster) -> float:
    """Return the seconds for one clip."""
    clip = torch.rand(1, 10, *SIZE)
    return median_seconds(lambda: net(clip, 10), 15)


def _digits(root: str | None) -> str:
    return moving_mnist(1, 1, root).dataset("test").bank.name


def _finished_rows(output: Path, setting: Row) -> dict[str, Row]:
    if not output.is_file():
        return {}
    found = json.loads(output.read_text())
    if found["setting"] != setting:
        raise ConfigError(
            f"{output} holds a comparison under {found['setting']}, not {setting}; name another file with --output."
        )
    rows: dict[str, Row] = found["rows"]
    return rows


def table(setting: Row, rows: dict[str, Row]) -> str:
    """Return a Markdown table, one row per cell."""
    titles = (
        "cell",
        "MSE, lead 1",
        "lead 5",
        "lead 10",
        "mean",
        "parameters",
        "GMACs per clip",
        "ms per clip",
        "steps",
    )
    lines = [" | ".join(titles), " | ".join(["---", *["---:"] * (len(titles) - 1)])]
    lines += [" | ".join([name, *_cells_of_row(rows[name])]) for name in (*_ORDER, *CELLS) if name in rows]
    caption = (
        f"Moving MNIST 10 → 10 ({setting['digits']}), {setting['clips']} test clips, MSE by protocol openstl; "
        f"{setting['minutes']:g} minutes of training each, on {setting['threads']} thread(s)."
    )
    return "\n".join([*(f"| {line} |" for line in lines), "", caption])


_ORDER = ("blank", "last frame", "Markov chain")


def _cells_of_row(row: Row) -> list[str]:
    mse = row["mse"]
    errors = [f"{error:.1f}" for error in (mse[0], mse[4], mse[9], sum(mse) / len(mse))]
    learned = (
        [f"{row['parameters']:,}", f"{row['macs'] / 1e9:.2f}", f"{1e3 * row['latency']:.0f}", f"{row['steps']:,}"]
        if "steps" in row
        else ["", "", f"{1e3 * row['latency']:.0f}", ""]
    )
    return errors + learned
