"""Weights of a blend where a clip is too short to measure its own: those that served best on films in general."""

import json
from functools import lru_cache
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

FILE = Path(__file__).with_name("default_blend.json")
"""Weights of network, optical flow and last frame, by lead time and region; ``scripts/benchmark.py default-blend``
measures them on the first two thirds of films."""


def default_weights(members: int) -> Float[Tensor, "k q m"]:
    """Weights by lead time and region; equal ones for other members than network, optical flow and last frame."""
    weights = _measured()
    return weights.clone() if weights.shape[-1] == members else torch.full((1, 1, members), 1 / members)


@lru_cache
@torch.inference_mode(mode=False)
def _measured() -> Float[Tensor, "k q m"]:
    weights = torch.tensor(json.loads(FILE.read_text())["weights"])
    return weights / weights.sum(dim=-1, keepdim=True)
