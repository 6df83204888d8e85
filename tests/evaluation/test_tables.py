from dataclasses import replace

import pytest
from rich.console import Console

from framepred.errors import ConfigError
from framepred.evaluation import Card, Interval, ProtocolVersion
from framepred.evaluation.tables import score_table


def rendered(card: Card, width: int = 120) -> list[str]:
    console = Console(width=width, no_color=True)
    with console.capture() as capture:
        console.print(score_table(card))
    return capture.get().splitlines()


def line(lines: list[str], *words: str) -> str:
    return next(line for line in lines if all(word in line for word in words))


def test_the_table_says_everything(example: Card) -> None:
    lines = rendered(example)
    title = " ".join(" ".join(lines[:2]).split())
    assert "moving-mnist on moving-mnist test: 1000 clips, 10 → 2 frames, protocol openstl v1" in title
    assert line(lines, "mse ↓", "mae ↓", "psnr dB ↑", "ssim ↑")
    assert line(lines, "moving-mnist", "31.25 ± 1.00", "90.50 ± 1.50", "22.12 ± 0.12", "0.9287 ± 0.0050")
    assert line(lines, "blank", "176.00", "203.70", "13.83", "0.7700")
    assert line(lines, "last-frame", "291.20", "343.10", "11.69", "0.6410")
    assert line(lines, "skill", "0.822", "0.556")
    assert line(lines, "mse by lead time: 20.50 42.00")
    assert line(lines, "95 % interval")


def test_names_are_whole_in_a_narrow_terminal(example: Card) -> None:
    values = example.baselines["blank"]
    interval = replace(example.metrics["mae"], value=1190.51, low=1000.0, high=1400.0)
    wide = replace(example, metrics={**example.metrics, "mae": interval}, baselines={"optical-flow": values})
    lines = rendered(wide, width=80)
    assert line(lines, "optical-flow", "176.00")
    assert line(lines, "moving-mnist", "1190.51 ± 200.00")
    weights = replace(wide, weights=replace(wide.weights, name="runs/video_folder_convlstm/checkpoints/best.ckpt"))
    assert "…" not in "".join(rendered(weights, width=80))


def test_every_figure_is_whole_beside_many_metrics(example: Card) -> None:
    more = {"lpips": Interval(0.0169, 0.0160, 0.0178), "lpips_raw": Interval(0.0151, 0.0143, 0.0159)}
    values = {name: interval.value for name, interval in more.items()}
    baselines = {name: scores | values for name, scores in example.baselines.items()}
    lines = rendered(replace(example, metrics={**example.metrics, **more}, baselines=baselines), width=80)
    assert "…" not in "".join(lines)
    assert line(lines, "lpips ↓")
    assert line(lines, "lpips_raw")
    assert line(lines, "31.25", "90.50", "22.12", "0.9287", "0.0169", "0.0151")
    assert line(lines, "1.00", "0.0009", "0.0008")


def test_notes_are_shown(example: Card) -> None:
    assert line(rendered(replace(example, notes=("All predictions are blank.",))), "All predictions are blank.")


def test_names_are_not_read_as_markup(example: Card) -> None:
    card = example
    assert line(rendered(replace(card, data=replace(card.data, name="[red]clips[/red]"))), "[red]clips[/red]")


def test_a_card_without_weights_or_baselines_has_a_table(example: Card) -> None:
    lines = rendered(replace(example, weights=None, baselines={}, skill={}))
    assert line(lines, "model", "31.25")
    assert not any("skill" in text for text in lines)


def test_an_unknown_protocol_is_named(example: Card) -> None:
    with pytest.raises(ConfigError, match="'later'"):
        score_table(replace(example, protocol=ProtocolVersion("later")))
