"""TaxiBJ as OpenSTL distributes it to clips that framepred reads: python prepare.py dataset.npz FOLDER."""

import sys
from pathlib import Path

import numpy as np

HELD_OUT = 500  # training windows, the latest, that validate
OVERLAP = 7  # windows of 8 half hours before them that share one with them


def prepare(source: Path, folder: Path) -> None:
    """Join what is seen and what follows to clips (n, 8, 2, 32, 32), scaled from [-1, 1] to [0, 1]."""
    with np.load(source / "dataset.npz" if source.is_dir() else source) as arrays:
        train, test = (join(arrays[f"X_{part}"], arrays[f"Y_{part}"]) for part in ("train", "test"))
    held_out = min(HELD_OUT, len(train) // 4)
    for split, clips in {"train": train[: -held_out - OVERLAP], "val": train[-held_out:], "test": test}.items():
        (folder / split).mkdir(parents=True, exist_ok=True)
        np.save(folder / split / "clips.npy", clips)


def join(seen: np.ndarray, following: np.ndarray) -> np.ndarray:
    """Whole clips, float32 in [0, 1]."""
    return ((np.concatenate([seen, following], axis=1) + 1) / 2).astype(np.float32)


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    prepare(*map(Path, sys.argv[1:]))
