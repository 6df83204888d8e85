"""Protocol ``injected-1``: one real, uneventful film, into which events of known kinds are injected."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from framepred.errors import ClipError, ConfigError
from framepred.media.opencv import cv2

NORMAL_SHARE = 1 / 3
"""Share of the film, from its beginning, that is normal footage."""

EVENTS = 3
"""Events in the rest of the film."""

EVENT_SECONDS = 1.5
MIN_GAP_SECONDS = 4.0
"""Seconds between the end of an event and the beginning of the next, at least."""

SPEED = 3
"""Factor by which time runs faster in a ``speed`` event."""

DROP_SECONDS = 2.0
"""Seconds that a ``drop`` event is ahead of its time."""

SHAKE_SHARE = 0.02
"""Largest displacement of a ``shake`` event, as a share of the width."""

FLASH_SWING = 0.4
"""Largest relative change of the brightness in a ``flash`` event."""

FLASH_PERIOD_SECONDS = 0.5
BLUR_SHARE = 0.01
"""Standard deviation of the blur of a ``blur`` event, as a share of the width."""

PATCH_SHARE = 0.12
"""Side of the patch of an ``object`` event, as a share of the width."""

DARK = 0.1
"""Factor of the brightness of what is covered."""

Film = NDArray[np.uint8]  # (t, h, w, c)
Random = np.random.Generator


@dataclass(frozen=True)
class InjectedFilm:
    """The rest of a film with events of one kind.

    Attributes:
        kind: one of ``KINDS``, or ``untouched``.
        frames: uint8 ``(t, h, w, c)``.
        events: first frame and the frame after the last of each event.
        pixels: whether each pixel belongs to the event, ``(t, h, w)``; None for kinds without a place.
    """

    kind: str
    frames: Film
    events: tuple[tuple[int, int], ...]
    pixels: NDArray[np.bool_] | None = None

    @property
    def labels(self) -> NDArray[np.bool_]:
        """Whether each frame belongs to an event, ``(t,)``."""
        labels = np.zeros(len(self.frames), dtype=np.bool_)
        for start, stop in self.events:
            labels[start:stop] = True
        return labels


def split_film(film: Film) -> tuple[Film, Film]:
    """The normal footage, and the rest into which events are injected."""
    count = int(len(film) * NORMAL_SHARE)
    return film[:count], film[count:]


def inject(rest: Film, kind: str, fps: float, seed: int) -> InjectedFilm:
    """Inject events of one kind; frames outside the events stay as they are.

    Args:
        rest: the film after its normal footage, uint8 ``(t, h, w, c)``.
        kind: one of ``KINDS``.
        fps: frames per second.
        seed: determines when and where the events are.

    Raises:
        ConfigError: if there is no such kind.
        ClipError: if the film is too short for the events.
    """
    if kind not in KINDS:
        raise ConfigError(f"There is no kind of event {kind!r}; choose one of {', '.join(KINDS)}.")
    random = np.random.default_rng([seed, list(KINDS).index(kind)])
    length = round(EVENT_SECONDS * fps)
    frames, pixels = rest.copy(), None
    events = tuple((start, start + length) for start in _starts(len(rest), length, fps, random))
    for start, stop in events:
        changed, where = KINDS[kind](_Span(rest, start, stop, fps, random))
        frames[start:stop] = changed
        if where is not None:
            pixels = np.zeros(rest.shape[:3], dtype=np.bool_) if pixels is None else pixels
            pixels[start:stop] = where
    return InjectedFilm(kind, frames, events, pixels)


def _starts(count: int, length: int, fps: float, random: Random) -> list[int]:
    """First frames of the events, uniform among all that keep the gaps."""
    gap = round(MIN_GAP_SECONDS * fps)
    ahead = max(length * SPEED, length + round(DROP_SECONDS * fps))  # frames that an event may read
    room = count - ahead - (EVENTS - 1) * (length + gap) - gap
    if room < 1:
        needed = count - room + 1
        raise ClipError(f"The film has {count} frames after its normal footage but {needed} are needed for the events.")
    offsets = np.sort(random.integers(0, room, EVENTS))
    return [gap + int(offset) + number * (length + gap) for number, offset in enumerate(offsets)]


@dataclass(frozen=True)
class _Span:
    """The frames of an event, in the film that they are taken from."""

    rest: Film
    start: int
    stop: int
    fps: float
    random: Random

    @property
    def frames(self) -> Film:
        """A copy of the frames as they are."""
        return self.rest[self.start : self.stop].copy()


Injected = tuple[Film, NDArray[np.bool_] | None]


def _freeze(span: _Span) -> Injected:
    return np.repeat(span.rest[span.start - 1 : span.start], span.stop - span.start, axis=0), None


def _reverse(span: _Span) -> Injected:
    return span.rest[span.start : span.stop][::-1], None


def _speed(span: _Span) -> Injected:
    return span.rest[span.start : span.start + SPEED * (span.stop - span.start) : SPEED], None


def _drop(span: _Span) -> Injected:
    ahead = round(DROP_SECONDS * span.fps)
    return span.rest[span.start + ahead : span.stop + ahead], None


def _object(span: _Span) -> Injected:
    """A patch of blurred noise, opaque, crosses the picture from one side to the other."""
    height, width = span.rest.shape[1:3]
    side = max(4, min(round(PATCH_SHARE * width), height // 2))
    noise = cv2.GaussianBlur(
        span.random.standard_normal((side, side, span.rest.shape[3])).astype(np.float32), (0, 0), side / 12
    )
    noise = noise.reshape(side, side, -1)
    patch = (128 + 60 * noise / noise.std()).clip(0, 255).astype(np.uint8)
    top = int(span.random.integers(0, height - side + 1))
    lefts = np.linspace(0, width - side, span.stop - span.start).round().astype(int)
    frames, where = span.frames, np.zeros((span.stop - span.start, height, width), dtype=np.bool_)
    for number, left in enumerate(lefts if span.random.random() < 0.5 else lefts[::-1]):
        frames[number, top : top + side, left : left + side] = patch
        where[number, top : top + side, left : left + side] = True
    return frames, where


def _shake(span: _Span) -> Injected:
    height, width = span.rest.shape[1:3]
    most = max(1, round(SHAKE_SHARE * width))
    frames = np.pad(span.rest[span.start : span.stop], ((0, 0), (most, most), (most, most), (0, 0)), mode="edge")
    shifts = span.random.integers(0, 2 * most + 1, (span.stop - span.start, 2))
    return np.stack(
        [
            frame[down : down + height, right : right + width]
            for frame, (down, right) in zip(frames, shifts, strict=True)
        ]
    ), None


def _flash(span: _Span) -> Injected:
    times = np.arange(span.stop - span.start) / span.fps
    gains = 1 + FLASH_SWING * np.sin(2 * np.pi * times / FLASH_PERIOD_SECONDS + span.random.uniform(0, 2 * np.pi))
    return (span.rest[span.start : span.stop] * gains[:, None, None, None]).clip(0, 255).astype(np.uint8), None


def _blur(span: _Span) -> Injected:
    sigma = BLUR_SHARE * span.rest.shape[2]
    blurred = [
        cv2.GaussianBlur(frame, (0, 0), sigma).reshape(frame.shape) for frame in span.rest[span.start : span.stop]
    ]
    return np.stack(blurred).astype(np.uint8), None


def _cover(span: _Span) -> Injected:
    width = span.rest.shape[2]
    side = width // 3
    left = int(span.random.integers(0, width - side + 1))
    frames, where = span.frames, np.zeros(span.frames.shape[:3], dtype=np.bool_)
    frames[:, :, left : left + side] = (frames[:, :, left : left + side] * DARK).astype(np.uint8)
    where[:, :, left : left + side] = True
    return frames, where


KINDS: dict[str, Callable[[_Span], Injected]] = {
    "freeze": _freeze,
    "reverse": _reverse,
    "speed": _speed,
    "drop": _drop,
    "object": _object,
    "shake": _shake,
    "flash": _flash,
    "blur": _blur,
    "cover": _cover,
}
"""How the frames of an event of each kind follow from the film: its frames, and where they differ."""
