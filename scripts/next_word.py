"""Perplexity of the next word: a trained network beside a Markov chain of word pairs, on the test sentences.

framepred train --config next_word && python scripts/next_word.py runs/next_word/checkpoints/best.ckpt
"""

import argparse

import torch

from framepred.baselines import MarkovForecaster
from framepred.clips import to_unit
from framepred.data import NextWordData
from framepred.forecaster import Forecaster
from framepred.models import load
from framepred.training import CrossEntropy
from framepred.training.rollout import predict_every_frame


@torch.inference_mode()
def perplexity(net: Forecaster, words: torch.Tensor) -> float:
    """Among how many words, equally likely, the next one seems to lie: ``words`` (t, v, 1, 1), all after the first."""
    clip = to_unit(words)[None]
    truth = torch.ones(clip.shape[:2], dtype=torch.bool)
    return float(CrossEntropy()(predict_every_frame(net, clip, clip.shape[1] - 1, truth).frames, clip[:, 1:]).exp())


parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("weights", nargs="?", default="runs/next_word/checkpoints/best.ckpt", help="a checkpoint or folder")
parser.add_argument("--text", help="the text that the network was trained on, if it was another")
options = parser.parse_args()

data = NextWordData(text=options.text)
train, val, test = (data.words(split) for split in ("train", "val", "test"))
pairs = [
    MarkovForecaster(codes=len(data.vocabulary), patch=1, smoothing=count).fit(train[None]) for count in (0.01, 0.1, 1)
]
chain = min(pairs, key=lambda chain: perplexity(chain, val))  # the smoothing that suits it best
print(f"words in the vocabulary   {len(data.vocabulary)}")
print(f"Markov chain of pairs     {perplexity(chain, test):.2f}")
print(f"{options.weights}   {perplexity(load(options.weights), test):.2f}")
