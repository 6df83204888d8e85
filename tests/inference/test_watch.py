"""What is unusual is found, what is usual is not, and what is known of a scene survives on disk."""

from collections.abc import Iterator
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from threading import Event as Flag

import numpy as np
import pytest
import torch
from torch import Tensor

import framepred
from framepred.baselines import load_baseline
from framepred.errors import ClipError, ConfigError, DataError, MediaError
from framepred.inference.watch import WatchStep
from framepred.inference.watching.events import Event, EventFinder
from framepred.inference.watching.forecasting import network_forecast
from framepred.inference.watching.injected import KINDS, inject
from framepred.inference.watching.labels import Evaluation, Labels, measure, read_labels
from framepred.inference.watching.learning import learn_profile
from framepred.inference.watching.playing import PlayingSource, play_source
from framepred.inference.watching.profile import FrameScore, Profile, ProfileBuilder
from framepred.inference.watching.rareness import Calibration
from framepred.inference.watching.recording import EventFolder, WatchVideo, recorded
from framepred.media.live import Moment
from slow_cases import quick_where
from video_zoo import ZOO

FPS = 10.0
NORMAL = 200  # frames


def street(count: int, seed: int = 0, light: np.ndarray | None = None, pan: int = 0) -> np.ndarray:
    """A textured scene with things that pass, sensor noise, and light that may change: uint8 (t, 48, 64, 1)."""
    random = np.random.default_rng(seed)
    scene = np.kron(random.integers(60, 180, (16, 80)), np.ones((3, 4)))
    frames = []
    for time in range(count):
        left = pan * time % 200 if pan * time % 400 < 200 else 200 - pan * time % 200
        frame = scene[:, left : left + 64].copy()
        for number, speed in enumerate((1, 2, -1)):
            x = int(20 * number + speed * time) % 80 - 8
            frame[8 + 14 * number : 16 + 14 * number, max(0, x) : max(0, x + 8)] = 220
        frames.append(frame * (1 if light is None else light[time]) + random.normal(0, 3, frame.shape))
    return np.stack(frames).clip(0, 255).astype(np.uint8)[..., None]


def tensors(film: np.ndarray) -> list[Tensor]:
    return list(torch.from_numpy(film).permute(0, 3, 1, 2))


@pytest.fixture(scope="module")
def film() -> np.ndarray:
    return street(500)


@pytest.fixture(scope="module")
def profile(film: np.ndarray) -> Profile:
    return Profile.fit(tensors(film[:NORMAL]), FPS)


@pytest.mark.usefixtures("unchecked_shapes")
@pytest.mark.parametrize("kind", ["freeze", "object", "shake", "flash", "blur", "cover"])
def test_injected_events_stand_out(film: np.ndarray, profile: Profile, kind: str) -> None:
    from sklearn.metrics import roc_auc_score  # not at collection: the import takes half a second

    injected = inject(film[NORMAL:400], kind, FPS, seed=1)
    fresh = profile.fresh()
    scores = [fresh.score(frame).score for frame in tensors(injected.frames)]
    assert roc_auc_score(injected.labels, scores) > 0.85


@pytest.mark.usefixtures("unchecked_shapes")
def test_usual_frames_raise_few_alarms_and_an_intruder_raises_one_at_its_place(
    film: np.ndarray, profile: Profile
) -> None:
    changed = film[NORMAL:, ..., 0].copy()
    changed[200:215, 4:20, 40:60] = 255
    events = list(framepred.watch(changed, profile=profile.fresh(), false_alarms=30))
    found = [event for event in events if 200 <= event.start_frame < 205]
    assert len(found) == 1
    assert len(events) <= 2  # 30 s at 30 an hour: a quarter of one is expected
    left, top, right, bottom = found[0].place or (0, 0, 1, 1)
    assert left <= 50 / 64 <= right
    assert top <= 12 / 48 <= bottom


