"""Every file that cannot be used gets its sentence, and what was found once is not looked for again."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
import pytest
import torch
from PIL import Image

from framepred.data import VideoFolder
from framepred.data import video_index as indexing
from framepred.data.video_index import VideoIndex
from framepred.errors import ConfigError, DataError
from framepred.media.writing import write_video


def clip(frames: int = 12, seed: int = 0) -> torch.Tensor:
    return torch.randint(0, 256, (frames, 3, 16, 24), dtype=torch.uint8, generator=torch.Generator().manual_seed(seed))


def pictures(folder: Path, numbers: list[int], name: str = "{:04}.tif") -> None:
    folder.mkdir()
    for number in numbers:
        Image.fromarray(np.full((16, 24), number % 1000, np.uint16)).save(folder / name.format(number))


def truncated_at_its_header(path: Path) -> None:
    write_video(path, clip())
    path.write_bytes(path.read_bytes()[:20])


def truncated_in_its_frames(path: Path) -> None:
    whole = path.with_suffix(".whole.mp4")
    write_video(whole, clip(40))
    with av.open(str(whole)) as source, av.open(str(path), "w", options={"movflags": "faststart"}) as target:
        stream = target.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(video=0):
            if packet.size:
                packet.stream = stream
                target.mux(packet)
    whole.unlink()
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def unreadable(path: Path) -> None:
    write_video(path, clip())
    path.chmod(0)


def damaged_picture(path: Path) -> None:
    pictures(path, [0, 1, 2, 3, 4])
    (path / "0000.tif").write_bytes(b"no picture")


def of_two_sizes(path: Path) -> None:
    pictures(path, [0, 1, 2, 3, 4])
    Image.fromarray(np.zeros((9, 9), np.uint16)).save(path / "0003.tif")


BROKEN: dict[str, tuple[str, Callable[[Path], object], str]] = {
    "empty": ("e.mp4", Path.touch, r"e\.mp4 is an empty file of 0 bytes; copy or record it again"),
    "text": ("t.mp4", lambda path: path.write_text("words"), r"t\.mp4 holds no video that can be decoded; copy"),
    "cut header": ("c.mp4", truncated_at_its_header, r"c\.mp4 holds no video that can be decoded; copy it again"),
    "cut frames": ("c.mp4", truncated_in_its_frames, r"c\.mp4 (breaks off|is damaged) after "),
    "one frame": ("o.mp4", lambda path: write_video(path, clip(1)), r"o\.mp4 has 1 frame but one clip spans 4; use"),
    "unreadable": ("u.mp4", unreadable, r"u\.mp4 may not be read; check its permissions"),
    "circle": ("loop", lambda path: path.symlink_to(path.parent), r"loop is a symbolic link to a folder above it"),
    "itself": (
        "self.mp4",
        lambda path: path.symlink_to(path),
        r"self\.mp4 is a symbolic link to a missing file; correct",
    ),
    "dangling": (
        "gone",
        lambda path: path.symlink_to("nowhere"),
        r"gone is a symbolic link to a missing file; correct",
    ),
    "missing number": (
        "seq",
        lambda path: pictures(path, [1, 2, 3, 5, 6]),
        r"seq lacks the picture between 0003\.tif and 0005\.tif: number 4 is missing; restore it",
    ),
    "damaged picture": ("seq", damaged_picture, r"0000\.tif is damaged or is not a \.tif picture"),
    "two sizes": ("seq", of_two_sizes, r"0003\.tif is 9×9 but 0000\.tif is 24×16; make all frames of the folder alike"),
    "damaged array": ("a.npy", lambda path: path.write_bytes(b"x"), r"a\.npy is damaged or is not an array of numbers"),
    "no numbers": (
        "a.npy",
        lambda path: np.save(path, np.full((5, 16, 24), np.nan)),
        r"a\.npy holds values that are n",
    ),
    "damaged hdf5": ("a.h5", lambda path: path.write_bytes(b"x"), r"a\.h5 is damaged or is not an HDF5 file"),
}


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("video") / "a.mp4"
    write_video(path, clip())
    return path


@pytest.fixture
def folder(tmp_path: Path, video: Path) -> Path:
    """Three good videos, whose names have spaces, quotes, brackets and Unicode, one of them below a link."""
    root = tmp_path / "my videos"
    root.mkdir()
    (tmp_path / "elsewhere").mkdir()
    (root / "linked").symlink_to(tmp_path / "elsewhere")
    for name in ('it\'s "quoted" [red] 100%d.mp4', "naïve 影片 🎬.mp4", "linked/plain.mp4"):
        shutil.copy(video, root / name)
    return root


@pytest.fixture
def _as_a_user(monkeypatch: pytest.MonkeyPatch) -> None:
    """Permissions count, even where tests run as root."""
    monkeypatch.setattr(os, "access", lambda path, mode: bool(Path(path).stat().st_mode & 0o400))


@pytest.mark.usefixtures("_as_a_user")
@pytest.mark.parametrize("kind", BROKEN)
def test_a_file_that_cannot_be_used_gets_its_sentence(folder: Path, kind: str) -> None:
    name, breaks, sentence = BROKEN[kind]
    breaks(folder / name)
    with pytest.raises(DataError, match=f"^{folder}.*{sentence}.*, or set skip_broken to leave such files out\\.$"):
        VideoFolder(folder, 4)
    clips = VideoFolder(folder, 4, skip_broken=True)
    assert len(clips.left_out) == 1
    assert clips.left_out[0].endswith(".")
    assert len(clips.sources) == len(clips) / 3 == 3
    assert clips[len(clips) - 1].shape == (4, 3, 16, 24)


def test_names_may_hold_anything(folder: Path) -> None:
    assert len(VideoFolder(folder, 4)) == 9


def test_several_broken_files_are_counted(folder: Path) -> None:
    for name in ("x.mp4", "y.mp4", "z.mp4"):
        (folder / name).touch()
    with pytest.raises(DataError, match=r"2 more of the files in .* cannot be used"):
        VideoFolder(folder, 4)
    assert len(VideoFolder(folder, 4, skip_broken=True).left_out) == 3


def test_nothing_usable(tmp_path: Path) -> None:
    (tmp_path / "x.mp4").touch()
    with pytest.raises(DataError, match=r"No file in .* can be used; the first: .*x\.mp4 is an empty file"):
        VideoFolder(tmp_path, 4, skip_broken=True)


def damaged_in_its_midst(path: Path) -> None:
    write_video(path, clip(60))
    content = bytearray(path.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 3000] = bytes(3000)
    path.write_bytes(content)


def test_skipping_finds_damage_in_the_midst(folder: Path) -> None:
    damaged_in_its_midst(folder / "m.mp4")
    clips = VideoFolder(folder, 4, skip_broken=True)
    assert len(clips.left_out) == 1
    assert "m.mp4 is damaged after" in clips.left_out[0]


@pytest.mark.parametrize(
    ("numbers", "name"),
    [
        ([0, 5, 10, 15], "{:03}.tif"),
        ([8, 9, 10, 11], "take2_frame{}_left.tif"),
        ([20200101, 20200105, 20200131], "radar-{}.tif"),
        ([7], "{}.tif"),
    ],
)
def test_sequences_without_a_gap(tmp_path: Path, numbers: list[int], name: str) -> None:
    pictures(tmp_path / "seq", numbers, name)
    assert VideoIndex(tmp_path).problems == ()


def test_names_that_do_not_count(tmp_path: Path) -> None:
    (tmp_path / "seq").mkdir()
    for name in ("left 1", "right 7", "12h05", "13h10"):
        Image.new("L", (8, 8)).save(tmp_path / "seq" / f"{name}.png")
    assert VideoIndex(tmp_path).problems == ()


def test_what_was_found_is_kept_until_the_file_changes(
    folder: Path, empty_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = {path: path.stat() for path in folder.rglob("*")}
    looked: list[str] = []
    survey = indexing.map_video
    monkeypatch.setattr(indexing, "map_video", lambda path, *rest: looked.append(path.name) or survey(path, *rest))
    first = VideoIndex(folder)
    assert len(looked) == 3
    assert VideoIndex(folder).sources == first.sources
    assert len(looked) == 3
    write_video(folder / "linked" / "plain.mp4", clip(7))
    assert [source.frames for source in VideoIndex(folder).sources] == [12, 7, 12]
    assert looked[3:] == ["plain.mp4"]
    assert set(before) == set(folder.rglob("*"))
    assert len(list(empty_cache.rglob("*.npy"))) == 3


def test_kept_maps_spare_the_second_look(folder: Path, empty_cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clips = VideoFolder(folder, 4)
    monkeypatch.setattr("framepred.media.random_access.map_video", lambda *_: pytest.fail("looked again"))
    assert len(list(clips)) == 9


@pytest.mark.parametrize("content", ["", "[{}]", "not json", '[{"stamp": 3}]'])
def test_a_damaged_cache_is_no_harm(folder: Path, empty_cache: Path, content: str) -> None:
    found = VideoIndex(folder).sources
    for file in empty_cache.rglob("*.*"):
        file.write_text(content)
    assert VideoIndex(folder).sources == found
    assert len(list(VideoFolder(folder, 4))) == 9


def test_a_cache_that_cannot_be_written_is_no_harm(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setattr(indexing, "cache_folder", lambda: tmp_path / "file")
    assert len(list(VideoFolder(folder, 4))) == 9


@pytest.mark.parametrize("suffix", [".tif", ".png", ".webp"])
def test_pictures_of_several_frames_are_clips(tmp_path: Path, suffix: str) -> None:
    """Two files of five frames each, in a folder, beside a sequence of single pictures in another one."""
    for name in ("one", "two"):
        frames = [Image.fromarray(frame) for frame in clip(5, seed=len(name)).permute(0, 2, 3, 1).numpy()]
        frames[0].save(tmp_path / f"{name}{suffix}", save_all=True, append_images=frames[1:], lossless=True)
    pictures(tmp_path / "seq", [1, 2, 3, 4])
    clips = VideoFolder(tmp_path, 4, fit="crop", size=(16, 24), channels=1)
    found = [(source.name, source.clips, source.frames) for source in clips.sources]
    assert found == [(f"one{suffix}", 1, 5), ("seq", 1, 4), (f"two{suffix}", 1, 5)]
    assert clips[0].float().std(dim=0).min() > 0 or clips[0].float().std(dim=0).mean() > 10  # other pixels each frame


def test_single_pictures_beside_one_of_several_frames_are_a_source_too(tmp_path: Path) -> None:
    pictures(tmp_path / "mixed", [1, 2, 3])
    pages = [Image.fromarray(np.full((16, 24), page, np.uint16)) for page in range(4)]
    pages[0].save(tmp_path / "mixed" / "stack.tif", save_all=True, append_images=pages[1:])
    found = [(source.name, source.frames) for source in VideoIndex(tmp_path).sources]
    assert found == [("mixed", 3), ("mixed/stack.tif", 4)]


def test_several_series_in_a_folder_are_said(tmp_path: Path) -> None:
    pictures(tmp_path / "cams", [1, 2, 3], "cam1_{:04}.tif")
    for file in list((tmp_path / "cams").iterdir()):
        file.with_name(file.name.replace("cam1", "cam2")).write_bytes(file.read_bytes())
    for _ in range(2):  # the second time from the cache
        (source,) = VideoIndex(tmp_path).sources
        assert len(source.notes) == 1
        assert "2 numbered series, cam1_# (3 files), cam2_# (3 files)" in source.notes[0]


def saved(folder: Path, **arrays: np.ndarray) -> Path:
    folder.mkdir()
    for name, array in arrays.items():
        np.save(folder / f"{name}.npy", array)
    return folder


KELVIN = np.linspace(200, 300, 6 * 4 * 5, dtype=np.float32).reshape(6, 4, 5)
TWELVE_BITS = np.linspace(0, 4000, 6 * 4 * 5).astype(np.uint16).reshape(6, 4, 5)


def test_one_range_scales_the_values_of_all_files(tmp_path: Path) -> None:
    clips = VideoFolder(saved(tmp_path / "a", one=KELVIN, two=KELVIN + 100), 6)
    assert clips.value_range is not None
    assert (clips.value_range.low, clips.value_range.high) == (200, 400)
    torch.testing.assert_close(clips[0][:, 0], torch.from_numpy((KELVIN - 200) / 200))
    torch.testing.assert_close(clips[1][:, 0], torch.from_numpy((KELVIN - 100) / 200))
    torch.testing.assert_close(VideoFolder(tmp_path / "a", 6)[1], clips[1])  # from the cache


def test_twelve_bits_in_sixteen_are_not_black(tmp_path: Path) -> None:
    clips = VideoFolder(saved(tmp_path / "a", one=TWELVE_BITS, two=TWELVE_BITS // 100), 6)
    torch.testing.assert_close(clips[0][:, 0], torch.from_numpy(TWELVE_BITS / 4095).float())
    torch.testing.assert_close(clips[1][:, 0], torch.from_numpy(TWELVE_BITS // 100 / 4095).float())


def test_a_range_can_be_given(tmp_path: Path) -> None:
    clips = VideoFolder(saved(tmp_path / "a", one=KELVIN), 6, value_range="150,350")
    torch.testing.assert_close(clips[0][:, 0], torch.from_numpy((KELVIN - 150) / 200))
    with pytest.raises(ConfigError, match="range of values is auto or two numbers"):
        VideoFolder(tmp_path / "a", 6, value_range="low,high")


@pytest.mark.parametrize("stated", [{"value_range": "0,5"}, {"layout": "thw"}, {"array_name": "a"}])
def test_what_no_file_of_the_folder_can_have_is_refused(stated: dict[str, str], tmp_path: Path) -> None:
    write_video(tmp_path / "a.mp4", clip())
    with pytest.raises(ConfigError, match=r"is for arrays.* is none; leave it out"):
        VideoFolder(tmp_path, 4, **stated)


def test_a_range_is_for_those_files_of_a_folder_that_have_one(tmp_path: Path) -> None:
    write_video(tmp_path / "a.mp4", clip())
    np.save(tmp_path / "b.npy", clip().numpy().astype(np.uint16) * 16)
    film, array = VideoFolder(tmp_path, 12, value_range="0,4095")
    assert torch.equal(film, VideoFolder(tmp_path, 12, value_range="auto")[0])
    torch.testing.assert_close(array, clip().float() * 16 / 4095)


def test_values_within_the_range_of_their_type_are_kept(tmp_path: Path) -> None:
    sixteen = TWELVE_BITS * 16
    root = saved(tmp_path / "a", one=sixteen, two=KELVIN / 400, three=(TWELVE_BITS // 16).astype(np.uint8))
    clips = VideoFolder(root, 6)
    assert clips.value_range is None
    torch.testing.assert_close(clips[0][:, 0], torch.from_numpy(sixteen / 65535).float())
