"""Convert TaxiBJ as OpenSTL distributes it to array files: python prepare.py dataset.npz FOLDER."""

import sys
from pathlib import Path

import numpy as np

VAL_WINDOWS = 500  # the last training windows validate
OVERLAP = 7  # windows of 8 half hours before them that share frames with them


def prepare(source: Path, folder: Path) -> None:
    """Join observed and following frames to clips (n, 8, 2, 32, 32), scaled from [-1, 1] to [0, 1]."""
    with np.load(source / "dataset.npz" if source.is_dir() else source) as arrays:
        train, test = (join(arrays[f"X_{part}"], arrays[f"Y_{part}"]) for part in ("train", "test"))
    val_windows = min(VAL_WINDOWS, len(train) // 4)
    for split, clips in {"train": train[: -val_windows - OVERLAP], "val": train[-val_windows:], "test": test}.items():
        (folder / split).mkdir(parents=True, exist_ok=True)
        np.save(folder / split / "clips.npy", clips)


def join(observed: np.ndarray, following: np.ndarray) -> np.ndarray:
    """Return whole clips, float32 in [0, 1]."""
    return ((np.concatenate([observed, following], axis=1) + 1) / 2).astype(np.float32)


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    prepare(*map(Path, sys.argv[1:]))
