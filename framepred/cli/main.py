"""The entry point: every verb, and what a user sees when something goes wrong."""

import os
import sys
import warnings
from typing import Annotated

import typer

from framepred import __version__
from framepred.cli.compare import compare
from framepred.cli.data import data
from framepred.cli.demo import demo
from framepred.cli.diagnose import diagnose
from framepred.cli.evaluate import evaluate
from framepred.cli.predict import predict
from framepred.cli.restore import restore
from framepred.cli.stream import stream
from framepred.cli.train import train
from framepred.cli.weights import weights
from framepred.errors import FramepredError

# Typer ships Click under a name of its own: the parser's errors are known by the base class of one of them.
UsageError: type[typer.BadParameter] = typer.BadParameter.__bases__[0]
PASS_ON = {"ignore_unknown_options": True, "help_option_names": []}

app = typer.Typer(
    name="framepred",
    help="Show it frames, it predicts the next ones.",
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
app.command()(demo)
app.command(context_settings=PASS_ON)(train)
app.command()(predict)
app.command()(evaluate)
app.command()(compare)
app.command()(stream)
app.command()(restore)
app.command(context_settings={"ignore_unknown_options": True})(diagnose)
app.command()(data)
app.command()(weights)


def _show_version(wanted: bool) -> bool:
    if wanted:
        typer.echo(f"framepred {__version__}")
        raise typer.Exit
    return wanted


@app.callback()
def options(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version and end.")
    ] = False,
) -> None:
    """Show it frames, it predicts the next ones."""


def main() -> None:
    """Run the command line: exit code 0 done, 2 the user can mend it (one sentence), 1 our bug (a traceback)."""
    if not os.environ.get("PYTHONWARNINGS"):
        warnings.simplefilter("ignore")
    try:
        sys.exit(app(sys.argv[1:] or ["--help"], standalone_mode=False))
    except FramepredError as error:
        _refuse(str(error))
    except UsageError as error:
        _refuse(f"{_sentence(error.format_message())} See framepred --help.")
    except (KeyboardInterrupt, typer.Abort):
        _refuse("Stopped.", code=130)


def _sentence(message: str) -> str:
    return message if message.endswith((".", "?")) else f"{message}."


def _refuse(sentence: str, code: int = 2) -> None:
    typer.echo(sentence, err=True)
    sys.exit(code)
