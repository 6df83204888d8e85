"""Convert the tracking forecaster's weights of framepred 0.1 to the network of framepred 0.2.

    python scripts/convert_tracking_weights.py OLD_FOLDER NEW_FOLDER

The maps of memory and the gates keep their values under new names. What follows layers is now a path network, which
begins untrained; depth, residual and brightness have no successor. The old network read its layers at two places: as
predicted and as found. The new one reads them as found, with the sum of both weights.
"""

import argparse
import json
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor

from framepred.models import TrackingForecaster

ARGUMENTS = {"coarse": "coarse_channels", "fine": "fine_channels", "embedding": "embedding_channels"}
PARTS = {
    "descend": "downsample",
    "match": "embed_correlation",
    "follow": "coarse_cell",
    "draw": "fine_cell",
    "take": "write_gate",
    "doubt": "excess_logits",
}
PATCH = 16
"""Pixels of a cell that ``embed`` reads."""


def convert(folder: Path) -> TrackingForecaster:
    """The network with the old folder's maps of memory and gates."""
    config = json.loads((folder / "config.json").read_text())
    kept = {ARGUMENTS.get(name, name): value for name, value in config.items() if name not in ("class", "slot")}
    torch.manual_seed(0)
    net = TrackingForecaster(**kept)
    old = load_file(folder / "model.safetensors")
    new = {_renamed(name): value for name, value in old.items()}
    new["embed.weight"] = _read_once(new["embed.weight"], net)
    known = net.state_dict()
    net.load_state_dict(known | {name: value for name, value in new.items() if name in known})
    return net


def _renamed(name: str) -> str:
    head, *rest = name.split(".")
    return ".".join([PARTS.get(head, head), *rest])


def _read_once(weight: Tensor, net: TrackingForecaster) -> Tensor:
    """Weights of frame, frame before, and layers, where the layers had two sets."""
    frames, predicted, found = weight.split(
        [2 * PATCH * net.channels, PATCH * net.channels * net.layers, PATCH * net.channels * net.layers], dim=1
    )
    return torch.cat([frames, predicted + found], dim=1)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("old", type=Path)
    parser.add_argument("new", type=Path)
    options = parser.parse_args()
    convert(options.old).save_pretrained(options.new)
