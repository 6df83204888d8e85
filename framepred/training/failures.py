"""Errors of training as one sentence: what Lightning, PyTorch and the operating system raise, for users."""

import re
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType

from jsonargparse import ArgumentError
from lightning.fabric.utilities.exceptions import MisconfigurationException
from torch.multiprocessing.spawn import ProcessRaisedException

from framepred import errors
from framepred.errors import ConfigError, DataError, FramepredError, MediaError

CHECKING_LIBRARIES = {
    "torch.optim.lr_scheduler": "model.lr_scheduler", "torch.optim": "model.optimizer", "lightning": "the trainer",
    "torchmetrics": "the trainer", "jsonargparse": "the trainer",
}  # fmt: skip
"""Libraries whose errors about arguments are shown to the user as they are, and whose arguments these are."""
# Lines of the parser's message that repeat what was given, or say that an option may be left out.
REDUNDANT_LINES = (
    "Does not validate against", "Subtypes", "Errors", "Expected a <class 'NoneType'>", "Given value",
    "Expected a path but", "Expected a dot import path",
)  # fmt: skip
# What the parser says about classes whose arguments are wrong: the type that it expects and all arguments.
REDUNDANT_WORDS = re.compile(r"Type \S.* expects a function or a callable class: |\.? Got value: Namespace\(.*")
MEMORY = re.compile(r"out of memory|can't allocate memory|not enough memory|unable to allocate", re.IGNORECASE)
LOST_PROCESS = re.compile(r"connection closed by peer|connection reset by peer|timed out waiting", re.IGNORECASE)


@contextmanager
def one_sentence_errors(folder: Path | None = None) -> Iterator[None]:
    """Turn errors that a user can correct into FramepredErrors; other exceptions pass unchanged.

    Lightning exits the interpreter on Ctrl-C; here it becomes the ``KeyboardInterrupt`` again.

    Args:
        folder: where files are written; named in errors of the operating system that name no file.
    """
    former = signal.getsignal(signal.SIGINT)
    try:
        with _quiet_writers():
            yield
    except SystemExit as end:
        if not isinstance(end.__context__, KeyboardInterrupt):
            raise
        signal.signal(signal.SIGINT, former)  # Lightning ignores the signal from then on
        raise end.__context__ from None
    except Exception as error:
        explained = explain(error, folder)
        if explained is None or explained is error:
            raise
        raise explained from error


@contextmanager
def _quiet_writers() -> Iterator[None]:
    """Print no traceback of threads that cannot write: TensorBoard raises their errors again where it is called."""
    former = threading.excepthook

    def report(found: threading.ExceptHookArgs) -> None:
        if not issubclass(found.exc_type, OSError):
            former(found)

    threading.excepthook = report
    try:
        yield
    finally:
        threading.excepthook = former


def explain(error: Exception, folder: Path | None = None) -> FramepredError | None:
    """Return the FramepredError that says what the user can correct; None for what is a bug."""
    if isinstance(error, FramepredError):
        return _without_worker_traceback(error)
    if isinstance(error.__cause__, FramepredError):  # jsonargparse wraps the errors of constructors
        return error.__cause__
    text = " ".join(str(error).split())
    if isinstance(error, (ArgumentError, MisconfigurationException)):
        return ConfigError(_parser_sentence(str(error)))
    if isinstance(error, ProcessRaisedException):
        return _of_spawned_process(str(error))
    if isinstance(error, OSError):
        name = error.filename or (f"A file in {folder}" if folder else "A file")
        return MediaError(f"{name} cannot be read or written ({error.strerror or text}); check the path and the disk.")
    if MEMORY.search(text):
        return ConfigError("The memory of the device is exhausted; lower batch_size, the frame size or the horizon.")
    if text.startswith("DataLoader worker"):
        return DataError(f"A process that reads clips ended ({text.split(' is killed')[0]}); lower num_workers.")
    if LOST_PROCESS.search(text):
        return ConfigError("Another process of this training ended, so this one cannot continue.")
    module = _raised_in(error.__traceback__)
    if part := next((part for library, part in CHECKING_LIBRARIES.items() if module.startswith(library)), None):
        return ConfigError(f"{type(error).__name__}: {text.rstrip('.')}; correct the arguments of {part}.")
    return None


def _parser_sentence(message: str) -> str:
    """Join the lines of a parser's message that say what was parsed and what is wrong with it."""
    message = message.replace("Expected a <class 'float'>", "Expected a finite number")
    lines = [REDUNDANT_WORDS.sub("", line).strip(" -").rstrip(".:") for line in message.splitlines()]
    kept = [line for line in lines if line and not line.startswith(REDUNDANT_LINES)]
    return f"{': '.join(dict.fromkeys(kept))}."


def _without_worker_traceback(error: FramepredError) -> FramepredError:
    """Return an error of a DataLoader worker with its last line only; PyTorch adds the worker's traceback."""
    text = str(error)
    if not text.startswith("Caught "):
        return error
    return type(error)(text.strip().splitlines()[-1].partition(": ")[2])


def _of_spawned_process(text: str) -> FramepredError | None:
    """Return the FramepredError that ended a spawned process."""
    kind, _, sentence = text.strip().splitlines()[-1].partition(": ")
    module, _, name = kind.rpartition(".")
    found = getattr(errors, name, None)
    return found(sentence) if module == errors.__name__ and found else None


def _raised_in(traceback: TracebackType | None) -> str:
    """Return the name of the module whose statement raised an error."""
    module = ""
    while traceback is not None:
        module = traceback.tb_frame.f_globals.get("__name__", "")
        traceback = traceback.tb_next
    return module