@pytest.mark.usefixtures("unchecked_shapes")
@pytest.mark.parametrize("seed", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_slow_daylight_is_followed_and_lights_out_is_not(seed: int) -> None:
    light = np.concatenate([np.ones(NORMAL), np.linspace(1, 0.975, 250)])  # a quarter of the light in four minutes
    film = street(450, seed, light=light)
    film[420:] //= 4
    events = list(framepred.watch(film[..., 0], normal=NORMAL / FPS, false_alarms=60))
    assert sum(event.start_frame < 418 for event in events) <= 1
    assert any(418 <= event.start_frame <= 422 and event.kind == "global change" for event in events)


STILL, TEST = 200, 40  # frames of normal footage, and frames after it until something happens


def still_scene(count: int, seed: int, gain: float | np.ndarray = 1.0, noise: float = 2.0) -> np.ndarray:
    """An empty scene in which nothing but the sensor's noise changes: (t, 48, 64), not rounded."""
    scene = 110.0 + np.kron(np.random.default_rng(7).integers(-60, 61, (6, 8)), np.ones((8, 8)))
    gains = np.broadcast_to(gain, count)[:, None, None]
    return scene * gains + np.random.default_rng(seed).normal(0, noise, (count, *scene.shape))


@lru_cache
def still_changes(gain: float, noise: float) -> dict[str, np.ndarray]:
    """What can happen to the whole picture of a still scene, for four seconds; ``slow cover`` takes twenty."""
    random = np.random.default_rng(3)
    shape = (40, 48, 64)
    return {
        "covered black": np.abs(random.normal(2, noise / 3, shape)),
        "covered gray": 90 * gain + random.normal(0, noise, shape),
        "lights out": still_scene(40, 5, gain / 4, noise),
        "dimmed": still_scene(40, 5, 0.7 * gain, noise),
        "frozen": np.repeat(still_scene(1, 4, gain, noise), 40, axis=0),
        "slow cover": still_scene(200, 6, np.linspace(gain, gain / 20, 200), noise),
        "noisy": still_scene(40, 8, gain, 3 * noise),
        "noise only": random.normal(128, 60, shape),
    }


LIGHTS = {"day": (1.0, 2.0), "night": (0.12, 3.0)}
STILL_CASES = [(light, kind) for light in LIGHTS for kind in still_changes(1.0, 2.0)]
QUICK_STILL_CASES = [
    ("day", "covered gray"), ("day", "noisy"), ("day", "noise only"), ("day", "slow cover"),
    ("night", "covered black"), ("night", "frozen"), ("night", "lights out"), ("night", "dimmed"),
]  # fmt: skip


@lru_cache
def still_profile(gain: float, noise: float) -> Profile:
    """The profile of an empty scene, by its light and its noise."""
    return Profile.fit(tensors(as_film(still_scene(STILL, 99, gain, noise))), FPS)


def as_film(frames: np.ndarray) -> np.ndarray:
    return frames.clip(0, 255).round().astype(np.uint8)[..., None]


@pytest.mark.usefixtures("unchecked_shapes")
@pytest.mark.parametrize(("light", "kind"), quick_where(QUICK_STILL_CASES.__contains__, STILL_CASES))
def test_a_change_of_the_whole_picture_is_one_event_in_an_empty_still_scene(light: str, kind: str) -> None:
    gain, noise = LIGHTS[light]
    profile = still_profile(gain, noise)
    change = still_changes(gain, noise)[kind]
    film = np.concatenate([still_scene(TEST, 1, gain, noise), change])
    found = list(framepred.watch(as_film(film)[..., 0], profile=profile.fresh(), false_alarms=1.0))
    late = 120 if kind == "slow cover" else 3  # frames
    assert [TEST <= event.start_frame <= TEST + late for event in found] == [True]
    if kind == "frozen":
        assert found[0].kind == "freeze"
    elif gain == 1 and kind != "slow cover":  # the dark hides what it is, and so does the beginning of a slow change
        assert found[0].kind == "global change"


@pytest.mark.usefixtures("unchecked_shapes")
def test_an_intruder_of_another_colour_but_the_same_brightness_is_found_at_its_place(film: np.ndarray) -> None:
    changed = film[:330] + np.random.default_rng(2).normal(0, 2, (330, *film.shape[1:3], 3))
    changed[300:315, 4:20, 40:60] += (60.0, -30.6, 0.0)  # 0.299 R + 0.587 G stays
    events = list(framepred.watch(changed.clip(0, 255).round().astype(np.uint8), normal=NORMAL / FPS, false_alarms=30))
    found = [event for event in events if 300 <= event.start_frame < 305]
    assert [event.kind for event in found] == ["local"]
    left, top, right, bottom = found[0].place or (0, 0, 0, 0)
    assert left <= 50 / 64 <= right
    assert top <= 12 / 48 <= bottom
    assert right - left < 0.7


@pytest.mark.usefixtures("unchecked_shapes")
def test_clouds_are_no_events_in_an_empty_still_scene() -> None:
    profile = still_profile(*LIGHTS["day"]).fresh()
    clouds = 1 - 0.05 * np.sin(np.linspace(0, 2 * np.pi, 300)) ** 2  # 5 % of the light within eight seconds
    film = as_film(still_scene(300, 1, clouds))
    assert list(framepred.watch(film[..., 0], profile=profile, false_alarms=1.0)) == []


@pytest.mark.usefixtures("unchecked_shapes")
def test_a_moving_camera_is_usual_where_it_was_learned() -> None:
    film = street(400, pan=2)
    film[350:365] = film[350]
    events = list(framepred.watch(film[..., 0], normal=25.0, false_alarms=60))
    assert any(350 <= event.start_frame <= 353 and event.kind == "freeze" for event in events)
    assert sum(event.start_frame < 348 for event in events) <= 1


def test_what_a_viewer_should_know_of_the_source_is_said(profile: Profile, tmp_path: Path) -> None:
    source = next(sample for sample in ZOO if sample.name == "mpeg2-interlaced.mpg").write(tmp_path)
    notices: list[str] = []
    framepred.watch(source, profile=profile, on_notice=notices.append)
    assert any("is interlaced" in notice for notice in notices)


def test_a_folder_of_normal_footage_is_learned_file_by_file(
    film: np.ndarray, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[str] = []

    def play(source: Path, **options: object) -> PlayingSource:
        read.append(source.name)
        playing = play_source(source, **options)
        return replace(playing, moments=noted(playing.moments, f"end of {source.name}"))

    def noted(moments: Iterator[Moment], end: str) -> Iterator[Moment]:
        yield from moments
        read.append(end)

    monkeypatch.setattr("framepred.inference.watching.learning.play_source", play)
    for name, part in (("a.npy", film[:50, ..., 0]), ("b.npy", film[50:100, ..., 0])):
        np.save(tmp_path / name, part)
    profile = learn_profile(tmp_path)
    assert profile.calibration.seconds > 0
    assert read == ["a.npy", "end of a.npy", "b.npy", "end of b.npy"]


def test_a_saved_profile_scores_alike(film: np.ndarray, profile: Profile, tmp_path: Path) -> None:
    profile.save(tmp_path / "street.safetensors")
    (tmp_path / "plain").touch()
    assert (tmp_path / "street.safetensors").stat().st_mode == (tmp_path / "plain").stat().st_mode
    loaded, fresh = Profile.load(tmp_path / "street.safetensors"), profile.fresh()
    for frame in tensors(film[NORMAL : NORMAL + 30]):
        assert loaded.score(frame).score == pytest.approx(fresh.score(frame).score)
    assert loaded.threshold(7) == profile.threshold(7)


def test_a_profile_is_refused_with_other_weights(film: np.ndarray, profile: Profile, tmp_path: Path) -> None:
    profile.save(tmp_path / "last.safetensors")
    with pytest.raises(MediaError, match="made where the last frame forecasts and cannot be used where baseline:blank"):
        framepred.watch(film[..., 0], profile=tmp_path / "last.safetensors", weights="baseline:blank")
    short = [frame[:, ::2, ::2] for frame in tensors(film[:90])]
    Profile.fit(short, FPS, network_forecast(load_baseline("blank"), "blank")).save(tmp_path / "blank.safetensors")
    with pytest.raises(MediaError, match="made where blank forecasts and cannot be used where the last frame does"):
        Profile.load(tmp_path / "blank.safetensors")


def test_adapting_needs_a_network_and_no_profile(film: np.ndarray, profile: Profile) -> None:
    with pytest.raises(ConfigError, match="Only a network in PyTorch can be adapted"):
        framepred.watch(film[..., 0], normal=NORMAL / FPS, adapt=1.0)
    with pytest.raises(ConfigError, match="A profile holds no adapted network"):
        framepred.watch(film[..., 0], profile=profile, weights="baseline:optical-flow", adapt=1.0)


@pytest.mark.parametrize("content", [b"", b"no profile", b"\x08\0\0\0\0\0\0\0{}      "])
def test_what_is_no_profile_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "p.safetensors").write_bytes(content)
    with pytest.raises(MediaError, match="make it again"):
        Profile.load(tmp_path / "p.safetensors")


def test_a_profile_of_another_version_is_refused(profile: Profile, tmp_path: Path) -> None:
    profile.save(tmp_path / "p.safetensors")
    content = (tmp_path / "p.safetensors").read_bytes()
    (tmp_path / "p.safetensors").write_bytes(content.replace(b"framepred-watch-profile-", b"framepred-watch-profilE-"))
    with pytest.raises(MediaError, match="no profile of this version of framepred; make it again"):
        Profile.load(tmp_path / "p.safetensors")


def test_footage_that_is_too_short_is_refused(film: np.ndarray) -> None:
    with pytest.raises(ClipError, match="at least 8 s"):
        Profile.fit(tensors(film[:30]), FPS)
    with pytest.raises(ClipError, match="nothing is left to watch"):
        framepred.watch(film[:90, ..., 0], normal=60.0)


@pytest.mark.parametrize(
    "shape",
    [(3, 5), (4, 200), (32, 48, 4), *(pytest.param(more, marks=pytest.mark.slow) for more in [(200, 4), (32, 48, 2)])],
)
def test_frames_of_any_shape_are_watched_and_recorded(shape: tuple[int, ...], tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    film = random.integers(90, 110, (140, *shape)).astype(np.uint8)
    film[120:135] = film[120]
    watching = framepred.watch(film, normal=10.0, false_alarms=60, layout="thwc" if len(shape) == 3 else "thw")
    recorders = [EventFolder(tmp_path), WatchVideo(tmp_path / "watch.mp4", watching.fps)]
    events = [item for item in recorded(watching, recorders) if isinstance(item, Event)]
    assert "freeze" in [event.kind for event in events]
    assert all((tmp_path / f"event-{event.number:06d}.png").exists() for event in events)


def test_a_camera_slower_than_it_states_is_calibrated_at_its_true_rate(
    film: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    frames = tensors(film)
    moments = (Moment(frame, number / FPS, number == 0) for number, frame in enumerate(frames))
    stated = PlayingSource(moments, 3 * FPS)
    monkeypatch.setattr("framepred.inference.watch.play_source", lambda *_: stated)
    watching = framepred.watch("0", normal=NORMAL / FPS)
    assert watching.profile.fps == pytest.approx(FPS)
    assert watching.profile.calibration.seconds == pytest.approx(NORMAL / FPS * 2 / 3, abs=3)


def test_frames_of_another_size_are_scored(profile: Profile) -> None:
    fresh = profile.fresh()
    for side in (48, 48, 96, 30):
        assert fresh.score(torch.zeros(3, side, side, dtype=torch.uint8)).score >= 0


@pytest.mark.usefixtures("unchecked_shapes")
@pytest.mark.parametrize(("side", "size"), [(32, (32, 32)), (128, (96, 128)), (200, (150, 200)), (4096, (240, 320))])
def test_frames_are_watched_at_the_side_that_is_asked_for(side: int, size: tuple[int, int]) -> None:
    film = np.repeat(np.repeat(street(150)[..., 0], 5, axis=1), 5, axis=2)
    film[130:140, 40:140, 60:200] = 0
    watching = framepred.watch(film, normal=12.0, false_alarms=60, max_side=side)
    assert watching.profile.size == size
    (event,) = watching
    assert event.start_frame == pytest.approx(130, abs=1)


@pytest.mark.usefixtures("unchecked_shapes")
@pytest.mark.parametrize(("rows", "columns", "differs"), [(1, 1, False), (2, 2, False), (2, 3, True), (3, 2, True)])
def test_a_profile_of_other_proportions_is_said(profile: Profile, rows: int, columns: int, differs: bool) -> None:
    height, width = profile.size
    film = np.random.default_rng(0).integers(0, 255, (12, rows * height, columns * width), dtype=np.uint8)
    notices: list[str] = []
    list(framepred.watch(film, profile=profile.fresh(), on_notice=notices.append))
    assert any("other proportions" in notice for notice in notices) == differs


def test_a_profile_of_another_range_of_values_is_refused(film: np.ndarray, tmp_path: Path) -> None:
    values = film[..., 0].astype(np.float32) / 255 * 92 - 32
    watching = framepred.watch(values, normal=NORMAL / FPS, value_range=(-32, 60))
    watching.profile.save(tmp_path / "a.safetensors")
    again = framepred.watch(values[:200], profile=tmp_path / "a.safetensors", value_range=(-32, 60))
    assert again.profile.limits == again.profile.fresh().limits == (-32.0, 60.0)
    for other, said in (((-32, 600), "-32 to 600"), (None, "that of its type")):
        source = values if other else film[..., 0]
        with pytest.raises(ConfigError, match=f"values -32 to 60, and this source with {said}; state the same range"):
            framepred.watch(source, profile=tmp_path / "a.safetensors", value_range=other)


@pytest.mark.parametrize("side", [0, 31, 4097])
def test_a_side_outside_its_domain_is_refused(side: int, film: np.ndarray) -> None:
    with pytest.raises(ConfigError, match=r"max_side must be from 32 to 4096 pixels"):
        framepred.watch(film[..., 0], max_side=side)


def test_a_saved_profile_keeps_its_side(film: np.ndarray, tmp_path: Path) -> None:
    small = Profile.fit(tensors(film[:NORMAL]), FPS, max_side=40)
    small.save(tmp_path / "a.safetensors")
    watching = framepred.watch(film[..., 0], profile=tmp_path / "a.safetensors", max_side=64)
    assert watching.profile.size == small.size == (32, 40)


def test_the_threshold_keeps_the_rate_on_exponential_tails() -> None:
    random = np.random.default_rng(0)
    calibration = Calibration(random.exponential(1.0, 3600))
    for rate in (10, 60, 300):
        later = random.exponential(1.0, 360_000)
        assert 0.8 * rate < (later > calibration.threshold(rate)).sum() / 100 < 1.25 * rate
    with pytest.raises(ConfigError, match="positive number an hour"):
        calibration.threshold(0)


@pytest.mark.parametrize("seconds", [16, 60])
def test_short_footage_raises_the_threshold_so_that_the_rate_holds_on_average(seconds: int) -> None:
    random = np.random.default_rng(1)
    for rate in (30, 120):
        expected = [
            3600 * np.exp(-Calibration(random.exponential(1.0, seconds)).threshold(rate)) for _ in range(2000)
        ]  # exceedances an hour
        assert 0.5 * rate < np.mean(expected) < 1.5 * rate


def test_events_join_over_short_pauses_and_are_reported_once() -> None:
    finder = EventFinder(1.0)
    scores = [0.0] * 5 + [2.0] * 3 + [0.0] * 5 + [3.0] * 2 + [0.0] * 15 + [2.0]
    found = [finder.add(index, index / FPS, FrameScore(score, score)) for index, score in enumerate(scores)]
    events = [event for event in [*found, finder.interrupt(), finder.interrupt()] if event is not None]
    assert [(event.start_frame, event.end_frame, event.peak) for event in events] == [(5, 14, 1.3), (30, 30, 3.0)]


def test_an_event_that_does_not_end_is_reported_while_it_goes_on() -> None:
    finder = EventFinder(1.0)
    found = [finder.add(index, index / FPS, FrameScore(2.0, 2.0)) for index in range(1000)]
    events = [event for event in [*found, finder.interrupt()] if event is not None]
    assert [(event.start_frame, event.ended) for event in events] == [(0, False)]


@pytest.mark.parametrize(("calm", "ended"), [(0, False), (12, False), (25, True)])
@pytest.mark.parametrize("stopped", [False, True], ids=["ends", "is stopped"])
def test_an_event_that_goes_on_when_the_source_ends_has_not_ended(
    film: np.ndarray, calm: int, ended: bool, stopped: bool
) -> None:
    start, stop = NORMAL + 20, Flag()
    dark, count = np.concatenate([film[:start], np.zeros_like(film[:5]), film[start:]]), start + 5 + calm
    watching = framepred.watch(dark if stopped else dark[:count], normal=NORMAL / FPS, false_alarms=60, stop=stop)
    events = []
    for item in watching.play():
        if isinstance(item, Event):
            events.append((item.start_frame, item.ended))
        elif item.index == count - 1 and stopped:
            stop.set()
    assert events == [(start, ended)]


@pytest.mark.parametrize("kind", KINDS)
def test_injection_is_a_function_of_the_seed_and_leaves_the_rest_alone(film: np.ndarray, kind: str) -> None:
    rest = film[NORMAL:]
    first, again = inject(rest, kind, FPS, 3), inject(rest, kind, FPS, 3)
    assert np.array_equal(first.frames, again.frames)
    assert np.array_equal(first.frames[~first.labels], rest[~first.labels])
    assert [stop - start for start, stop in first.events] == [15, 15, 15]
    assert all(later[0] - before[1] >= 40 for before, later in zip(first.events, first.events[1:], strict=False))
    if first.pixels is not None:
        assert np.array_equal(first.pixels.any(axis=(1, 2)), first.labels)


def test_a_film_too_short_for_the_events_is_refused(film: np.ndarray) -> None:
    with pytest.raises(ClipError, match="are needed for the events"):
        inject(film[:100], "freeze", FPS, 0)


def even(count: int) -> np.ndarray:
    """Lengths of frames at a constant rate, in seconds."""
    return np.full(count, 1 / FPS)


def test_detection_is_measured() -> None:
    labels = np.zeros(100, dtype=bool)
    labels[20:30] = labels[60:70] = True
    scores = labels.astype(float)
    result = measure(scores, np.arange(100) == 23, [(23, 24), (80, 81)], labels, np.arange(100) / FPS, even(100))
    assert (result.auroc, result.recall, result.delay) == (1.0, 0.5, pytest.approx(0.3))
    assert result.false_alarms == pytest.approx(3600 / 8)
    uneven = np.where(np.arange(100) < 22, np.arange(100) / FPS, np.arange(100))
    result = measure(scores, np.arange(100) == 23, [], labels, uneven, even(100))
    assert result.delay == pytest.approx(23 - 20 / FPS)


def test_false_alarms_are_those_of_the_time_watched() -> None:
    """One alarm in 300 s at a frame a second and 24 s at 25 frames a second, while the source was lost for an hour."""
    evaluation = Evaluation(fps=2.78)
    times = [*np.arange(300.0), *(3900 + np.arange(600) / 25)]
    for index, time in enumerate(times):
        scored = FrameScore(0.0, 0.0)
        evaluation.write(WatchStep(index, time, np.zeros((1, 1, 1)), scored, 1.0, False, fresh=index in (0, 300)))
    evaluation.add(Event(1, 3900.4, 3900.4, 3900.44, 310, 311, 9.0, 1.0, "other"))
    assert evaluation.result(Labels()).false_alarms == pytest.approx(3600 / 324, rel=0.01)


@pytest.mark.parametrize("count", [10, 38, 100])  # scikit-learn gives more than 1 for the last two
def test_perfect_scores_have_an_average_precision_of_one(count: int) -> None:
    labels = np.arange(count) <= count // 2
    result = measure(labels - np.arange(count) / 1000, labels, [], labels, np.arange(count) / FPS, even(count))
    assert 1 - 1e-9 < result.average_precision <= 1


@pytest.mark.parametrize(
    "text",
    [
        "start,end\n2.0,2.9\n",
        "frame,label\n20,1\n21,1\n3,0\n",
        " start , end\n 2.0, 2.9 \n",
        "start,end\r2.0,2.9\r",
        "start,end\r\n2.0,2.9\r\n",
        'frame, "label" ,note\n20, 1,\n21,1.0,x\n',
    ],
)
def test_labels_are_intervals_or_frames(tmp_path: Path, text: str) -> None:
    (tmp_path / "labels.csv").write_bytes(text.encode())
    found = read_labels(tmp_path / "labels.csv")(np.arange(40), np.arange(40) / FPS)
    assert found[20]
    assert found[21]
    assert not found[:20].any()


def test_a_threshold_that_no_score_can_reach_is_said() -> None:
    peaks = np.array([0.5, 1.0, 4.0])
    few, many = (Calibration(peaks).summary(rate) for rate in (1.0, 600.0))
    assert "no frame can reach the threshold, so give more normal footage or allow more of them" in few
    assert "no frame" not in many


def test_a_threshold_above_the_score_of_a_black_picture_is_said(tmp_path: Path) -> None:
    film = street(120)
    known = Profile.fit(tensors(film), FPS)
    known.save(tmp_path / "a.safetensors")
    loaded, black = Profile.load(tmp_path / "a.safetensors").calibration, torch.zeros(1, 48, 64, dtype=torch.uint8)
    assert loaded.highest == known.calibration.highest < 8
    for frame in tensors(film[-10:]):
        known.score(frame)
    scores = [known.score(black).current for _ in range(5)]
    assert known.calibration.highest - 0.5 < max(scores) < known.calibration.highest + 0.1
    rates = np.geomspace(0.1, 60, 300).tolist()
    said = [rate for rate in rates if "not even a black or a white picture" in loaded.summary(rate)]
    assert said == [rate for rate in rates if loaded.highest <= loaded.threshold(rate) < 8]
    assert said


@pytest.mark.parametrize("fps", [2.0, 10.0])
@pytest.mark.parametrize("inverted", [False, True])
def test_the_highest_score_is_that_of_a_black_or_a_white_picture_that_stays(fps: float, inverted: bool) -> None:
    frames = tensors(255 - street(130) if inverted else street(130))
    known = Profile.fit(frames[:120], fps)
    scores = []
    for level in (0, 255):
        live = known.fresh()
        for frame in frames[120:]:
            live.score(frame)
        scores += [live.score(torch.full_like(frames[0], level)).current for _ in range(10)]
    assert known.calibration.highest == pytest.approx(max(scores), abs=0.1)


def test_a_profile_that_is_built_and_its_footage_that_goes_on_leave_each_other_alone() -> None:
    frames, forecast = tensors(street(110)), network_forecast(load_baseline("optical-flow"))
    builder = ProfileBuilder(FPS, forecast)
    for frame in frames[:85]:
        builder.add(frame)
    first, again = builder.build(), builder.build()
    for frame in frames[85:100]:
        builder.add(frame)
    on = builder.build()
    once, at_once = (Profile.fit(frames[:count], FPS, forecast) for count in (85, 100))
    for one, other in ((first, once), (again, once), (on, at_once)):
        assert one.calibration.highest == other.calibration.highest
        known, same = one.fresh(), other.fresh()
        assert [known.score(frame).score for frame in frames[100:]] == [
            same.score(frame).score for frame in frames[100:]
        ]


def test_labels_that_end_before_they_start_are_refused(tmp_path: Path) -> None:
    (tmp_path / "labels.csv").write_text("start,end\n1,2\n52,50\n")
    with pytest.raises(DataError, match=r"line 3 ends before it starts"):
        read_labels(tmp_path / "labels.csv")


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"start,end\n1,2\n3\n", "(the end of line 3 is missing); give a number."),
        (b"start,end\n\n1,2\n,4\n", "(the start of line 4 is missing); give a number."),
        (b"start,end\n1,two\n", "(the end of line 2 is two); give a number."),
        (b"start,end\nnan,2\n", "(line 2 has NaN for a time); give seconds."),
        (b"start,end\r1,2\r3,nan\r", "(line 3 has NaN for a time); give seconds."),
        (b"frame,label\n1,1\n7\n", "(the label of line 3 is missing); give a number."),
        (b"frame,label\nx,0\n", "(the frame of line 2 is x); give a number."),
        (b"frame,label\n2.5,1\n", "(the frame of line 2 is 2.5); give whole numbers."),
        (b"frame,label\ninf,1\n", "(the frame of line 2 is inf); give whole numbers."),
        ("start,end\n1,2\n".encode("utf-16"), "(it is not UTF-8 text); save it as CSV in UTF-8."),
        ("start,end\n1,2 é\n".encode("latin-1"), "(it is not UTF-8 text); save it as CSV in UTF-8."),
    ],
)
def test_labels_that_cannot_be_read_are_one_sentence(tmp_path: Path, content: bytes, sentence: str) -> None:
    path = tmp_path / "labels.csv"
    path.write_bytes(content)
    with pytest.raises(DataError) as error:
        read_labels(path)
    assert str(error.value) == f"{path} cannot be read as labels {sentence}"


