"""Events of a stream as sentences and as JSON: scene cuts, frames that miss every pixel, and the counts at the end."""

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from framepred.inference.csv_sink import ScoredStep


@dataclass(frozen=True)
class StreamEvent:
    """Something that happened in a stream.

    Attributes:
        kind: ``cut``, ``missing`` or ``end``.
        sentence: the event for a person.
        fields: the event for a program; numbers, strings and lists.
    """

    kind: str
    sentence: str
    fields: dict[str, Any] = field(default_factory=dict)

    def to_json(self) -> str:
        """The event as one line of JSON."""
        return json.dumps({"event": self.kind, **self.fields})


class LoggedStep(ScoredStep, Protocol):
    """A :class:`ScoredStep` that says whether no pixel of its frame was measured."""

    @property
    def lost(self) -> bool:
        """Whether no pixel of the frame was measured."""


class StreamLog:
    """Counts the frames and cuts of a stream and describes them.

    Args:
        source: the name of the source.
        clock: seconds, for the rate.
    """

    def __init__(self, source: str, clock: Callable[[], float] = time.perf_counter) -> None:
        self._source = source
        self._clock = clock
        self._start = clock()
        self._frames = self._cuts = self._lost = 0
        self._last_lost = False

    @property
    def rate(self) -> float:
        """Frames per second since the start."""
        return self._frames / max(self._clock() - self._start, 1e-9)

    def add(self, step: LoggedStep) -> list[StreamEvent]:
        """Count a frame, and return the events at it."""
        self._frames += 1
        where = {"frame": step.index, "time": step.time}
        events = []
        if step.cut:
            self._cuts += 1
            sentence = f"Scene cut at frame {step.index}, {step.time:.2f} s: the state is reset."
            events.append(StreamEvent("cut", sentence, where))
        if step.lost and not self._last_lost:  # once for frames in a row
            sentence = f"No pixel of frame {step.index}, {step.time:.2f} s, is measured; it is not observed."
            events.append(StreamEvent("missing", sentence, where))
        self._lost += step.lost
        self._last_lost = step.lost
        return events

    def end(self, files: Sequence[Path] = ()) -> StreamEvent:
        """Describe the whole stream, with the files that were written."""
        rate, written = self.rate, [str(path) for path in files if self._frames]
        counts = {"frames": self._frames, "cuts": self._cuts}
        counts |= {"lost_frames": self._lost} if self._lost else {}
        listed = ", ".join(
            f"{count} {(name if count != 1 else name[:-1]).replace('_', ' ')}" for name, count in counts.items()
        )
        sentence = "\n".join([f"{self._source}: {listed}; {rate:.1f} frames a second.", *written])
        fields = {"source": self._source, **counts, "frames_per_second": rate, "files": written}
        return StreamEvent("end", sentence, fields)
