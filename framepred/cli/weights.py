"""``framepred weights``: what is bundled."""

import json

from framepred.cli.options import JsonOption


def weights(as_json: JsonOption = False) -> None:
    """List the bundled weights with their scores, protocol and size."""
    from rich.console import Console
    from rich.table import Table

    from framepred.evaluation.tables import COMPACT
    from framepred.models.pretrained import bundled_cards

    cards = bundled_cards()
    if as_json:
        print(json.dumps(cards, indent=2))
        return
    table = Table(box=COMPACT["box"], padding=COMPACT["padding"], pad_edge=False)
    table.add_column("weights", no_wrap=True)
    table.add_column("measured on, protocol")
    for heading in ("mse ↓", "blank's", "ssim ↑", "size"):
        table.add_column(heading, justify="right", no_wrap=True)
    for name, card in cards.items():
        data, metrics = card["data"], card["metrics"]
        table.add_row(
            name,
            f"{data['clips']} {data['split']} clips of {data['name']}, {data['context']} → {data['horizon']}, "
            f"{card['protocol']}",
            f"{metrics['mse']['value']:.2f}",
            f"{card['baselines']['blank']['mse']:.2f}" if "blank" in card["baselines"] else "",
            f"{metrics['ssim']['value']:.4f}",
            f"{card['bytes'] / 1e6:.1f} MB",
        )
    Console().print(table)
