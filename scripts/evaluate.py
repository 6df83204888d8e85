"""Score a forecaster from Python, as a researcher would: any network with observe and next_frame will do.

python scripts/evaluate.py moving-mnist --clips 200
"""

import argparse
from pathlib import Path

import framepred
from framepred.baselines import Blank, LastFrame
from framepred.data import ClipLoader, MovingMNIST, OrderedBatches
from framepred.evaluation import DataRecord, WeightsRecord, evaluate

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("weights", nargs="?", default="moving-mnist", help="bundled name, folder, or .ckpt")
parser.add_argument("--clips", type=int, default=200)
parser.add_argument("--root", type=Path, help="folder of MNIST's IDX files; without it the embedded digits are used")
parser.add_argument("--card", type=Path, default=Path("card.json"))
options = parser.parse_args()

clips = MovingMNIST("test", clips=options.clips, length=20, root=options.root)
card = evaluate(
    framepred.load(options.weights),
    ClipLoader(clips, OrderedBatches(len(clips), batch_size=16), context=10),
    protocol="openstl",
    data=DataRecord("moving-mnist", split="test", seed=0, digits=clips.bank.name),
    weights=WeightsRecord(options.weights),
    baselines={"blank": Blank(), "last-frame": LastFrame()},
)
card.write(options.card)
print(f"mse {card.metrics['mse'].value:.2f} (protocol {card.protocol}), skill {card.skill['mse']:.3f}: {options.card}")
