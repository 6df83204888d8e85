"""``framepred weights``: the bundled weights."""

import json
from typing import TYPE_CHECKING, Any

from framepred.cli.options import JsonOption

if TYPE_CHECKING:
    from framepred.evaluation import Card


def weights(as_json: JsonOption = False) -> None:
    """List the bundled weights with their scores, protocol and size."""
    from rich.console import Console
    from rich.table import Table

    from framepred.evaluation import Card
    from framepred.evaluation.tables import COMPACT
    from framepred.models.pretrained import bundled_cards

    found = bundled_cards()
    cards = {name: Card.from_json(json.dumps(fields), source=f"The card of {name}") for name, fields in found.items()}
    if as_json:
        sizes = {name: fields["bytes"] for name, fields in found.items()}
        print(json.dumps({name: _printed(card) | {"bytes": sizes[name]} for name, card in cards.items()}, indent=2))
        return
    table = Table(box=COMPACT["box"], padding=COMPACT["padding"], pad_edge=False)
    table.add_column("weights", no_wrap=True)
    table.add_column("measured on, protocol")
    for heading in ("mse ↓", "blank's", "ssim ↑", "size"):
        table.add_column(heading, justify="right", no_wrap=True)
    for name, card in cards.items():
        data = card.data
        table.add_row(
            name,
            f"{data.clips} {data.split} clips of {data.name}, {data.context} → {data.horizon}, {card.protocol}",
            f"{card.metrics['mse'].value:.2f}",
            f"{card.baselines['blank']['mse']:.2f}" if "blank" in card.baselines else "",
            f"{card.metrics['ssim'].value:.4f}",
            f"{found[name]['bytes'] / 1e6:.1f} MB",
        )
    Console().print(table)


def _printed(card: "Card") -> dict[str, Any]:
    """The fields of a card without the values per clip, which people cannot read."""
    return {key: value for key, value in json.loads(card.to_json()).items() if key != "per_clip"}
