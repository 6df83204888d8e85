"""Tiny stand-ins for data sets, as distributed and as their recipes prepare them."""

import runpy
from pathlib import Path

REPOSITORY = Path(__file__).parents[1]
SCRIPT = runpy.run_path(str(REPOSITORY / "scripts" / "make_layout.py"))
LAYOUTS, moving = SCRIPT["LAYOUTS"], SCRIPT["moving"]


def ready_folder(name: str, folder: Path) -> Path:
    """The folder to train on: as distributed, or what the recipe in ``datasets/`` makes of that."""
    distributed, recipe = folder / "distributed", REPOSITORY / "datasets" / name / "prepare.py"
    LAYOUTS[name](distributed)
    if not recipe.exists():
        return distributed
    runpy.run_path(str(recipe))["prepare"](distributed, folder / "prepared")
    return folder / "prepared"
