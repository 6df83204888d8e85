"""An open video file: choose its stream, seek, decode with PyAV."""

import weakref
from collections.abc import Iterator
from io import BufferedIOBase
from itertools import chain, islice
from pathlib import Path
from typing import Any, cast

import av
from av.container import InputContainer
from av.stream import Disposition

from framepred.errors import MediaError
from framepred.media.ffmpeg_messages import CollectedMessages, Messages, reports_damage
from framepred.media.formats import DEMUXERS
from framepred.media.limits import MAX_PIXELS, check_pixels
from framepred.media.video_pixels import PixelReader, Pixels

_OPTIONS = {"format_whitelist": DEMUXERS, "protocol_whitelist": "none"}
_BUFFER_BYTES = 1 << 18  # fewer calls from FFmpeg into Python than with PyAV's 32 KiB

_OPEN_GOP_CODECS = ("h264", "hevc")  # where strict decoding fails after seeking, at frames that are left out anyway
_ERROR_DETECTION = "crccheck+bitstream+buffer+explode"  # without it, many decoders hide damage

# AVI gives packets no presentation time; VP8 has packets that show nothing. Their packets cannot be counted as frames.
VAGUE_CONTAINERS, _VAGUE_CODECS = ("avi",), ("vp8",)
_COUNTED_CONTAINERS = ("avi",)  # of which FFmpeg leaves out frames that it does not find, and shortens the duration
_INEXACT_CONTAINERS = ("mpeg", "mpegvideo")  # after seeking, time stamps are given to other frames
_MP4 = "mov,mp4"  # whose index may be at the end
_JOINED_CONTAINERS = ("mpegts", "mpeg")  # whose files people append to each other
_END_CONTAINERS = ("matroska,webm",)  # state where they end, counted from time 0, instead of how long they last
_SKIPPING_CODECS = ("h264", "hevc", "mpeg2video", "mpeg4")  # skip unreferenced frames on request, at any time
_MARGIN_SECONDS = 2.0  # searched before the last frames wanted, beyond their expected duration
_EARLIER_SECONDS = (0.0, 5.0, 60.0)  # how far before a frame decoding is tried, where seeking is inexact


