"""Convert a folder of weights from framepred 0.1 to the argument and tensor names of framepred 0.2.

    python scripts/convert_weights.py FOLDER [FOLDER ...]

It renames the arguments in ``config.json`` and the tensors in ``model.safetensors``, and updates the file's SHA-256 in
``card.json`` if there is one. No value changes. A folder that already has the new names is left as it is. The tables
``ARGUMENTS`` and ``TENSORS`` list every change, old name to new name, for each class of network.
"""

import argparse
import hashlib
import json
import os
import sys
from pathlib import Path
from typing import Any

from safetensors import safe_open
from safetensors.torch import load_file, save_file

ARGUMENTS: dict[str, dict[str, str]] = {
    "EncoderForecaster": {"widths": "hidden_channels", "kernel": "kernel_size"},
    "FrameStack": {"widths": "hidden_channels", "kernel": "kernel_size"},
    "LayeredForecaster": {
        "coarse": "coarse_channels",
        "fine": "fine_channels",
        "embedding": "embedding_channels",
    },
    "BidirectionalForecaster": {"width": "hidden_channels", "drawing": "mixing_channels"},
}
"""Arguments in ``config.json`` by the class of the network."""

TENSORS: dict[str, dict[str, str]] = {
    "EncoderForecaster": {"draw": "readout"},
    "FrameStack": {"draw": "readout"},
    "LayeredForecaster": {
        "descend": "downsample",
        "match": "embed_correlation",
        "follow": "coarse_cell",
        "draw": "fine_cell",
        "take": "write_gate",
    },
    "BidirectionalForecaster": {
        "onward": "forward_encoder",
        "backward_": "backward_encoder",
        "descend": "downsample",
        "match": "embed_correlation",
        "clock": "embed_time",
        "together": "merge",
        "agree": "embed_agreement",
        "compare": "mixing_conv1",
        "refine": "mixing_conv2",
        "share": "mixing_logits",
    },
}
"""Parts of the tensors' dotted names in ``model.safetensors`` by the class of the network."""


def main(arguments: list[str] | None = None) -> int:
    """Convert every folder that is named; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", nargs="+", type=Path, metavar="FOLDER", help="folder with config.json")
    for folder in parser.parse_args(arguments).folders:
        try:
            print(f"{folder}: {'converted' if convert(folder) else 'has the new names already'}")
        except (OSError, ValueError) as error:
            print(f"{folder} could not be converted: {error}", file=sys.stderr)
            return 2
    return 0


def convert(folder: Path) -> bool:
    """Rename arguments and tensors in a folder of weights; return whether anything had an old name."""
    config: dict[str, Any] = json.loads((folder / "config.json").read_text())
    kind = str(config.get("class"))
    tensors = load_file(folder / "model.safetensors")
    names = {name: rename_tensor(kind, name) for name in tensors}
    renamed = {ARGUMENTS.get(kind, {}).get(name, name): value for name, value in config.items()}
    if renamed == config and all(old == new for old, new in names.items()):
        return False
    with safe_open(folder / "model.safetensors", "pt") as file:
        metadata = file.metadata()
    beside = folder / f".{os.getpid()}.safetensors"
    try:
        save_file({names[name]: tensor for name, tensor in tensors.items()}, beside, metadata)
        beside.replace(folder / "model.safetensors")
    finally:
        beside.unlink(missing_ok=True)
    write_json(folder / "config.json", renamed)
    update_card(folder)
    return True


def rename_tensor(kind: str, name: str) -> str:
    """Rename each part of a dotted tensor name of a network of this class."""
    return ".".join(TENSORS.get(kind, {}).get(part, part) for part in name.split("."))


def update_card(folder: Path) -> None:
    """Write the new SHA-256 of ``model.safetensors`` into ``card.json``."""
    path = folder / "card.json"
    if path.is_file():
        card = json.loads(path.read_text())
        card["weights"]["sha256"] = hashlib.sha256((folder / "model.safetensors").read_bytes()).hexdigest()
        write_json(path, card)


def write_json(path: Path, content: object) -> None:
    """Write JSON beside the file, then replace it."""
    beside = path.with_name(f".{os.getpid()}.json")
    try:
        beside.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n")
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)


if __name__ == "__main__":
    sys.exit(main())
