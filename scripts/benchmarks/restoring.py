"""Score and picture of a restorer on a gap in the middle of a clip, beside baselines."""

from pathlib import Path

import torch
from rich.console import Console

from framepred.baselines import RESTORERS, Blank
from framepred.clips import to_unit
from framepred.data import MovingMNIST
from framepred.evaluation import DataRecord, WeightsRecord, evaluate
from framepred.evaluation.tables import score_table
from framepred.models import load_restorer
from framepred.models.cost import count_parameters, macs_per_clip
from framepred.models.pretrained import load_weights
from framepred.restorer import MiddleGap, cut_middle, middle
from framepred.visualization.panels import write_restored_panel

LENGTH, MISSING, BATCH = 20, 3, 20
SHOWN, AROUND = 3, 3
"""Clips in the picture, and observed frames on each side of the gap."""

BASELINES = ("last-frame", "linear", "motion-compensated")


def write_score(weights: str, clips: int, root: str | None, folder: Path) -> Path:
    """Score on generated test clips, print the table and write ``card.json``; return its path."""
    net, name, sha256 = load_weights(weights)
    gap = MiddleGap(load_restorer(weights))
    dataset = MovingMNIST("test", clips=clips, length=LENGTH, digits="mnist", root=root)
    batches = (
        cut_middle(dataset.render(range(first, min(first + BATCH, clips))), MISSING) for first in range(0, clips, BATCH)
    )
    card = evaluate(
        gap,
        batches,
        data=DataRecord("moving-mnist with a gap in the middle", "test", seed=0, digits=dataset.bank.name),
        weights=WeightsRecord(
            Path(name).name, sha256, count_parameters(net), macs_per_clip(gap, LENGTH - MISSING, MISSING, (1, 64, 64))
        ),
        baselines={"blank": Blank()} | {kind: MiddleGap(RESTORERS[kind]()) for kind in BASELINES},
    )
    Console().print(score_table(card))
    folder.mkdir(parents=True, exist_ok=True)
    card.write(folder / "card.json")
    return folder / "card.json"


@torch.inference_mode()
def write_picture(weights: str, root: str | None, folder: Path) -> Path:
    """Write a panel of test clips around their gap; return its path."""
    clips = to_unit(MovingMNIST("test", clips=SHOWN, length=LENGTH, digits="mnist", root=root).render(range(SHOWN)))
    gap = middle(LENGTH - MISSING, MISSING)
    missing = torch.zeros(LENGTH, dtype=torch.bool)
    missing[gap] = True
    nets = {"linear": RESTORERS["linear"]().eval(), "network": load_restorer(weights)}
    around = slice(gap.start - AROUND, gap.stop + AROUND)
    restored = {name: net.restore(clips, missing)[:, around] for name, net in nets.items()}
    write_restored_panel(folder / "restored.png", clips[:, around], missing[around], restored, around.start)
    return folder / "restored.png"
