"""``framepred data``: write generated clips to a file."""

from pathlib import Path
from typing import Annotated

import typer

from framepred.cli.options import (
    MAX_FRAME_SIDE,
    MAX_FRAMES,
    ClipsOption,
    DownloadOption,
    RootOption,
    SeedOption,
    Split,
    check_digits,
)
from framepred.media.memory import check_memory
from framepred.media.outputs import check_output, list_suffixes
from framepred.media.written_size import describe_size

BYTES_PER_PIXEL = 4  # of a clip while it is generated and written: the clip, its grid and copies of both
MAX_DIGITS = 1_000  # in a clip: more overlap everywhere


def data(
    name: Annotated[str, typer.Argument(metavar="NAME", help="moving-mnist or moving-fashion-mnist.")],
    output: Annotated[Path, typer.Option("--output", help=f"{list_suffixes()}.")],
    clips: ClipsOption = 16,
    seed: SeedOption = 0,
    split: Annotated[Split, typer.Option("--split", help="Split of the digit images.")] = Split.TEST,
    length: Annotated[int, typer.Option("--length", min=1, max=MAX_FRAMES, help="Frames per clip.")] = 20,
    height: Annotated[int, typer.Option("--height", min=28, max=MAX_FRAME_SIDE, help="Pixels.")] = 64,
    width: Annotated[int, typer.Option("--width", min=28, max=MAX_FRAME_SIDE, help="Pixels.")] = 64,
    digits: Annotated[int, typer.Option("--digits", min=1, max=MAX_DIGITS, help="Digits per clip.")] = 2,
    speed: Annotated[float, typer.Option("--speed", min=0, max=1, help="Fraction of the free canvas per frame.")] = 0.1,
    apart: Annotated[
        bool, typer.Option("--apart", help="Write each clip to a file of its own: NAME-0000, NAME-0001 and so on.")
    ] = False,
    root: RootOption = None,
    download: DownloadOption = False,
) -> None:
    """Write generated clips: all in one array, or as a grid in .mp4 and .gif; --apart writes one file per clip."""
    bank = check_digits(name)
    output = check_output(output)
    at_once = 1 if apart else clips
    check_memory(
        at_once * length * height * width * BYTES_PER_PIXEL,
        f"{at_once:,} clip{'s' * (at_once > 1)} of {length:,} frames of {width:,}x{height:,} pixels",
        "ask for fewer or smaller clips, or write each --apart",
    )

    from framepred.data import MovingMNIST
    from framepred.media.writing import write_video

    dataset = MovingMNIST(
        split.value,
        clips=clips,
        seed=seed,
        length=length,
        frame_size=(height, width),
        digits_per_clip=digits,
        speed=speed,
        digits=bank,
        root=root,
        download=download,
    )
    if dataset.bank.note:
        typer.echo(f"{dataset.bank.note}.", err=True)
    if apart:
        for number in range(clips):
            write_video(output.with_stem(f"{output.stem}-{number:04}"), dataset[number])
    else:
        write_video(output, dataset.render(range(clips)))
    where = output.with_stem(f"{output.stem}-NNNN") if apart else output
    size = describe_size(output, height, width, 1 if apart else clips)
    counted = f"{clips} clip{'s' * (clips != 1)} of {length} frame{'s' * (length != 1)}"
    print(f"{where}: {counted} {size}, {split} digits of {dataset.bank.source}")
