"""``framepred demo``: bundled weights on digits that training never saw, to watch and to read."""

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from framepred.cli.options import Device, DeviceOption, WeightsOption, pick_device
from framepred.media.outputs import check_results_folder

CLIPS, SHOWN, CONTEXT, HORIZON, FPS = 50, 2, 10, 10, 5


def demo(
    output: Annotated[Path, typer.Option("--output", help="Folder for video, panel and card.")] = Path("demo"),
    weights: WeightsOption = "moving-mnist",
    device: DeviceOption = Device.AUTO,
) -> None:
    """Predict real handwritten digits in motion: a video, a panel, and the score beside the baselines."""
    output = check_results_folder(output)

    import torch
    from rich.console import Console

    from framepred.cli.scoring import Selection, open_forecaster, open_generated, score
    from framepred.evaluation.tables import score_table
    from framepred.inference.predict import predict_frames
    from framepred.media.writing import write_video
    from framepred.visualization.panels import write_panel
    from framepred.visualization.side_by_side import side_by_side

    place = pick_device(device)
    test = open_generated("moving-mnist", "mnist-5k", Selection(CLIPS, 0, CONTEXT, HORIZON, batch_size=20))
    batches = list(test.batches)
    net, record = open_forecaster(weights, batches[0])
    card = score(net, record, replace(test, batches=batches), "openstl", place)

    seen, truth = (frames[:SHOWN] for frames in batches[0])
    predicted = torch.stack(list(predict_frames(net.to(place), seen, HORIZON)), dim=1)
    watched = torch.stack([side_by_side(*clip) for clip in zip(seen, truth, predicted, strict=True)])
    write_video(output / "prediction.mp4", watched, FPS)
    write_video(output / "prediction.gif", watched, FPS)
    write_video(output / "clip.mp4", torch.cat([seen, truth], dim=1)[0], FPS)
    write_panel(output / "panel.png", seen, truth, predicted)
    card.write(output / "card.json")

    Console().print(score_table(card))
    for name, what in {
        "prediction.mp4": "truth and prediction side by side",
        "prediction.gif": "the same",
        "panel.png": "context, truth, prediction and error, frame by frame",
        "card.json": "the score and how it was measured",
        "clip.mp4": f"one of the clips: framepred predict {output / 'clip.mp4'} --frames 30 --weights moving-mnist",
    }.items():
        print(f"{output / name}  {what}")
