import socket
import subprocess
import sys
import types
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from framepred.errors import MediaError
from framepred.media.fetching import local_path
from framepred.media.formats import (
    check_input,
    frame_files,
    input_stem,
    is_live,
    is_url,
    natural_key,
    stated_path,
    url_of,
)
from framepred.media.images import encode_png
from framepred.media.reading import read_video


def test_natural_order() -> None:
    names = ["frame10.png", "frame2.png", "Frame1.png", "10.png", "9.png", "frame2b1.png", "frame１１.png"]
    assert sorted(names, key=natural_key) == [
        "9.png",
        "10.png",
        "Frame1.png",
        "frame2.png",
        "frame2b1.png",
        "frame10.png",
        "frame１１.png",  # digits of other scripts count, too
    ]


def test_frames_of_a_folder_pass_over_hidden_and_foreign_files(tmp_path: Path) -> None:
    for name in ("b10.png", "b9.JPG", "._b1.png", "notes.txt"):
        (tmp_path / name).touch()
    assert [file.name for file in frame_files(tmp_path)] == ["b9.JPG", "b10.png"]


@pytest.mark.parametrize(
    ("source", "live"),
    [
        ("0", True),
        ("rtsp://host/1", True),
        ("clip.mp4", False),
        ("./0", False),
        ("", False),
        ("file:///a.mp4", False),
    ],
)
def test_cameras_and_urls_are_live(source: str, live: bool) -> None:
    assert is_live(source) is live


@pytest.mark.parametrize("name", ["0", "01", "http:"])
def test_an_existing_path_is_a_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.chdir(tmp_path)
    assert is_live("01")
    (tmp_path / name / "host").mkdir(parents=True)
    encoded = encode_png(torch.zeros(1, 8, 8, dtype=torch.uint8))
    (tmp_path / name / "0.png").write_bytes(encoded)
    (tmp_path / name / "host" / "0.png").write_bytes(encoded)
    source = "http://host" if name == "http:" else name
    assert not is_live(source)
    assert not is_url(source)
    assert check_input(source) == Path(source)
    assert read_video(source).shape == (1, 1, 8, 8)


@pytest.mark.parametrize(
    ("source", "url"),
    [
        ("http://host/a//b.mp4?x=1", "http://host/a//b.mp4?x=1"),
        (Path("https://host/a.mp4"), "https://host/a.mp4"),
        (Path("file:///tmp/a.mp4"), "file:///tmp/a.mp4"),
    ],
)
def test_addresses_survive_a_path(source: str | Path, url: str) -> None:
    assert is_url(source)
    assert url_of(source) == url
    assert input_stem(source) in ("a", "b")


@pytest.mark.parametrize("source", ["http://[", "https://[::1/a.mp4", "rtsp://[", "http://\u2100/a.mp4"])
@pytest.mark.parametrize("use", [check_input, input_stem, is_live, read_video, local_path])
def test_half_an_address_is_one_sentence(source: str, use: Callable[[str], object]) -> None:
    with pytest.raises(MediaError, match=r" is no address \([^\n]+\); check how it is written\.$"):
        use(source)


def test_what_is_no_file_is_refused_by_its_right_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("a.mp4")
        for source, sentence in {
            "rtsp://host/1": "rtsp://host/1 is a live stream, which has no end; follow it with stream",
            "s3://bucket/a.mp4": "s3 is not known; give an http or https address",
            "0": "0 does not exist; check the path. Only stream and watch read cameras by number",
            "/dev/zero": "/dev/zero is a device, not a file",
            "a.mp4": "a.mp4 is a socket, not a file",
            "x" * 5000: "does not exist",
            "a\0b.mp4": "does not exist",
            "~nobody-of-this-name/a.mp4": "does not exist",
        }.items():
            with pytest.raises(MediaError, match=sentence):
                check_input(source)


@pytest.mark.parametrize("suffix", [".dcm", ".mat", ".m3u8", ".pt"])
def test_known_foreign_kinds_get_advice(tmp_path: Path, suffix: str) -> None:
    (tmp_path / f"a{suffix}").write_text("x")
    with pytest.raises(MediaError, match=rf"because \{suffix} is not known; (save|name) .*\.$"):
        check_input(tmp_path / f"a{suffix}")


def test_a_terminal_is_no_video(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", types.SimpleNamespace(isatty=lambda: True))
    with pytest.raises(MediaError, match="Standard input is a terminal, not a video; pipe a video"):
        check_input("-")


def test_input_is_checked(tmp_path: Path) -> None:
    text, empty, video, bare = (tmp_path / name for name in ("notes.txt", "empty.mp4", "CLIP.MP4", "bare"))
    for file in (text, video, bare):
        file.write_text("x")
    empty.touch()
    (tmp_path / "folder").mkdir()
    assert check_input(str(video)) == video
    for path, sentence in {
        tmp_path / "gone.mp4": "gone.mp4 does not exist; check the path.",
        text: r"because .txt is not known; give a video such as .mp4, .* or a folder of pictures\.$",
        bare: "because it has no suffix; give a video",
        empty: "is an empty file of 0 bytes",
        tmp_path / "folder": "holds no videos, arrays or pictures that make a clip; put some in it",
    }.items():
        with pytest.raises(MediaError, match=sentence):
            check_input(path)
    for name in ("b10.mp4", "b9.npy"):
        (tmp_path / "folder" / name).write_text("x")
    with pytest.raises(MediaError, match=r"folder holds 2 clips where one is wanted; name one, such as .*b9\.npy\.$"):
        check_input(tmp_path / "folder")


def test_checks_import_neither_torch_nor_opencv() -> None:
    modules = "framepred.media.formats, framepred.media.outputs"
    code = f"import sys, {modules}; print({{'torch', 'cv2', 'numpy', 'av'}} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"


@pytest.mark.parametrize("written", ["./-", ".//-"])
def test_a_file_of_the_name_of_standard_input_is_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, written: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "-").mkdir()
    (tmp_path / "-" / "0.png").write_bytes(encode_png(torch.zeros(1, 4, 4, dtype=torch.uint8)))
    for source in (written, stated_path(written)):
        assert check_input(source) == tmp_path / "-"
        assert read_video(source).shape == (1, 1, 4, 4)
    assert stated_path("-") == Path("-")


def test_an_empty_path_is_not_this_folder() -> None:
    for read in (check_input, stated_path, read_video):
        with pytest.raises(MediaError, match="path of the input is empty"):
            read("")
