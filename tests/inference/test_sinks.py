from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from framepred.baselines import LastFrame
from framepred.inference import sinks
from framepred.inference.sinks import COLUMNS, CsvSink, VideoSink, record
from framepred.inference.stream import Stream, StreamForecaster, StreamStep
from framepred.media.live import Moment
from framepred.media.reading import read_video
from framepred.visualization.stream_page import StreamPage

Steps = Iterator[StreamStep]


def steps(count: int, horizon: int = 2, lost_before: int | None = None) -> Steps:
    """A frame's level is its number; before one of them the source is lost, and comes back in another size."""

    def moment(n: int) -> Moment:
        shape = (1, 8, 8) if lost_before is None or n < lost_before else (3, 10, 6)
        return Moment(torch.full(shape, n, dtype=torch.uint8), n / 4, fresh=n in (0, lost_before))

    return iter(Stream(StreamForecaster(LastFrame(), horizon), map(moment, range(count)), 10))


def test_a_csv_file_is_complete_after_each_step(tmp_path: Path) -> None:
    path = tmp_path / "new" / "a.csv"
    for step in record(steps(25), [CsvSink(path)]):
        lines = path.read_text().splitlines()
        assert lines[0] == ",".join(COLUMNS) == "frame,time,mse,cut"
        assert len(lines) == step.index + 2
        last = lines[-1].split(",")
        assert (float(last[0]), float(last[1])) == (step.index, step.time)
        for text, value in zip(last[2:], (step.mse, int(step.cut)), strict=True):
            assert text == "" if value is None else float(text) == pytest.approx(value, abs=1e-3, rel=1e-5)


def test_nothing_is_opened_before_the_first_step(tmp_path: Path) -> None:
    def none() -> Steps:
        raise ZeroDivisionError
        yield

    with pytest.raises(ZeroDivisionError):
        list(record(none(), [CsvSink(tmp_path / "a.csv"), VideoSink(tmp_path / "a.mp4", 10, 2)]))
    assert list(tmp_path.iterdir()) == []


def test_a_video_shows_the_forecast_of_each_frame(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shown = []

    class Page(StreamPage):
        def drawn(self, seen, predicted, error, time):  # type: ignore[no-untyped-def]
            shown.append((int(seen[0, 0, 0]), None if predicted is None else int(predicted[0, 0, 0])))
            return super().drawn(seen, predicted, error, time)

    monkeypatch.setattr(sinks, "StreamPage", Page)
    list(record(steps(9, horizon=2, lost_before=5), [VideoSink(tmp_path / "a.mp4", 10, 2)]))
    before = [(0, None), (1, None), (2, 0), (3, 1), (4, 2)]
    after = [(5, None), (6, None), (7, 5), (8, 6)]
    assert shown == before + after
    assert len(read_video(tmp_path / "a.mp4")) == 9
