"""Measure how far one and the same prediction moves between protocols, and draw the clips that it was measured on.

python scripts/compare_protocols.py --clips 300 --output docs/images/protocols.png
"""

import argparse
from pathlib import Path

import torch
from torchvision.transforms.functional import gaussian_blur

from framepred.clips import to_unit
from framepred.data import MovingMNIST
from framepred.evaluation import PROTOCOLS, ClipMetric
from framepred.media.atomic import atomic_write
from framepred.media.images import encode_png
from framepred.visualization.panels import panel

CONTEXT, HORIZON, BATCH, SIGMA = 10, 10, 50, 0.8
KERNEL = 7  # pixels: more than 3 standard deviations on both sides

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("--clips", type=int, default=300)
parser.add_argument("--root", type=Path, help="folder of MNIST's IDX files; without it the embedded digits are used")
parser.add_argument("--output", type=Path, default=Path("protocols.png"))
options = parser.parse_args()


def predictions(clips: torch.Tensor) -> dict[str, torch.Tensor]:
    """Three predictions of the last frames of clips ``(b, t, c, h, w)``."""
    target = clips[:, CONTEXT:]
    blurred = gaussian_blur(target.flatten(0, 1), [KERNEL, KERNEL], [SIGMA, SIGMA]).reshape(target.shape)
    last = clips[:, CONTEXT - 1 : CONTEXT].expand_as(target)
    return {"blank": torch.zeros_like(target), f"truth blurred, σ {SIGMA}": blurred, "last frame": last}


data = MovingMNIST("test", clips=options.clips, length=CONTEXT + HORIZON, root=options.root)
metrics: dict[tuple[str, str, str], ClipMetric] = {}
for first in range(0, options.clips, BATCH):
    found = data.__getitems__(list(range(first, min(first + BATCH, options.clips))))
    clips = to_unit(found if isinstance(found, torch.Tensor) else torch.stack(found))
    for name, prediction in predictions(clips).items():
        for protocol in PROTOCOLS.values():
            for metric, measure in protocol.measures.items():
                key = (name, protocol.name, metric)
                metrics.setdefault(key, ClipMetric(measure.formula)).update(prediction, clips[:, CONTEXT:])

print("| prediction | protocol | mse | mae | psnr | ssim |\n|---|---|---:|---:|---:|---:|")
for name in predictions(clips):
    for protocol in PROTOCOLS:
        mse, mae, psnr, ssim = (
            metrics[name, protocol, metric].compute().value for metric in PROTOCOLS["openstl"].measures
        )
        print(f"| {name} | {protocol} | {mse:.2f} | {mae:.2f} | {psnr:.2f} | {ssim:.4f} |")

shown = predictions(clips[:1])
picture = panel(
    clips[:1, :CONTEXT].expand(len(shown), -1, -1, -1, -1),
    clips[:1, CONTEXT:].expand(len(shown), -1, -1, -1, -1),
    torch.cat(list(shown.values())),
    f"One clip, three predictions: {', '.join(shown)}",
)
with atomic_write(options.output) as draft:
    draft.write_bytes(encode_png(picture.permute(2, 0, 1)))
