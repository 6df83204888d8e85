"""Perplexity of the next word on the test sentences: a trained network beside a Markov chain of word pairs.

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
from one_sentence import one_sentence_errors

SMOOTHING = (0.01, 0.1, 1)
"""Counts added to each pair of words; the validation sentences choose one."""


@torch.inference_mode()
def perplexity(net: Forecaster, words: torch.Tensor) -> float:
    """Return the exponential of the mean cross-entropy of every word ``(t, v, 1, 1)`` after the first."""
    clip = to_unit(words)[None]
    truth = torch.ones(clip.shape[:2], dtype=torch.bool)
    return float(CrossEntropy()(predict_every_frame(net, clip, clip.shape[1] - 1, truth).frames, clip[:, 1:]).exp())


parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("weights", nargs="?", default="runs/next_word/checkpoints/best.ckpt", help="a checkpoint or folder")
parser.add_argument("--text", help="the text that the network was trained on, if not that of the package")
options = parser.parse_args()

with one_sentence_errors():
    data = NextWordData(text=options.text)
    train, val, test = (data.words(split) for split in ("train", "val", "test"))
    chains = [
        MarkovForecaster(codes=len(data.vocabulary), patch=1, smoothing=count).fit(train[None]) for count in SMOOTHING
    ]
    best = min(chains, key=lambda chain: perplexity(chain, val))
    print(f"words in the vocabulary   {len(data.vocabulary)}")
    print(f"Markov chain of pairs     {perplexity(best, test):.2f}")
    print(f"{options.weights}   {perplexity(load(options.weights), test):.2f}")
