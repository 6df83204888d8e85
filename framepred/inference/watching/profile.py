"""What is usual in a scene: learned from normal footage, kept in a file, and compared with new frames."""

import json
import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Shaped
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from framepred.errors import ClipError, ConfigError, MediaError
from framepred.inference.watching.features import MAX_SIDE, Map, reduced_size
from framepred.inference.watching.forecasting import StepForecast, forecast_name
from framepred.inference.watching.frame_reader import FrameReader
from framepred.inference.watching.profile_check import check_contents, checked_highest, checked_limits
from framepred.inference.watching.rareness import MOST, Calibration, Tails, Vector, block_peaks
from framepred.inference.watching.scorer import (
    FEATURES,
    FLOORS,
    FeatureMeans,
    ScoreTrace,
    UsualCells,
    counted_features,
    feature_vector,
    scores_of,
)
from framepred.media.atomic import atomic_write
from framepred.media.pixels import DEFAULT_FPS

FORMAT = "framepred-watch-profile-4"
"""Name and version of the file format."""

LEARNED_SHARE = 1 / 3
"""Share of the normal footage that is only learned; the rest is scored before it is learned, and so calibrates."""

UNUSUAL_SHARE = 0.1
"""How much of its time a frame counts for in what is usual, if it is more unusual than all normal footage was."""

LEAST_SECONDS = 8.0
"""Seconds of normal footage, at least."""

PICTURE_SECONDS = 1.0
"""Seconds for which a black or a white picture is scored: more than ``MEAN_SECONDS``, so that its score is highest."""

MOST_FRAMES = 200_000
"""Frames of normal footage that calibrate, at most: two hours at 25 frames a second, 40 MB."""


@dataclass(frozen=True)
class FrameScore:
    """How unusual a frame is.

    Attributes:
        score: mean rareness of its features over a short time, in nats, from 0 to 8.
        current: the same without what the score remembers of the last seconds; an event ends when it falls.
        deviations: of each map and cell from its mean, in spreads, ``(maps, rows, columns)``; empty where unknown.
        low: nats by which each feature lies below what is usual; empty where unknown.
        high: the same above.
        expected: the forecast of the frame, reduced and gray; None where there is none.
    """

    score: float
    current: float
    deviations: NDArray[np.float32] = field(default_factory=lambda: np.zeros((0, 0, 0), dtype=np.float32))
    low: Vector = field(default_factory=lambda: np.zeros(0))
    high: Vector = field(default_factory=lambda: np.zeros(0))
    expected: Map | None = None


