"""Which files train, which validate, which test: by list, by pattern or by hash, but never two windows of one file."""

import fnmatch
import hashlib
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from itertools import combinations
from pathlib import Path
from typing import TypeAlias

from framepred.data.digits import Split
from framepred.errors import ConfigError, DataError

LIST = ".txt"
FRACTION = 0.1  # of the files, for val and for test
SPLITS: tuple[Split, ...] = ("train", "val", "test")

Choice: TypeAlias = str | list[str] | None  # a pattern or list file, several patterns, or a share of the rest


def split_files(
    names: Sequence[str],
    root: Path,
    wanted: Mapping[Split, Choice],
    fractions: Mapping[Split, float],
) -> dict[Split, list[str]]:
    """Divide files among the splits.

    Lists and patterns come first; the files that they leave are divided among the other splits by the hash of their
    names, so that a file stays in its split when others come and go, where these are many.

    Args:
        names: the files' paths within ``root``, with ``/`` between the parts.
        root: the folder.
        wanted: for each split a list file (.txt, one name a line), a pattern such as ``test/*`` whose ``*`` also
            stands for ``/``, several patterns, or None for its share of the rest.
        fractions: the shares of val and test; train has the rest. In what lists and patterns leave, the other splits
            keep these proportions, and each gets a file at least; a split with the fraction 0 stays empty.

    Raises:
        ConfigError: if fractions are not between 0 and 1, or a file is wanted in two splits.
        DataError: if a list cannot be read or names a file that is not there, or a split stays empty.
    """
    if not (min(fractions.values()) >= 0 and sum(fractions.values()) < 1):
        raise ConfigError(f"The fractions of val and test must be 0 or more and below 1 together, not {fractions}.")
    chosen = {split: wanted[split] for split in SPLITS}
    splits = {split: [] if choice is None else _chosen(choice, names, root) for split, choice in chosen.items()}
    _check_apart(splits)
    taken = {name for chosen in splits.values() for name in chosen}
    shares: dict[Split, float] = {**fractions, "train": 1 - sum(fractions.values())}
    unnamed = {split: share for split, share in shares.items() if wanted[split] is None and share}
    splits |= _by_hash([name for name in names if name not in taken], unnamed)
    for split in wanted:
        if not splits[split] and (wanted[split] is not None or split in unnamed):
            raise DataError(_lack(split, len(names), root))
    return splits


def default_split(names: Sequence[str], root: Path) -> dict[str, list[str]]:
    """The split that training makes when it is told nothing: a tenth of the files each for val and test, by hash."""
    splits = split_files(names, root, dict.fromkeys(SPLITS), {"val": FRACTION, "test": FRACTION})
    return {str(split): files for split, files in splits.items()}


def _chosen(choice: str | list[str], names: Sequence[str], root: Path) -> list[str]:
    if isinstance(choice, str) and choice.endswith(LIST):
        return _listed(choice, names, root)
    patterns = [choice] if isinstance(choice, str) else choice
    return [name for name in names if any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns)]


def _listed(choice: str, names: Sequence[str], root: Path) -> list[str]:
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
    kept = set(listed)
    return [name for name in names if name in kept]


def _by_hash(names: list[str], shares: Mapping[Split, float]) -> dict[Split, list[str]]:
    """Divide files by shares, by the place of each name alone; but each split gets one, while there are enough."""
    ordered = sorted(names, key=_place)
    divided: dict[Split, list[str]] = {}
    begin, edge = 0, 0.0
    for later, split in zip(reversed(range(len(shares))), shares, strict=True):
        edge += shares[split] / sum(shares.values())
        end = bisect_left(ordered, edge, key=_place) if later else len(ordered)
        end = max(begin, min(max(end, begin + 1), len(ordered) - later))
        chosen = set(ordered[begin:end])
        divided[split] = [name for name in names if name in chosen]
        begin = end
    return divided


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


def _lack(split: Split, total: int, root: Path) -> str:
    way_out = ", or do without: --data.init_args.test_fraction 0" if split == "test" else ""
    return (
        f"No file is left for {split} among the {total} usable in {root}: add files, as each belongs to one split, "
        f"choose some with --data.init_args.{split}{way_out}."
    )
