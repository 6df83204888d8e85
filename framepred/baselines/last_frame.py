"""The persistence baseline."""

from typing_extensions import override

from framepred.clips import Frame, RawFrame, State, to_unit
from framepred.forecaster import Forecaster


class LastFrame(Forecaster):
    """Repeats the last frame seen: persistence, the oldest baseline of forecasting."""

    @override
    def observe(self, frame: RawFrame, state: State | None = None) -> State:
        """Keep the frame in [0, 1]; uint8 and uint16 frames are welcome too."""
        return (to_unit(frame),)

    def next_frame(self, state: State) -> Frame:
        """The frame last seen, ``(b, c, h, w)``."""
        return state[0]
