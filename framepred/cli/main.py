"""Entry point of the command line: all commands, and how their errors are shown."""

import os
import sys
import warnings
from pathlib import Path
from typing import Annotated

import typer

from framepred import __version__
from framepred.cli.compare import compare
from framepred.cli.data import data
from framepred.cli.demo import demo
from framepred.cli.diagnose import diagnose
from framepred.cli.evaluate import evaluate
from framepred.cli.export import export
from framepred.cli.hints import usage_sentence, with_options
from framepred.cli.predict import predict
from framepred.cli.processes import claims_message, write_torchrun_error
from framepred.cli.restore import restore
from framepred.cli.signals import Stopped, StopRequest, stop_at_once
from framepred.cli.stream import stream
from framepred.cli.streams import safe_streams
from framepred.cli.train import train
from framepred.cli.watch import WatchCommand, watch
from framepred.cli.weights import weights
from framepred.cli.without_torch import explain_without_torch
from framepred.errors import FramepredError

DONE, BUG, USER_ERROR = 0, 1, 2  # exit codes; a signal gives 128 + its number

# Typer contains a copy of Click under a private name; the base class of one of its errors is that of all of them.
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
app.command(cls=WatchCommand)(watch)
app.command()(stream)
app.command()(restore)
app.command(context_settings={"ignore_unknown_options": True})(diagnose)
app.command()(export)
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
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """Show it frames, it predicts the next ones."""


def main() -> None:
    """Run the command line and exit: 0 done, 2 an error that the user can correct (one sentence), 1 a bug (traceback).

    A signal exits with 128 plus its number: 130 for Ctrl-C, 143 for SIGTERM, 129 for SIGHUP.
    """
    _quieten_libraries()
    with safe_streams(), stop_at_once() as request:
        try:
            code = _run(request)
            request.over = True
        except Stopped as stop:  # while the end was being reported
            request.over = True
            code = _report(stop.sentence, stop.code)
        except Exception:
            if not request.number:  # a library may turn the exception of a signal into one of its own
                raise
            code = _report(Stopped(request.number).sentence, 128 + request.number)
    sys.exit(code)


def _run(request: StopRequest) -> int:
    """Run the command and report what ended it; returns the exit code."""
    try:
        return _call(sys.argv[1:] or ["--help"])
    except FramepredError as error:
        if request.number:  # the sentence of a file that a signal kept from being read would be false
            raise
        return _report(with_options(str(error), typer.main.get_command(app)))
    except OSError as error:
        sentence = _explain(error)
        if sentence is None or request.number:
            raise
        return _report(sentence)
    except ModuleNotFoundError as error:
        sentence = explain_without_torch(error)
        if sentence is None:
            raise
        return _report(sentence)
    except UsageError as error:
        return _report(usage_sentence(error))
    except Stopped as stop:
        return _report(stop.sentence, stop.code)
    except SystemExit:
        if request.number is not None:  # Lightning exits after it has handled the signal
            return _report(Stopped(request.number).sentence, 128 + request.number)
        raise


def _explain(error: OSError) -> str | None:
    """Describe an error of the operating system about a file or the current folder; None for any other."""
    if error.filename is not None:
        return f"{error.filename} cannot be read or written ({error.strerror}); check the path and the disk."
    try:
        Path.cwd()
    except OSError:
        return "The current folder no longer exists; change to another one."
    return None


def _call(arguments: list[str]) -> int:
    """Parse the arguments and call the command, without Click's own answers to signals and closed pipes."""
    command, code = typer.main.get_command(app), DONE
    try:
        with command.make_context("framepred", arguments) as context:
            command.invoke(context)
    except typer.Exit as end:
        code = end.exit_code
    sys.stdout.flush()
    return code


def _quieten_libraries() -> None:
    """Hide warnings of libraries, or show them where Python is asked to, but let none of them end the command."""
    warnings.simplefilter("default" if sys.warnoptions else "ignore")
    os.environ["MPLBACKEND"] = "agg"  # figures go to files; the backend of a notebook may not exist here


def _report(sentence: str, code: int = USER_ERROR) -> int:
    """Print the sentence that ends the command, from one process only; returns the exit code."""
    if code == USER_ERROR:
        write_torchrun_error(sentence)
    if claims_message():
        print(sentence, file=sys.stderr)
    return code
