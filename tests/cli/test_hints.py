"""Sentences of the library name the option of the command that shows them, and none that it lacks."""

from collections.abc import Callable

import numpy as np
import pytest
import typer

from framepred.cli import main as entry

Run = Callable[..., tuple[int, str, str]]
LAST = ("--weights", "baseline:last-frame")


@pytest.fixture(autouse=True)
def files(framepred: Run) -> None:
    rng = np.random.default_rng(0)
    np.save("unclear.npy", rng.random((12, 5, 8, 8), np.float32))
    np.save("kelvin.npy", 280 + 10 * rng.random((12, 8, 8), np.float32))
    np.save("holes.npy", np.full((12, 8, 8), np.nan))
    np.savez("two.npz", rain=rng.random((12, 8, 8)), heat=rng.random((12, 8, 8)))


@pytest.mark.parametrize(
    ("file", "option"),
    [("unclear.npy", "--layout"), ("kelvin.npy", "--range"), ("holes.npy", "--range"), ("two.npz", "--array")],
)
@pytest.mark.parametrize("command", ["predict", "restore", "stream", "evaluate", "watch"])
def test_the_option_is_named_by_commands_that_have_it(framepred: Run, command: str, file: str, option: str) -> None:
    arguments = {
        "evaluate": ("--data", file, *LAST, "--context", 2, "--horizon", 2),
        "restore": (file, "--missing", "3", "--method", "linear"),
        "watch": (file, "--normal", 1),
    }.get(command, (file, *LAST))
    code, _, err = framepred(command, *arguments)
    _, options, _ = framepred(command, "--help")
    assert code == 2
    assert err.rstrip().endswith(f"({option}).") == (option in options)
    assert "state " not in err or option in options


def test_train_names_the_setting(framepred: Run) -> None:
    code, _, err = framepred("train", "--config", "video_folder_convlstm", "--data.init_args.root", ".")
    assert code == 2
    assert "--data.init_args." in err


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("predict", "a.mp4", "b.mp4"), "(b.mp4); the file to write is named by --output. See framepred predict"),
        (("watch", "a.mp4", "--serve", "x"), "(x); an address of --serve is HOST:PORT. See framepred watch"),
        (("watch", "--serve", "8400", "a.mp4"), "(a.mp4); an address of --serve is HOST:PORT. See framepred watch"),
        (("watch", "--serve", "http://a:1/", "a.mp4"), "; an address of --serve is HOST:PORT. See framepred watch"),
        (
            ("watch", "--serve", "a:1", "a.mp4", "b.mp4"),
            "; the file to write is named by --output. See framepred watch",
        ),
        (("watch", "a.mp4", "b.mp4", "--serve"), "; the file to write is named by --output. See framepred watch"),
        (
            ("watch", "a.mp4", "b.mp4", "--serve", "--json"),
            "; the file to write is named by --output. See framepred watch",
        ),
        (("restore", "-o", "a.mp4"), "No such option: -o (Possible options: --output). See framepred restore"),
        (("evaluate", "--zzz"), "No such option: --zzz. See framepred evaluate"),
        (("--version=3",), "'--version' does not take a value. See framepred"),
        (("predict", "a.mp4", "--no-blend=3"), "'--no-blend' does not take a value. See framepred predict"),
        (("weights", "mine"), "Got unexpected extra argument(s) (mine). See framepred weights"),
    ],
)
def test_a_wrong_argument_gets_the_option_that_may_be_meant(
    framepred: Run, arguments: tuple[str, ...], sentence: str
) -> None:
    code, printed, error = framepred(*arguments)
    assert (code, printed) == (2, "")
    assert f"{sentence} --help.\n" in error


@pytest.mark.parametrize("command", ["predict", "stream", "watch", "restore"])
@pytest.mark.parametrize(("name", "option"), [("-dash.npy", "-d"), ("--film.npy", "--film.npy")])
def test_a_file_whose_name_looks_like_an_option_is_known(framepred: Run, command: str, name: str, option: str) -> None:
    assert "./" not in framepred(command, name)[2]
    np.save(f"./{name}", np.zeros((12, 8, 8), np.uint8))
    expected = f"No such option: {option}; write the file {name} as ./{name}. See framepred {command} --help.\n"
    assert framepred(command, name) == (2, "", expected)


@pytest.mark.parametrize("command", ["predict", "stream", "watch", "restore", "evaluate", "export", "compare", "data"])
def test_an_option_without_its_value_is_one_sentence(framepred: Run, command: str) -> None:
    parameters = typer.main.get_command(entry.app).commands[command].params  # type: ignore[attr-defined]
    options = [each.opts[0] for each in parameters if each.opts[0].startswith("--") and not each.is_flag]
    options = [option for option in options if option != "--serve"]  # its value may be left out
    assert len(options) > 1
    for option in options:
        sentence = f"Option '{option}' requires an argument. See framepred {command} --help.\n"
        assert framepred(command, "a.mp4", option) == (2, "", sentence)
