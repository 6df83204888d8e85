"""Copy the sound track of one video file into another."""

import math
from collections.abc import Iterator
from contextlib import closing
from fractions import Fraction
from heapq import merge
from pathlib import Path
from typing import Any

import av
from av.audio import AudioStream
from av.container import InputContainer
from av.packet import Packet
from av.video.stream import VideoStream

from framepred.errors import ConfigError, MediaError
from framepred.media.atomic import atomic_write
from framepred.media.fetching import local_path
from framepred.media.formats import GIF, IMAGES, is_array, spoken_name
from framepred.media.video_file import VideoFile


def check_sound(source: Path, output: Path) -> None:
    """Check that the sound track of a video file can be copied into an output.

    Raises:
        ConfigError: if the output is no .mp4 file.
        MediaError: if the source is no video, has no sound while its pictures are shown, or sound that an .mp4 file
            cannot hold.
    """
    if output.suffix.lower() != ".mp4":
        raise ConfigError(f"Only an .mp4 file holds a sound track, not {output}; name such a file or leave sound out.")
    silent = _silent_kind(source)
    if silent:
        raise MediaError(f"{source} has no sound, because it is {silent} and no video file; leave sound out.")
    with closing(VideoFile(local_path(source), skips_damage=True)) as film:
        track = _sound_track(film.container, source)
        if _begins_after(track, film):
            raise MediaError(f"The sound of {spoken_name(source)} begins after its last picture; leave sound out.")
        try:
            supported = av.Codec(track.codec_context.name).name in _MP4_CODECS
        except ValueError:
            supported = False
        if not supported:
            raise MediaError(
                f"The sound track of {spoken_name(source)} is {track.codec_context.name}, which an .mp4 file does not "
                f"hold; convert it to one of {', '.join(_MP4_CODECS)}, or leave sound out."
            )


def _begins_after(track: AudioStream, film: VideoFile) -> bool:
    """Whether the sound begins after the last picture, as far as packets state when they end."""
    if track.start_time is None or not track.time_base:
        return False
    start = track.start_time * track.time_base
    return all(_end(packet) <= start for packet in film.packets() if packet.size)


def _end(packet: "Packet[VideoStream]") -> Fraction | float:
    """Where a picture ends in seconds; infinite where it is not known."""
    begin = packet.dts if packet.pts is None else packet.pts
    return math.inf if begin is None else (begin + (packet.duration or 0)) * packet.time_base


def _silent_kind(source: Path) -> str:
    """What a source is that never has sound, in words; empty for others."""
    suffix = source.suffix.lower()
    if is_array(source):
        return "an array"
    if source.is_dir():
        return "a folder of pictures"
    if suffix == GIF:
        return "a GIF"
    return "a file of pictures" if suffix in IMAGES else ""


_PRE_ROLL_SECONDS = 0.08  # of Opus that are decoded before the first sample is right (RFC 7845, 4.6); AAC: a packet
_MP4_CODECS = ("aac", "mp3", "mp3float", "ac3", "eac3", "alac", "opus", "flac")


def add_sound(pictures: Path, source: Path, output: Path) -> None:
    """Write an .mp4 file with the pictures of one file and the sound track of another, both as they are.

    The sound keeps its time relative to the pictures of ``source``, and ends with the pictures.

    Args:
        pictures: .mp4 file without sound.
        source: video file with sound.
        output: file to write; it appears whole or not at all.

    Raises:
        MediaError: if a file cannot be read or written.
    """
    start = _first_shown(local_path(source))
    with closing(VideoFile(local_path(source))) as film, av.open(str(pictures)) as video, atomic_write(output) as draft:
        track = _sound_track(film.container, source)
        shown = video.streams.video[0]
        try:
            with av.open(str(draft), "w", format="mp4") as container:
                targets = [container.add_stream_from_template(stream) for stream in (shown, track)]
                end = float(shown.duration * shown.time_base) if shown.duration and shown.time_base else float("inf")
                sources = (_timed(video.demux(shown), 0, 0.0, end), _timed(film.container.demux(track), 1, start, end))
                for _, number, packet in merge(*sources, key=lambda each: each[:2]):
                    packet.stream = targets[number]
                    container.mux(packet)
        except av.FFmpegError as error:
            raise MediaError(
                f"The sound track of {spoken_name(source)} cannot be copied to {output}: {error}."
            ) from error


def _first_shown(source: Path) -> float:
    """When the first frame that can be decoded is shown, in seconds; recordings may begin with others."""
    with closing(VideoFile(source, skips_damage=True)) as film:
        first = next(film.frames(), None)
    return 0.0 if first is None or first.time is None else first.time


def _sound_track(container: InputContainer, source: Path) -> AudioStream:
    if not container.streams.audio:
        raise MediaError(f"{spoken_name(source)} has no sound track; leave sound out.")
    return container.streams.audio[0]


def _timed(
    packets: "Iterator[Packet[Any]]", number: int, start: float, end: float
) -> "Iterator[tuple[float, int, Packet[Any]]]":
    """Packets with their decoding time in seconds after ``start``, those outside [0, end) left out.

    Audio packets before 0 are kept as far as decoders need them; the edit list of the file leaves them out on playback.
    """
    for packet in packets:
        if packet.dts is None or packet.pts is None:
            continue  # the empty packet at the end
        shift = round(start / packet.time_base)
        packet.pts, packet.dts = packet.pts - shift, packet.dts - shift
        time, duration = float(packet.dts * packet.time_base), float((packet.duration or 0) * packet.time_base)
        if number == 0 or -max(_PRE_ROLL_SECONDS, duration) - duration < time < end:
            yield time, number, packet
