"""``framepred diagnose``: how far back in time a network learns, plotted."""

import json
import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from framepred.cli.train import find_config
from framepred.errors import ConfigError

if TYPE_CHECKING:
    from framepred.training.diagnosis import Flow

PLOT, NUMBERS = "gradient-flow.png", "gradient-flow.json"


def diagnose(
    config: Annotated[str, typer.Option("--config", "-c", help="YAML file or shipped name: network, loss and data.")],
    output: Annotated[Path, typer.Option("--output", help="Folder for the plot and its numbers.")] = Path("diagnosis"),
    arguments: Annotated[
        list[str] | None, typer.Argument(metavar="[--weights W] [--data.…] [--model.…]", show_default=False)
    ] = None,
) -> None:
    """Plot how far back in time a network learns, untrained or with --weights: where gradients vanish or explode."""
    path = find_config(config)

    from framepred.cli.lightning import open_config
    from framepred.forecaster import Forecaster
    from framepred.training.diagnosis import gradient_flow

    run = open_config([f"--config={path}", *(arguments or [])])
    run.begin()
    task, data = run.model, run.datamodule
    if not isinstance(task.net, Forecaster):
        raise ConfigError(f"{type(task.net).__name__} does not go forward in time alone; diagnose a forecaster.")
    data.prepare_data()
    data.setup("fit")
    flows = gradient_flow(task.net, task.loss, next(iter(data.val_dataloader())))
    _write(flows, output)
    for flow in flows:
        lost = ", ".join(f"{mark} from {steps} steps back" for mark, steps in flow.marks.items()) or "reaches the start"
        print(f"{flow.name:<18} × {flow.rate:.3f} a step back: {lost}")
    for name in (PLOT, NUMBERS):
        print(output / name)


def _write(flows: "list[Flow]", folder: Path) -> None:
    """The plot and the numbers, whole or not at all."""
    from framepred.media.atomic import atomic_write
    from framepred.training.flow_plot import flow_figure

    with atomic_write(folder / PLOT) as draft:
        flow_figure(flows).savefig(draft)
    with atomic_write(folder / NUMBERS) as draft:
        draft.write_text(_to_json(flows) + "\n")


def _to_json(flows: "list[Flow]") -> str:
    """What was measured and where the thresholds lie; norms from the earliest step on, None where no number is left."""
    from framepred.training.diagnosis import EXPLODED, UNDERFLOW, VANISHED

    memories = [
        {
            "name": flow.name,
            "norms": [norm if math.isfinite(norm) else None for norm in flow.norms],
            "rate": flow.rate if math.isfinite(flow.rate) else None,
            "marks": flow.marks,
        }
        for flow in flows
    ]
    thresholds = {"vanishing": VANISHED, "explosion": EXPLODED, "underflow": UNDERFLOW}
    return json.dumps({"thresholds": thresholds, "memories": memories}, indent=2)