class VideoFile:
    """An open video file, or a stream of bytes such as standard input.

    Args:
        path: the file, or the name of the stream in messages.
        stream: open bytes to read instead of the file; need not be seekable.
        skips_damage: whether frames that are damaged, or refer to others that are, are left out instead of refused.

    Raises:
        MediaError: if it holds no video that can be decoded.
    """

    def __init__(self, path: Path, stream: BufferedIOBase | None = None, *, skips_damage: bool = False) -> None:
        self.path = path
        self.damage: MediaError | None = None
        """The first damage that was passed over, if there was any."""
        self._skips_damage = skips_damage
        self._bytes = stream or _open_bytes(path)
        weakref.finalize(self, self._bytes.close)  # readers are not always closed by their users
        try:
            # By file object: FFmpeg takes no names that are not UTF-8, and cannot reach other files from here.
            with CollectedMessages() as messages:
                opened = av.open(self._bytes, options=_OPTIONS, metadata_errors="replace", buffer_size=_BUFFER_BYTES)
        except Exception as error:
            self._bytes.close()
            raise not_a_video(path) from error
        self.container = cast(InputContainer, opened)
        try:
            with CollectedMessages() as more:
                self.stream = _main_stream(self.container, path)
            self._configure()
            if self._reported([*messages, *more]):
                self._refuse(self._damaged(""))
        except (av.FFmpegError, OSError, ValueError) as error:
            self.close()
            raise not_a_video(path) from error
        except BaseException:
            self.close()
            raise
        self._reader = PixelReader(self.stream.codec_context.format)
        self._first_start: float | None = None
        self._last_end = 0.0
        self._interrupted = False  # whether packets are missing since the last one
        self._packets = 0  # of the video stream, from the start of the file
        self.counted = self.container.format.name in _COUNTED_CONTAINERS and self._bytes.seekable()
        """Whether the file is checked by its number of packets, not by its duration, which FFmpeg shortens.

        The index, which says how many there are, is at the end. The header also counts frames that were left out.
        """
        self._indexed = len(self.stream.index_entries) if self.counted else None  # None after seeking, too
        self.shown: av.VideoFrame | None = None
        """The frame that was given last."""
        self.wanted: int | None = None
        """Time stamp before which frames that no other frame refers to need not be decoded; None decodes all."""

    def _configure(self) -> None:
        codec = self.stream.codec_context
        codec.thread_count = 1  # threads decode ahead: memory and time for frames that may not be wanted
        strict = {} if codec.name in _OPEN_GOP_CODECS else {"err_detect": _ERROR_DETECTION}
        codec.options = {"max_pixels": str(MAX_PIXELS)} | strict
        if not codec.width and self._reads_mp4_in_order:
            raise self._undecodable(0)
        check_pixels(self.path, codec.width, codec.height)

    @property
    def _reads_mp4_in_order(self) -> bool:
        """Whether nothing can be decoded if the index is at the end."""
        return self.container.format.name.startswith(_MP4) and not self._bytes.seekable()

    def close(self) -> None:
        """Close the file and its decoder."""
        self.container.close()
        self._bytes.close()

    @property
    def vague(self) -> bool:
        """Whether packets cannot be taken for frames, so that frames are known only by decoding."""
        intra_only = bool(self.stream.codec.intra_only)
        container = self.container.format.name in VAGUE_CONTAINERS and not intra_only
        return container or self.stream.codec_context.name in _VAGUE_CODECS

    @property
    def exact(self) -> bool:
        """Whether decoding can begin within the file and give the same frames as from its start."""
        return self.container.format.name not in _INEXACT_CONTAINERS

    def seek(self, pts: int) -> None:
        """Move to the key frame at or before a time stamp."""
        self._first_start = self._first_start or 0.0  # packets after a jump are not the first
        self._indexed = None
        self.container.seek(pts, stream=self.stream)

    def packets(self) -> Iterator["av.Packet[av.VideoStream]"]:
        """Packets of the video stream from here on; notes where the packets of all streams end.

        Raises:
            MediaError: if bytes of the container are damaged.
        """
        for packet in self._demuxed():
            if packet.pts is not None and packet.time_base is not None:
                if self._first_start is None:
                    self._first_start = float(packet.pts * packet.time_base)
                end = float((packet.pts + (packet.duration or 0)) * packet.time_base)
                self._last_end = max(self._last_end, end)
            if packet.stream.index == self.stream.index:
                self._packets += packet.size > 0
                yield cast("av.Packet[av.VideoStream]", packet)

    def _demuxed(self) -> Iterator["av.Packet[Any]"]:
        """Packets of all streams."""
        demuxed = self.container.demux()
        while True:
            with CollectedMessages() as messages:
                packet = next(demuxed, None)
            if self._reported(messages):
                self._refuse(self._damaged(f" after {self._last_end:.2f} seconds"))
                self._interrupted = True
            if packet is None:
                break
            yield packet
        self._check_count()

    def _check_count(self) -> None:
        """Compare what was read, from the first packet to the last, with the index, or with the header without one."""
        if self._indexed is None:
            return
        whole = self._indexed >= len(self.stream.index_entries)  # else FFmpeg made it while reading
        stated = self._indexed if whole else self.stream.frames
        if self._packets < stated:
            raise self._damaged(f": it states {stated} frames, and {self._packets} are found")

    def _reported(self, messages: Messages) -> bool:
        """Whether FFmpeg reports damage that it hides."""
        return bool(messages) and reports_damage(messages, whole=self.stated_seconds() is not None)

    def frames(self, from_start: bool = True) -> Iterator[av.VideoFrame]:
        """Decoded frames from here on.

        Args:
            from_start: whether decoding begins at the start of the file. Elsewhere, frames before the first key frame
                are left out: they refer to frames that were not decoded.

        Raises:
            MediaError: if a frame is damaged.
        """
        anchored, count = False, 0
        try:
            for packet in self.packets():
                decoded, whole = self._decoded(packet, count)
                if not whole and anchored:
                    self._refuse(self._damaged(_frames(count)))
                if self._interrupted or not whole:
                    anchored = from_start = self._interrupted = False
                for frame in decoded:
                    anchored = anchored or bool(frame.key_frame)
                    damaged = frame.is_corrupt or packet.is_corrupt or not whole
                    if not anchored and (damaged or not from_start):
                        continue
                    if damaged:
                        self._refuse(self._damaged(_frames(count)))
                        anchored = from_start = False
                        continue
                    count += 1
                    self.shown = frame
                    yield frame
        except (av.FFmpegError, OSError, ValueError) as error:
            raise self._undecodable(count) from error
        if self.damage is not None and not anchored:
            raise self.damage

    def _decoded(self, packet: "av.Packet[av.VideoStream]", count: int) -> tuple[list[av.VideoFrame], bool]:
        """The frames that a packet completes, and whether FFmpeg reports no damage."""
        self._skip_unreferenced(packet)
        try:
            with CollectedMessages() as messages:
                decoded = packet.decode()
        except (av.FFmpegError, OSError, ValueError) as error:
            self._refuse(self._undecodable(count), error)
            return [], False
        return decoded, not self._reported(messages)

    def _undecodable(self, count: int) -> MediaError:
        if count:
            return self._damaged(_frames(count))
        if self._reads_mp4_in_order:
            return MediaError(
                f"{self.path} has its index at its end, so its frames cannot be read as they arrive; name the file "
                "itself, or put the index first by ffmpeg -i FILE -c copy -movflags faststart NEW.mp4."
            )
        return not_a_video(self.path)

    def _refuse(self, error: MediaError, cause: Exception | None = None) -> None:
        """Raise the error about damage, or keep the first one where damage is passed over."""
        if not self._skips_damage:
            raise error from cause
        self.damage = self.damage or error

    def _skip_unreferenced(self, packet: "av.Packet[av.VideoStream]") -> None:
        """Do not decode frames before the wanted one that no other frame refers to."""
        if self.stream.codec_context.name in _SKIPPING_CODECS:
            early = self.wanted is not None and packet.pts is not None and packet.pts < self.wanted
            self.stream.codec_context.skip_frame = "NONREF" if early else "DEFAULT"

    def pixels(self, frame: av.VideoFrame) -> Pixels:
        """The pixels of a frame: upright, transparency laid on black."""
        check_pixels(self.path, frame.width, frame.height)
        return self._reader.read(frame)

    @property
    def white(self) -> int | None:
        """The highest value of a gray film with more than 8 bits, whose frames are values; None for bytes."""
        return self._reader.white

    def stated_seconds(self) -> float | None:
        """Stated duration of the video, or of the whole file where the stream has none."""
        if self.stream.duration is not None and self.stream.time_base is not None:
            return float(self.stream.duration * self.stream.time_base)
        if not self.container.duration:
            return None
        absolute = self.container.format.name in _END_CONTAINERS
        return (self.container.duration - absolute * (self.container.start_time or 0)) / av.time_base

    def end_seconds(self, last: av.VideoFrame | None, fps: float) -> float:
        """Where what was read ends, in seconds from the start of what states its duration."""
        base, has_duration = self.stream.time_base or 0, self.stream.duration is not None
        start = self._first_start or 0.0 if self.stream.start_time is None else float(self.stream.start_time * base)
        if not has_duration and self.container.start_time is not None:
            start = self.container.start_time / av.time_base  # as the duration of the file counts
        shown = 0.0
        if last is not None and last.time is not None:
            shown = last.time + max(1 / fps, float(last.duration * base))
        return max(shown, 0.0 if has_duration else self._last_end) - start  # other streams may be longer

    def start_of_last(self, count: int, fps: float) -> int | None:
        """The time stamp of the frame that ``count - 1`` others follow; None where it is known only by decoding."""
        seconds = self.stated_seconds()
        base = self.stream.time_base
        if self.vague or not self.exact or seconds is None or not base:
            return None
        reach = count / fps + _MARGIN_SECONDS
        while reach < seconds:
            self.seek(int((self.stream.start_time or 0) + (seconds - reach) / base))
            stamps = [(p.pts, p.is_keyframe) for p in self.packets() if p.size and not p.is_discard]
            times = [pts for pts, _ in stamps if pts is not None]
            key = next((pts for pts, is_key in stamps if is_key and pts is not None), None)
            if len(times) < len(stamps) or len(set(times)) < len(times):
                return None
            known = sorted(pts for pts in times if key is not None and pts >= key)
            if len(known) >= count:
                return known[-count]
            reach *= 4
        return None

    def frames_from(self, pts: int) -> Iterator[av.VideoFrame] | None:
        """Frames from the one with this time stamp on; None where seeking does not find it."""
        for earlier in _EARLIER_SECONDS:
            self.seek(int(pts - earlier / (self.stream.time_base or 1)))
            self.stream.codec_context.flush_buffers()
            frames = self.frames(from_start=False)
            for frame in frames:
                if frame.pts is None or frame.pts > pts:
                    break
                if frame.pts == pts:
                    return chain([frame], frames)
        return None

    def _damaged(self, where: str) -> MediaError:
        joined = " or joined from two recordings" * (self.container.format.name in _JOINED_CONTAINERS)
        return MediaError(f"{self.path} is damaged{joined}{where}; copy it again, or cut it there with ffmpeg.")


