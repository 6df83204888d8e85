"""Convert UCSD Ped2 as distributed: python prepare.py UCSDped2 FOLDER.

Writes normal/TrainNNN.npy, test/TestNNN.npy, uint8 (t, h, w), and labels/TestNNN.csv with the columns frame,label.
"""

import csv
import re
import sys
from pathlib import Path

import numpy as np
from PIL import Image


def prepare(source: Path, folder: Path) -> None:
    """Write arrays and labels."""
    spans = re.findall(r"gt_frame\s*=\s*\[([^\]]*)\]", (source / "Test" / "UCSDped2.m").read_text())
    tests = sorted(path for path in (source / "Test").glob("Test???") if path.is_dir())
    if len(spans) != len(tests):
        sys.exit(f"{source} has {len(tests)} test clips but UCSDped2.m labels {len(spans)}.")
    for clip in sorted(path for path in (source / "Train").glob("Train???") if path.is_dir()):
        save(clip, folder / "normal" / f"{clip.name}.npy")
    for clip, span in zip(tests, spans, strict=True):
        count = save(clip, folder / "test" / f"{clip.name}.npy")
        write_labels(folder / "labels" / f"{clip.name}.csv", unusual_frames(span), count)


def unusual_frames(span: str) -> set[int]:
    """Numbers from 0 of the frames in a MATLAB range such as ``61:180, 200:210``, which counts from 1."""
    frames: set[int] = set()
    for part in re.split(r"[,\s]+", span.strip()):
        first, _, last = part.partition(":")
        frames.update(range(int(first) - 1, int(last or first)))
    return frames


def save(clip: Path, target: Path) -> int:
    """Write the pictures of a clip as one array; returns their number."""
    target.parent.mkdir(parents=True, exist_ok=True)
    frames = np.stack([np.asarray(Image.open(file).convert("L")) for file in sorted(clip.glob("*.tif"))])
    np.save(target, frames)
    return len(frames)


def write_labels(path: Path, unusual: set[int], count: int) -> None:
    """Write one line per frame."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([("frame", "label"), *((frame, int(frame in unusual)) for frame in range(count))])


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    prepare(*map(Path, sys.argv[1:]))
