from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from framepred.baselines import LastFrame
from framepred.inference import recording
from framepred.inference.sinks import film, record, table
from framepred.inference.stream import Follower, Step, follow
from framepred.media.live import Moment
from framepred.media.reading import read_video
from framepred.visualization.stream_page import StreamPage

Steps = Iterator[tuple[int, Moment, Step]]


def steps(count: int, horizon: int = 2, lost_before: int | None = None) -> Steps:
    """A frame's level is its number; before one of them the source is lost, and comes back in another size."""

    def moment(n: int) -> Moment:
        shape = (1, 8, 8) if lost_before is None or n < lost_before else (3, 10, 6)
        return Moment(torch.full(shape, n, dtype=torch.uint8), n / 4, fresh=n in (0, lost_before))

    return follow(Follower(LastFrame(), horizon), map(moment, range(count)))


def test_a_table_is_there_line_by_line(tmp_path: Path) -> None:
    path = tmp_path / "new" / "a.csv"
    for number, moment, step in record(steps(25), [table(path)]):
        lines = path.read_text().splitlines()
        assert lines[0] == "frame,time,mse,surprise"
        assert len(lines) == number + 2
        last = lines[-1].split(",")
        assert (float(last[0]), float(last[1])) == (number, moment.time)
        for text, value in zip(last[2:], (step.mse, step.surprise), strict=True):
            assert text == "" if value is None else float(text) == pytest.approx(value, abs=1e-3, rel=1e-5)


def test_nothing_is_opened_before_the_first_step(tmp_path: Path) -> None:
    def none() -> Steps:
        raise ZeroDivisionError
        yield

    with pytest.raises(ZeroDivisionError):
        list(record(none(), [table(tmp_path / "a.csv"), film(tmp_path / "a.mp4", 10, 2, None)]))
    assert list(tmp_path.iterdir()) == []


def test_a_film_shows_what_was_predicted_of_each_frame(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shown = []

    class Page(StreamPage):
        def drawn(self, seen, predicted, surprise, time):  # type: ignore[no-untyped-def]
            shown.append((int(seen[0, 0, 0]), None if predicted is None else int(predicted[0, 0, 0])))
            return super().drawn(seen, predicted, surprise, time)

    monkeypatch.setattr(recording, "StreamPage", Page)
    list(record(steps(9, horizon=2, lost_before=5), [film(tmp_path / "a.mp4", 10, 2, 5.0)]))
    before = [(0, None), (1, None), (2, 0), (3, 1), (4, 2)]
    after = [(5, None), (6, None), (7, 5), (8, 6)]
    assert shown == before + after
    assert len(read_video(tmp_path / "a.mp4")) == 9
