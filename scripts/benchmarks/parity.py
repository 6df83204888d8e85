"""Largest difference of a pixel between exports of the bundled networks and PyTorch over 30 steps."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from rich.console import Console
from rich.table import Table

from framepred.exporting.export import DYNAMIC_SIZES, export
from framepred.exporting.parity import BATCHES, FED_BACK, OBSERVED
from framepred.forecaster import Forecaster
from framepred.models.pretrained import bundled_cards, load_weights


def print_parity(names: Sequence[str], suffix: str) -> None:
    """Export each network and compare it with PyTorch at three frame sizes; print each row when it is measured.

    Networks whose graphs take exactly one size are exported once for each of the sizes.

    Args:
        names: weights; all bundled forecasters if there are none.
        suffix: ``.onnx`` or ``.pt2``.
    """
    console = Console(width=100)
    table = Table("network", "exports", "frame size", "largest difference", title=f"{suffix}: {_conditions()}")
    for name in names or bundled_forecasters():
        first, *others = _differences(name, suffix, DYNAMIC_SIZES[0]).items()
        found = dict([first, *others])
        exact = not others
        for size in DYNAMIC_SIZES[1:] if exact else ():
            found |= _differences(name, suffix, size)
        for (height, width), difference in found.items():
            exports = "one for each size" if exact else "one"
            table.add_row(name, exports, f"{height}x{width}", f"{difference:.1e}")
            console.print(f"{name} {height}x{width} {difference:.1e}", style="dim", highlight=False)
    console.print(table)


def bundled_forecasters() -> list[str]:
    """Return the names of the bundled weights that forecast."""
    return [name for name in bundled_cards() if isinstance(load_weights(name).net, Forecaster)]


def _differences(name: str, suffix: str, size: tuple[int, int]) -> Mapping[tuple[int, int], float]:
    with TemporaryDirectory() as folder:
        return export(name, Path(folder) / f"model{suffix}", size=size).differences


def _conditions() -> str:
    batches = " and ".join(map(str, BATCHES))
    return f"{OBSERVED} observed and {FED_BACK} fed back steps, batches of {batches}"
