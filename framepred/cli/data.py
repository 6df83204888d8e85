"""``framepred data``: write generated clips to a file."""

from pathlib import Path
from typing import Annotated

import typer

from framepred.cli.options import DownloadOption, RootOption, SeedOption, Split, check_digits
from framepred.media.formats import check_output
from framepred.media.limits import check_bytes


def data(
    name: Annotated[str, typer.Argument(metavar="NAME", help="moving-mnist or moving-fashion-mnist.")],
    output: Annotated[Path, typer.Option("--output", help=".npy, .npz, .mp4 or .gif.")],
    clips: Annotated[int, typer.Option("--clips", min=1, help="Number of clips.")] = 16,
    seed: SeedOption = 0,
    split: Annotated[Split, typer.Option("--split", help="Split of the digit images.")] = Split.TEST,
    length: Annotated[int, typer.Option("--length", min=1, help="Frames per clip.")] = 20,
    height: Annotated[int, typer.Option("--height", min=28, help="Pixels.")] = 64,
    width: Annotated[int, typer.Option("--width", min=28, help="Pixels.")] = 64,
    digits: Annotated[int, typer.Option("--digits", min=1, help="Digits per clip.")] = 2,
    speed: Annotated[float, typer.Option("--speed", min=0, help="Fraction of the free canvas per frame.")] = 0.1,
    apart: Annotated[
        bool, typer.Option("--apart", help="Write each clip to its own file: NAME-0000, NAME-0001 and so on.")
    ] = False,
    root: RootOption = None,
    download: DownloadOption = False,
) -> None:
    """Write generated clips: all in one array, or as a grid in .mp4 and .gif; --apart writes one file per clip."""
    bank = check_digits(name)
    output = check_output(output)
    check_bytes(
        f"{clips:,} clips of {length:,} frames {width}×{height}", (1 if apart else clips) * length * height * width
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
    if apart:
        for number in range(clips):
            write_video(output.with_stem(f"{output.stem}-{number:04}"), dataset[number])
    else:
        write_video(output, dataset.render(range(clips)))
    where = output.with_stem(f"{output.stem}-NNNN") if apart else output
    print(f"{where}: {clips} clips of {length} frames {width}x{height}, {split} digits of {dataset.bank.source}")
