"""Outputs never destroy an input or anything that is not an older output."""

import os
import socket
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

import framepred
from framepred.errors import MediaError
from framepred.media.images import encode_png
from framepred.media.outputs import check_new_folder, check_output, check_results_folder, mark_frame
from framepred.media.paths import expand_user


@pytest.fixture
def clip(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file in the current folder."""
    monkeypatch.chdir(tmp_path)
    Path("clip.mp4").write_text("input")
    return Path("clip.mp4")


def link(name: str, make: Callable[[str, str], None]) -> str:
    make("clip.mp4", name)
    return name


@pytest.mark.parametrize(
    "spell",
    [
        lambda: "clip.mp4",
        lambda: "./clip.mp4",
        lambda: str(Path("clip.mp4").absolute()),
        lambda: f"../{Path.cwd().name}/clip.mp4",
        lambda: link("link.mp4", os.symlink),
        lambda: link("hard.mp4", os.link),
    ],
)
def test_an_output_is_never_the_input(clip: Path, spell: Callable[[], str]) -> None:
    output = spell()
    with pytest.raises(MediaError, match="is the input and would be overwritten"):
        check_output(output, inputs=[clip])
    with pytest.raises(MediaError, match="is the input and would be overwritten"):
        check_output(clip, inputs=["rtsp://camera/1", output])


def test_a_folder_of_frames_never_replaces_its_input(clip: Path) -> None:
    Path("frames").mkdir()
    for number in range(2):
        Path(f"frames/{number:04}.png").write_bytes(mark_frame(encode_png(torch.zeros(1, 2, 2, dtype=torch.uint8))))
    Path("link").symlink_to("frames")
    for output in ("frames", "frames/.", "link"):
        with pytest.raises(MediaError, match="is the input"):
            check_output(output, inputs=["frames"])
        with pytest.raises(MediaError, match=r"holds the input frames/0000\.png"):
            check_output(output, inputs=["frames/0000.png"])
        with pytest.raises(MediaError, match="cannot take the results"):
            check_new_folder(output, inputs=["frames"])
    assert check_output("frames", inputs=[clip]) == Path("frames")


def test_a_clip_in_the_input_folder_is_never_overwritten(clip: Path) -> None:
    with pytest.raises(MediaError, match="lies in the input"):
        check_output(clip, inputs=[Path.cwd()])
    assert check_output("new.mp4", inputs=[Path.cwd()]) == Path("new.mp4")


@pytest.mark.parametrize("current", [".", "", "..", "deeper/.."])
def test_the_current_folder_is_never_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, current: str) -> None:
    (tmp_path / "empty" / "deeper").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "empty")
    with pytest.raises(MediaError, match="is the current folder or holds it"):
        check_output(current)


def make_socket(path: str) -> None:
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(path)


@pytest.mark.parametrize("name", ["out.mp4", "out.npy", "out"])
@pytest.mark.parametrize(
    ("make", "kind"),
    [(os.mkfifo, "FIFO"), (make_socket, "socket"), (lambda path: Path(path).symlink_to(os.devnull), "device")],
)
def test_special_files_are_refused_by_name(clip: Path, name: str, make: Callable[[str], None], kind: str) -> None:
    make(name)
    with pytest.raises(MediaError, match=rf"{name} is a {kind}, not a file"):
        check_output(name, inputs=[clip])
    with pytest.raises(MediaError, match=rf"{name} is a {kind}, not a file"):
        check_results_folder(name)


@pytest.mark.parametrize("name", ["-", "/dev/stdout", "/dev/fd/1", "/proc/self/fd/1"])
def test_streams_are_refused(name: str) -> None:
    for check in (check_output, check_results_folder, check_new_folder):
        with pytest.raises(MediaError, match="stream"):
            check(name)


@pytest.mark.parametrize("name", [".mp4", ".NPZ", "new/.gif"])
def test_a_suffix_alone_is_no_name(tmp_path: Path, name: str) -> None:
    with pytest.raises(MediaError, match="suffix"):
        check_output(tmp_path / name)


def test_only_listed_suffixes_pass(tmp_path: Path) -> None:
    assert check_output(tmp_path / "a.csv", suffixes=(".csv",)).name == "a.csv"
    for name, found in (("a.txt", r"\.txt is not known"), ("a", "it has no suffix")):
        with pytest.raises(MediaError, match=rf"{found}; choose \.csv\.$"):
            check_output(tmp_path / name, suffixes=(".csv",))


def test_a_home_that_does_not_exist_is_no_crash() -> None:
    with pytest.raises(MediaError, match=r"holds|\.txt"):
        check_output("~nosuchuser/a.txt")


@pytest.mark.parametrize("name", ["a.mp4", "a.GIF", "new/folders/a.npy", "a.npz", "frames"])
def test_known_outputs_pass(tmp_path: Path, name: str) -> None:
    assert check_output(tmp_path / name) == tmp_path / name
    assert list(tmp_path.iterdir()) == []


def test_output_is_checked(tmp_path: Path) -> None:
    (tmp_path / "a.mp4").mkdir()
    (tmp_path / "file").write_text("x")
    (tmp_path / "results").mkdir()
    (tmp_path / "results" / "thesis.tex").touch()
    for name, sentence in {
        "a.mpg": "because .mpg is not known; choose .mp4, .gif, .npy or .npz, or no suffix for a folder",
        "a.mp4": "is a folder, not a file",
        "file": "is a file where a folder of frames would be written",
        "file/a.mp4": "file is a file, not a folder",
        "results": "holds thesis.tex, which writing frames would delete",
    }.items():
        with pytest.raises(MediaError, match=sentence):
            check_output(tmp_path / name)


def test_a_folder_of_results_may_hold_other_things_or_not_exist_yet(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    for folder in (tmp_path, tmp_path / "new" / "folders"):
        assert check_results_folder(folder) == folder
    for name in ("file", "file/new"):
        with pytest.raises(MediaError, match=r"file is a file, not a folder; choose another place\.$"):
            check_results_folder(tmp_path / name)
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_an_older_folder_of_frames_may_be_replaced_but_no_pictures_of_others(tmp_path: Path) -> None:
    frame = encode_png(torch.zeros(1, 2, 2, dtype=torch.uint8))
    (tmp_path / "0000.png").write_bytes(mark_frame(frame))
    assert check_output(tmp_path) == tmp_path
    for other in (frame, b"", frame[:20]):
        (tmp_path / "0001.png").write_bytes(other)
        with pytest.raises(MediaError, match=r"holds 0001\.png, which writing frames would delete; name a new folder"):
            check_output(tmp_path)
    (tmp_path / "0001.png").unlink()
    (tmp_path / "0001.png").mkdir()
    with pytest.raises(MediaError, match="would delete"):
        check_output(tmp_path)


def test_the_home_folder_is_looked_up_in_one_way() -> None:
    """``Path.expanduser`` raises a RuntimeError where there is no such user."""
    package = Path(framepred.__file__).parent
    users = [file for file in package.rglob("*.py") if ".expanduser(" in file.read_text("utf-8")]
    assert users == [package / "media/paths.py"]
    assert expand_user("~no such user/a.npy") == Path("~no such user/a.npy")
    assert expand_user("~/a.npy") == Path.home() / "a.npy"
