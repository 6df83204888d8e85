"""The entry point: exit codes, signals, and standard streams that cannot take what is printed."""

import io
import os
import signal
import subprocess
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from framepred import __version__, stop_signals
from framepred.cli import main as entry
from framepred.cli.signals import stop_at_once, stop_when_ready
from framepred.errors import ConfigError, WeightsError
from framepred.media import atomic
from framepred.media.atomic import atomic_write
from slow_cases import crossed

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def replace_weights(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[], None]], None]:
    """Let the command ``weights`` do something else."""

    def replace(action: Callable[[], None]) -> None:
        [registered] = [one for one in entry.app.registered_commands if one.callback is entry.weights]
        action.__name__ = "weights"
        monkeypatch.setattr(registered, "callback", action)

    return replace


def test_errors_of_the_user_are_a_sentence_and_bugs_a_traceback(
    framepred: Run, replace_weights: Callable[..., None]
) -> None:
    errors = iter([ConfigError("One sentence."), ZeroDivisionError("a bug")])

    def action() -> None:
        raise next(errors)

    replace_weights(action)
    assert framepred("weights") == (2, "", "One sentence.\n")
    with pytest.raises(ZeroDivisionError):
        entry.main()
    assert framepred("nosuch") == (2, "", "No such command 'nosuch'. See framepred --help.\n")
    assert framepred("--version") == (0, f"framepred {__version__}\n", "")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_removes_the_draft_and_gives_its_code(
    framepred: Run, replace_weights: Callable[..., None], number: int
) -> None:
    def action() -> None:
        with atomic_write("out") as draft:
            draft.write_text("half")
            os.kill(os.getpid(), number)
            time.sleep(10)

    replace_weights(action)
    before = signal.getsignal(number)
    assert framepred("weights") == (128 + number, "", "Stopped; nothing half-written is left.\n")
    assert list(Path.cwd().iterdir()) == []
    assert signal.getsignal(number) is before


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_at_the_end_of_a_command_gives_no_traceback(
    framepred: Run, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    with stop_at_once() as request:
        request.over = True
        os.kill(os.getpid(), number)
    assert request.number is None

    report = entry._report

    def interrupted(sentence: str, code: int = 2) -> int:
        monkeypatch.setattr(entry, "_report", report)
        os.kill(os.getpid(), number)
        time.sleep(10)
        return code

    monkeypatch.setattr(entry, "_report", interrupted)
    assert framepred("nosuch") == (128 + number, "", "Stopped; nothing half-written is left.\n")


def test_a_signal_does_not_interrupt_the_replacement_of_a_folder(
    framepred: Run, replace_weights: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It arrives while the former folder is being removed, and ends the command afterwards."""
    remove = atomic.shutil.rmtree

    def interrupted(folder: Path, **options: bool) -> None:
        os.kill(os.getpid(), signal.SIGTERM)
        remove(folder, **options)

    def action() -> None:
        with atomic_write("out") as draft:
            draft.mkdir()
            (draft / "new").touch()
        time.sleep(10)

    Path("out").mkdir()
    Path("out/former").touch()
    monkeypatch.setattr(atomic.shutil, "rmtree", interrupted)
    replace_weights(action)
    assert framepred("weights")[0] == 143
    assert [str(path) for path in Path().rglob("*")] == ["out", "out/new"]


@pytest.mark.parametrize(
    "error", [SystemExit(1), RuntimeError("lost"), WeightsError("The weights are damaged."), OSError(5, "lost", "a")]
)
def test_a_library_cannot_hide_a_signal(
    framepred: Run, replace_weights: Callable[..., None], error: BaseException
) -> None:
    def action() -> None:
        try:
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(10)
        except KeyboardInterrupt:
            raise error from None

    replace_weights(action)
    assert framepred("weights") == (143, "", "Stopped; nothing half-written is left.\n")


def test_an_import_cannot_swallow_a_signal(framepred: Run, replace_weights: Callable[..., None]) -> None:
    Path("swallowing.py").write_text(
        "import os, signal\n"
        "try:\n    os.kill(os.getpid(), signal.SIGTERM)\n    sum(range(10_000))\n"
        "except BaseException:\n    pass\n"
    )

    def action() -> None:
        sys.path.insert(0, "")
        import swallowing  # type: ignore[import-not-found]  # noqa: F401

        time.sleep(10)

    replace_weights(action)
    path = sys.path.copy()
    assert framepred("weights") == (143, "", "Stopped; nothing half-written is left.\n")
    sys.path[:] = path


@pytest.mark.parametrize("second", ["in the block", "after it"])
def test_signals_close_together_are_one_request(
    framepred: Run, replace_weights: Callable[..., None], second: str
) -> None:
    """``timeout`` signals a command and then its process group."""

    def action() -> None:
        with stop_when_ready() as stop:
            signal.raise_signal(signal.SIGTERM)
            if second == "in the block":
                signal.raise_signal(signal.SIGTERM)
        if second == "after it":
            signal.raise_signal(signal.SIGTERM)
        stop.raise_if_set("Stopped; the files are complete.")

    replace_weights(action)
    assert framepred("weights") == (143, "", "Stopped; the files are complete.\n")


def test_a_signal_close_to_the_first_does_not_interrupt_the_cleanup(
    framepred: Run, replace_weights: Callable[..., None]
) -> None:
    def action() -> None:
        Path("half").touch()
        try:
            signal.raise_signal(signal.SIGTERM)
        finally:
            signal.raise_signal(signal.SIGTERM)
            Path("half").unlink()

    replace_weights(action)
    assert framepred("weights") == (143, "", "Stopped; nothing half-written is left.\n")
    assert not Path("half").exists()


def test_a_second_request_stops_at_once(
    framepred: Run, replace_weights: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    def action() -> None:
        with stop_when_ready():
            signal.raise_signal(signal.SIGINT)
            time.sleep(0.1)
            signal.raise_signal(signal.SIGINT)
            time.sleep(10)

    monkeypatch.setattr(stop_signals, "REPEAT_S", 0.05)
    replace_weights(action)
    assert framepred("weights") == (130, "", "Stopped; nothing half-written is left.\n")


def test_an_ignored_signal_stays_ignored(framepred: Run, replace_weights: Callable[..., None]) -> None:
    former = signal.signal(signal.SIGHUP, signal.SIG_IGN)  # as under nohup
    try:
        replace_weights(lambda: os.kill(os.getpid(), signal.SIGHUP))
        assert framepred("weights") == (0, "", "")
    finally:
        signal.signal(signal.SIGHUP, former)


def test_a_current_folder_that_was_removed_is_a_sentence(
    framepred: Run, replace_weights: Callable[..., None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    replace_weights(lambda: Path("out.mp4").resolve())
    assert framepred("weights") == (2, "", "The current folder no longer exists; change to another one.\n")


@pytest.mark.parametrize("encoding", ["cp1252", "ascii", "latin-1"])
@pytest.mark.parametrize("argument", ["weights", "--help"])
def test_any_encoding_can_be_printed(argument: str, encoding: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["framepred", argument])
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(io.BytesIO(), encoding=encoding))
    with pytest.raises(SystemExit) as end:
        entry.main()
    assert end.value.code == 0
    printed = sys.stdout.buffer.getvalue()
    assert b"?" in printed or encoding == "cp1252"


def test_names_that_are_not_unicode_are_printed(framepred: Run, replace_weights: Callable[..., None]) -> None:
    replace_weights(lambda: print(os.fsdecode(b"caf\xe9.mp4")))
    assert framepred("weights") == (0, "caf?.mp4\n", "")


class Refusing(io.StringIO):
    """A stream that takes nothing."""

    def write(self, text: str) -> int:
        raise OSError(28, "No space left on device")


@pytest.mark.parametrize("arguments", [("weights",), ("weights", "--json"), ("--help",), ("--version",)])
def test_a_full_standard_output_is_a_sentence(
    framepred: Run, arguments: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdout", Refusing())
    code, _, err = framepred(*arguments)
    assert (code, err) == (
        2, "Standard output cannot be written (No space left on device); redirect it to another place.\n",
    )  # fmt: skip


def test_a_full_standard_error_ends_nothing(
    framepred: Run, replace_weights: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    def action() -> None:
        print("progress", file=sys.stderr)
        print("result")

    replace_weights(action)
    monkeypatch.setattr(sys, "stderr", Refusing())
    assert framepred("weights")[:2] == (0, "result\n")


def run_python(*arguments: object, **environment: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, *map(str, arguments)]
    return subprocess.run(
        command, check=False, capture_output=True, text=True, env={**os.environ, **environment}, timeout=600
    )


def test_real_streams_that_are_full_or_closed() -> None:
    code = "import os, sys; {}; from framepred.cli.main import main; sys.argv[1:] = ['--help']; main()"
    full = run_python("-c", code.format("os.dup2(os.open('/dev/full', os.O_WRONLY), 1)"))
    assert (full.returncode, full.stderr.count("\n")) == (2, 1)
    closed = run_python("-c", code.format("os.close(1); sys.stdout = sys.__stdout__ = None"))
    assert (closed.returncode, closed.stderr) == (0, "")
    pipe = run_python("-c", code.format("r, w = os.pipe(); os.dup2(w, 1); os.close(w); os.close(r)"))
    assert (pipe.returncode, pipe.stderr) == (
        2, "Standard output cannot be written (Broken pipe); redirect it to another place.\n",
    )  # fmt: skip


def test_no_garbage_is_collected_at_the_exit() -> None:
    code = (
        "import atexit, gc, sys; atexit.register(lambda: print(gc.get_freeze_count() > 1000)); "
        "from framepred.cli.__main__ import run; sys.argv[1:] = ['--version']; run()"
    )
    told = run_python("-c", code)
    assert (told.returncode, told.stdout.splitlines()[1:]) == (0, ["True"]), told.stderr


@pytest.mark.slow
@pytest.mark.ci
def test_the_environment_is_no_trap(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    np.save(tmp_path / "clip.npy", np.zeros((6, 16, 16), np.uint8))
    for name in ("numpy", "torch", "typer", "json", "select"):
        (tmp_path / f"{name}.py").write_text(f"raise SystemExit('{name}.py of the current folder was imported')")
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("HOME", raising=False)
    told = run_python(
        "-m", "framepred.cli", "predict", "clip.npy", "--context", 4, "--frames", 2, "--view", "side-by-side",
        MPLBACKEND="nosuch", PYTHONWARNINGS="error", XDG_CACHE_HOME="/proc/nosuch", MPLCONFIGDIR="/proc/nosuch",
    )  # fmt: skip
    assert told.returncode == 0, told.stderr
    assert "Traceback" not in told.stderr
    assert (tmp_path / "clip-predicted.mp4").exists()


def test_warnings_never_end_the_command(
    framepred: Run, replace_weights: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    replace_weights(lambda: warnings.warn("old", DeprecationWarning, stacklevel=1))
    monkeypatch.setattr(sys, "warnoptions", ["error"])
    assert framepred("weights")[:2] == (0, "")
    monkeypatch.setattr(sys, "warnoptions", [])
    assert framepred("weights") == (0, "", "")


@pytest.mark.parametrize(
    ("arguments", "number"),
    crossed(
        [
            ("predict", "clip.npy", "--frames"),
            ("predict", "clip.npy", "--context"),
            ("predict", "clip.npy", "--batch-size"),
            ("predict", "clip.npy", "--max-side"),
            ("evaluate", "--horizon"),
            ("evaluate", "--context"),
            ("evaluate", "--clips"),
            ("evaluate", "--batch-size"),
            ("stream", "clip.npy", "--frames"),
            ("data", "moving-mnist", "--output", "out.npy", "--clips"),
            ("data", "moving-mnist", "--output", "out.npy", "--length"),
            ("data", "moving-mnist", "--output", "out.npy", "--height"),
            ("data", "moving-mnist", "--output", "out.npy", "--width"),
            ("data", "moving-mnist", "--output", "out.npy", "--digits"),
        ],
        ["0", "-1", "100000000", "9" * 5000, "nan", "many"],
    ),
)
def test_numbers_are_bounded_before_work_begins(framepred: Run, arguments: tuple[str, ...], number: str) -> None:
    code, out, err = framepred(*arguments, number)
    assert (code, out) == (2, "")
    assert arguments[-1] in err
    assert err.count("\n") == 1
    assert list(Path.cwd().iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "name"),
    crossed(
        [
            ("predict",),
            ("restore", "--missing", "1"),
            ("restore", "clip.npy", "--missing"),
            ("stream",),
            ("watch",),
            ("watch", "clip.npy", "--normal"),
            ("evaluate", "--data"),
            ("evaluate", "--predictions"),
            ("evaluate", "--weights"),
            ("compare", "clip.npy"),
            ("diagnose", "--config"),
            ("train", "--config"),
        ],
        ["a" * 300, "~nosuch/x.mp4", "loop", "clip.npy/x", "/dev/zero", "9" * 5000],
    ),
)
def test_no_path_is_a_traceback(framepred: Run, arguments: tuple[str, ...], name: str) -> None:
    np.save("clip.npy", np.zeros((4, 16, 16), np.uint8))
    Path("loop").symlink_to("loop")
    code, out, err = framepred(*arguments, name)
    assert (code, out, err.count("\n")) == (2, "", 1)


@pytest.mark.parametrize("arguments", [("evaluate",), ("data", "moving-mnist", "--output", "out.npy")])
@pytest.mark.parametrize("seed", ["-1", str(2**63), str(10**30)])
def test_seeds_are_bounded(framepred: Run, arguments: tuple[str, ...], seed: str) -> None:
    code, _, err = framepred(*arguments, "--seed", seed)
    assert (code, err.count("\n")) == (2, 1)


@pytest.mark.parametrize(
    "arguments",
    [
        ("data", "moving-mnist", "--output", "out.npy", "--clips", 1_000_000),
        ("data", "moving-mnist", "--output", "out.npy", "--height", 16_384, "--width", 16_384, "--length", 10_000),
        ("evaluate", "--horizon", 10_000, "--batch-size", 10_000, "--clips", 10_000),
        ("predict", "clip.npy", "--context", 2, "--weights", "baseline:last-frame", "--frames", 10_000),
        ("export", "--output", "net.onnx", "--size", "99999x99999"),
    ],
)
def test_memory_is_bounded_before_work_begins(framepred: Run, arguments: tuple[object, ...]) -> None:
    np.lib.format.open_memmap("clip.npy", "w+", np.uint8, (2, 3000, 3000, 3))  # zeros that take no disk
    code, out, err = framepred(*arguments)
    assert (code, out) == (2, "")
    assert "GB of memory but" in err
    assert err.count("\n") == 1


@pytest.mark.parametrize("arguments", [("predict",), ("restore", "--missing", "1"), ("stream",)])
@pytest.mark.parametrize("output", ["clip.mp4", "./clip.mp4", "link.mp4", "hard.mp4"])
def test_no_command_overwrites_its_input(framepred: Run, arguments: tuple[str, ...], output: str) -> None:
    Path("clip.mp4").write_bytes(b"input")
    Path("link.mp4").symlink_to("clip.mp4")
    Path("hard.mp4").hardlink_to("clip.mp4")
    code, out, err = framepred(*arguments, "clip.mp4", "--output", output)
    assert (code, out) == (2, "")
    assert "is the input and would be overwritten" in err
    assert Path("clip.mp4").read_bytes() == b"input"


@pytest.mark.parametrize(
    "arguments",
    [
        ("clip.mp4", "--normal", "usual.mp4", "--output", "usual.mp4"),
        ("clip.mp4", "--normal", "footage", "--output", "footage/usual.mp4"),
        ("clip.mp4", "--labels", "labels.csv", "--csv", "./labels.csv"),
    ],
)
def test_watch_overwrites_nothing_that_it_reads(framepred: Run, arguments: tuple[str, ...]) -> None:
    Path("footage").mkdir()
    for name in ("clip.mp4", "usual.mp4", "footage/usual.mp4", "labels.csv"):
        Path(name).write_bytes(b"input")
    code, out, err = framepred("watch", *arguments)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert "would be overwritten" in err
    assert all(path.read_bytes() == b"input" for path in Path.cwd().rglob("*.*"))


@pytest.mark.parametrize(
    ("arguments", "output"),
    crossed(
        [
            ("predict", "clip.mp4"),
            ("restore", "clip.mp4", "--missing", "1"),
            ("stream", "clip.mp4"),
            ("data", "moving-mnist"),
            ("evaluate",),
            ("demo",),
            ("export",),
            ("watch", "clip.mp4"),
            ("diagnose", "--config", "smoke"),
        ],
        ["pipe.mp4", "/dev/null", "/dev/stdout", "-"],
    ),
)
def test_no_command_replaces_a_device_or_a_stream(framepred: Run, arguments: tuple[str, ...], output: str) -> None:
    Path("clip.mp4").write_bytes(b"input")
    os.mkfifo("pipe.mp4")
    code, out, err = framepred(*arguments, "--output", output)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert {path.name for path in Path.cwd().iterdir()} == {"clip.mp4", "pipe.mp4"}


@pytest.mark.parametrize("command", ["predict", "watch", "stream", "restore", "compare", "data"])
def test_a_command_without_its_argument_says_which_is_missing(framepred: Run, command: str) -> None:
    code, out, err = framepred(command)
    assert (code, out) == (2, "")
    assert err.count("\n") == 1, err
