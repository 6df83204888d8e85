"""``framepred compare``: results cards side by side."""

from pathlib import Path
from typing import Annotated

import typer

from framepred.cli.options import JsonOption
from framepred.errors import ConfigError
from framepred.media.outputs import check_output


def compare(
    cards: Annotated[list[Path], typer.Argument(help="Two or more card.json, or folders that hold one.")],
    reference: Annotated[
        list[str] | None,
        typer.Option("--reference", help="Published result to show beside, such as openstl/convlstm-s; may repeat."),
    ] = None,
    plot: Annotated[Path | None, typer.Option("--plot", help="Picture of the curves by lead time, .png.")] = None,
    markdown: Annotated[bool, typer.Option("--markdown", help="Print a Markdown table.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Compare results cards of the same clips: differences, and ties by a paired bootstrap."""
    if markdown and as_json:
        raise ConfigError("Choose --json or --markdown, not both.")
    plot = plot and check_output(plot, inputs=cards, suffixes=(".png",))

    from rich.console import Console

    from framepred.evaluation.cards import Card
    from framepred.evaluation.compare import compare as compare_cards
    from framepred.evaluation.compare import write_plot
    from framepred.evaluation.references import find_references

    read = [Card.read(path) for path in cards]
    comparison = compare_cards(read, references=find_references(reference or [], read[0]))
    if plot is not None:
        write_plot(comparison, plot)
    if as_json:
        print(comparison.to_json())
    elif markdown:
        print(comparison.markdown())
    else:
        Console().print(comparison.table())
