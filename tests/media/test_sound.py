"""Sound tracks that are kept."""

import io
import types
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
import torch

import framepred
from framepred.errors import ConfigError, MediaError
from framepred.media.fetching import fetched_file
from framepred.media.sound import check_sound

RATE, FPS, FRAMES = 16_000, 10, 20
EVEN = tuple(number / FPS for number in range(FRAMES))
"""Seconds of pictures at a constant rate."""
SLOWER = (*(number / 30 for number in range(60)), *(2 + number / 2 for number in range(5)))
"""Seconds of pictures that come less and less often."""


@pytest.fixture
def film(tmp_path: Path) -> Path:
    """Two seconds of brightening frames with a tone of 440 Hz."""
    path = tmp_path / "film.mp4"
    tone = np.sin(2 * np.pi * 440 * np.arange(RATE * FRAMES // FPS) / RATE).astype(np.float32)
    with av.open(str(path), "w") as container:
        pictures, sound = container.add_stream("libx264", rate=FPS), container.add_stream("aac", rate=RATE)
        pictures.width, pictures.height, pictures.pix_fmt = 64, 48, "yuv420p"
        for number in range(FRAMES):
            pixels = np.full((48, 64, 3), 10 * number, np.uint8)
            container.mux(pictures.encode(av.VideoFrame.from_ndarray(pixels, "rgb24")))
        frame = av.AudioFrame.from_ndarray(tone[None], "fltp", "mono")
        frame.sample_rate = RATE
        container.mux(sound.encode(frame))
        container.mux(pictures.encode())
        container.mux(sound.encode())
    return path


def samples(path: Path) -> np.ndarray:
    with av.open(str(path)) as container:
        return np.concatenate([frame.to_ndarray()[0] for frame in container.decode(audio=0)])


@pytest.mark.parametrize("factor", [1, 2])
def test_a_restored_film_keeps_its_sound(film: Path, tmp_path: Path, factor: int) -> None:
    restoration = framepred.restore(film, missing=[5], upsample=factor, method="linear")
    restoration.save(tmp_path / "restored.mp4", sound=True)
    found, original = samples(tmp_path / "restored.mp4"), samples(film)
    assert abs(len(found) - len(original)) <= 2048  # whole packets
    shared = min(len(found), len(original))
    np.testing.assert_array_equal(found[:shared], original[:shared])
    assert len(framepred.read_video(tmp_path / "restored.mp4")) == restoration.count


def test_without_the_option_there_is_no_sound(film: Path, tmp_path: Path) -> None:
    framepred.restore(film, missing=[5], method="linear").save(tmp_path / "silent.mp4")
    with av.open(str(tmp_path / "silent.mp4")) as container:
        assert not container.streams.audio


def test_sound_that_cannot_be_kept_is_refused_before_anything_is_written(film: Path, tmp_path: Path) -> None:
    silent = tmp_path / "silent.mp4"
    framepred.write_video(silent, torch.zeros(4, 3, 48, 64, dtype=torch.uint8), 10)
    with pytest.raises(MediaError, match="has no sound track"):
        framepred.restore(silent, missing=[1], method="linear").save(tmp_path / "out.mp4", sound=True)
    with pytest.raises(ConfigError, match=r"Only an \.mp4 file holds a sound track"):
        check_sound(film, tmp_path / "out.gif")
    array = torch.zeros(4, 1, 8, 8)
    with pytest.raises(ConfigError, match="Only a video file has a sound track"):
        framepred.restore(array, missing=[1], method="linear").save(tmp_path / "out.mp4", sound=True)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["film.mp4", "silent.mp4"]


@pytest.mark.parametrize(
    ("name", "kind"), [("clip.npy", "an array"), ("clip.gif", "a GIF"), ("clip", "a folder of pictures")]
)
def test_what_never_has_sound_is_told_from_a_damaged_video(tmp_path: Path, name: str, kind: str) -> None:
    framepred.write_video(tmp_path / name, torch.zeros(4, 3, 16, 16, dtype=torch.uint8), 10)
    with pytest.raises(MediaError, match=rf"{name} has no sound, because it is {kind} and no video file"):
        framepred.restore(tmp_path / name, missing=[1], method="linear").save(tmp_path / "out.mp4", sound=True)


def test_sound_of_standard_input_is_kept(film: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stream = io.BytesIO(film.read_bytes())
    monkeypatch.setattr("sys.stdin", types.SimpleNamespace(isatty=lambda: False, buffer=stream))
    framepred.restore("-", missing=[5], method="linear").save(tmp_path / "restored.mp4", sound=True)
    fetched_file.cache_clear()
    assert len(samples(tmp_path / "restored.mp4")) > 0


def test_sound_after_the_last_picture_is_refused_before_anything_is_restored(film: Path, tmp_path: Path) -> None:
    late = tmp_path / "late.mp4"
    with av.open(str(film)) as source, av.open(str(late), "w") as target:
        streams = {stream.index: target.add_stream_from_template(stream) for stream in source.streams}
        for packet in source.demux():
            if packet.dts is None or packet.pts is None:
                continue
            if packet.stream.type == "audio":
                packet.pts, packet.dts = packet.pts + 3 * RATE, packet.dts + 3 * RATE
            packet.stream = streams[packet.stream.index]
            target.mux(packet)
    with pytest.raises(MediaError, match="begins after its last picture"):
        check_sound(late, tmp_path / "out.mp4")
    check_sound(film, tmp_path / "out.mp4")


def write_clicks(
    path: Path,
    codec: str = "aac",
    rate: int = 48_000,
    shown: Sequence[float] = EVEN,
    sound_from: float = 0,
    **options: str,
) -> Path:
    """Pictures that are shown at these seconds, and sound that clicks every half second.

    Args:
        path: the file; its suffix names the container.
        codec: FFmpeg's name of the encoder of the sound.
        rate: samples per second.
        shown: seconds of each picture.
        sound_from: seconds, a multiple of half a second.
        options: of the encoder of the pictures.
    """
    sound = np.zeros(int((shown[-1] + 0.1 - sound_from) * rate), np.float32)
    for start in range(0, len(sound), rate // 2):
        sound[start : start + rate // 100] = 0.9
    packets: list[av.Packet] = []
    with av.open(str(path), "w") as container:
        pictures, track = container.add_stream("libx264", rate=FPS, options=options), container.add_stream(codec, rate)
        pictures.width, pictures.height, pictures.pix_fmt, track.layout = 64, 48, "yuv420p", "mono"
        pictures.codec_context.time_base = Fraction(1, 1000)
        for number, seconds in enumerate(shown):
            frame = av.VideoFrame.from_ndarray(np.full((48, 64, 3), 255 * number // len(shown), np.uint8), "rgb24")
            frame.time_base, frame.pts = Fraction(1, 1000), round(1000 * seconds)
            packets += pictures.encode(frame)
        samples = av.AudioFrame.from_ndarray(sound[None], "fltp", "mono")
        samples.sample_rate, samples.time_base, samples.pts = rate, Fraction(1, rate), round(sound_from * rate)
        packets += [*track.encode(samples), *track.encode(), *pictures.encode()]
        for packet in sorted(packets, key=lambda packet: packet.dts * packet.time_base):
            container.mux(packet)
    return path


def click_times(path: Path) -> np.ndarray:
    """When clicks begin, in seconds after the first picture."""
    with av.open(str(path)) as container:
        track, pictures = container.streams.audio[0], container.streams.video[0]
        first = float((pictures.start_time or 0) * pictures.time_base)
        heard = [(frame.time - first, np.abs(frame.to_ndarray()[0])) for frame in container.decode(track)]
        rate = track.codec_context.sample_rate
    loud = np.concatenate([start + np.nonzero(sound > 0.4)[0] / rate for start, sound in heard])
    return loud[np.diff(loud, prepend=-1) > 0.2]


@pytest.mark.parametrize("first_picture", [0.0, 0.5])
@pytest.mark.parametrize(
    ("name", "codec", "rate"),
    [
        ("a.mp4", "aac", 48_000),
        ("a.mp4", "aac", 8_000),
        ("a.mkv", "aac", 48_000),
        ("a.mkv", "libopus", 48_000),
        ("a.mp4", "libopus", 48_000),
        ("a.mp4", "libmp3lame", 48_000),
    ],
)
def test_each_click_is_heard_where_it_was(
    tmp_path: Path, name: str, codec: str, rate: int, first_picture: float
) -> None:
    """Codecs decode the first sample that is heard from packets before it."""
    shown = [first_picture + seconds for seconds in EVEN]
    source = write_clicks(tmp_path / name, codec, rate, shown)
    expected = np.arange(0, 2, 0.5) + (-first_picture) % 0.5
    framepred.restore(source, missing=[5], upsample=2, method="linear").save(tmp_path / "out.mp4", sound=True)
    np.testing.assert_allclose(click_times(tmp_path / "out.mp4"), expected, atol=0.003)


def test_sound_lasts_as_long_as_pictures_whose_rate_varies(tmp_path: Path) -> None:
    source = write_clicks(tmp_path / "a.mkv", shown=SLOWER)
    framepred.restore(source, missing=[5], method="linear").save(tmp_path / "out.mp4", sound=True)
    np.testing.assert_allclose(click_times(tmp_path / "out.mp4"), np.arange(0, 4.1, 0.5), atol=0.003)


def test_sound_that_begins_before_the_last_picture_is_kept_whatever_duration_is_stated(tmp_path: Path) -> None:
    source = write_clicks(tmp_path / "a.mp4", shown=SLOWER, sound_from=3.5, bf="3")
    with av.open(str(source)) as container:
        pictures = container.streams.video[0]
        assert pictures.duration * pictures.time_base < 3.5
    framepred.restore(source, missing=[5], method="linear").save(tmp_path / "out.mp4", sound=True)
    np.testing.assert_allclose(click_times(tmp_path / "out.mp4"), [3.5, 4], atol=0.003)


@pytest.mark.parametrize("gop", ["open", "closed"])
def test_sound_of_a_recording_that_begins_between_two_key_frames(tmp_path: Path, gop: str) -> None:
    """Pictures before the first key frame are not shown."""
    shown = [number / 25 for number in range(100)]
    x264 = f"open-gop={int(gop == 'open')}:keyint=40:bframes=2:scenecut=0"
    source = write_clicks(tmp_path / "a.ts", shown=shown, **{"x264-params": x264})
    content = source.read_bytes()
    source.write_bytes(content[len(content) // 188 // 4 * 188 :])
    with av.open(str(source)) as container:
        pictures = container.streams.video[0]
        begin = float(pictures.start_time * pictures.time_base)
        first = next(container.decode(pictures)).time
    assert first > begin + 0.1
    framepred.restore(source, missing=[5], method="linear").save(tmp_path / "out.mp4", sound=True)
    expected = click_times(source) - (first - begin)
    np.testing.assert_allclose(click_times(tmp_path / "out.mp4"), expected[expected >= 0], atol=0.003)
