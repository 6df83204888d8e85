"""Mutate small files of every kind, read them, and print the outcomes by class.

    python scripts/fuzz_readers.py --mutations 2000 --seed 0 --output runs/fuzz.json

The kinds are videos, pictures, arrays, HDF5, zarr, IDX, cards, configs, weights, checkpoints, exports, profiles and
labels. Each batch of mutations runs in a process of its own, so that a crash is counted like any other outcome. With
``--output``, outcomes are added to those of earlier calls. The same mutations run in tests/media/test_fuzz_readers.py.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path

_TESTS = Path(__file__).resolve().parent.parent / "tests"
_BATCH = 500  # mutations of one process
_BATCH_SECONDS = 3600  # a hang in native code, which no signal ends

Outcomes = Counter[tuple[str, str]]


def main() -> None:
    """Run the mutations and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mutations", type=int, default=500, help="how many")
    parser.add_argument("--seed", type=int, default=0, help="number of the first mutation")
    parser.add_argument("--output", type=Path, help="JSON file of all outcomes so far")
    parser.add_argument(
        "--batch", nargs=3, metavar=("SEEDS", "FIRST", "COUNT"), help="run one batch on a folder of valid files"
    )
    options = parser.parse_args()
    sys.path.insert(0, str(_TESTS))
    if options.batch:
        _run_batch(Path(options.batch[0]), *map(int, options.batch[1:]))
        return
    with tempfile.TemporaryDirectory() as folder:
        outcomes, peak = _run(Path(folder), options.seed, options.seed + options.mutations)
    if options.output:
        outcomes, peak = _added(options.output, outcomes, peak)
    _print_table(outcomes, peak)


def _run(folder: Path, first: int, end: int) -> tuple[Outcomes, int]:
    """Run all mutations; return the outcomes and the highest memory in MiB."""
    from fuzz_seeds import seeds

    seeds(folder, exports=True)
    outcomes: Outcomes = Counter()
    peak = 0
    try:
        while first < end:
            lines, code = _batch_lines(folder, first, min(_BATCH, end - first))
            for line in lines:
                outcomes[line["kind"], line["outcome"]] += 1
                peak = max(peak, line["peak_mib"])
            first += len(lines)
            if code != 0 and first < end:
                outcomes["(any)", f"process ended with {code} at mutation {first}"] += 1
                first += 1
    except KeyboardInterrupt:
        print(f"interrupted before mutation {first}; so far:")
    return outcomes, peak


def _batch_lines(folder: Path, first: int, count: int) -> tuple[list[dict], int]:
    command = [sys.executable, __file__, "--batch", str(folder), str(first), str(count)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=_BATCH_SECONDS)
        output, code = done.stdout, done.returncode
    except subprocess.TimeoutExpired as error:
        output, code = (error.stdout or b"").decode(), -1
    return [json.loads(line) for line in output.splitlines() if line.startswith("{")], code


def _run_batch(valid: Path, first: int, count: int) -> None:
    import numpy as np

    from reader_fuzz import mutate, outcome, peak_mib

    kinds = sorted(path.name for path in valid.iterdir())
    with tempfile.TemporaryDirectory() as folder:
        for number in range(first, first + count):
            kind = kinds[number % len(kinds)]
            target = Path(folder) / str(number) / kind
            mutate(valid / kind, target, np.random.default_rng(number))
            found = outcome(target).replace(folder, "")
            line = {"number": number, "kind": kind, "outcome": found, "peak_mib": peak_mib()}
            print(json.dumps(line), flush=True)


def _added(path: Path, outcomes: Outcomes, peak: int) -> tuple[Outcomes, int]:
    """Add outcomes to those in a file; return the sum."""
    former = json.loads(path.read_text()) if path.exists() else {"peak_mib": 0, "outcomes": []}
    for kind, found, count in former["outcomes"]:
        outcomes[kind, found] += count
    peak = max(peak, former["peak_mib"])
    path.parent.mkdir(parents=True, exist_ok=True)
    rows = sorted([kind, found, count] for (kind, found), count in outcomes.items())
    path.write_text(json.dumps({"peak_mib": peak, "outcomes": rows}, indent=1))
    return outcomes, peak


def _print_table(outcomes: Outcomes, peak: int) -> None:
    """Print a Markdown table of the outcomes by kind, then those that break the promise."""
    classes: dict[str, Counter[str]] = {}
    for (kind, found), count in outcomes.items():
        classes.setdefault(kind, Counter())[found if found in ("read", "refused") else "other"] += count
    classes["all"] = sum(classes.values(), Counter())
    print("| kind | mutations | read | refused | other |\n|---|---|---|---|---|")
    for kind, counts in classes.items():
        print(f"| {kind} | {counts.total()} | {counts['read']} | {counts['refused']} | {counts['other']} |")
    print(f"highest memory: {peak} MiB")
    for (kind, found), count in sorted(outcomes.items()):
        if found not in ("read", "refused"):
            print(f"  {count} × {kind}: {found}")


if __name__ == "__main__":
    main()
