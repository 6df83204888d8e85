"""Trains the networks of docs/why-gates.md and draws its plots: ``python scripts/why_gates.py``.

It takes about fifteen minutes on one core. Each network is saved in a folder of its own, so a stopped run can be
continued.
"""

import logging
import warnings
from pathlib import Path
from typing import Annotated

import torch
import typer

from gates.hidden_digits import HiddenDigits
from gates.learning import LONG, SHORT, STEEP, STREAM, Learned, Trial, forgotten, learned, new_net
from gates.pictures import draw_clipping, draw_flows, draw_learning, draw_returns, draw_stream
from one_sentence import one_sentence_errors

STREAMED = (1, 2, 3, 6, 12, 24, 48)


def main(
    root: Annotated[str | None, typer.Option(help="Folder of MNIST's IDX files; else embedded digits.")] = None,
    output: Annotated[Path, typer.Option(help="Folder for the trained networks.")] = Path("runs/why-gates"),
    images: Annotated[Path, typer.Option(help="Folder for the plots.")] = Path("docs/images"),
) -> None:
    """Train the networks that are not trained yet, and draw the plots."""
    logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    short, long, steep, stream = (_learn(trials, output, root) for trials in (SHORT, LONG, STEEP, STREAM))
    near, far = (HiddenDigits("test", trials[0].context, root=root) for trials in (SHORT, LONG))
    draw_learning(short, long, far.blank_error, images / "gates-learning.png")
    draw_flows(
        {"untrained": {name: new_net(name) for name in long}, "trained": {name: one.net for name, one in long.items()}},
        far.__getitems__(range(16)),
        images / "gates-gradient-flow.png",
    )
    titled = {"context 10": short, "context 100": long}
    nets = {title: {name: one.net for name, one in reached.items()} for title, reached in titled.items()}
    draw_returns(nets, [near, far], images / "gates-returns.png")
    draw_clipping(steep["Elman, None"], steep["Elman, 0.05"], 0.05, images / "gates-clipping.png")
    errors = {
        name: {digits: forgotten(one.net, HiddenDigits("test", 10, digits, root)) for digits in STREAMED}
        for name, one in stream.items()
    }
    draw_stream(errors, STREAM[0].digits, images / "gates-stream.png")
    for name, found in errors.items():
        typer.echo(f"{name}, digits in a row: " + ", ".join(f"{digits} {error:.3f}" for digits, error in found.items()))


def _learn(trials: list[Trial], folder: Path, root: str | None) -> dict[str, Learned]:
    """Return the networks of the trials by the names of their cells; for one cell, with the limit of clipping."""
    several = len({trial.cell for trial in trials}) == len(trials)
    reached = {}
    for trial in trials:
        found = learned(trial, folder, root)
        reached[trial.cell if several else f"{trial.cell}, {trial.clip}"] = found
        typer.echo(
            f"{trial.cell}, context {trial.context}, {trial.digits} in a row, clip {trial.clip}: forgotten "
            f"{found.forgotten:.3f}, loss {found.loss[0]:.3g} → {found.loss[-1]:.3g}, "
            f"steepest gradient {max(found.gradient):.3g}"
        )
    return reached


if __name__ == "__main__":
    with one_sentence_errors():
        typer.run(main)
