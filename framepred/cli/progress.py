"""A progress bar on the terminal for library calls that report stages."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def shown_progress() -> Iterator[Callable[[str, float], None]]:
    """Show stages and their shares in [0, 1] as bars on stderr while the block runs; nothing if it is no terminal."""
    from rich.console import Console
    from rich.progress import Progress, TaskID

    console = Console(stderr=True, highlight=False, soft_wrap=True)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as progress:
        tasks: dict[str, TaskID] = {}

        def show(stage: str, share: float) -> None:
            if stage not in tasks:
                tasks[stage] = progress.add_task(stage, total=1.0)
            progress.update(tasks[stage], completed=share)

        yield show


@contextmanager
def shown_count(stage: str) -> Iterator[Callable[[int], None]]:
    """Show how many frames are done on stderr while the block runs; nothing if it is no terminal."""
    from rich.console import Console
    from rich.progress import Progress, SpinnerColumn, TextColumn

    console = Console(stderr=True, highlight=False)
    columns = SpinnerColumn(), TextColumn("{task.description} {task.completed} frames")
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task(stage, total=None)
        yield lambda count: progress.update(task, completed=count)
