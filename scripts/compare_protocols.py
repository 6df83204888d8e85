"""Measure how far one and the same prediction moves between protocols, and draw it.

python scripts/compare_protocols.py --clips 300 --root MNIST --output docs/images/protocols.png
"""

import argparse
from io import BytesIO
from pathlib import Path

import torch
from matplotlib.figure import Figure
from torch import Tensor
from torchvision.transforms.functional import gaussian_blur

from framepred.clips import to_unit
from framepred.data import MovingMNIST
from framepred.evaluation import PROTOCOLS, ClipMetric
from framepred.media.atomic import atomic_write
from framepred.visualization.curves import COLOURS
from one_sentence import one_sentence_errors

CONTEXT, HORIZON, BATCH, SIGMA = 10, 10, 50, 0.8
KERNEL = 7  # pixels: more than 3 standard deviations on both sides
METRICS = ("mse", "mae", "psnr", "ssim")
SHOWN = (0, 3, 6, 9)  # lead times in the picture, from 0

Scores = dict[tuple[str, str, str], float]
"""Values by prediction, protocol and metric."""


def predictions(clips: Tensor) -> dict[str, Tensor]:
    """Three predictions of the last frames of clips ``(b, t, c, h, w)``."""
    target = clips[:, CONTEXT:]
    blurred = gaussian_blur(target.flatten(0, 1), [KERNEL, KERNEL], [SIGMA, SIGMA]).reshape(target.shape)
    last = clips[:, CONTEXT - 1 : CONTEXT].expand_as(target)
    return {"blank": torch.zeros_like(target), f"truth blurred, σ {SIGMA}": blurred, "last frame": last}


def read(data: MovingMNIST, first: int, count: int) -> Tensor:
    """Clips as floats, ``(b, t, c, h, w)``."""
    found = data.__getitems__(list(range(first, min(first + count, len(data)))))
    return to_unit(found if isinstance(found, Tensor) else torch.stack(found))


def measure(data: MovingMNIST) -> Scores:
    """Score the predictions of all clips by every protocol."""
    metrics: dict[tuple[str, str, str], ClipMetric] = {}
    for first in range(0, len(data), BATCH):
        clips = read(data, first, BATCH)
        for name, prediction in predictions(clips).items():
            for protocol in PROTOCOLS.values():
                for metric, one in protocol.measures.items():
                    key = (name, protocol.name, metric)
                    metrics.setdefault(key, ClipMetric(one.formula)).update(prediction, clips[:, CONTEXT:])
    return {key: metric.compute().value for key, metric in metrics.items()}


def print_table(scores: Scores) -> None:
    """Print the scores as a Markdown table."""
    print("| prediction | protocol | mse | mae | psnr | ssim |\n|---|---|---:|---:|---:|---:|")
    for name in dict.fromkeys(name for name, *_ in scores):
        for protocol in PROTOCOLS:
            mse, mae, psnr, ssim = (scores[name, protocol, metric] for metric in METRICS)
            print(f"| {name} | `{protocol}` | {mse:.2f} | {mae:.2f} | {psnr:.2f} | {ssim:.4f} |")


def draw(clip: Tensor, scores: Scores) -> bytes:
    """Draw the truth and each prediction of one clip ``(1, t, c, h, w)``, with the SSIM of all clips by protocol."""
    rows = {"truth": clip[:, CONTEXT:], **predictions(clip)}
    figure = Figure(figsize=(9, 4.2), dpi=150, layout="constrained")
    axes = figure.subplots(len(rows), len(SHOWN) + 1, width_ratios=[1] * len(SHOWN) + [4])
    for row, (name, frames) in zip(axes, rows.items(), strict=True):
        for axis, time in zip(row, SHOWN, strict=False):
            axis.imshow(frames[0, time, 0], cmap="gray", vmin=0, vmax=1)
            axis.set(xticks=[], yticks=[])
            if name == "truth":
                axis.set_title(f"+{time + 1}", fontsize=9)
        row[0].set_ylabel(name.replace(", ", ",\n"), fontsize=9, rotation=0, ha="right", va="center")
        for number, protocol in enumerate(PROTOCOLS if name != "truth" else ()):
            value = scores[name, protocol, "ssim"]
            row[-1].plot(value, len(PROTOCOLS) - number, "o", color=COLOURS[number], markersize=7)
            row[-1].text(value + 0.014, len(PROTOCOLS) - number, f"{protocol} {value:.4f}", fontsize=8, va="center")
        row[-1].set(xlim=(0.55, 1.12), ylim=(0.3, len(PROTOCOLS) + 0.7), yticks=[], xticks=[0.6, 0.7, 0.8, 0.9, 1.0])
        row[-1].tick_params(labelsize=8, labelbottom=name == list(rows)[-1])
        row[-1].grid(axis="x", alpha=0.3)
        row[-1].spines[["top", "right", "left"]].set_visible(False)
    axes[0][-1].set_axis_off()
    axes[0][-1].text(0.5, 0.5, "SSIM of the same prediction\nby protocol", transform=axes[0][-1].transAxes, ha="center")
    drawn = BytesIO()
    figure.savefig(drawn, format="png")
    return drawn.getvalue()


def main() -> None:
    """Measure, print and draw."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clips", type=int, default=300)
    parser.add_argument("--root", type=Path, help="folder of MNIST's IDX files; without it embedded digits are used")
    parser.add_argument("--output", type=Path, default=Path("protocols.png"))
    options = parser.parse_args()
    data = MovingMNIST("test", clips=options.clips, length=CONTEXT + HORIZON, root=options.root)
    scores = measure(data)
    print_table(scores)
    with atomic_write(options.output) as draft:
        draft.write_bytes(draw(read(data, 0, 1), scores))


if __name__ == "__main__":
    with one_sentence_errors():
        main()
