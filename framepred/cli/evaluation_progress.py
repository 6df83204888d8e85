"""The progress bar of the commands that score; it goes to stderr, as do notes about the data."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import Progress

from framepred.inference.evaluation_data import EvaluationData
from framepred.inference.processes import process_is_first


@contextmanager
def show_progress(data: EvaluationData) -> Iterator[Callable[[int], object]]:
    """Print the notes on the data, then give the function that moves the bar; the bar disappears at the end."""
    console = Console(stderr=True, highlight=False, soft_wrap=True)
    for note in data.notes if process_is_first() else ():
        console.print(note, markup=False)
    hidden = not (console.is_terminal and process_is_first())
    with Progress(console=console, transient=True, disable=hidden) as bar:
        task = bar.add_task(f"scoring on {data.record.name}", total=data.count)
        yield lambda clips: bar.advance(task, clips)
