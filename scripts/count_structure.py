#!/usr/bin/env python
"""Count the structure of the package at Git revisions, as a Markdown table.

Usage: scripts/count_structure.py [REVISION …]     (default: HEAD)

Modules are the Python files of ``framepred`` without ``__init__.py``. A room is a folder or a file directly below
``framepred``; an arrow is an ordered pair of rooms of which one imports the other, imports for type checking aside.
Exported names are those of the ``__all__`` lists of the packages; public functions and classes have no leading
underscore.
"""

import ast
import statistics
import subprocess
import sys
from collections.abc import Iterator

PACKAGE = "framepred"


def git(*arguments: str) -> str:
    """Return what a Git command prints."""
    return subprocess.run(["git", *arguments], check=True, capture_output=True, text=True).stdout


def sources(revision: str) -> dict[str, str]:
    """Return the text of each Python file of the package by its path."""
    paths = git("ls-tree", "-r", "--name-only", revision, f"{PACKAGE}/").splitlines()
    return {path: git("show", f"{revision}:{path}") for path in paths if path.endswith(".py")}


def run_time_imports(node: ast.AST) -> Iterator[str]:
    """Yield the modules that a syntax tree imports, without those under ``if TYPE_CHECKING``."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.If) and ast.unparse(child.test) == "TYPE_CHECKING":
            continue
        if isinstance(child, ast.ImportFrom) and child.module:
            yield child.module
        elif isinstance(child, ast.Import):
            yield from (alias.name for alias in child.names)
        else:
            yield from run_time_imports(child)


def room_of(module: str) -> str | None:
    """Return the room of a dotted module name, or None for modules outside the package."""
    parts = module.split(".")
    return parts[1] if parts[0] == PACKAGE and len(parts) > 1 else None


def arrows(trees: dict[str, ast.Module]) -> set[tuple[str, str]]:
    """Return the pairs of rooms of which the first imports the second."""
    pairs = set()
    for path, tree in trees.items():
        room = room_of(path.removesuffix(".py").removesuffix("/__init__").replace("/", "."))
        pairs |= {(room, target) for module in run_time_imports(tree) if (target := room_of(module)) and room}
    return {(room, target) for room, target in pairs if room != target}


def exported_names(tree: ast.Module) -> list[str]:
    """Return the names of the module's ``__all__`` list."""
    lists = [
        node.value for node in tree.body if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__"
    ]
    return [name for values in lists for name in ast.literal_eval(values)]


def definitions(tree: ast.Module) -> list[str]:
    """Return the public functions and classes that a module defines."""
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
    return [node.name for node in tree.body if isinstance(node, kinds) and not node.name.startswith("_")]


def count(revision: str) -> dict[str, int]:
    """Return the figures of one revision."""
    files = sources(revision)
    trees = {path: ast.parse(text) for path, text in files.items()}
    lines = [text.count("\n") for path, text in files.items() if not path.endswith("__init__.py")]
    packages = [tree for path, tree in trees.items() if path.endswith("__init__.py")]
    return {
        "Modules": len(lines),
        "Lines in all": sum(lines),
        "Lines of a module, median": round(statistics.median(lines)),
        "Lines of a module, longest": max(lines),
        "Modules under 50 lines": sum(number < 50 for number in lines),
        "Modules over 350 lines": sum(number > 350 for number in lines),
        "Import arrows between rooms": len(arrows(trees)),
        f"Names in `{PACKAGE}`": len(exported_names(trees[f"{PACKAGE}/__init__.py"])),
        "Names exported by packages": sum(len(exported_names(tree)) for tree in packages),
        "Public functions and classes": sum(len(definitions(tree)) for tree in trees.values()),
    }


def main(revisions: list[str]) -> None:
    """Print a row for each figure and a column for each revision."""
    counts = [count(revision) for revision in revisions]
    print("|", *(f"| {revision} " for revision in revisions), "|", sep="")
    print("|---" * (len(revisions) + 1), "|", sep="")
    for figure in counts[0]:
        print(f"| {figure} ", *(f"| {numbers[figure]:,} " for numbers in counts), "|", sep="")


if __name__ == "__main__":
    main(sys.argv[1:] or ["HEAD"])