class Profile:
    """What is usual in the footage of one camera.

    Args:
        fps: frames per second.
        size: height and width of the reduced frames.
        usual: statistics of the cells.
        tails: of the features.
        calibration: scores of footage that was not learned.
        forecast: forecasts each frame; None for the last frame. It is not saved.
        limits: the values of the footage that became 0 and 1; None where its type states them.

    Example:
        >>> noise = np.random.default_rng(0)
        >>> normal = [noise.integers(90, 110, (1, 32, 32), dtype=np.uint8) for _ in range(160)]
        >>> profile = Profile.fit(normal, fps=10)
        >>> usual = [profile.score(frame).score for frame in normal[:20]]
        >>> frozen = [profile.score(normal[20]).score for _ in range(20)]
        >>> max(frozen) > profile.threshold(60) > max(usual)
        True
    """

    def __init__(
        self,
        fps: float,
        size: tuple[int, int],
        usual: UsualCells,
        tails: Tails,
        calibration: Calibration,
        forecast: StepForecast | None = None,
        limits: tuple[float, float] | None = None,
    ) -> None:
        self.limits = limits
        self.fps = fps
        self.size = size
        self.calibration = calibration
        self._usual, self._tails, self._forecast = usual, tails, forecast
        self._live_usual, self._live_tails = usual.copy(), tails.copy()
        self._counted = counted_features(tails)
        self._reader = FrameReader(fps, size, forecast)
        self._trace = ScoreTrace(fps)
        self._means = FeatureMeans(fps)

    @classmethod
    def fit(
        cls,
        frames: Iterable[Shaped[Any, "c h w"]],
        fps: float = DEFAULT_FPS,
        forecast: StepForecast | None = None,
        max_side: int = MAX_SIDE,
    ) -> "Profile":
        """Learn a profile from normal footage.

        Args:
            frames: uneventful frames, one after the other, tensors or arrays ``(c, h, w)``: uint8, uint16, or floats in
                [0, 1].
            fps: frames per second.
            forecast: forecasts each frame; None for the last frame.
            max_side: longer side, in pixels, to which frames are scaled down.

        Raises:
            ClipError: if there are less than ``LEAST_SECONDS``.
        """
        builder = ProfileBuilder(fps, forecast, max_side)
        for frame in frames:
            builder.add(frame)
        return builder.build()

    def fresh(self) -> "Profile":
        """The same profile as it was learned, without what it followed since."""
        return Profile(self.fps, self.size, self._usual, self._tails, self.calibration, self._forecast, self.limits)

    def threshold(self, false_alarms: float) -> float:
        """The score above which an alarm is raised, for a rate of false alarms an hour."""
        return self.calibration.threshold(false_alarms)

    def reset(self) -> None:
        """Start anew: the next frame does not follow from the last one."""
        self._reader.reset()
        self._means.reset()
        self._trace.reset()

    def score(self, frame: Shaped[Any, "c h w"], missing: Shaped[np.ndarray, "c h w"] | None = None) -> FrameScore:
        """Score the next frame of a stream, of any size; the profile slowly follows what it gets.

        Args:
            frame: the frame.
            missing: which of its pixels are not measured, so that they do not count; None for none.
        """
        observed = self._reader.observe(frame, missing)
        if observed is None:
            return FrameScore(self._trace.add(np.zeros(len(FEATURES))), self._trace.current)
        deviations = self._live_usual.deviations(observed.maps)
        vector = self._means.add(feature_vector(observed, deviations))
        low, high = self._live_tails.sides(vector)
        score = self._trace.add(self._live_tails.rareness(vector)[self._counted])
        seconds = 1 / self.fps
        if self._trace.current > self.calibration.largest:
            seconds *= UNUSUAL_SHARE
        self._live_tails.drift(vector, seconds)
        self._live_usual.learn(observed.maps, seconds)
        return FrameScore(score, self._trace.current, deviations, low, high, self._reader.expected)

    def save(self, path: str | Path) -> None:
        """Write the profile as safetensors with JSON metadata.

        Raises:
            MediaError: if the file cannot be written.
        """
        tensors = {
            "mean": np.nan_to_num(self._usual.mean),
            "variance": self._usual.variance,
            "lower": self._tails.lower,
            "upper": self._tails.upper,
            "lower_scale": self._tails.lower_scale,
            "upper_scale": self._tails.upper_scale,
            "peaks": self.calibration.peaks,
        }
        meta = {
            "fps": self.fps,
            "size": list(self.size),
            "count": self._usual.count,
            "features": list(FEATURES),
            "forecast": forecast_name(self._forecast),
            "limits": self.limits,
            "highest": self.calibration.highest,
        }
        with atomic_write(path) as draft:
            contiguous = {name: np.ascontiguousarray(tensor) for name, tensor in tensors.items()}
            # Only the owner could read what save_file writes.
            draft.write_bytes(save(contiguous, metadata={"format": FORMAT, "profile": json.dumps(meta)}))

    @classmethod
    def load(cls, path: str | Path, forecast: StepForecast | None = None) -> "Profile":
        """Read a profile that was saved.

        Raises:
            MediaError: if the file is missing, no profile of this version, or of other weights.
        """
        path = Path(path)
        if not path.is_file():
            raise MediaError(f"{path} does not exist; give normal footage to make a profile.")
        try:
            with safe_open(path, framework="np") as file:
                metadata = file.metadata() or {}
                tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  it is no dictionary
            if metadata.get("format") != FORMAT:
                raise MediaError(f"{path} is no profile of this version of framepred; make it again.")
            meta = json.loads(metadata["profile"])
            if meta["features"] != list(FEATURES):
                raise MediaError(f"{path} was made with other features; make the profile again.")
            if meta["forecast"] != forecast_name(forecast):
                raise MediaError(
                    f"{path} was made where {meta['forecast']} forecasts and cannot be used where "
                    f"{forecast_name(forecast)} does; name the same weights, or make a profile for these."
                )
            check_contents(meta, tensors)
            usual = UsualCells(tensors["mean"], tensors["variance"], int(meta["count"]))
            tails = Tails(*(tensors[name] for name in ("lower", "upper", "lower_scale", "upper_scale")))
            height, width = meta["size"]
            limits = checked_limits(meta.get("limits"))
            calibration = Calibration(tensors["peaks"], checked_highest(meta.get("highest")))
            return cls(float(meta["fps"]), (height, width), usual, tails, calibration, forecast, limits)
        except (SafetensorError, KeyError, TypeError, ValueError, OverflowError, RecursionError, ClipError) as error:
            raise MediaError(f"{path} is damaged or no profile; make it again from normal footage.") from error


