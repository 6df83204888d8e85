"""Rebuilds bundled weights from public data by their recipe: ``python scripts/train_weights.py NAME --root FOLDER``.

The recipe is ``configs/recipes/NAME.yaml``. A run that was killed continues when the command is given again.
"""

from pathlib import Path
from typing import Annotated

import typer

from framepred.training.recipes import read_recipe, run_recipe
from framepred.training.stopping import TrainingStopped
from one_sentence import one_sentence_errors


def main(
    name: Annotated[str, typer.Argument(help="Name of the weights, or a recipe file.")],
    root: Annotated[str | None, typer.Option(help="Folder of the data: MNIST's files, or prepared clips.")] = None,
    output: Annotated[
        Path | None, typer.Option(help="Folder for runs and weights; runs/weights/NAME if left out.")
    ] = None,
    max_steps_scale: Annotated[float, typer.Option(min=0, help="Factor on all numbers of steps, for trials.")] = 1.0,
    setting: Annotated[
        list[str] | None, typer.Option(help="Setting of all stages, such as trainer.accelerator=cpu; may be repeated.")
    ] = None,
) -> None:
    """Train all stages, then write weights, card and README."""
    try:
        recipe = read_recipe(name)
        overrides = dict(part.split("=", 1) for part in setting or [])
        overrides |= {} if root is None else {"data.init_args.root": root}
        folder = output or Path("runs/weights") / recipe.name
        print(run_recipe(recipe, folder, overrides, scale=max_steps_scale, on_stage=_tell))
    except TrainingStopped as stop:
        _tell(f"{stop} Give the same command to continue.")
        raise typer.Exit(128 + stop.number) from None


def _tell(sentence: str) -> None:
    typer.echo(sentence, err=True)


if __name__ == "__main__":
    with one_sentence_errors():
        typer.run(main)
