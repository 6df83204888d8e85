"""Score a forecaster from Python: weights by name or path, or any callable ``(context, horizon) -> frames``.

python scripts/evaluate.py moving-mnist --clips 200
"""

import argparse
from pathlib import Path

import framepred
from one_sentence import one_sentence_errors

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("weights", nargs="?", default="moving-mnist", help="bundled name, folder, .ckpt or baseline:NAME")
parser.add_argument("--clips", type=int, default=200)
parser.add_argument("--root", type=Path, help="folder of MNIST's IDX files; without it the embedded digits are used")
parser.add_argument("--card", type=Path, default=Path("card.json"))
options = parser.parse_args()

with one_sentence_errors():
    card = framepred.evaluate(options.weights, data="moving-mnist", clips=options.clips, root=options.root)
    card.write(options.card)
print(f"mse {card.metrics['mse'].value:.2f} (protocol {card.protocol}), skill {card.skill['mse']:.3f}: {options.card}")
