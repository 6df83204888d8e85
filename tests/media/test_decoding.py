"""All ways of reading a video file give the same frames, and a failed decode is never a picture."""

import os
from collections.abc import Iterator
from contextlib import closing
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
import torch
from torch import Tensor

from framepred.errors import MediaError
from framepred.media.decoding import file_frames, read_header, stream_frames
from framepred.media.encoding import VideoWriter
from framepred.media.random_access import open_reader
from framepred.media.reading import open_frames, read_clips
from framepred.media.video_header import keeps_rate
from slow_cases import quick_where
from video_zoo import ZOO, Sample, set_display_matrix, stacked, write_codec

INTERLACED = ("h264-interlaced.mts", "mpeg2-interlaced.mpg", "dv-interlaced.dv", "dv-interlaced.mov")
UNSTEADY = ("h264-variable.mp4", "h264-variable.mkv")
EQUAL_RGB = ("ffv1-gray.mkv", "animation-palette.mov", "raw-palette.mov")
QUICK = (
    "h264-b-frames.mp4", "h264-open-gop.ts", "h264-variable.mkv", "h264-without-times.avi", "hevc-hdr-pq.mp4",
    "av1.mp4", "vp8-hidden-frames.webm", "mpeg1.mpeg", "mpeg2.mxf", "mpeg4.avi", "dv-interlaced.mov",
    "prores-alpha.mov", "png.mov", "ffv1-gray.mkv", "h264.flv", "raw-palette.avi",
)  # fmt: skip
"""One file for each way in which frames are ordered, timed, hidden, converted, described or found."""


@pytest.fixture(scope="module")
def zoo_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("zoo")


@pytest.mark.parametrize(
    "sample", quick_where(lambda sample: sample.name in QUICK, ZOO), ids=lambda sample: sample.name
)
def test_all_reading_paths_give_the_same_frames(zoo_folder: Path, sample: Sample) -> None:
    path = sample.write(zoo_folder)
    stream = open_frames(path)
    truth = stacked(stream.frames)
    written = len(sample.more.get("times", ())) or sample.more.get("frames", 40)
    assert len(truth) == written
    assert len(truth.flatten(1).unique(dim=0)) == written  # the frames differ, so that their order is tested
    for last in (1, 7, written):
        assert torch.equal(stacked(open_frames(path, last=last).frames), truth[-last:]), last
    clips = read_clips(path).clips[0]
    assert torch.equal(clips if sample.name not in EQUAL_RGB else clips.expand(-1, 3, -1, -1), truth)
    with closing(open_reader(path)) as reader:
        assert reader.frames == written
        order = np.random.default_rng(1).permutation(written)[:8].tolist()
        for number in [*order, 0, written - 1, *range(3)]:
            assert torch.equal(stacked(reader.read(range(number, number + 1)))[0], truth[number]), number
        assert torch.equal(stacked(reader.read(range(1, written, 3))), truth[1::3])
    with path.open("rb") as file:
        if not path.suffix.endswith(("mov", "dv", "mxf")):
            assert torch.equal(stacked(stream_frames("pipe", file).frames), truth)
    assert any("interlaced" in note for note in stream.notes) == (sample.name in INTERLACED)
    assert any("HDR" in note for note in stream.notes) == ("hdr" in sample.name)
    assert stream.steady == (sample.name not in UNSTEADY)
    assert stream.fps == pytest.approx(25 if stream.steady else 1000 / np.diff(sample.more["times"]).mean(), rel=0.02)


@pytest.mark.parametrize(
    ("codec", "pixels"),
    [("libx264", "yuv420p"), ("libx264", "yuvj420p"), ("mjpeg", "yuvj420p"), ("prores_ks", "yuv422p10le")],
)
def test_full_and_limited_range_have_the_same_colors(tmp_path: Path, codec: str, pixels: str) -> None:
    path = tmp_path / "a.mov"
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=25)
        stream.width = stream.height = 64
        stream.pix_fmt = pixels
        stream.codec_context.color_range = 2 if pixels == "yuvj420p" else 1
        picture = np.zeros((64, 64, 3), np.uint8)
        picture[:32], picture[32:] = (200, 50, 30), (10, 128, 255)
        frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
        container.mux(stream.encode(frame))
        container.mux(stream.encode())
    (found,) = file_frames(path).frames
    assert (found[:, 8, 8].int() - torch.tensor([200, 50, 30])).abs().max() <= 6
    assert (found[:, 56, 8].int() - torch.tensor([10, 128, 255])).abs().max() <= 6


