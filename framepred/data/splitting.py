"""Division of a folder's files into training, validation and test files: by list, by pattern, by hash, or by time.

Windows of one file overlap and look alike, so whole files are divided. Where there are fewer files than splits, each
file is divided along time instead, with a gap of one clip between the splits.
"""

import fnmatch
import hashlib
from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from pathlib import Path
from typing import TypeAlias

from framepred.data.digits import Split
from framepred.data.video_folder import Section, VideoFolder
from framepred.data.video_index import Source
from framepred.errors import ConfigError, DataError, reason_of
from framepred.media.text import ENCODING

LIST = ".txt"
FRACTION = 0.1  # default share of the files for val, and for test
_MAX_NAME = 200  # characters of a name that an error message shows
SPLITS: tuple[Split, ...] = ("train", "val", "test")

Choice: TypeAlias = str | list[str] | None  # a pattern or list file, several patterns, or a share of the other files


@dataclass(frozen=True)
class FileSplit:
    """Which files belong to which split.

    Attributes:
        files: names of the files of each split.
        by_time: names of the files that are divided along time, because they are fewer than the splits.
        shares: the splits that ``by_time`` is divided among, in temporal order, with shares that sum to 1.
    """

    files: dict[Split, list[str]]
    by_time: tuple[str, ...]
    shares: dict[Split, float]


def split_files(
    names: Sequence[str],
    root: Path,
    wanted: Mapping[Split, Choice],
    fractions: Mapping[Split, float],
) -> FileSplit:
    """Divide files among the splits; a function of its arguments alone.

    Lists and patterns come first. The other files are divided among the other splits by the hash of their names, so
    that a file keeps its split when many files are added or removed. Fewer files than splits are divided along time.

    Args:
        names: paths of the files within ``root``, with ``/`` as the separator.
        root: the folder.
        wanted: for each split a list file (.txt, one name per line), a pattern such as ``test/*`` whose ``*`` also
            matches ``/``, several patterns, or None for a share of the other files.
        fractions: shares of val and test; train has the rest. These proportions also hold for the files that lists
            and patterns leave; each split gets at least one file, but a split with the fraction 0 stays empty.

    Raises:
        ConfigError: if fractions are outside [0, 1), or two splits want the same file.
        DataError: if a list cannot be read or names a missing file, or a split stays empty.
    """
    if not (min(fractions.values()) >= 0 and sum(fractions.values()) < 1):
        raise ConfigError(
            f"val_fraction and test_fraction must be 0 or more and below 1 together, not {dict(fractions)}."
        )
    chosen = {split: wanted[split] for split in SPLITS}
    files = {split: [] if choice is None else _chosen(choice, names, root) for split, choice in chosen.items()}
    _check_disjoint(files)
    taken = {name for part in files.values() for name in part}
    rest = [name for name in names if name not in taken]
    shares: dict[Split, float] = {**fractions, "train": 1 - sum(fractions.values())}
    shares = {split: share for split, share in shares.items() if wanted[split] is None and share}
    total = sum(shares.values())
    shares = {split: share / total for split, share in shares.items()}
    by_time = 0 < len(rest) < len(shares)
    if not by_time:
        files |= _by_hash(rest, shares)
    for split in SPLITS:
        if not files[split] and (wanted[split] is not None or (split in shares and not by_time)):
            raise DataError(_empty_split(split, len(names), root))
    in_time = {split: shares[split] for split in SPLITS if split in shares}
    return FileSplit(files, tuple(rest) if by_time else (), in_time)


def split_folder(
    whole: VideoFolder,
    wanted: Mapping[Split, Choice] | None = None,
    fractions: Mapping[Split, float] | None = None,
    stride: int | None = None,
) -> dict[Split, VideoFolder]:
    """Divide the clips of a folder among the splits; see ``split_files`` and ``split_time``.

    A file divided along time trains with its beginning and is validated and tested with its end.

    Args:
        whole: all clips.
        wanted: lists or patterns for each split; None for none.
        fractions: shares of val and test; None for a tenth each.
        stride: frames between the starts of training clips; None puts them end to end, as all others are.

    Raises:
        ConfigError: if fractions are outside [0, 1), or two splits want the same file.
        DataError: if a list cannot be used, a split stays empty, or a video is too short to be divided.
    """
    names = [source.name for source in whole.sources]
    split = split_files(
        names, whole.root, wanted or dict.fromkeys(SPLITS), fractions or {"val": FRACTION, "test": FRACTION}
    )
    sections = {name: _divided(source, split, whole) for name, source in zip(names, whole.sources, strict=True)}
    return {
        part: whole.select(
            [sections[name][part] for name in names if part in sections[name]], stride if part == "train" else None
        )
        for part in SPLITS
    }


