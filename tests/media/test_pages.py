"""Picture files of several frames are clips."""

from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image, features
from torch import Tensor

from framepred.errors import MediaError
from framepred.media.formats import check_input, frame_files, is_folder_of_clips
from framepred.media.images import encode_png, folder_frames
from framepred.media.pages import page_frames
from framepred.media.random_access import open_reader
from framepred.media.ranges import ValueRange
from framepred.media.reading import open_frames, read_clips, read_video


def noise(frames: int = 5, channels: int = 3, dtype: type = np.uint8) -> np.ndarray:
    shape = (frames, 6, 8, 3) if channels == 3 else (frames, 6, 8)
    return np.random.default_rng(0).integers(0, np.iinfo(dtype).max + 1, shape).astype(dtype)


def write_pages(path: Path, frames: np.ndarray, **options: Any) -> Path:
    pictures = [Image.fromarray(frame) for frame in frames]
    pictures[0].save(path, save_all=True, append_images=pictures[1:], **options)
    return path


def write_gif(path: Path, durations: list[int]) -> None:
    frames = [Image.new("RGB", (8, 6), (20 * step, 0, 0)) for step in range(len(durations))]
    frames[0].save(path, save_all=True, append_images=frames[1:], duration=durations)


def assert_reads(path: Path, expected: Tensor) -> None:
    """The same frames whole, from the end, in order and by number."""
    assert torch.equal(torch.stack(list(open_frames(path).frames)), expected)
    assert torch.equal(read_clips(path, last=2).clips[0], expected[-2:])
    with closing(open_reader(path)) as reader:
        assert reader.frames == len(expected)
        for numbers in (range(3, 4), range(0, len(expected), 2), range(1)):
            assert torch.equal(
                torch.stack(list(reader.read(numbers))), expected[numbers.start : numbers.stop : numbers.step]
            )


@pytest.mark.parametrize("suffix", [".tif", ".png", ".webp"])
def test_color_pages_are_frames(tmp_path: Path, suffix: str) -> None:
    options = {".webp": {"lossless": True, "duration": 40}, ".png": {"duration": 40}}.get(suffix, {})
    frames = noise()
    path = write_pages(tmp_path / f"a{suffix}", frames, **options)
    assert_reads(path, torch.from_numpy(frames).permute(0, 3, 1, 2))
    assert page_frames(path).fps == (10 if suffix == ".tif" else 25)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("compression", [None, "tiff_lzw", "tiff_adobe_deflate"])
def test_gray_tiff_pages_keep_their_bits(tmp_path: Path, dtype: type, compression: str | None) -> None:
    frames = noise(channels=1, dtype=dtype)
    path = write_pages(tmp_path / "a.tif", frames, **({"compression": compression} if compression else {}))
    assert_reads(path, torch.from_numpy(frames)[:, None])


def test_float_pages_take_a_range(tmp_path: Path) -> None:
    frames = np.linspace(220, 280, 5 * 48).reshape(5, 6, 8).astype(np.float32)
    path = write_pages(tmp_path / "a.tif", frames)
    video = read_clips(path, value_range="auto")
    assert video.value_range == ValueRange(220, 280)
    np.testing.assert_allclose(video.value_range.from_unit(video.clips)[0, :, 0].numpy(), frames, rtol=1e-6)


@pytest.mark.parametrize(
    ("description", "shape", "note"),
    [
        ("ImageJ=1.53\nimages=6\nframes=6\n", (6, 1), False),
        ("ImageJ=1.53\nimages=6\nslices=6\n", (6, 1), True),
        ("ImageJ=1.53\nimages=6\nchannels=2\nframes=3\n", (3, 2), False),
        ('<OME><Image><Pixels DimensionOrder="XYCZT" SizeC="2" SizeT="3" SizeZ="1"/></Image></OME>', (3, 2), False),
        ('<OME><Image><Pixels DimensionOrder="XYTCZ" SizeC="2" SizeT="3" SizeZ="1"/></Image></OME>', (3, 2), False),
        ('<OME><Image><Pixels DimensionOrder="XYZCT" SizeC="1" SizeT="6" SizeZ="1"/></Image></OME>', (6, 1), False),
        ("a plain text", (6, 1), False),
    ],
)
def test_stated_axes(tmp_path: Path, description: str, shape: tuple[int, int], note: bool) -> None:
    frames = noise(6, channels=1)
    path = write_pages(tmp_path / "a.tif", frames, tiffinfo={270: description})
    video = read_clips(path)
    assert video.clips.shape[1:3] == shape
    order = np.arange(6).reshape(2, 3).T.reshape(-1) if "XYTCZ" in description else np.arange(6)
    assert np.array_equal(video.clips.reshape(6, 6, 8).numpy(), frames[order])
    assert any("depths" in sentence for sentence in video.notes) == note


