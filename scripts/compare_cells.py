"""Trains every recurrent cell for the same time on the same task and prints one table.

python scripts/compare_cells.py --minutes 10 --root FOLDER_OF_MNIST

The cells have the same number of parameters, clips, optimizer and schedules. The JSON file is written after each cell.
Cells in the file are not trained again, so a stopped comparison can be continued.
"""

from pathlib import Path
from typing import Annotated

import typer

from one_sentence import one_sentence_errors


def main(
    minutes: Annotated[float, typer.Option(help="Minutes of training per cell.")] = 10,
    clips: Annotated[int, typer.Option(help="Test clips.")] = 1000,
    root: Annotated[
        str | None, typer.Option(help="Folder of MNIST's IDX files; without it the embedded digits are used.")
    ] = None,
    only: Annotated[list[str] | None, typer.Option(help="A cell by its name in the table; may be repeated.")] = None,
    threads: Annotated[int, typer.Option(help="Threads of PyTorch.")] = 1,
    output: Annotated[Path, typer.Option(help="JSON file of the measurements.")] = Path("cells.json"),
    save: Annotated[Path | None, typer.Option(help="Folder for the trained weights, one per cell.")] = None,
) -> None:
    """Train every recurrent cell for the same time on the same task and print one table."""
    import torch

    from benchmarks.cells import compare

    torch.set_num_threads(threads)
    print(compare(minutes, clips, root, only or [], output, save))


if __name__ == "__main__":
    with one_sentence_errors():
        typer.run(main)
