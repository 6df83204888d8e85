"""Several processes that run the same command: which of them prints a message, and the error file of torchrun."""

import json
import os
import sys
import time
from contextlib import suppress
from pathlib import Path

RANK_VARIABLES = ("RANK", "SLURM_PROCID", "LOCAL_RANK")
"""Environment variables with the number of this process: of torchrun, SLURM and Lightning."""
TORCHRUN_ERROR_FILE = "TORCHELASTIC_ERROR_FILE"
"""Environment variable of torchrun: file of this process for its error, in a folder of its own."""
CLAIM = "framepred-message"
"""File beside the folders of torchrun's processes that the first process with a message creates."""


def is_first_process() -> bool:
    """Return whether this process is the one that prints results."""
    return all(os.environ.get(name, "0") == "0" for name in RANK_VARIABLES)


def claims_message() -> bool:
    """Return whether this process prints the message that ends the command: the first one that asks does.

    Under torchrun it is the first process of each machine.
    """
    error_file = os.environ.get(TORCHRUN_ERROR_FILE)
    if error_file:
        return _claims_file(Path(error_file).parent.parent / CLAIM)
    distributed = sys.modules.get("torch.distributed")
    if distributed is not None and distributed.is_available() and distributed.is_initialized():
        try:
            return bool(distributed.distributed_c10d._get_default_store().add("framepred/message", 1) == 1)
        except RuntimeError:  # the main process, which holds the store, has ended with its own message
            return False
    return is_first_process()


def write_torchrun_error(sentence: str) -> None:
    """Write an error to the file that torchrun reads, so that its summary contains the sentence."""
    error_file = os.environ.get(TORCHRUN_ERROR_FILE)
    if error_file:
        extra = {"py_callstack": sentence, "timestamp": str(int(time.time()))}
        with suppress(OSError):
            Path(error_file).write_text(json.dumps({"message": {"message": sentence, "extraInfo": extra}}))


def _claims_file(path: Path) -> bool:
    """Create a file; return False if another process did."""
    try:
        path.touch(exist_ok=False)
    except FileExistsError:
        return False
    except OSError:  # the folder is gone or write-protected
        return is_first_process()
    return True