def test_times_and_depths_at_once_are_refused(tmp_path: Path) -> None:
    description = "ImageJ=1.53\nimages=6\nslices=2\nframes=3\n"
    path = write_pages(tmp_path / "a.tif", noise(6, channels=1), tiffinfo={270: description})
    with pytest.raises(MediaError, match="holds 3 times of 2 depths; save one depth or a projection"):
        read_video(path)


def test_reduced_copies_in_a_tiff_are_no_frames(tmp_path: Path) -> None:
    whole, small = Image.new("L", (64, 48), 9), Image.new("L", (32, 24), 9)
    small.encoderinfo = {"tiffinfo": {254: 1}}
    whole.save(tmp_path / "a.tif", save_all=True, append_images=[small])
    assert frame_files(tmp_path) == [tmp_path / "a.tif"]


def test_gif_durations_become_a_mean_rate(tmp_path: Path) -> None:
    steady_ones = {(40,) * 5: 25, (30, 40, 30): 30, (0, 0): 10, (10, 10): 10}
    for durations, fps in {**steady_ones, (100, 300): 5}.items():
        write_gif(tmp_path / "a.gif", list(durations))
        stream = page_frames(tmp_path / "a.gif")
        assert stream.fps == pytest.approx(fps)
        assert stream.steady is (durations in steady_ones)
        frames = torch.stack(list(stream.frames))
        assert frames.shape == (len(durations), 3, 6, 8)
        assert frames[:, 0, 0, 0].tolist() == [20 * step for step in range(len(durations))]


def test_transparency_is_laid_on_black(tmp_path: Path) -> None:
    image = Image.new("RGBA", (8, 6), (255, 255, 255, 0))
    image.paste((200, 100, 50, 255), (0, 0, 4, 6))
    for name, options in {"a.gif": {}, "a.png": {}, "a.webp": {"lossless": True}}.items():
        image.save(tmp_path / name, save_all=True, append_images=[Image.new("RGBA", (8, 6))], **options)
        frame = next(iter(page_frames(tmp_path / name).frames))
        assert frame[:, 0, 0].tolist() == [200, 100, 50]
        assert (frame[:, :, 4:] == 0).all()


