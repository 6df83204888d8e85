"""Commands that are killed or stopped at random moments leave no half-written files, and no drafts."""

import os
import random
import signal
import sys
import time
import traceback
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from framepred.cli.main import main
from framepred.media.atomic import DRAFT_PREFIX
from framepred.media.reading import read_clips
from framepred.stop_signals import STOP_SIGNALS

KILLS, STOPS = 6, 2  # of SIGKILL, and of each signal that can be handled
LATEST_SHARE = 0.9  # of the time that the command takes
FIRST_SECONDS = 0.02  # after the fork
SENTENCES = ("Stopped; nothing half-written is left.", "Stopped; the files are complete up to the last frame.")


@dataclass(frozen=True)
class Command:
    """A command that takes about a second, and what it writes.

    Attributes:
        arguments: the command.
        growing: files that hold all frames up to the last one at any time; all others appear whole.
    """

    arguments: tuple[str, ...]
    growing: tuple[str, ...] = ()


PREDICT = (
    "predict",
    "clip.npy",
    "--context",
    "4",
    "--weights",
    "moving-mnist-convlstm",
    "--no-blend",
    "--frames",
    "12",
)
COMMANDS = {
    "predict, video": Command((*PREDICT, "--output", "out.mp4")),
    "predict, archive": Command((*PREDICT, "--output", "out.npz")),
    "predict, folder": Command((*PREDICT, "--output", "out")),
    "restore": Command(("restore", "clip.npy", "--missing", "3,7-9", "--upsample", "4", "--method", "linear",
                     "--output", "out.mp4")),
    "data": Command(("data", "moving-mnist", "--clips", "60", "--output", "out.npz")),
    "data, apart": Command(("data", "moving-mnist", "--clips", "12", "--apart", "--output", "out.mp4")),
    "stream": Command(("stream", "short.npy", "--weights", "baseline:last-frame", "--no-cuts", "--frames", "2",
                    "--csv", "out.csv", "--output", "out.mp4"), growing=("out.csv", "out.mp4")),
    "watch": Command(("watch", "clip.npy", "--normal", "9", "--profile", "usual.safetensors", "--csv", "out.csv",
                   "--output", "out.mp4", "--events", "events"), growing=("out.csv", "out.mp4")),
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", COMMANDS)
def test_kills_leave_nothing_half_written(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    command, rng = COMMANDS[name], random.Random(name)
    imported(command, new_folder(tmp_path / "first"), monkeypatch)
    whole, seconds = finished(command, new_folder(tmp_path / "whole"))
    signals = [signal.SIGKILL] * KILLS + [signal.SIGINT, signal.SIGTERM, signal.SIGHUP] * STOPS
    folder, rows = new_folder(tmp_path / "killed"), []
    for number in signals:
        code, earlier = 0, drafts(folder)
        while code == 0:  # the command came to its end, as the signal was too early or too late
            delay = rng.uniform(FIRST_SECONDS, max(LATEST_SHARE * seconds, 2 * FIRST_SECONDS))
            code = killed(command, folder, number, delay)
        left = drafts(folder)
        told = (folder / "stderr").read_text()
        if number == signal.SIGKILL:
            assert code == -number, told
        else:
            # A command that is stopped at its very start does not yet remove what an earlier one left.
            assert (code, told.splitlines()[-1] in SENTENCES, left - earlier) == (128 + number, True, set()), told
            assert "Traceback" not in told
        for path in contents(folder) - left:
            check_whole(folder / path, whole.get(path), path in command.growing)
        rows.append(f"{signal.Signals(number).name:>8} after {delay:4.2f} s: {len(left)} unfinished files")
    again, _ = finished(command, folder)
    assert contents(folder) == again.keys() == whole.keys()
    assert all(again[path] == whole[path] for path in whole if path not in command.growing)
    with capsys.disabled():
        print(f"\n{name}, which takes {seconds:.2f} s", *rows, sep="\n")


def new_folder(folder: Path) -> Path:
    """A folder with a clip of a square that moves and stands still in the end, and its first frames."""
    folder.mkdir()
    clip = np.random.default_rng(0).integers(90, 110, (140, 24, 24), dtype=np.uint8)
    for number, frame in enumerate(clip):
        left = 1 + min(number, 100) % 14
        frame[6:14, left : left + 8] = 220
    np.save(folder / "clip.npy", clip)
    np.save(folder / "short.npy", clip[:40])
    return folder


def imported(command: Command, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run a command in this process, so that forked processes have imported all that it needs."""
    monkeypatch.chdir(folder)
    monkeypatch.setattr(sys, "argv", ["framepred", *command.arguments])
    with pytest.raises(SystemExit) as end:
        main()
    assert end.value.code == 0


def started(command: Command, folder: Path) -> int:
    """Run a command in a forked process, which needs no imports; return its process id.

    A signal that comes before the command handles it, or after its end, has no effect.
    """
    signal.pthread_sigmask(signal.SIG_BLOCK, STOP_SIGNALS)
    child = os.fork()
    if child == 0:
        for signal_number in STOP_SIGNALS:  # before and after the command, which sets handlers of its own
            signal.signal(signal_number, lambda *_: None)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, STOP_SIGNALS)
    if child == 0:
        code = 1
        try:
            os.chdir(folder)
            sys.stdout, sys.stderr = open(os.devnull, "w"), open("stderr", "w")  # noqa: PTH123, SIM115
            sys.argv = ["framepred", *command.arguments]
            main()
        except SystemExit as end:
            code = int(end.code or 0)
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stderr.flush()
            os._exit(code)
    return child


def killed(command: Command, folder: Path, number: int, delay: float) -> int:
    """Run a command, send a signal after ``delay`` seconds; return the exit code."""
    child = started(command, folder)
    time.sleep(delay)
    os.kill(child, number)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def finished(command: Command, folder: Path) -> tuple[dict[str, bytes], float]:
    """Run a command to its end; return what it wrote by path, and the seconds that it took."""
    since = time.perf_counter()
    child = started(command, folder)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    seconds = time.perf_counter() - since
    assert code == 0, (folder / "stderr").read_text()
    return {path: (folder / path).read_bytes() for path in contents(folder)}, seconds


def drafts(folder: Path) -> set[str]:
    """All files of drafts below a folder."""
    return {path for path in contents(folder) if DRAFT_PREFIX in path}


def contents(folder: Path) -> set[str]:
    """All files below a folder but those that the test itself makes."""
    files = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
    return files - {"clip.npy", "short.npy", "stderr"}


def check_whole(path: Path, whole: bytes | None, growing: bool) -> None:
    """Check that a file is what an undisturbed run writes, or can be read up to its last frame."""
    if not growing:
        assert path.read_bytes() == whole, f"{path} is half-written"
    elif path.suffix == ".csv":
        lines = path.read_text().splitlines(keepends=True)
        assert all(line.endswith("\n") and line.count(",") == lines[0].count(",") for line in lines)
    elif path.stat().st_size:
        read_clips(path)


def test_the_check_finds_half_a_file(tmp_path: Path) -> None:
    path = tmp_path / "out.npz"
    path.write_bytes(b"ha")
    with pytest.raises(AssertionError, match="half-written"):
        check_whole(path, b"half", growing=False)
