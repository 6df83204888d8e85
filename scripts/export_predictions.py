"""Write the predictions of a forecaster for every clip of an array, clip by clip, as videos.

framepred data moving-mnist --output clips.npy --clips 8
python scripts/export_predictions.py clips.npy predictions/
"""

import argparse
from pathlib import Path

import torch

import framepred
from framepred.clips import to_unit
from framepred.media.reading import read_clips

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("clips", type=Path, help="video, or .npy of (n, t, c, h, w)")
parser.add_argument("folder", type=Path, help="where the videos go")
parser.add_argument("--weights", default="moving-mnist")
parser.add_argument("--context", type=int, default=10)
parser.add_argument("--horizon", type=int, default=10)
options = parser.parse_args()

net = framepred.load(options.weights)
video = read_clips(options.clips)
for number, clip in enumerate(video.clips):
    with torch.inference_mode():
        future = net(to_unit(clip[None, : options.context]), horizon=options.horizon)
    path = options.folder / f"{options.clips.stem}-{number:04d}.mp4"
    framepred.write_video(path, future[0], fps=video.fps)
    print(path)
