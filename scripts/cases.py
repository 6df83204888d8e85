"""Run framepred on thirteen kinds of material and on one file of each format: ``python scripts/cases.py``.

It prints a Markdown table of the results of framepred 0.1 and of this version; ``--write`` puts it into
``docs/formats.md``.
"""

import re
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated

import torch
import typer

PAGE = Path(__file__).parents[1] / "docs" / "formats.md"


def main(
    only: Annotated[list[str], typer.Option("--only", help="Function of a case, such as radar, or formats.")] = [],  # noqa: B006
    write: Annotated[bool, typer.Option("--write", help="Put the tables into docs/formats.md.")] = False,
) -> None:
    """Run the cases and the formats."""
    torch.set_num_threads(1)
    tables = {"cases": cases_table(only), "zoo": zoo_table() if not only or "formats" in only else ""}
    for name, table in tables.items():
        if table and write:
            replace_part(PAGE, name, table)
        elif table:
            typer.echo(table)


def cases_table(only: list[str]) -> str:
    """Return a row for each case: material, result of framepred 0.1, result now."""
    from benchmarks.cases import CASES, run_case

    rows = ["| material | framepred 0.1 | now |", "|---|---|---|"]
    with TemporaryDirectory() as folder:
        for case in CASES:
            if not only or case.run.__name__ in only:
                after = "<br>".join(cell(line) for line in run_case(case, Path(folder)))
                rows.append(f"| {case.name} | {cell(case.result_of_0_1)} | {after} |")
    return "\n".join(rows) if rows[2:] else ""


def zoo_table() -> str:
    """A row for each file of the zoo."""
    from benchmarks.formats import Row, survey

    titles = ("file", "encoder", "pixel format", "said of it", "frames", "all ways of reading agree")
    rows = [f"| {' | '.join(titles)} |", f"|{'---|' * len(Row._fields)}"]
    with TemporaryDirectory() as folder:
        rows += [f"| {' | '.join(map(cell, row))} |" for row in survey(Path(folder))]
    return "\n".join(rows)


def cell(text: str) -> str:
    """Text that does not end a cell of a Markdown table."""
    return text.replace("|", "\\|").replace("\n", " ")


def replace_part(page: Path, name: str, table: str) -> None:
    """Replace what stands between the two comments of this name."""
    begin, end = f"<!-- {name} -->", f"<!-- end of {name} -->"
    text = page.read_text()
    page.write_text(re.sub(f"(?s){begin}.*?{end}", lambda _: f"{begin}\n{table}\n{end}", text))


if __name__ == "__main__":
    typer.run(main)
