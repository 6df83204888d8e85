"""Predict what follows a clip."""

from collections import deque
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import torch
from jaxtyping import Shaped
from torch import Tensor

from framepred.clips import ClipBatch, RawClip, RawFrame, from_unit, to_unit
from framepred.errors import ClipError
from framepred.forecaster import Forecaster
from framepred.inference.scaling import shrunk
from framepred.inference.scenes import scenes
from framepred.media.reading import Video, open_frames, read_clips

PAST = 500
"""Frames before the end of a clip that it can be learned from, at most: about 20 seconds."""


def read_end(path: Path, context: int, holdout: int = 0, layout: str | None = None) -> tuple[ClipBatch, Video]:
    """The last frames of every clip in a file, cut into what is seen and what is held out for comparison.

    Memory holds these frames alone, however long the clip.

    Args:
        path: a video file, a folder of frames or an array file.
        context: frames that are seen.
        holdout: frames after them that are not.
        layout: order of an array's axes, where its shape does not tell.

    Raises:
        ClipError: if there are too few frames.
        MediaError: if the file cannot be read.
    """
    video = read_clips(path, last=context + holdout, layout=layout)
    found = video.clips.shape[1]
    if found < context + holdout:
        wanted = f"{context} to see" + (f" and {holdout} to hold out" if holdout else "")
        raise ClipError(
            f"{path} has {found} frame{'s' * (found != 1)} but {wanted} are asked for; lower --context"
            + (" or --frames." if holdout else ".")
        )
    return ClipBatch.cut(video.clips, context), video


def since_cut(context: RawClip) -> Shaped[Tensor, "b n c h w"]:
    """The frames of clips ``(b, t, c, h, w)`` after the last scene cut in any of them."""
    start = max(scenes(clip)[-1].start for clip in context)
    return context[:, start:]


def read_past(path: Path, holdout: int, max_side: int, layout: str | None = None) -> Shaped[Tensor, "t c h w"]:
    """The last frames of a clip but for those held out, at most ``PAST``, scaled as a network sees them.

    Args:
        path: a video file, a folder of frames or an array file with one clip; files give RGB.
        holdout: frames at its end that are left out.
        max_side: frames with a longer side are scaled to it, in pixels.
        layout: order of an array's axes, where its shape does not tell.

    Raises:
        MediaError: if the file cannot be read.
        ClipError: if it holds several clips, or none but frames that are held out.
    """
    frames = open_frames(path, layout=layout).frames
    kept = deque((_shrunk(frame, max_side) for frame in frames), maxlen=PAST + holdout)
    past = list(kept)[: len(kept) - holdout]
    if not past:
        raise ClipError(f"{path} has {len(kept)} frames, all of them held out; lower --frames.")
    return torch.stack(past)


def _shrunk(frame: Shaped[Tensor, "c _h _w"], max_side: int) -> Shaped[Tensor, "c _height _width"]:
    return from_unit(shrunk(to_unit(frame)[None], max_side), frame.dtype)[0]


def predict_frames(net: Forecaster, context: RawClip, horizon: int) -> Iterator[RawFrame]:
    """The next ``horizon`` frames of a batch of clips, one after the other, on the CPU, of the context's type.

    Args:
        net: what predicts, where it is to run.
        context: frames seen, integers or floats in [0, 1].
        horizon: how many frames to predict.
    """
    net.eval()
    device = next((tensor.device for tensor in net.parameters()), torch.device("cpu"))
    with torch.inference_mode():
        state = None
        for frame in context.unbind(dim=1):
            state = net.observe(to_unit(frame.to(device)), state)
        if state is None:
            raise ClipError("There is no frame to predict from; give at least one.")
        for prediction in islice(net.rollout(state), horizon):
            yield from_unit(prediction, context.dtype).cpu()
