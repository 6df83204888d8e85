import json

import torch

from framepred.inference.stream import StreamStep
from framepred.inference.stream_log import StreamLog


def step(index: int, cut: bool = False) -> StreamStep:
    frame = torch.zeros(1, 2, 2)
    return StreamStep(index, index / 10, frame, frame[None], 0.25, cut)


def test_cuts_are_events() -> None:
    log = StreamLog("a.mp4")
    events = [event for each in (step(0), step(1, cut=True), step(2)) for event in log.add(each)]
    assert [event.kind for event in events] == ["cut"]
    assert json.loads(events[0].to_json()) == {"event": "cut", "frame": 1, "time": 0.1}


def test_the_end_counts_everything() -> None:
    seconds = iter([0.0, 2.0])
    log = StreamLog("a.mp4", clock=lambda: next(seconds))
    for number in range(4):
        log.add(step(number, cut=number == 2))
    end = log.end()
    assert end.sentence == "a.mp4: 4 frames, 1 cut; 2.0 frames a second."
    assert json.loads(end.to_json())["frames_per_second"] == 2
