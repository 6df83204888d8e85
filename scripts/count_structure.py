#!/usr/bin/env python
"""Count the structure of the package at Git revisions, as a Markdown table.

Modules are the Python files of ``framepred`` without ``__init__.py``. A subpackage is a folder or a file directly below
``framepred``. A dependency is an ordered pair of subpackages of which the first imports the second; imports for type
checking do not count. Exported names are those of the ``__all__`` lists of the packages; public functions and classes
have no leading underscore.
"""

import argparse
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


def run_time_imports(node: ast.AST, package: str) -> Iterator[str]:
    """Yield the modules that a syntax tree imports, without those under ``if TYPE_CHECKING``.

    Args:
        node: tree of a module, or a part of it.
        package: dotted name of the package of the module, for relative imports.
    """
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.If) and ast.unparse(child.test) in ("TYPE_CHECKING", "typing.TYPE_CHECKING"):
            for otherwise in child.orelse:
                yield from run_time_imports(ast.Module([otherwise], []), package)
        elif isinstance(child, ast.ImportFrom):
            parents = package.split(".")[: len(package.split(".")) - child.level + 1] if child.level else []
            module = ".".join([*parents, *([child.module] if child.module else [])])
            yield module
            yield from (f"{module}.{alias.name}" for alias in child.names if module == PACKAGE)
        elif isinstance(child, ast.Import):
            yield from (alias.name for alias in child.names)
        else:
            yield from run_time_imports(child, package)


def subpackage_of(module: str) -> str | None:
    """Return the subpackage of a dotted module name, or None for modules outside the package."""
    parts = module.split(".")
    return parts[1] if parts[0] == PACKAGE and len(parts) > 1 else None


def dependencies(trees: dict[str, ast.Module]) -> set[tuple[str, str]]:
    """Return the pairs of subpackages of which the first imports the second."""
    known = {found for path in trees if (found := subpackage_of(_module(path)))}
    pairs = set()
    for path, tree in trees.items():
        importer = subpackage_of(_module(path))
        package = _module(path) if path.endswith("__init__.py") else _module(path).rpartition(".")[0]
        imported = {subpackage_of(module) for module in run_time_imports(tree, package)} & known
        pairs |= {(importer, target) for target in imported if importer and target and importer != target}
    return pairs


def _module(path: str) -> str:
    return path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")


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
        "Dependencies between subpackages": len(dependencies(trees)),
        f"Names in `{PACKAGE}`": len(exported_names(trees[f"{PACKAGE}/__init__.py"])),
        "Names exported by packages": sum(len(exported_names(tree)) for tree in packages),
        "Public functions and classes": sum(len(definitions(tree)) for tree in trees.values()),
    }


def main() -> None:
    """Print a row for each figure and a column for each revision."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("revisions", nargs="*", default=["HEAD"], metavar="REVISION", help="default: HEAD")
    revisions = parser.parse_args().revisions
    try:
        counts = [count(revision) for revision in revisions]
    except subprocess.CalledProcessError as error:
        sys.exit(f"Git cannot list a revision: {error.stderr.strip()}")
    print("|", *(f"| {revision} " for revision in revisions), "|", sep="")
    print("|---" * (len(revisions) + 1), "|", sep="")
    for figure in counts[0]:
        print(f"| {figure} ", *(f"| {numbers[figure]:,} " for numbers in counts), "|", sep="")


if __name__ == "__main__":
    main()