@pytest.mark.parametrize("label", ["5", "-1", "0.5", "nan"])
def test_labels_other_than_0_and_1_are_refused(tmp_path: Path, label: str) -> None:
    (tmp_path / "labels.csv").write_text(f"frame,label\n1,0\n2, {label}\n")
    with pytest.raises(DataError, match=rf"\(the label of line 3 is {label}\); write 1 for an unusual frame"):
        read_labels(tmp_path / "labels.csv")


@pytest.mark.parametrize("header", ["start,end\n", "frame,label\n"])
def test_labels_without_rows_say_that_nothing_is_unusual(tmp_path: Path, header: str) -> None:
    (tmp_path / "labels.csv").write_text(header)
    labels = read_labels(tmp_path / "labels.csv")
    assert labels.empty
    assert not labels(np.arange(5), np.arange(5.0)).any()


def test_what_was_not_measured_is_left_out() -> None:
    scores, nothing, everything = np.linspace(0, 1, 8), np.zeros(8, dtype=bool), np.ones(8, dtype=bool)
    none = measure(scores, nothing, [], nothing, np.arange(8) / FPS, even(8))
    assert none.to_text() == "None of the frames is labelled unusual; 0.0 false alarms an hour."
    for labels in (everything, scores > 0.5):
        assert "nan" not in measure(scores, nothing, [], labels, np.arange(8) / FPS, even(8)).to_text()


@pytest.mark.slow
def test_memory_stays_flat_over_20_000_frames(profile: Profile, film: np.ndarray) -> None:
    import resource

    fresh, frames = profile.fresh(), tensors(film[NORMAL:])
    held = []
    for number in range(20_001):
        fresh.score(frames[number % len(frames)])
        if number in (2_000, 20_000):
            held.append(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
    assert held[1] - held[0] < 4_000  # kilobytes
