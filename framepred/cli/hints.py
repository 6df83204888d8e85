"""What the command line adds to a sentence: the option that a library's advice means, and what a usage error lacks."""

import sys
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

from framepred.cli.watch import ADDRESS


class Hint(NamedTuple):
    """Words of a sentence, and what they mean on the command line.

    Attributes:
        words: part of the sentence.
        option: the option of commands that read one source.
        setting: the same in a config of ``train``.
        otherwise: what the sentence says from ``words`` on where the command has no such option.
    """

    words: str
    option: str
    setting: str
    otherwise: str


HINTS = (
    Hint("state the layout", "--layout", "--data.init_args.layout", "save it as (t, h, w) or (t, c, h, w)."),
    Hint("state it, such as", "--range", "--data.init_args.value_range", "scale its values to [0, 1]."),
    Hint("or state a range of values", "--range", "--data.init_args.value_range", "or leave the file out."),
    Hint("name one of its arrays", "--array", "--data.init_args.array_name", "save the array in a file of its own."),
)
CONFIGURED = ("train", "diagnose")
"""Commands whose data are described by a config."""


def with_options(sentence: str, command: Any) -> str:
    """Add to a sentence the option that it means, if the command of this call has it.

    Args:
        sentence: of an error.
        command: the application with all its commands, as Typer makes it.
    """
    name = sys.argv[1] if len(sys.argv) > 1 else ""
    for hint in HINTS:
        if hint.words in sentence:
            if name in CONFIGURED:
                return f"{sentence.rstrip('.')} ({hint.setting})."
            if hint.option in _options(command, name):
                return f"{sentence.rstrip('.')} ({hint.option})."
            return sentence.partition(hint.words)[0] + hint.otherwise
    return sentence


def usage_sentence(error: Any) -> str:
    """Describe a wrong argument: what was found, the option that may be meant, and where the options are listed.

    Args:
        error: Click's ``UsageError``.
    """
    found, options = error.format_message().rstrip("."), _all_options(error)
    unknown = getattr(error, "option_name", "")  # of an option that does not exist, or lacks its value
    dashed = _dashed_file(unknown)
    if dashed:
        found = f"{error.message.rstrip('.')}; write the file {dashed} as ./{dashed}"
    elif unknown and not getattr(error, "possibilities", True):
        meant = sorted(option for option in options if option.startswith(f"-{unknown[:2]}"))
        found += f" (Possible options: {', '.join(meant)})" if meant else ""
    if found.startswith("Got unexpected extra argument") and "--output" in options:
        after = dict(pairwise(sys.argv)).get("--serve", "-")
        served = after.startswith("-") or ADDRESS.fullmatch(after)
        found += f"; {'the file to write is named by --output' if served else 'an address of --serve is HOST:PORT'}"
    if error.ctx is not None:
        path = error.ctx.command_path
    else:  # the parser does not say which command it is
        path = " ".join(["framepred", *(word for word in sys.argv[1:2] if not word.startswith("-"))])
    return f"{found}{'' if found.endswith('?') else '.'} See {path} --help."


def _dashed_file(option: str) -> str:
    """The argument of this call that was taken for an option and is the name of a file; empty if there is none."""
    words = (word for word in sys.argv[2:] if option and word.startswith(option))
    return next((word for word in words if Path(word).exists()), "")


def _all_options(error: Any) -> set[str]:
    """The options of the command that was called."""
    parameters = [] if error.ctx is None else error.ctx.command.params
    return {option for parameter in parameters for option in parameter.opts}


def _options(command: Any, name: str) -> set[str]:
    found = command.commands.get(name)
    return {option for parameter in (found.params if found else ()) for option in parameter.opts}
