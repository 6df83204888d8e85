"""Checkpoint files of training: written atomically with a content hash, read without executing code."""

import hashlib
import re
import zipfile
from io import BytesIO
from pathlib import Path
from typing import Any

import torch

from framepred.errors import WeightsError
from framepred.media.atomic import atomic_write

_LABEL = b"framepred sha256 "
_COMMENT_LENGTH = len(_LABEL) + 64  # hexadecimal digits of SHA-256
_LENGTH_FIELD = 2  # bytes at the end of a zip file: the length of its comment, little-endian


def write_checkpoint(contents: dict[str, Any], path: Path) -> None:
    """Write a checkpoint; on failure ``path`` keeps what it held.

    The file is that of ``torch.save``, a zip file, with the SHA-256 of its bytes as the zip comment.

    Raises:
        MediaError: if the file cannot be written, as on a full disk.
    """
    buffer = BytesIO()
    torch.save(contents, buffer)
    body = buffer.getbuffer()
    comment = _LABEL + hashlib.sha256(body).hexdigest().encode()
    with atomic_write(path) as draft, draft.open("wb") as file:
        file.write(body[:-_LENGTH_FIELD])
        file.write(len(comment).to_bytes(_LENGTH_FIELD, "little"))
        file.write(comment)


def read_checkpoint(path: Path) -> dict[str, Any]:
    """Read a checkpoint of a training task, as :func:`load_verified`.

    Raises:
        WeightsError: if the file is missing or damaged, or holds no network with its description.
    """
    contents = load_verified(path)
    if not {"net", "state_dict"} <= contents.keys():
        raise _unusable(path, "it has no network")
    tensors = contents["state_dict"]
    if not isinstance(tensors, dict) or not all(_is_tensor(name, value) for name, value in tensors.items()):
        raise _unusable(path, "its weights are no tensors by name")
    return contents


def _is_tensor(name: object, value: object) -> bool:
    return isinstance(name, str) and isinstance(value, torch.Tensor)


def load_verified(path: Path) -> dict[str, Any]:
    """Load a file of ``torch.save`` to the CPU; only tensors and plain Python values are unpickled.

    Files that :func:`write_checkpoint` did not write have no hash; of them, the zip checksums are checked.

    Raises:
        WeightsError: if the file is missing or damaged, or holds no dictionary.
    """
    try:
        damage = _damage(path)
        contents: Any = None if damage else torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch.load raises many kinds of errors on damaged files
        damage, contents = _reason(error), None
    if isinstance(contents, dict):
        return contents
    raise _unusable(path, damage or "it holds no dictionary")


def _unusable(path: Path, reason: str) -> WeightsError:
    return WeightsError(
        f"{path} is not a checkpoint of framepred train ({reason}); take best.ckpt or last.ckpt of a run folder."
    )


def _damage(path: Path) -> str | None:
    """Return what is wrong with the bytes of the file, or None."""
    if path.stat().st_size == 0:
        return "an empty file"
    if not zipfile.is_zipfile(path):
        return "not a file of torch.save, or cut off"
    with zipfile.ZipFile(path) as archive:
        comment = archive.comment
        if not comment.startswith(_LABEL):
            return "damaged bytes" if archive.testzip() else None
    data = path.read_bytes()
    body = data[: -_COMMENT_LENGTH - _LENGTH_FIELD] + bytes(_LENGTH_FIELD)
    return None if hashlib.sha256(body).hexdigest().encode() == comment[len(_LABEL) :] else "damaged bytes"


def _reason(error: Exception) -> str:
    """Return the reason in a few words, without PyTorch's advice to load unsafely."""
    if isinstance(error, OSError):
        return error.strerror or type(error).__name__
    unsafe = re.search(r"(?:GLOBAL|global) ([\w.]+)", str(error))
    return f"it names {unsafe[1]}, which is not loaded" if unsafe else f"damaged: {type(error).__name__}"