def luma_ramp(path: Path, codec: str, pixels: str, color_range: int, options: dict[str, str] | None = None) -> Path:
    """Write two frames whose luma is the number of the column, without colour."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=25, options=options or {})
        stream.width, stream.height, stream.pix_fmt = 256, 64, pixels
        stream.codec_context.color_range = color_range
        for number in range(2):
            frame = av.VideoFrame(256, 64, pixels)
            luma, *chroma = frame.planes
            samples = np.arange(256, dtype=np.uint8)
            if pixels == "ya8":
                samples = np.stack([samples, np.full_like(samples, 255)], axis=-1)
            luma.update(np.tile(np.resize(samples, luma.line_size), 64).tobytes())
            for plane in chroma:
                plane.update(bytes([128]) * plane.buffer_size)
            frame.pts, frame.color_range = number, color_range
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


@pytest.mark.parametrize("color_range", [1, 2], ids=["limited", "full"])
@pytest.mark.parametrize(("codec", "pixels"), [("ffv1", "gray"), ("ffv1", "ya8"), ("libx265", "gray")])
def test_gray_has_the_range_that_it_states(tmp_path: Path, codec: str, pixels: str, color_range: int) -> None:
    lossless = {"x265-params": "lossless=1:log-level=none:pools=none"} if codec == "libx265" else {}
    gray = luma_ramp(tmp_path / "gray.mkv", codec, pixels, color_range, lossless)
    colour = luma_ramp(tmp_path / "colour.mkv", "ffv1", "yuv420p", color_range)
    found, expected = (stacked(file_frames(path).frames) for path in (gray, colour))
    assert torch.equal(found, expected)
    assert found[0, 0, 0, [16, 235]].tolist() == ([0, 255] if color_range == 1 else [16, 235])


def test_gray_of_no_stated_range_is_full(tmp_path: Path) -> None:
    (found, _) = file_frames(luma_ramp(tmp_path / "gray.mkv", "ffv1", "gray", 0)).frames
    assert torch.equal(found[0, 0], torch.arange(256, dtype=torch.uint8))


def test_transparency_is_laid_on_black(tmp_path: Path) -> None:
    for codec, pixels in (("prores_ks", "yuva444p10le"), ("qtrle", "argb")):
        frames = stacked(file_frames(write_codec(tmp_path / "a.mov", codec, pixels, frames=2)).frames)
        assert frames[..., :28].max() <= 2
        assert frames[..., 36:].float().mean() > 80


@pytest.mark.parametrize(
    "matrix",
    [(0, 1, -1, 0), (-1, 0, 0, -1), (0, -1, 1, 0), (-1, 0, 0, 1), (1, 0, 0, -1), (0, 1, 1, 0), (0, -1, -1, 0)],
)
def test_the_display_matrix_turns_and_mirrors(tmp_path: Path, matrix: tuple[int, int, int, int]) -> None:
    path = write_codec(tmp_path / "a.mp4", frames=12, options={"g": "4"})
    stored = stacked(file_frames(path).frames)
    set_display_matrix(path, matrix)
    shown = stacked(file_frames(path).frames)
    a, b, c, d = matrix
    _, _, height, width = stored.shape
    row, column = 5, 9  # by the definition x' = a·x + c·y, y' = b·x + d·y, moved into the frame
    x, y = a * column + c * row, b * column + d * row
    x, y = x % (width if a else height), y % (height if d else width)
    if -1 in (a, c):
        x = (x - 1) % (width if a else height)
    if -1 in (b, d):
        y = (y - 1) % (height if d else width)
    assert torch.equal(shown[..., y, x], stored[..., row, column])
    with closing(open_reader(path)) as reader:
        assert torch.equal(stacked(reader.read(range(3, 12, 4))), shown[3::4])
    assert torch.equal(read_clips(path, last=2).clips[0], shown[-2:])


@pytest.mark.parametrize("name", ["cover.mkv", "cover.mp4"])
def test_a_cover_picture_is_not_the_video(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    with av.open(str(path), "w") as container:
        cover, film = container.add_stream("mjpeg", rate=1), container.add_stream("mpeg4", rate=25)
        cover.width, cover.height, cover.pix_fmt = 256, 256, "yuvj420p"
        film.width, film.height, film.pix_fmt = 64, 48, "yuv420p"
        container.mux(cover.encode(av.VideoFrame(256, 256, "yuvj420p")))
        container.mux(cover.encode())
        for level in range(30):
            pixels = np.full((48, 64, 3), 8 * level, np.uint8)
            container.mux(film.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
        container.mux(film.encode())
    assert stacked(open_frames(path).frames).shape == (30, 3, 48, 64)
    assert read_clips(path, last=5).clips.shape[1:] == (5, 1, 48, 64)
    with closing(open_reader(path)) as reader:
        assert reader.frames == 30


def test_an_edit_list_leaves_frames_out_in_all_paths(tmp_path: Path) -> None:
    whole = write_codec(tmp_path / "whole.mp4", frames=50, options={"g": "10", "bf": "2"})
    path = tmp_path / "cut.mp4"
    with av.open(str(whole)) as source, av.open(str(path), "w") as target:
        stream = target.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(video=0):
            if packet.dts is not None:
                packet.pts -= 15 * 512  # the first 15 frames get negative times, which the muxer hides by an edit list
                packet.dts -= 15 * 512
                packet.stream = stream
                target.mux(packet)
    truth = stacked(file_frames(whole).frames)
    shown = stacked(file_frames(path).frames)
    assert 30 <= len(shown) <= 50
    assert torch.equal(shown, truth[-len(shown) :])
    assert torch.equal(read_clips(path, last=4).clips[0], truth[-4:])
    with closing(open_reader(path)) as reader:
        assert torch.equal(stacked(reader.read(range(0, reader.frames, 7))), shown[::7])


BROKEN_OFF = [
    ("a.avi", "mjpeg", "yuvj420p", 0.4),
    ("a.mkv", "libx264", "yuv420p", 0.5),
    ("a.webm", "libvpx-vp9", "yuv420p", 0.7),
    ("a.flv", "flv", "yuv420p", 0.4),
    ("a.avi", "huffyuv", "yuv422p", 0.5),
    ("a.mp4", "libx264", "yuv420p", 0.7),
]
OTHER_SHARES = [(*kind, share) for *kind, quick in BROKEN_OFF for share in (0.4, 0.5, 0.7) if share != quick]


@pytest.mark.parametrize(
    ("name", "codec", "pixels", "kept"), quick_where(BROKEN_OFF.__contains__, BROKEN_OFF + OTHER_SHARES)
)
def test_a_file_that_breaks_off_is_refused(tmp_path: Path, name: str, codec: str, pixels: str, kept: float) -> None:
    path = write_codec(tmp_path / name, codec, pixels, frames=100)
    path.write_bytes(path.read_bytes()[: int(kept * path.stat().st_size)])
    for read in (lambda: list(open_frames(path).frames), lambda: read_clips(path, last=5), lambda: open_reader(path)):
        with pytest.raises(MediaError, match=r"(breaks off after|is damaged|holds no video)"):
            read()


def collect(frames: Iterator[Tensor], given: list[Tensor]) -> None:
    """Keep the frames that come before an error."""
    for frame in frames:
        given.append(frame)


@pytest.mark.parametrize(
    ("name", "codec", "pixels"),
    [
        ("a.avi", "mjpeg", "yuvj420p"),
        ("a.mpg", "mpeg2video", "yuv420p"),
        ("a.avi", "mpeg4", "yuv420p"),
        ("a.mp4", "libx264", "yuv420p"),
        ("a.mov", "png", "rgb24"),
    ],
)
def test_damage_in_the_middle_is_no_picture(tmp_path: Path, name: str, codec: str, pixels: str) -> None:
    """Each frame that is given is the one that was written, until the damage is named."""
    path = write_codec(tmp_path / name, codec, pixels, frames=60)
    truth = stacked(file_frames(path).frames)
    content = bytearray(path.read_bytes())
    middle = len(content) * 2 // 5
    content[middle : middle + 400] = bytes(400)
    path.write_bytes(content)
    given: list[Tensor] = []
    with pytest.raises(
        MediaError,
        match=r"(is damaged.* after \d+ decoded frames|holds no video that can be decoded); copy it again",
    ):
        collect(file_frames(path).frames, given)
    assert all(torch.equal(frame, truth[number]) for number, frame in enumerate(given))


def test_titles_and_names_that_are_not_utf8_are_read(tmp_path: Path) -> None:
    for suffix in (".mp4", ".avi", ".mkv"):
        path = write_codec(tmp_path / f"a{suffix}", "mpeg4", frames=5)
        titled = tmp_path / f"titled{suffix}"
        with av.open(str(path)) as source, av.open(str(titled), "w") as target:
            target.metadata["title"] = "TITLETITLE"
            stream = target.add_stream_from_template(source.streams.video[0])
            for packet in source.demux(video=0):
                if packet.dts is not None:
                    packet.stream = stream
                    target.mux(packet)
        content = titled.read_bytes()
        assert b"TITLETITLE" in content
        titled.write_bytes(content.replace(b"TITLETITLE", b"T\xe9\xff\xfeTLETITL"[:10]))
        odd = Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff\xe9" + suffix.encode()))
        titled.rename(odd)
        assert len(list(open_frames(odd).frames)) == 5
        assert len(read_clips(odd, last=2).clips[0]) == 2
        with closing(open_reader(odd)) as reader:
            assert reader.frames == 5


def test_a_script_or_playlist_under_the_name_of_a_video_reaches_no_other_file(tmp_path: Path) -> None:
    secret = write_codec(tmp_path / "secret.ts", frames=5)
    scripts = [
        f"ffconcat version 1.0\nfile '{secret}'\n",
        f"#EXTM3U\n#EXT-X-TARGETDURATION:5\n#EXTINF:5,\n{secret}\n#EXT-X-ENDLIST\n",
        "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=video 5004 RTP/AVP 96\n",
    ]
    for text in scripts:
        (tmp_path / "a.mp4").write_text(text)
        for read in (open_frames, read_clips, open_reader):
            with pytest.raises(MediaError, match="holds no video that can be decoded"):
                read(tmp_path / "a.mp4")


def test_a_frame_of_false_size_takes_no_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_codec(tmp_path / "a.mp4", frames=3)
    monkeypatch.setattr("framepred.media.limits.MAX_PIXELS", 64 * 48 - 1)
    with pytest.raises(MediaError, match=r"frames of 64×48 pixels but at most .* are read; scale it down"):
        list(open_frames(path).frames)


def write_mp4(path: Path, clip: Tensor, fps: float = 10) -> Path:
    with VideoWriter(path, fps) as writer:
        for frame in clip:
            writer.write(frame)
    return path


def test_channels_are_red_green_and_blue(tmp_path: Path) -> None:
    clip = torch.zeros(6, 3, 32, 32, dtype=torch.uint8)
    clip[:, 0] = torch.arange(6, dtype=torch.uint8).view(-1, 1, 1) * 40
    frames = stacked(file_frames(write_mp4(tmp_path / "a.mp4", clip)).frames)
    assert frames.shape == clip.shape
    assert (frames.int() - clip).abs().max() <= 4


@pytest.mark.parametrize("fps", [30000 / 1001, 0.5, 12.5, 120])
def test_rates_survive(tmp_path: Path, gray: Tensor, fps: float) -> None:
    assert read_header(write_mp4(tmp_path / "a.mp4", gray[:4], fps)).fps == pytest.approx(fps, rel=1e-4)


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv"])
def test_an_unsteady_rate_is_stated_by_its_mean(tmp_path: Path, name: str) -> None:
    header = read_header(write_codec(tmp_path / name, times=[0, 40, 80, 200, 240, 500]))
    assert not header.steady
    assert header.fps == pytest.approx(10, abs=0.01)


PAUSE = [40 * number for number in range(1050)] + [52_000 + 40 * number for number in range(20)]
SLOWER = [round(1000 / 30 * number) for number in range(150)] + [5_000 + round(1000 / 24 * n) for n in range(150)]


@pytest.mark.parametrize("times", [PAUSE, SLOWER], ids=["a pause after many frames", "a slower rate"])
@pytest.mark.parametrize("name", ["a.mp4", "a.mkv"])
def test_frames_of_a_rate_that_changes_keep_their_times(tmp_path: Path, name: str, times: list[int]) -> None:
    path = write_codec(tmp_path / name, times=times, size=(16, 16), options={"preset": "ultrafast"})
    stream = open_frames(path)
    assert stream.times is not None
    found = [seconds for _, seconds in zip(stream.frames, stream.times, strict=False)]
    assert np.abs(np.array(found) - np.array(times) / 1000).max() < 0.5 / 24
    assert not keeps_rate(path)


@pytest.mark.parametrize(
    ("name", "length"),
    [
        *((name, 1001 / 30) for name in ("a.mp4", "a.mkv", "a.ts", "a.avi")),
        ("a.mkv", 1000 / 480),
        ("a.mkv", 1000 / 700),
    ],
)
def test_rounded_time_stamps_are_a_steady_rate(tmp_path: Path, name: str, length: float) -> None:
    times = None if name == "a.avi" else [round(number * length) for number in range(60)]
    path = write_codec(tmp_path / name, times=times, frames=60, size=(16, 16))
    assert keeps_rate(path)
    stream = open_frames(path)
    even = np.arange(60) / stream.fps
    assert stream.steady
    assert [seconds for _, seconds in zip(stream.frames, stream.times or even, strict=False)] == even.tolist()


@pytest.mark.parametrize("name", ["a.mkv", "a.webm", "a.flv", "a.mp4", "a.mov", "a.ts"])
def test_pictures_that_begin_after_the_sound_are_whole(tmp_path: Path, name: str) -> None:
    webm = name == "a.webm"
    with av.open(str(tmp_path / name), "w") as container:
        pictures = container.add_stream("libvpx" if webm else "libx264", rate=25)
        pictures.width, pictures.height, pictures.pix_fmt = 64, 48, "yuv420p"
        sound = container.add_stream("libopus" if webm else "aac", rate=48_000, layout="mono")
        packets = []
        for number in range(50):
            frame = av.VideoFrame.from_ndarray(np.full((48, 64, 3), 5 * number, np.uint8), "rgb24")
            frame.pts, frame.time_base = 25 + number, Fraction(1, 25)
            packets += pictures.encode(frame)
        for first in range(0, 3 * 48_000, 960):
            silence = np.zeros((1, 960), np.float32)
            frame = av.AudioFrame.from_ndarray(silence, "flt" if webm else "fltp", "mono")
            frame.sample_rate, frame.pts, frame.time_base = 48_000, first, Fraction(1, 48_000)
            packets += sound.encode(frame)
        packets += [*pictures.encode(), *sound.encode()]
        for packet in sorted(packets, key=lambda packet: (packet.dts or 0) * packet.time_base):
            container.mux(packet)
    assert len(list(open_frames(tmp_path / name).frames)) == 50
    assert read_clips(tmp_path / name, last=5).clips.shape[1] == 5
    with closing(open_reader(tmp_path / name)) as reader:
        assert reader.frames == 50


def test_more_than_8_bits_are_said(tmp_path: Path) -> None:
    deep = write_codec(tmp_path / "a.mkv", "ffv1", "yuv444p16le", frames=3)
    assert "a.mkv has 16 bits per channel, of which frames keep the upper 8" in " ".join(open_frames(deep).notes)
    assert open_frames(write_codec(tmp_path / "b.mkv", "ffv1", "gray", frames=3)).notes == ()


def test_transparency_that_is_not_decoded_is_said(tmp_path: Path) -> None:
    path = write_codec(tmp_path / "a.webm", "libvpx-vp9", "yuva420p", frames=3)
    assert "a.webm states transparency, which FFmpeg does not decode here" in " ".join(open_frames(path).notes)


def test_text_is_no_video(tmp_path: Path) -> None:
    (tmp_path / "a.mp4").write_text("I am a text.")
    with pytest.raises(MediaError, match=r"a\.mp4 holds no video that can be decoded; copy it again or convert it"):
        file_frames(tmp_path / "a.mp4")


def test_sound_is_no_video(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=8000)
        sound = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
        sound.rate = 8000
        container.mux(stream.encode(sound))
        container.mux(stream.encode())
    with pytest.raises(MediaError, match="holds no moving pictures, only other streams"):
        file_frames(path)


@pytest.mark.parametrize("name", ["late.mkv", "late.mp4", "late.ts"])
def test_a_video_whose_times_begin_late_is_whole(tmp_path: Path, name: str) -> None:
    path = write_codec(tmp_path / name, times=[3_600_000 + 40 * number for number in range(40)])
    assert stacked(open_frames(path).frames).shape == (40, 3, 48, 64)
    assert read_clips(path, last=5).clips.shape[1] == 5
    with closing(open_reader(path)) as reader:
        assert reader.frames == 40
    if name == "late.mkv":
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
        with pytest.raises(MediaError, match=r"breaks off|damaged|no video"):
            list(open_frames(path).frames)


def test_pixels_that_are_not_square_are_said(tmp_path: Path) -> None:
    path = write_codec(tmp_path / "a.mp4", frames=5, sample_aspect_ratio=Fraction(2, 1))
    stream = open_frames(path)
    assert any("pixels 2 times as wide as high; frames are 64×48" in note for note in stream.notes)
    assert next(stream.frames).shape == (3, 48, 64)
    square = write_codec(tmp_path / "b.mp4", frames=5, sample_aspect_ratio=Fraction(1, 1))
    assert not open_frames(square).notes


def test_the_size_of_frames_may_not_change(tmp_path: Path) -> None:
    parts = [write_codec(tmp_path / f"{width}.ts", frames=12, size=(48, width)).read_bytes() for width in (64, 96)]
    (tmp_path / "a.ts").write_bytes(b"".join(parts))
    with pytest.raises(MediaError, match=r"changes the size of its frames|is damaged or joined from two recordings"):
        list(open_frames(tmp_path / "a.ts").frames)
