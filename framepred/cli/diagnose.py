"""``framepred diagnose``: how gradients flow back through time, plotted."""

from pathlib import Path
from typing import Annotated

import typer

from framepred.cli.options import output_path
from framepred.media.outputs import check_results_folder
from framepred.training.config_files import find_config


def diagnose(
    config: Annotated[str, typer.Option("--config", "-c", help="YAML file or shipped name: network, loss and data.")],
    output: Annotated[
        Path,
        output_path("--output", "Folder for the plot and its numbers."),
    ] = Path("diagnosis"),
    arguments: Annotated[
        list[str] | None, typer.Argument(metavar="[--weights W] [--data.…] [--model.…]", show_default=False)
    ] = None,
) -> None:
    """Plot how gradients flow back through time, untrained or with --weights, and where they vanish or explode."""
    path = find_config(config)
    output = check_results_folder(output)

    from framepred.training.train import diagnose_arguments

    diagnosis = diagnose_arguments([f"--config={path}", *(arguments or [])])
    written = diagnosis.save(output)
    for flow in diagnosis.flows:
        lost = ", ".join(f"{mark} from {steps} steps back" for mark, steps in flow.marks.items()) or "reaches the start"
        print(f"{flow.name:<18} × {flow.rate:.3f} per step back: {lost}")
    for file in written:
        print(file)
