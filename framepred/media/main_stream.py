"""Choose the stream of a video file that is the film itself."""

from itertools import islice
from pathlib import Path
from typing import cast

import av
from av.container import InputContainer
from av.stream import Disposition

from framepred.errors import MediaError


def main_stream(container: InputContainer, path: Path) -> av.VideoStream:
    """The stream of the film itself: no cover picture, no stream of a single picture beside a longer one.

    Raises:
        MediaError: if there is none that can be decoded.
    """
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
