"""Gray films with more than 8 bits, as depth cameras, thermal cameras and microscopes write them, keep their values."""

import os
import threading
from contextlib import closing
from pathlib import Path

import av
import pytest
import torch

import framepred
from framepred.clips import to_unit
from framepred.data.video_index import VideoIndex
from framepred.errors import ConfigError
from framepred.media.decoding import file_frames, intact_frames, stream_frames
from framepred.media.random_access import open_reader
from framepred.media.ranges import DefaultRange, RangeChoice, ValueRange
from framepred.media.reading import open_frames, read_clips
from video_zoo import THERMAL, moving_spot, set_display_matrix, write_codec, write_values


@pytest.fixture
def thermal(tmp_path: Path) -> Path:
    """A thermal film."""
    return write_values(tmp_path / "thermal.mkv", moving_spot(*THERMAL))


@pytest.mark.parametrize(
    ("name", "codec", "pixels", "white"),
    [
        ("a.mkv", "ffv1", "gray10le", 1023),
        ("a.avi", "ffv1", "gray12le", 4095),
        ("a.mkv", "ffv1", "gray14le", 16383),
        ("a.mkv", "ffv1", "gray16le", 65535),
        ("a.mov", "png", "gray16be", 65535),
    ],
)
@pytest.mark.parametrize("choice", [None, DefaultRange(), "auto"])
def test_every_way_of_reading_gives_the_values(
    tmp_path: Path, name: str, codec: str, pixels: str, white: int, choice: RangeChoice
) -> None:
    values = moving_spot(white // 8, white)  # black is not the lowest, white is the highest value
    path = write_values(tmp_path / name, values, codec, pixels)
    video = read_clips(path, value_range=choice)
    stored = video.value_range.from_unit(video.clips) if video.value_range else video.clips
    assert torch.equal(stored[0].int(), torch.from_numpy(values).int()[:, None])
    assert to_unit(video.clips).max() == 1
    whole = video.clips[0]
    assert torch.equal(torch.stack(list(open_frames(path, value_range=choice).frames)), whole)
    assert torch.equal(torch.stack(list(intact_frames(path, choice).frames)), whole)
    assert torch.equal(read_clips(path, last=5, value_range=choice).clips[0], whole[-5:])
    with closing(open_reader(path, value_range=choice)) as reader:
        assert reader.value_range == video.value_range
        assert torch.equal(torch.stack(list(reader.read(range(20, 24)))), whole[20:])
        assert torch.equal(torch.stack(list(reader.read(range(3, 12, 4)))), whole[3:12:4])
    stream = stream_frames("a pipe", path.open("rb"), choice)
    stored_stream = torch.stack(list(stream.frames))
    assert torch.allclose(to_unit(stored_stream), to_unit(whole), rtol=0, atol=1e-6)


def test_16_bits_of_which_fewer_are_used_count_as_fewer(thermal: Path) -> None:
    stream = file_frames(thermal, value_range=DefaultRange())
    assert stream.value_range == ValueRange(0, 16383, whole=True)
    assert stream.notes == ()
    found = file_frames(thermal, last=2, value_range=ValueRange(*THERMAL))
    assert [frame.dtype for frame in found.frames] == [torch.float32] * 2
    assert found.value_range == ValueRange(*THERMAL, whole=True)


def test_stated_bits_are_not_guessed(tmp_path: Path) -> None:
    path = write_values(tmp_path / "dark.mkv", moving_spot(10, 200), pixels="gray12le")
    assert file_frames(path, value_range=DefaultRange()).value_range == ValueRange(0, 4095, whole=True)
    learned = ValueRange(0, 300)
    found = file_frames(path, value_range=DefaultRange(learned)).value_range
    assert found is not None
    assert (found.low, found.high) == (0, 300)


def test_a_pipe_has_the_range_of_its_type_or_a_stated_one(thermal: Path) -> None:
    stream = stream_frames("standard input", thermal.open("rb"), DefaultRange())
    assert "values 0 to 65535 of standard input become black to white" in " ".join(stream.notes)
    assert next(stream.frames).dtype == torch.uint16
    ranged = stream_frames("standard input", thermal.open("rb"), ValueRange(*THERMAL))
    assert ranged.notes == ()
    assert float(max(frame.max() for frame in ranged.frames)) == 1


def test_the_display_matrix_turns_values(tmp_path: Path) -> None:
    path = write_values(tmp_path / "a.mov", moving_spot(*THERMAL), "png", "gray16be")
    stored = torch.stack(list(file_frames(path).frames)).int()
    set_display_matrix(path, (0, 1, -1, 0))
    assert torch.equal(torch.stack(list(file_frames(path).frames)).int(), stored.transpose(-2, -1).flip(-1))


def test_damage_is_looked_for_in_values(thermal: Path) -> None:
    restoration = framepred.restore(thermal, find=True, method="linear")
    assert restoration.value_range == ValueRange(0, 16383, whole=True)
    assert torch.equal(restoration.frames[:, 0].mul(16383).round().int(), torch.from_numpy(moving_spot(*THERMAL)).int())


def test_a_folder_of_films_has_one_range(thermal: Path, tmp_path: Path) -> None:
    index = VideoIndex(tmp_path, value_range="auto")
    assert index.value_range == ValueRange(0, 16383)
    (source,) = index.sources
    assert (source.channels, source.dtype) == (1, "float32")
    stated = VideoIndex(tmp_path, value_range=ValueRange(*THERMAL))
    with closing(stated.open(stated.sources[0])) as reader:
        assert float(max(frame.max() for frame in reader.read(range(24)))) == 1


@pytest.mark.parametrize("name", ["bytes.mkv", "bytes.mpg"])
def test_a_range_leaves_films_of_bytes_beside_them_as_they_are(thermal: Path, tmp_path: Path, name: str) -> None:
    codec = "mpeg2video" if name == "bytes.mpg" else "libx264"  # the former is read in order alone
    film = write_codec(tmp_path / name, codec, frames=24, size=(33, 46) if codec == "mpeg2video" else (34, 46))
    index = VideoIndex(tmp_path, value_range=ValueRange(*THERMAL))
    assert index.problems == ()
    assert {source.name: source.dtype for source in index.sources} == {name: "uint8", "thermal.mkv": "float32"}
    source = next(source for source in index.sources if source.name == name)
    with closing(index.open(source)) as reader:
        assert torch.equal(torch.stack(list(reader.read(range(24)))), torch.stack(list(file_frames(film).frames)))


def test_a_range_for_a_film_of_bytes_is_refused(tmp_path: Path) -> None:
    path = write_values(tmp_path / "a.mkv", moving_spot(0, 255), pixels="gray16le")
    rgb = tmp_path / "b.mkv"
    with av.open(str(rgb), "w") as container:
        stream = container.add_stream("ffv1", rate=25)
        stream.width, stream.height, stream.pix_fmt = 46, 33, "bgr0"
        container.mux(stream.encode(av.VideoFrame(46, 33, "bgr0")))
        container.mux(stream.encode())
    file_frames(path, value_range=ValueRange(0, 255))
    for read in (file_frames, intact_frames):
        with pytest.raises(ConfigError, match=r"b\.mkv is none"):
            read(rgb, value_range=ValueRange(0, 255))


def test_a_named_pipe_of_values_is_played(thermal: Path, tmp_path: Path) -> None:
    pipe = tmp_path / "pipe.mkv"
    os.mkfifo(pipe)
    writer = threading.Thread(target=lambda: pipe.write_bytes(thermal.read_bytes()), daemon=True)
    writer.start()
    with pipe.open("rb") as stream:
        frames = list(stream_frames("pipe", stream).frames)
    writer.join()
    assert torch.equal(torch.stack(frames)[:, 0].int(), torch.from_numpy(moving_spot(*THERMAL)).int())
