"""The result of restoring: a video that is computed when it is used, its scores, and the files written of it."""

import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import NamedTuple, TypeAlias

import torch
from jaxtyping import Float, Shaped
from torch import Tensor

from framepred.clips import RawFrame, fill_missing, to_unit
from framepred.errors import ClipError, ConfigError
from framepred.evaluation.formulas import frame_mse, frame_psnr
from framepred.inference.missing import one_sided
from framepred.inference.sources import to_stored
from framepred.media.formats import ARRAYS
from framepred.media.frame_times import FrameTimes
from framepred.media.paths import expand_user
from framepred.media.ranges import ValueRange
from framepred.media.sound import add_sound, check_sound
from framepred.media.writing import tile_clips, write_frames, write_video
from framepred.media.written_size import describe_size

AnyFrame: TypeAlias = Shaped[Tensor, "_n _c _h _w"]


class Restored(NamedTuple):
    """A frame of all clips.

    Attributes:
        frame: as it was read, ``(n, c, h, w)``; where it is rebuilt only shape and type matter, unless it is held out.
        rebuilt: for each clip, whether it is rebuilt.
        versions: by each method.
    """

    frame: AnyFrame
    rebuilt: tuple[bool, ...]
    versions: list[AnyFrame]


@dataclass(frozen=True)
class RestorationScore:
    """Errors of rebuilt frames against the true ones, averaged over frames and clips, protocol ``openstl``.

    Attributes:
        mse: squared error summed over a frame.
        psnr: in dB.
        frames: number of rebuilt frames with a score: those with a pixel that is measured and rebuilt in any clip.
        size: channels, height and width of a frame.
    """

    mse: float
    psnr: float
    frames: int
    size: tuple[int, int, int]


