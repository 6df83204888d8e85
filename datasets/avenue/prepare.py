"""Convert the labels of CUHK Avenue: python prepare.py AVENUE FOLDER.

AVENUE holds testing_label_mask/N_label.mat, anywhere below it. Writes labels/NN.csv with the columns frame,label.
"""

import csv
import sys
from pathlib import Path

from scipy.io import loadmat


def prepare(source: Path, folder: Path) -> None:
    """Write one file of labels for each test video; a frame is unusual where its mask is not empty."""
    files = sorted(source.rglob("testing_label_mask/*_label.mat"))
    if not files:
        sys.exit(f"{source} holds no testing_label_mask/1_label.mat and so on.")
    (folder / "labels").mkdir(parents=True, exist_ok=True)
    for file in files:
        masks = loadmat(file)["volLabel"].ravel()
        rows = [(frame, int(mask.any())) for frame, mask in enumerate(masks)]
        number = int(file.name.removesuffix("_label.mat"))
        with (folder / "labels" / f"{number:02}.csv").open("w", newline="") as target:
            csv.writer(target).writerows([("frame", "label"), *rows])


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    prepare(*map(Path, sys.argv[1:]))
