"""The demonstration: bundled weights on embedded digits, written as video, panel, card and report."""

from dataclasses import dataclass
from pathlib import Path

import torch

from framepred.evaluation import Card
from framepred.inference.devices import pick_device
from framepred.inference.evaluate import Progress, ScoreOptions, open_weights, score
from framepred.inference.evaluation_data import ClipChoice, open_embedded_digits
from framepred.media.writing import write_video
from framepred.visualization.panels import write_panel
from framepred.visualization.side_by_side import side_by_side

CHOICE = ClipChoice(clips=50, context=10, horizon=10, batch_size=20)
SHOWN = 2  # clips in the video and in the panel
FPS = 5  # slow enough to follow the digits


@dataclass(frozen=True)
class DemoResult:
    """The score and the files of a demonstration.

    Attributes:
        card: the score.
        files: descriptions by path.
        report: the path of the report.
    """

    card: Card
    files: dict[Path, str]
    report: Path


def run_demo(
    folder: Path, weights: str = "moving-mnist", device: str = "auto", progress: Progress | None = None
) -> DemoResult:
    """Score weights on 50 clips of embedded digits and write what can be looked at into ``folder``.

    Raises:
        WeightsError: if there are no such weights, or they cannot forecast.
        MediaError: if a file cannot be written.
    """
    data, forecaster = open_embedded_digits(CHOICE), open_weights(weights)
    assert callable(forecaster.predictor)  # weights are, saved predictions are not
    (card,) = score([forecaster], data, ScoreOptions(device=device, progress=progress))
    context, target = (part[:SHOWN] for part in next(iter(data.batches))[:2])
    with torch.inference_mode():
        predicted = forecaster.predictor(context.to(pick_device(device)), CHOICE.horizon).cpu()
    shown = torch.stack([side_by_side(*clip) for clip in zip(context, target, predicted, strict=True)])
    clip, report = folder / "clip.mp4", folder / "report.html"
    write_video(folder / "prediction.mp4", shown, FPS)
    write_video(folder / "prediction.gif", shown, FPS)
    write_video(clip, torch.cat([context, target], dim=1)[0], FPS)
    write_panel(folder / "panel.png", context, target, predicted)
    card.write(folder / "card.json")
    card.report(report)
    files = {
        folder / "prediction.mp4": "truth and prediction side by side",
        folder / "prediction.gif": "the same",
        folder / "panel.png": "context, truth, prediction and error, frame by frame",
        folder / "card.json": "the score and how it was measured",
        clip: f"one of the clips: framepred predict {clip} --frames 30 --weights {weights}",
        report: "the report: curves, clips that play, error maps",
    }
    return DemoResult(card, files, report)