class ProfileBuilder:
    """Learns a profile frame by frame, in bounded memory.

    Every frame is measured against what was learned from the frames before it, then learned. The last two thirds of the
    footage calibrate: the tails of the features are fitted on one part of it, and scores taken on the other.

    Args:
        fps: frames per second.
        forecast: forecasts each frame; None for the last frame.
        max_side: longer side, in pixels, to which frames are scaled down.
    """

    def __init__(self, fps: float, forecast: StepForecast | None = None, max_side: int = MAX_SIDE) -> None:
        if not fps > 0:
            raise ConfigError(f"The frame rate must be a positive number of frames a second, not {fps}.")
        self.fps = fps
        self._forecast = forecast
        self._max_side = max_side
        self._usual = UsualCells()
        self._means = FeatureMeans(fps)
        self._vectors: list[Vector] = []
        self._frames = 0
        self._reader: FrameReader | None = None

    def reset(self) -> None:
        """The next frame does not follow from the last one."""
        if self._reader is not None:
            self._reader.reset()
            self._means.reset()

    def add(self, frame: Shaped[Any, "c h w"], missing: Shaped[np.ndarray, "c h w"] | None = None) -> None:
        """Learn the next frame, but for the pixels that are missing."""
        if self._reader is None:
            self._channels, height, width = frame.shape
            self._size = reduced_size(height, width, self._max_side)
            self._reader = FrameReader(self.fps, self._size, self._forecast)
        self._frames += 1
        observed = self._reader.observe(frame, missing)
        if observed is None:
            return
        self._vectors.append(self._means.add(feature_vector(observed, self._usual.deviations(observed.maps))))
        self._usual.learn(observed.maps, 1 / self.fps)
        if len(self._vectors) > MOST_FRAMES:
            del self._vectors[: MOST_FRAMES // 2]

    def build(self) -> Profile:
        """The profile.

        Raises:
            ClipError: if less than ``LEAST_SECONDS`` were added, or measured.
        """
        seconds = len(self._vectors) / self.fps
        if seconds < LEAST_SECONDS - 1 <= self._frames / self.fps:
            raise ClipError(
                f"The normal footage lasts {self._frames / self.fps:.1f} s, but in only {seconds:.1f} s a pixel is "
                f"measured in all channels of three frames in a row, and {LEAST_SECONDS:g} s are needed; leave out a "
                "channel that is never measured, or give more of it."
            )
        if seconds < LEAST_SECONDS - 1:
            raise ClipError(
                f"The normal footage lasts {seconds:.1f} s but at least {LEAST_SECONDS:g} s are needed; "
                "give more of it."
            )
        held_out = np.stack(self._vectors[int(LEARNED_SHARE * len(self._vectors)) :])
        half = len(held_out) // 2
        parts = held_out[:half], held_out[half:]
        tails = Tails.fit(held_out, FLOORS)
        counted = counted_features(tails)
        scores = [
            block_peaks(scores_of(scored, Tails.fit(fitted, FLOORS), self.fps, counted).current, self.fps)
            for fitted, scored in (parts, parts[::-1])
        ]
        highest = MOST if self._reader is None else self._highest_score(self._reader, tails, counted)
        calibration = Calibration(np.concatenate(scores), highest)
        return Profile(self.fps, self._size, self._usual.copy(), tails, calibration, self._forecast)

    def _highest_score(self, last: FrameReader, tails: Tails, counted: NDArray[np.bool_]) -> float:
        """The highest score of a black or a white picture that follows the footage for ``PICTURE_SECONDS``."""
        scores = [0.0]
        for level in (0, 255):
            frame = np.full((self._channels, *self._size), level, np.uint8)
            reader, means = last.copy(), self._means.copy()
            for _ in range(1 + math.ceil(PICTURE_SECONDS * self.fps)):
                observed = reader.observe(frame)
                if observed is None:  # the footage ends with frames that do not follow from others
                    return MOST
                vector = means.add(feature_vector(observed, self._usual.deviations(observed.maps)))
                scores.append(float(tails.rareness(vector)[counted].mean()))
        return max(scores)
