"""Panels of predictions at the trained horizon and at four times that horizon."""

from pathlib import Path

import torch

from framepred.clips import RawClip, to_unit
from framepred.data import MovingMNIST
from framepred.models import load
from framepred.visualization.panels import write_panel

CLIPS, CONTEXT, HORIZON, FAR = 8, 10, 10, 40


@torch.inference_mode()
def write_pictures(weights: str, digits: str, objects: int, side: int, root: str | None, folder: Path) -> list[Path]:
    """Write a panel of eight test clips and a panel of two of them at the far horizon; return both paths."""
    net = load(weights)
    dataset = MovingMNIST(
        "test",
        clips=CLIPS,
        length=CONTEXT + FAR,
        frame_size=(side, side),
        digits_per_clip=objects,
        digits=digits,
        root=root,
    )
    clips: RawClip = dataset.render(range(CLIPS))
    context, future = to_unit(clips[:, :CONTEXT]), to_unit(clips[:, CONTEXT:])
    near, far = folder / "panel.png", folder / "far.png"
    write_panel(near, context, future[:, :HORIZON], net(context, HORIZON))
    write_panel(far, context[:2], future[:2], net(context[:2], FAR))
    return [near, far]