def split_time(count: int, shares: Mapping[Split, float], size: int, gap: int) -> dict[Split, range] | None:
    """Divide consecutive frames among splits in their order, with a gap between two splits.

    Each split gets ``size`` frames, and its share of the remaining frames, rounded down; the first split gets what
    rounding leaves.

    Args:
        count: number of frames.
        shares: the splits in temporal order, with shares that sum to 1.
        size: frames that each split gets at least.
        gap: unused frames between two splits.

    Returns:
        The frames of each split; None if ``count`` is too small.

    Example:
        >>> split_time(100, {"train": 0.8, "val": 0.2}, size=5, gap=5)
        {'train': range(0, 73), 'val': range(78, 100)}
    """
    free = count - len(shares) * size - (len(shares) - 1) * gap
    if free < 0:
        return None
    first, *others = shares
    ranges: dict[Split, range] = {}
    end = count
    for split in reversed(others):
        start = end - size - int(shares[split] * free)
        ranges[split] = range(start, end)
        end = start - gap
    return {first: range(end)} | dict(reversed(ranges.items()))


def _divided(source: Source, split: FileSplit, whole: VideoFolder) -> dict[Split, Section]:
    """Return the section of a source that each split gets: all of it, or a part of its clips or of its frames."""
    section = Section.whole(source)
    if source.name not in split.by_time:
        return {part: section for part, files in split.files.items() if source.name in files}
    clips = split_time(source.clips, split.shares, size=1, gap=0)
    if clips is not None and source.clips > 1:
        return {part: replace(section, clips=block) for part, block in clips.items()}
    frames = split_time(source.frames, split.shares, size=whole.span, gap=whole.span)
    if frames is None:
        needed = (2 * len(split.shares) - 1) * whole.span
        raise DataError(
            f"{whole.index.path(source)} has {source.frames} frames but its division into {_joined(split.shares)}, "
            f"with gaps of one clip, takes {needed}; add files, use shorter clips, or set val_fraction or "
            "test_fraction to 0."
        )
    return {part: replace(section, frames=block) for part, block in frames.items()}


def _chosen(choice: str | list[str], names: Sequence[str], root: Path) -> list[str]:
    if isinstance(choice, str) and choice.endswith(LIST):
        return _listed(choice, names, root)
    patterns = [choice] if isinstance(choice, str) else choice
    return [name for name in names if any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns)]


def _listed(choice: str, names: Sequence[str], root: Path) -> list[str]:
    """Return the names in a list file; bytes that are not UTF-8 match file names with the same bytes."""
    file = next((path for path in (Path(choice), root / choice) if path.is_file()), None)
    if file is None:
        raise DataError(f"The list {choice} is neither in this folder nor in {root}; give the path of a file of names.")
    try:
        text = file.read_text(encoding=ENCODING, errors="surrogateescape")
    except OSError as error:
        raise DataError(f"The list {file} cannot be read ({reason_of(error)}); check its permissions.") from error
    listed = {line.strip() for line in text.splitlines() if line.strip()}
    missing = sorted(listed - set(names))
    if missing:
        more = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
        raise DataError(
            f"{file} names {missing[0][:_MAX_NAME]!r}{more}, not found among the usable files of {root}; "
            "write each file as its path within that folder."
        )
    return [name for name in names if name in listed]


def _by_hash(names: list[str], shares: Mapping[Split, float]) -> dict[Split, list[str]]:
    """Divide files by the hash of each name; each split gets at least one file where there are enough."""
    ordered = sorted(names, key=_hash_fraction)
    divided: dict[Split, list[str]] = {}
    begin, edge = 0, 0.0
    for later, split in zip(reversed(range(len(shares))), shares, strict=True):
        edge += shares[split]
        end = bisect_left(ordered, edge, key=_hash_fraction) if later else len(ordered)
        end = max(begin, min(max(end, begin + 1), len(ordered) - later))
        chosen = set(ordered[begin:end])
        divided[split] = [name for name in names if name in chosen]
        begin = end
    return divided


def _hash_fraction(name: str) -> float:
    """Return a number in [0, 1) that depends on the name alone."""
    return int(hashlib.sha256(name.encode(errors="surrogateescape")).hexdigest()[:13], 16) / 16**13


def _check_disjoint(splits: Mapping[Split, list[str]]) -> None:
    for one, other in combinations(splits, 2):
        common = set(splits[one]) & set(splits[other])
        if common:
            raise ConfigError(
                f"{min(common)} is in {one} and in {other}, but each file belongs to one split; "
                "change the patterns or lists of train, val or test."
            )


def _empty_split(split: Split, total: int, root: Path) -> str:
    without = {"val": ", or set val_fraction to 0", "test": ", or set test_fraction to 0"}.get(split, "")
    return (
        f"No file is left for {split} among the {total} usable files of {root}; "
        f"add files, choose some with {split}{without}."
    )


def _joined(splits: Iterable[Split]) -> str:
    *others, last = splits
    return f"{', '.join(others)} and {last}"