class Restoration:
    """A restored video, computed when it is first used.

    ``save`` writes frame by frame where the kind of file allows it, so memory does not grow with the video; ``frames``
    holds all of them.

    Attributes:
        fps: mean number of frames per second.
        methods: names of the methods; the first one restored the frames, the others are for comparison.
        value_range: the values of the source that became 0 and 1, and are restored where an array is saved; None where
            the type states them.
    """

    def __init__(
        self,
        open_frames: Callable[[], Iterator[Restored]],
        methods: Sequence[str],
        fps: float,
        holdout: bool,
        notes: Sequence[str],
        value_range: ValueRange | None = None,
        file: Path | None = None,
        times: FrameTimes | None = None,
        originals: Callable[[], Iterator[tuple[int, AnyFrame]]] | None = None,
    ) -> None:
        self._open = open_frames
        self._file = file
        self._times = times
        self._originals = originals
        self._floats = torch.float32  # float64 where float32 does not hold the observed values
        self.methods = tuple(methods)
        self.fps = fps
        self._holdout = holdout
        self._notes = list(notes)
        self.value_range = value_range
        self._frames: Tensor | None = None
        self._missing: list[int] = []
        self._count = 0
        self._size = (1, 0, 0)  # clips, height, width
        self._scores: dict[str, RestorationScore] | None = None
        self._finished = False

    @property
    def frames(self) -> Shaped[Tensor, "..."]:
        """All frames ``(t, c, h, w)``, or ``(n, t, c, h, w)`` of a source of several clips, of the type of the source.

        Where a range states what NaN is read as, pixels that were not measured are NaN.

        Raises:
            ClipError: if a scene has no observed frame, or a gap is too long.
            ConfigError: if missing frames are beyond the end.
            MediaError: if the source cannot be read.
        """
        if self._frames is None:
            clips = torch.stack([restored.versions[0] for restored in self._run()], dim=1)
            self._frames = clips[0] if len(clips) == 1 else clips
        return self._frames

    @property
    def count(self) -> int:
        """Number of frames, rebuilt ones included."""
        self._finish()
        return self._count

    @property
    def rebuilt(self) -> tuple[int, ...]:
        """Numbers of the rebuilt frames."""
        self._finish()
        return tuple(self._missing)

    @property
    def scores(self) -> dict[str, RestorationScore]:
        """The score of each method; empty where the true frames were not held out."""
        self._finish()
        return self._scores or {}

    @property
    def score(self) -> RestorationScore | None:
        """The score of the method that restored; None where the true frames were not held out."""
        return self.scores.get(self.methods[0])

    @property
    def notes(self) -> tuple[str, ...]:
        """Sentences about what was found, such as frames with one side only."""
        self._finish()
        ends = one_sided(frozenset(self._missing), self._count) if self._missing else 0
        frames, have = ("frame", "has") if ends == 1 else ("frames", "have")
        sides = f"{have} observed frames on one side only; expect less there."
        said = f"{ends} rebuilt {frames} at an end of the video {sides}"
        return (*self._notes, *([said] if ends else []))

    def describe(self, path: str | Path = "", beside: str | None = None) -> str:
        """Number, size and rate of the frames, in words.

        Args:
            path: the file or folder that is written.
            beside: as in :meth:`save`.
        """
        self._finish()
        clips, height, width = self._size
        size = describe_size(path, height, width, clips, versions=1 if beside is None else 2)
        return f"{self.count} frames of {size}, {len(self.rebuilt)} of them rebuilt, at {self.fps:.3g} a second"

    def save(self, path: str | Path, beside: str | None = None, sound: bool = False) -> None:
        """Write a video, array or folder of pictures, by the suffix of the path.

        Args:
            path: where to write; see :func:`framepred.write_video`.
            beside: name of another of the methods, whose frames are shown on the left; in an array, they come first.
            sound: copy the sound track of the source into an .mp4 file.

        Raises:
            ConfigError: if ``beside`` is not among the methods, or the output holds no sound.
            MediaError: if the file cannot be written, or the source has no sound that can be copied.
        """
        if beside is not None and beside not in self.methods:
            raise ConfigError(f"{beside} is not among the methods {', '.join(self.methods)}; name it in compare.")
        path = expand_user(path)
        if not sound:
            self._write(path, beside)
            return
        if self._file is None:
            raise ConfigError("Only a video file has a sound track, not an array; leave sound out.")
        check_sound(self._file, path)
        with tempfile.TemporaryDirectory() as folder:
            pictures = Path(folder) / path.name
            self._write(pictures, beside)
            add_sound(pictures, self._file, path)

    def _write(self, path: Path, beside: str | None) -> None:
        """Write clips frame by frame unless the file is an array, which alone keeps NaN where nothing is measured."""
        store = to_stored(path, self.value_range)
        frames = self._shown(beside) if store is None else self._values(beside)
        if path.suffix.lower() in ARRAYS:
            clips = torch.stack(list(frames), dim=1)  # decides the type of floats
            if self.value_range is not None:
                store = partial(self.value_range.stored, floats=self._floats)
            write_video(path, clips if len(clips) > 1 else clips[0], self.fps, to_file=store)
            return
        filler = None
        if self.value_range is not None:
            filler = self.value_range.filler if store else self.value_range.filler_in_unit
        shown = (_tiled(fill_missing(frame, filler), 1 if beside is None else 2) for frame in frames)
        seconds, last = (None, None) if self._times is None else self._times
        write_frames(path, shown, self.fps, times=seconds, last_duration=last, to_file=store)

    def _shown(self, beside: str | None) -> Iterator[RawFrame]:
        """The frames to write; those of another method on the left if it is named."""
        for restored in self._run():
            yield self._chosen(restored.versions, beside)

    def _values(self, beside: str | None) -> Iterator[AnyFrame]:
        """The frames to write as values of the source: observed ones exactly as they are, also beyond the range."""
        assert self.value_range is not None
        assert self._originals is not None
        originals = self._originals()
        place, original = next(originals)
        for number, restored in enumerate(self._run()):
            values = self.value_range.values(self._chosen(restored.versions, beside))
            if number == place:
                copies = len(values) // len(original)
                observed = ~torch.tensor(restored.rebuilt).repeat(copies)
                values[observed] = exact = original.repeat(copies, 1, 1, 1)[observed]
                if not torch.equal(exact.float().double().nan_to_num(), exact.nan_to_num()):
                    self._floats = torch.float64
                place, original = next(originals, (-1, original))
            yield values

    def _chosen(self, versions: Sequence[AnyFrame], beside: str | None) -> AnyFrame:
        return versions[0] if beside is None else torch.cat([versions[self.methods.index(beside)], versions[0]])

    def _finish(self) -> None:
        if not self._finished:
            for _ in self._run():
                pass

    def _run(self) -> Iterator[Restored]:
        """The restored frames, counted and scored as they pass."""
        missing: list[int] = []
        errors: list[list[Tensor]] = [[] for _ in self.methods]
        count = 0
        size = (0, 0, 0)
        for count, restored in enumerate(self._open(), start=1):
            channels, height, width = restored.versions[0].shape[1:]
            self._size = (len(restored.frame), height, width)
            if any(restored.rebuilt):
                missing.append(count - 1)
                if self._holdout:
                    size = channels, height, width
                    for found, version in zip(errors, restored.versions, strict=True):
                        found.append(_errors(version, restored.frame))
            yield restored
        self._missing, self._count, self._finished = missing, count, True
        if self._holdout:
            self._scores = {name: _mean(found, size) for name, found in zip(self.methods, errors, strict=True) if found}


def _tiled(frame: RawFrame, versions: int) -> Shaped[Tensor, "c H W"]:
    """The clips of a frame as one picture, each with its versions in a row; the batch holds version after version."""
    clips = [
        tile_clips(torch.stack(each)[:, None], columns=versions) for each in zip(*frame.chunk(versions), strict=True)
    ]
    return tile_clips(torch.stack(clips))[0]


def _errors(frame: RawFrame, truth: RawFrame) -> Float[Tensor, "2 n"]:
    """Squared error and PSNR of one frame of each clip, where it is measured and rebuilt; NaN where no pixel is."""
    guess, known = to_unit(frame)[:, None], to_unit(truth)[:, None]
    known = torch.where(guess.isnan(), guess, known)  # what no neighbour measured is not rebuilt
    return torch.stack([frame_mse(guess, known)[:, 0], frame_psnr(guess, known)[:, 0]])


def _mean(errors: Sequence[Float[Tensor, "2 n"]], size: tuple[int, int, int]) -> RestorationScore:
    """Means over the frames of each clip, then over clips; a frame without a value has no part.

    Raises:
        ClipError: if there is no value.
    """
    values = torch.stack(list(errors))  # (m, 2, n)
    mse, psnr = values.nanmean(dim=0).nanmean(dim=1).tolist()
    scored = int((~values[:, 0].isnan()).any(dim=1).sum())
    if not scored:
        raise ClipError(
            "No pixel of the held-out frames was measured in them and beside them, so there is no score; hold out "
            "other frames."
        )
    return RestorationScore(mse, psnr, scored, size)
