"""Convert KITTI and Caltech Pedestrian as distributed to array files: python prepare.py RAW FOLDER.

RAW holds KITTI's drives, extracted, and Caltech's test sets set06 to set10 with their .seq files, anywhere below it.
Frames become 128×160: scaled to that height, then cropped to the centre (Lotter et al. 2017, arXiv:1605.08104).
"""

import sys
from collections.abc import Iterable
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

SIZE = 160, 128
VAL = ("2011_09_26_drive_0005_sync",)
# PredNet tests on these drives; here Caltech tests.
LEFT_OUT = ("2011_09_26_drive_0104_sync", "2011_09_26_drive_0079_sync", "2011_09_26_drive_0070_sync")
FRAME_STEP = 3  # of Caltech: 30 frames per second become KITTI's 10
JPEG = b"\xff\xd8\xff\xe0\x00\x10JFIF"


def prepare(source: Path, folder: Path) -> None:
    """Write one array (t, 128, 160, 3), uint8, for each KITTI drive and Caltech sequence."""
    drives = sorted(source.rglob("*_sync/image_03/data"))
    sequences = sorted(source.rglob("set*/V*.seq"))
    if not drives or not sequences:
        sys.exit(f"{source} must hold KITTI's */*_sync/image_03/data and Caltech's set06/V000.seq and so on.")
    for drive in drives:
        name = drive.parents[1].name
        if name not in LEFT_OUT:
            save(folder / ("val" if name in VAL else "train") / f"{name}.npy", sorted(drive.glob("*.png")))
    for sequence in sequences:
        frames = [BytesIO(JPEG + rest) for rest in sequence.read_bytes().split(JPEG)[1:]]
        save(folder / "test" / f"{sequence.parent.name}_{sequence.stem}.npy", frames[FRAME_STEP - 1 :: FRAME_STEP])


def save(target: Path, pictures: Iterable[Path | BytesIO]) -> None:
    """Write pictures as one array."""
    target.parent.mkdir(parents=True, exist_ok=True)
    np.save(target, np.stack([np.asarray(ImageOps.fit(Image.open(file).convert("RGB"), SIZE)) for file in pictures]))


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    prepare(*map(Path, sys.argv[1:]))
