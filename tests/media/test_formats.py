import subprocess
import sys
from pathlib import Path

import pytest

from framepred.errors import MediaError
from framepred.media.formats import check_input, frame_files, is_live, natural_key


def test_natural_order() -> None:
    names = ["frame10.png", "frame2.png", "Frame1.png", "10.png", "9.png", "frame2b1.png"]
    assert sorted(names, key=natural_key) == [
        "9.png",
        "10.png",
        "Frame1.png",
        "frame2.png",
        "frame2b1.png",
        "frame10.png",
    ]


def test_frames_of_a_folder_pass_over_hidden_and_foreign_files(tmp_path: Path) -> None:
    for name in ("b10.png", "b9.JPG", "._b1.png", "notes.txt"):
        (tmp_path / name).touch()
    assert [file.name for file in frame_files(tmp_path)] == ["b9.JPG", "b10.png"]


@pytest.mark.parametrize(
    ("source", "live"), [("0", True), ("rtsp://host/1", True), ("clip.mp4", False), ("./0", False), ("", False)]
)
def test_cameras_and_urls_are_live(source: str, live: bool) -> None:
    assert is_live(source) is live


def test_input_is_checked(tmp_path: Path) -> None:
    text, empty, video, bare = (tmp_path / name for name in ("notes.txt", "empty.mp4", "CLIP.MP4", "bare"))
    for file in (text, video, bare):
        file.write_text("x")
    empty.touch()
    (tmp_path / "folder").mkdir()
    assert check_input(str(video)) == video
    for path, sentence in {
        tmp_path / "gone.mp4": "gone.mp4 does not exist; check the path.",
        text: "because .txt is not known; give .mp4, .avi, .mov, .mkv, .webm, .gif, .npy, .npz, .h5, .hdf5 or .zarr",
        bare: "because it has no suffix",
        empty: "is an empty file of 0 bytes",
        tmp_path / "folder": "holds no frames; put .png, .jpg, .jpeg, .tif or .tiff files in it",
    }.items():
        with pytest.raises(MediaError, match=sentence):
            check_input(path)


def test_checks_import_neither_torch_nor_opencv() -> None:
    modules = "framepred.media.formats, framepred.media.outputs"
    code = f"import sys, {modules}; print({{'torch', 'cv2', 'numpy', 'av'}} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"
