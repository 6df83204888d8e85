"""Which files train, which validate, which test: by list, by pattern or by hash, but never two windows of one file."""

import fnmatch
import hashlib
from collections.abc import Mapping, Sequence
from itertools import combinations
from pathlib import Path

from framepred.data.digits import Split
from framepred.errors import ConfigError, DataError

LIST = ".txt"


def split_files(
    names: Sequence[str],
    root: Path,
    wanted: Mapping[Split, str | None],
    fractions: Mapping[Split, float],
) -> dict[Split, list[str]]:
    """Divide files among the splits.

    Lists and patterns come first; the files that they leave are divided by the hash of their names, so that a file
    stays in its split when others come and go. A split by hash gets a file at least, unless its fraction is 0.

    Args:
        names: the files' paths within ``root``, with ``/`` between the parts.
        root: the folder.
        wanted: for each split a list file (.txt, one name a line), a pattern such as ``test/*`` whose ``*`` also
            stands for ``/``, or None for its share of the rest.
        fractions: the shares of val and test in what lists and patterns leave; train has the rest.

    Raises:
        ConfigError: if fractions are not between 0 and 1, or a file is wanted in two splits.
        DataError: if a list cannot be read or names a file that is not there, or a split stays empty.
    """
    if not (min(fractions.values()) >= 0 and sum(fractions.values()) < 1):
        raise ConfigError(f"The fractions of val and test must be 0 or more and below 1 together, not {fractions}.")
    splits: dict[Split, list[str]] = {"train": [], "val": [], "test": []}
    for split, choice in wanted.items():
        splits[split] = [] if choice is None else _chosen(choice, names, root)
    _check_apart(splits)
    taken = {name for chosen in splits.values() for name in chosen}
    by_hash = _by_hash([name for name in names if name not in taken], fractions, wanted)
    for split, share in by_hash.items():
        splits[split] = share
    _check_filled(splits, len(names), root, fractions, wanted)
    return splits


def _chosen(choice: str, names: Sequence[str], root: Path) -> list[str]:
    if not choice.endswith(LIST):
        return [name for name in names if fnmatch.fnmatchcase(name, choice)]
    file = next((path for path in (Path(choice), root / choice) if path.is_file()), None)
    if file is None:
        raise DataError(f"The list {choice} is neither here nor in {root}; give the path of a file of names.")
    listed = [line.strip() for line in file.read_text().splitlines() if line.strip()]
    missing = sorted(set(listed) - set(names))
    if missing:
        raise DataError(
            f"{file} names {missing[0]}, and {len(missing) - 1} more, that are not among the usable files of {root}; "
            "write each as its path within that folder."
        )
    return [name for name in names if name in set(listed)]


def _by_hash(
    names: list[str], fractions: Mapping[Split, float], wanted: Mapping[Split, str | None]
) -> dict[Split, list[str]]:
    """Shares of the splits that no list or pattern names."""
    shares: dict[Split, list[str]] = {}
    rest = sorted(names, key=_place)
    edge = 0.0
    hashed: tuple[Split, ...] = ("test", "val")
    for split in hashed:
        if wanted.get(split) is None:
            edge += fractions[split]
            count = sum(_place(name) < edge for name in rest)
            count = max(count, 1) if fractions[split] else 0
            shares[split], rest = rest[:count], rest[count:]
    if wanted.get("train") is None:
        shares["train"] = rest
    return {split: [name for name in names if name in set(share)] for split, share in shares.items()}


def _place(name: str) -> float:
    """A number in [0, 1) that only the name decides."""
    return int(hashlib.sha256(name.encode(errors="surrogateescape")).hexdigest()[:13], 16) / 16**13


def _check_apart(splits: Mapping[Split, list[str]]) -> None:
    for one, other in combinations(splits, 2):
        common = set(splits[one]) & set(splits[other])
        if common:
            raise ConfigError(
                f"{min(common)} is wanted for {one} and for {other}; each file belongs to one split: "
                "change --data.init_args.train, val or test."
            )


def _check_filled(
    splits: Mapping[Split, list[str]],
    total: int,
    root: Path,
    fractions: Mapping[Split, float],
    wanted: Mapping[Split, str | None],
) -> None:
    for split, names in splits.items():
        if not names and (wanted.get(split) is not None or fractions.get(split, 1) > 0):
            raise DataError(
                f"No file is left for {split} among the {total} usable in {root}; add files (a split is made of whole "
                f"files), or choose them with --data.init_args.{split}."
            )
