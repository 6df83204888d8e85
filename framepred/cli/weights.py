"""``framepred weights``: the bundled weights."""

import json

from framepred.cli.options import JsonOption


def weights(as_json: JsonOption = False) -> None:
    """List the bundled weights with their scores, protocol and size."""
    from rich.console import Console
    from rich.table import Table

    from framepred.evaluation import Card
    from framepred.evaluation.tables import COMPACT
    from framepred.models.pretrained import bundled_cards

    found = bundled_cards()
    if as_json:
        print(json.dumps({name: _without_clips(card) for name, card in found.items()}, indent=2))
        return
    table = Table(box=COMPACT["box"], padding=COMPACT["padding"], pad_edge=False)
    table.add_column("weights", no_wrap=True)
    table.add_column("measured on, protocol")
    for heading in ("mse ↓", "blank's", "ssim ↑", "size"):
        table.add_column(heading, justify="right", no_wrap=True)
    for name, fields in found.items():
        card = Card.from_json(json.dumps(fields), source=f"The card of {name}")
        data = card.data
        table.add_row(
            name,
            f"{data.clips} {data.split} clips of {data.name}, {data.context} → {data.horizon}, {card.protocol}",
            f"{card.metrics['mse'].value:.2f}",
            f"{card.baselines['blank']['mse']:.2f}" if "blank" in card.baselines else "",
            f"{card.metrics['ssim'].value:.4f}",
            f"{fields['bytes'] / 1e6:.1f} MB",
        )
    Console().print(table)


def _without_clips(card: dict[str, object]) -> dict[str, object]:
    """A card without the values per clip, which people cannot read."""
    return {key: value for key, value in card.items() if key != "per_clip"}
