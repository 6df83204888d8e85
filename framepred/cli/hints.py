"""Names of the options that a library's sentence advises to use; the library does not know them."""

import sys
from typing import Any, NamedTuple


class Hint(NamedTuple):
    """Words of a sentence, and what they mean on the command line.

    Attributes:
        words: part of the sentence.
        option: the option of verbs that read one source.
        setting: the same in a config of ``train``.
        otherwise: what the sentence says from ``words`` on where the verb has no such option.
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
"""Verbs whose data are described by a config."""


def with_options(sentence: str, command: Any) -> str:
    """Add to a sentence the option that it means, if the verb of this call has it.

    Args:
        sentence: of an error.
        command: the whole command line, with all verbs, as Typer makes it.
    """
    verb = sys.argv[1] if len(sys.argv) > 1 else ""
    for hint in HINTS:
        if hint.words in sentence:
            if verb in CONFIGURED:
                return f"{sentence.rstrip('.')} ({hint.setting})."
            if hint.option in _options(command, verb):
                return f"{sentence.rstrip('.')} ({hint.option})."
            return sentence.partition(hint.words)[0] + hint.otherwise
    return sentence


def _options(command: Any, verb: str) -> set[str]:
    found = command.commands.get(verb)
    return {option for parameter in (found.params if found else ()) for option in parameter.opts}
