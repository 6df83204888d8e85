"""``framepred demo``: run bundled weights on clips of unseen digits; write a video, a picture and a report."""

from pathlib import Path
from typing import Annotated

from framepred.cli.options import Device, DeviceOption, WeightsOption, output_path
from framepred.media.outputs import check_results_folder


def demo(
    output: Annotated[
        Path,
        output_path("--output", "Folder for the video, picture, results card and report."),
    ] = Path("demo"),
    weights: WeightsOption = "moving-mnist",
    device: DeviceOption = Device.AUTO,
) -> None:
    """Predict clips of moving handwritten digits; write a video, a picture and a report, and print the scores."""
    output = check_results_folder(output)

    from rich.console import Console

    from framepred.cli.evaluation_progress import show_progress
    from framepred.evaluation.tables import score_table
    from framepred.inference.demo import run_demo

    result = run_demo(output, weights, device.value, show_progress)
    Console().print(score_table(result.card))
    for path, description in result.files.items():
        print(f"{path}  {description}")
    print(f"Open {result.report} in a browser to see the predictions play.")
