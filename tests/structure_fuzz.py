"""Changes of the values inside structured files, which bytes changed at random seldom reach."""

import json
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml

JUNK: tuple[Any, ...] = (
    None, True, -1, 0, 10**8, 10**30, -0.5, 1e308, float("nan"), float("inf"), "", "text", "a/../b", "\ud83d\ude00",
    [], [1, 2], {}, {"a": 1}, [[[]]], ["x"] * 50,
)  # fmt: skip
"""Values that take the place of others."""


def restructure(path: Path, rng: np.random.Generator) -> bytes | None:
    """Return a file's content with one value changed; None for files that have no structure."""
    change = _KINDS.get(path.name if path.suffix in (".json", ".yaml") else path.suffix)
    return None if change is None else change(path, rng)


def _changed(value: Any, rng: np.random.Generator) -> Any:
    """A copy of nested mappings and lists in which one part is replaced, removed, or doubled under a new name."""
    value = deepcopy(value)
    parts = list(_parts(value))
    parent, key = parts[int(rng.integers(len(parts)))]
    action = int(rng.integers(6))
    if action == 0:
        del parent[key]
    elif action == 1 and isinstance(parent, dict):
        parent[f"{key}x"] = parent[key]
    else:
        parent[key] = JUNK[int(rng.integers(len(JUNK)))]
    return value


def _parts(value: Any) -> Any:
    keys = value if isinstance(value, dict) else range(len(value))
    for key in keys:
        yield value, key
        if isinstance(value[key], (dict, list)):
            yield from _parts(value[key])


def _json(path: Path, rng: np.random.Generator) -> bytes:
    return json.dumps(_changed(json.loads(path.read_text()), rng)).encode()


def _yaml(path: Path, rng: np.random.Generator) -> bytes:
    return yaml.safe_dump(_changed(yaml.safe_load(path.read_text()), rng)).encode("utf-8", "replace")


def _checkpoint(path: Path, rng: np.random.Generator) -> bytes:
    from io import BytesIO

    content = torch.load(path, weights_only=True)
    content["state_dict"] = dict(content["state_dict"])
    buffer = BytesIO()
    torch.save(_changed(content, rng), buffer)
    return buffer.getvalue()


def _profile(path: Path, rng: np.random.Generator) -> bytes:
    """Change the description, or the shape, type or values of a tensor."""
    from safetensors import safe_open
    from safetensors.numpy import save

    with safe_open(path, framework="np") as file:
        metadata = dict(file.metadata())
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  it is no dictionary
    if rng.random() < 0.5:
        metadata["profile"] = json.dumps(_changed(json.loads(metadata["profile"]), rng))
    else:
        name = sorted(tensors)[int(rng.integers(len(tensors)))]
        array = tensors[name]
        changes = (array[:0], array[1:], array.reshape(-1), array * np.nan, array[None], array.astype(np.int8), -array)
        tensors[name] = np.ascontiguousarray(changes[int(rng.integers(len(changes)))])
    return save(tensors, metadata)


_KINDS: dict[str, Callable[[Path, np.random.Generator], bytes]] = {
    "card.json": _json,
    "config.json": _json,
    "zarr.json": _json,
    "config.yaml": _yaml,
    ".ckpt": _checkpoint,
    ".profile": _profile,
}
