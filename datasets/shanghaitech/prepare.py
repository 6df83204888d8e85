"""Convert the labels of ShanghaiTech Campus: python prepare.py SHANGHAITECH FOLDER.

SHANGHAITECH holds testing/test_frame_mask/SS_NNNN.npy. Writes labels/SS_NNNN.csv with the columns frame,label.
"""

import csv
import sys
from pathlib import Path

import numpy as np


def prepare(source: Path, folder: Path) -> None:
    """Write one file of labels for each test clip."""
    files = sorted(source.glob("testing/test_frame_mask/*.npy"))
    if not files:
        sys.exit(f"{source} holds no testing/test_frame_mask/01_0014.npy and so on.")
    (folder / "labels").mkdir(parents=True, exist_ok=True)
    for file in files:
        rows = [(frame, int(label)) for frame, label in enumerate(np.load(file).ravel())]
        with (folder / "labels" / f"{file.stem}.csv").open("w", newline="") as target:
            csv.writer(target).writerows([("frame", "label"), *rows])


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    prepare(*map(Path, sys.argv[1:]))