def _frames(count: int) -> str:
    return f" after {count} decoded frame{'s' * (count != 1)}"


def not_a_video(path: Path) -> MediaError:
    """The error about a file in which no video can be decoded."""
    return MediaError(f"{path} holds no video that can be decoded; copy it again or convert it, for instance to .mp4.")


def _open_bytes(path: Path) -> BufferedIOBase:
    try:
        return path.open("rb")
    except PermissionError as error:
        raise MediaError(f"{path} may not be read; check its permissions.") from error
    except OSError as error:
        raise MediaError(f"{path} cannot be opened ({error.strerror}); check the path.") from error


def _main_stream(container: InputContainer, path: Path) -> av.VideoStream:
    """The stream of the film itself: no cover picture, no stream of a single picture beside a longer one."""
    covers = Disposition.attached_pic | Disposition.timed_thumbnails
    streams = [stream for stream in container.streams.video if not stream.disposition & covers]
    if not streams:
        raise MediaError(f"{path} holds no moving pictures, only other streams; give a file with video.")
    decodable = [stream for stream in streams if cast("object | None", stream.codec_context) is not None]
    if not decodable:
        raise MediaError(f"{path} is coded in a way that FFmpeg does not know; convert it, for instance to .mp4.")
    moving = [stream for stream in decodable if not _is_still(container, stream)] if len(decodable) > 1 else []
    best = container.streams.best("video")
    candidates = moving or decodable
    same = [stream for stream in candidates if best is not None and stream.index == best.index]
    return (same or candidates)[0]


def _is_still(container: InputContainer, stream: av.VideoStream) -> bool:
    """Whether a stream has a single packet."""
    count = sum(1 for packet in islice(container.demux(stream), 2) if packet.size)
    container.seek(0)
    return count < 2
