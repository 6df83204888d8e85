"""Mutate small files of every kind, read them, and print the outcomes by class.

    python scripts/fuzz_readers.py --mutations 2000 --seed 0

Each batch of mutations runs in a process of its own, so that a crash is counted like any other outcome. The highest
memory of the processes is printed too. The same mutations run in tests/media/test_fuzz_readers.py.
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path

_TESTS = Path(__file__).resolve().parent.parent / "tests"
_BATCH = 50  # mutations of one process


def main() -> None:
    """Run the mutations and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mutations", type=int, default=500, help="how many")
    parser.add_argument("--seed", type=int, default=0, help="number of the first mutation")
    parser.add_argument(
        "--batch", nargs=2, type=int, metavar=("FIRST", "COUNT"), help="run one batch, print JSON lines"
    )
    options = parser.parse_args()
    if options.batch:
        _run_batch(*options.batch)
        return
    outcomes: Counter[tuple[str, str]] = Counter()
    peak = 0
    end = options.seed + options.mutations
    first = options.seed
    try:
        while first < end:
            lines, code = _batch_lines(first, min(_BATCH, end - first))
            for line in lines:
                outcomes[line["kind"], line["outcome"]] += 1
                peak = max(peak, line["peak_mb"])
            first += len(lines)
            if code != 0 and first < end:
                outcomes["(any)", f"process ended with {code} at mutation {first}"] += 1
                first += 1
    except KeyboardInterrupt:
        print("interrupted; so far:")
    _print_table(outcomes, peak)


def _batch_lines(first: int, count: int) -> tuple[list[dict], int]:
    command = [sys.executable, __file__, "--batch", str(first), str(count)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")], done.returncode


def _run_batch(first: int, count: int) -> None:
    sys.path.insert(0, str(_TESTS))
    import numpy as np
    from reader_fuzz import mutate, outcome, seeds

    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "seeds").mkdir()
        files = seeds(Path(folder) / "seeds")
        for number in range(first, first + count):
            rng = np.random.default_rng(number)
            kind = sorted(files)[number % len(files)]
            target = Path(folder) / str(number) / kind
            mutate(files[kind], target, rng)
            found = outcome(target).replace(folder, "")
            peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
            print(json.dumps({"number": number, "kind": kind, "outcome": found, "peak_mb": peak}), flush=True)


def _print_table(outcomes: Counter[tuple[str, str]], peak: int) -> None:
    classes: Counter[str] = Counter()
    for (_, found), count in outcomes.items():
        classes[found if found in ("read", "refused") else "other"] += count
    print(f"{sum(classes.values())} mutations: {dict(classes)}; highest memory {peak} MB")
    for (kind, found), count in sorted(outcomes.items()):
        if found not in ("read", "refused"):
            print(f"  {count} × {kind}: {found}")


if __name__ == "__main__":
    main()