@pytest.mark.parametrize("suffix", [".gif", ".tif", ".png", ".webp"])
def test_truncated_files_are_named(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a{suffix}"
    write_pages(path, np.random.default_rng(0).integers(0, 256, (3, 32, 32, 3), dtype=np.uint8))
    whole = path.read_bytes()
    for length in (4, len(whole) // 3, len(whole) * 2 // 3):
        path.write_bytes(whole[:length])
        with pytest.raises(MediaError, match=rf"a\{suffix} (is damaged or is not|is a single picture)"):
            read_video(path)


def test_a_gif_of_false_size_takes_no_memory(tmp_path: Path) -> None:
    write_gif(tmp_path / "a.gif", [40, 40])
    content = bytearray((tmp_path / "a.gif").read_bytes())
    content[6:10] = (12000).to_bytes(2, "little") * 2
    (tmp_path / "a.gif").write_bytes(content)
    with pytest.raises(MediaError, match="frames of 12000×12000 pixels but at most 67 million are read"):
        read_video(tmp_path / "a.gif")


def test_folders_of_paged_files(tmp_path: Path) -> None:
    """One such file alone is the clip, several are several clips; single pictures beside them are frames."""
    frames = noise(channels=1)
    first = write_pages(tmp_path / "one.tif", frames)
    assert check_input(tmp_path) == first
    assert not is_folder_of_clips(tmp_path)
    assert torch.equal(read_video(tmp_path), torch.from_numpy(frames)[:, None])
    write_pages(tmp_path / "two.png", noise())
    assert is_folder_of_clips(tmp_path)
    assert frame_files(tmp_path) == []
    (tmp_path / "single.png").write_bytes(encode_png(torch.zeros(1, 6, 8, dtype=torch.uint8)))
    assert frame_files(tmp_path) == [tmp_path / "single.png"]
    assert not is_folder_of_clips(tmp_path)


def test_a_single_picture_is_no_clip(tmp_path: Path) -> None:
    Image.new("L", (8, 8)).save(tmp_path / "a.tif")
    with pytest.raises(MediaError, match=r"a\.tif is a single picture, not a clip; give a folder of pictures"):
        check_input(tmp_path / "a.tif")


def test_an_animated_avif_is_a_clip_and_a_still_one_a_frame(tmp_path: Path) -> None:
    if not features.check("avif"):
        pytest.skip("this Pillow has no AVIF")
    frames = np.repeat(np.arange(40, 240, 40, dtype=np.uint8), 16 * 16 * 3).reshape(5, 16, 16, 3)
    path = write_pages(tmp_path / "anim.avif", frames, duration=100, quality=95)
    clip = read_video(path)
    assert len(clip) == 5
    assert (clip.float().mean(dim=(1, 2, 3)) - torch.arange(40.0, 240, 40)).abs().max() < 6
    with closing(open_reader(path)) as reader:
        assert torch.equal(next(reader.read(range(3, 4)))[0], clip[3, 0])
    (tmp_path / "stills").mkdir()
    Image.fromarray(frames[0]).save(tmp_path / "stills" / "0.avif")
    assert [file.name for file in frame_files(tmp_path / "stills")] == ["0.avif"]


def test_several_series_of_one_file_are_said(tmp_path: Path) -> None:
    series = '<Image><Pixels DimensionOrder="XYCZT" SizeC="1" SizeZ="1" SizeT="{}"/></Image>'
    description = f"<OME>{series.format(3)}{series.format(2)}</OME>"
    path = write_pages(tmp_path / "two.ome.tif", noise(5, 1), description=description)
    stream = page_frames(path)
    assert len(list(stream.frames)) == 5
    assert any("holds 2 series; they are read as one clip of 5 frames" in note for note in stream.notes)


def test_clips_beside_the_pictures_of_a_folder_are_said(tmp_path: Path) -> None:
    for number, frame in enumerate(noise(3)):
        Image.fromarray(frame).save(tmp_path / f"{number}.png")
    assert not folder_frames(tmp_path).notes
    write_pages(tmp_path / "stack.tif", noise(3))
    (tmp_path / "film.mp4").touch()
    (note,) = folder_frames(tmp_path).notes
    assert "also holds clips, film.mp4, stack.tif, which are not read" in note


def test_a_folder_without_clips_is_no_folder_of_clips(tmp_path: Path) -> None:
    (tmp_path / "picture.jp2").touch()
    assert not is_folder_of_clips(tmp_path)
    with pytest.raises(MediaError, match="or pictures that make a clip"):
        check_input(tmp_path)
    (tmp_path / "camera").mkdir()
    assert is_folder_of_clips(tmp_path)


@pytest.mark.parametrize(
    ("sizes", "sentence"),
    [
        ([(8, 6), (6, 8)], "pages of 8×6 pixels with 1 channel and of 6×8 pixels with 1 channel;"),
        (["L", "RGB"], "pages of 8×6 pixels with 1 channel and of 8×6 pixels with 3 channels;"),
    ],
)
def test_pages_that_differ_are_refused_with_both_shapes(tmp_path: Path, sizes: list[Any], sentence: str) -> None:
    pictures = [Image.new(kind, (8, 6)) if isinstance(kind, str) else Image.new("L", kind) for kind in sizes]
    pictures[0].save(tmp_path / "a.tif", save_all=True, append_images=pictures[1:])
    with pytest.raises(MediaError, match=sentence):
        list(page_frames(tmp_path / "a.tif").frames)
