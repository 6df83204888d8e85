import hashlib
import math
from collections.abc import Iterator

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from framepred.clips import ClipBatch, Frame, State
from framepred.errors import ClipError, ConfigError, DataError, WeightsError
from framepred.evaluation import Card, DataRecord, WeightsRecord, evaluate
from framepred.forecaster import Forecaster


class Fading(Forecaster):
    """Repeats the last frame, dimmer each time; a frozen part that stays in eval mode."""

    def __init__(self, factor: float = 0.5) -> None:
        super().__init__()
        self.factor = nn.Parameter(torch.tensor(factor))
        self.frozen = nn.Dropout().eval()
        self.modes: list[tuple[bool, bool]] = []
        self.seen: set[torch.dtype] = set()

    def observe(self, frame: Frame, state: State | None = None) -> State:
        self.seen.add(frame.dtype)
        return (frame,)

    def next_frame(self, state: State) -> Frame:
        self.modes.append((self.training, torch.is_grad_enabled()))
        return state[0] * self.factor


class Repeating(Fading):
    """Repeats the last frame."""

    def __init__(self) -> None:
        super().__init__(1.0)


DATA = DataRecord(name="noise", split="test", seed=3)


def noise(clips: int, frames: int = 5, size: tuple[int, int, int] = (1, 8, 9), dtype=torch.uint8) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    values = torch.randint(0, 256, (clips, frames, *size), generator=generator)
    return (values / 255).to(dtype) if dtype.is_floating_point else values.to(dtype)


def batches(clips: Tensor, sizes: list[int], context: int = 2) -> Iterator[ClipBatch]:
    return (ClipBatch.cut(part, context) for part in clips.split(sizes))


def score(clips: Tensor, net: Forecaster | None = None, **options) -> Card:
    options = {"data": DATA, "baselines": {"repeat": Repeating()}} | options
    return evaluate(net or Fading(), batches(clips, [len(clips)]), **options)


def test_numbers_by_hand() -> None:
    """White frames of 8×8: predicted 1/2 then 1/4, so squared errors are 64 · (1/4, 9/16)."""
    card = score(torch.full((3, 4, 1, 8, 8), 255, dtype=torch.uint8), weights=WeightsRecord(name="fading"))
    assert card.lead_times["mse"] == pytest.approx((16.0, 36.0))
    assert card.lead_times["mae"] == pytest.approx((32.0, 48.0))
    assert card.lead_times["psnr"] == pytest.approx((-10 * math.log10(1 / 4), -10 * math.log10(9 / 16)))
    c1 = 0.02**2
    assert card.lead_times["ssim"] == pytest.approx(((1 + c1) / (1.25 + c1), (0.5 + c1) / (1.0625 + c1)))
    assert card.metrics["mse"].value == pytest.approx(26.0)
    assert (card.metrics["mse"].low, card.metrics["mse"].high) == pytest.approx((26.0, 26.0))
    assert card.baselines["repeat"] == pytest.approx({"mse": 0.0, "mae": 0.0, "psnr": 100.0, "ssim": 1.0})
    assert card.skill == {}
    assert card.weights == WeightsRecord(name="fading")


def test_skill_is_against_the_best_baseline() -> None:
    white = torch.full((3, 4, 1, 8, 8), 255, dtype=torch.uint8)
    card = score(white, baselines={"dark": Fading(0.0), "darker": Fading(0.25)})
    assert card.skill["mse"] == pytest.approx(1 - 26.0 / (32 * (9 / 16 + (15 / 16) ** 2)))


def test_the_record_describes_the_data() -> None:
    clips = noise(4, frames=5, size=(3, 8, 9))
    data = score(clips).data
    assert (data.name, data.split, data.seed, data.digits) == ("noise", "test", 3, None)
    assert (data.clips, data.context, data.horizon, data.size) == (4, 2, 3, (3, 8, 9))
    assert data.sha256 == hashlib.sha256(clips.numpy().tobytes()).hexdigest()


def flat(card: Card) -> dict[str, float]:
    """Every number of a card by its path."""
    intervals = {f"{name}/{key}": value for name, part in card.metrics.items() for key, value in vars(part).items()}
    times = {f"{name}/{i}": value for name, part in card.lead_times.items() for i, value in enumerate(part)}
    baselines = {f"{base}/{name}": value for base, part in card.baselines.items() for name, value in part.items()}
    return intervals | times | baselines | dict(card.skill)


@settings(max_examples=8)
@given(cuts=st.sets(st.integers(1, 10)), protocol=st.sampled_from(["openstl", "predrnn", "wang2004"]))
def test_any_split_into_batches_gives_the_same_card(cuts: set[int], protocol: str) -> None:
    clips = noise(11, size=(1, 12, 13))
    sizes = np.diff([0, *sorted(cuts), 11]).tolist()
    options = {"protocol": protocol, "data": DATA, "baselines": {"repeat": Repeating()}}
    card = evaluate(Fading(), batches(clips, sizes), **options)
    whole = evaluate(Fading(), batches(clips, [11]), **options)
    assert card.data == whole.data
    assert flat(card) == pytest.approx(flat(whole), rel=1e-9)


@settings(max_examples=15)
@given(
    size=st.tuples(st.integers(1, 4), st.integers(7, 15), st.integers(7, 15)),
    context=st.integers(1, 3),
    horizon=st.integers(1, 4),
)
def test_any_size_channels_context_and_horizon(size: tuple[int, int, int], context: int, horizon: int) -> None:
    clips = noise(2, context + horizon, size)
    card = evaluate(Fading(), batches(clips, [1, 1], context), data=DATA)
    assert card.data.size == size
    assert (card.data.context, card.data.horizon) == (context, horizon)
    assert all(len(values) == horizon for values in card.lead_times.values())
    assert all(math.isfinite(value) for value in flat(card).values())


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_floats_score_as_their_integers_do(dtype: torch.dtype) -> None:
    net = Fading()
    assert flat(score(noise(3, dtype=dtype), net)) == pytest.approx(flat(score(noise(3))), rel=1e-6)
    assert net.seen == {torch.float32}


def test_uint16_scores_as_uint8_does_on_the_same_gray_levels() -> None:
    deep = (noise(3).to(torch.int32) * 257).to(torch.uint16)
    card = score(deep)
    assert flat(card) == pytest.approx(flat(score(noise(3))), rel=1e-6)
    assert card.data.sha256 == hashlib.sha256(deep.numpy().tobytes()).hexdigest()


def test_prediction_is_in_eval_mode_without_gradients_and_leaves_no_trace() -> None:
    net = Fading().train()
    net.frozen.eval()
    score(noise(2), net)
    assert set(net.modes) == {(False, False)}
    assert net.training
    assert not net.frozen.training


def test_the_training_mode_comes_back_after_an_error() -> None:
    net = Fading(math.nan).train()
    with pytest.raises(WeightsError):
        score(noise(2), net)
    assert net.training


def test_progress_is_reported_in_clips() -> None:
    batch_sizes: list[int] = []
    evaluate(Fading(), batches(noise(7), [3, 3, 1]), data=DATA, on_batch=batch_sizes.append)
    assert batch_sizes == [3, 3, 1]


def test_the_device_can_be_named() -> None:
    assert flat(score(noise(2), device="cpu")) == flat(score(noise(2)))


def test_no_clip_is_an_error() -> None:
    with pytest.raises(DataError, match="noise gave no clip"):
        evaluate(Fading(), [], data=DATA)


@pytest.mark.parametrize(
    "other",
    [
        ClipBatch.cut(noise(2), 3),
        ClipBatch.cut(noise(2, frames=6), 2),
        ClipBatch.cut(noise(2, size=(1, 9, 9)), 2),
        ClipBatch.cut(noise(2, size=(3, 8, 9)), 2),
        ClipBatch.cut(noise(2, dtype=torch.float32), 2),
    ],
)
def test_clips_of_another_kind_are_refused(other: ClipBatch) -> None:
    with pytest.raises(DataError, match=r"Clips 2 and on are .* but those before are 2 → 3 frames of 1 × 8 × 9"):
        evaluate(Fading(), [ClipBatch.cut(noise(2), 2), other], data=DATA)


@pytest.mark.parametrize(
    "batch",
    [
        ClipBatch(noise(2), noise(3)),
        ClipBatch(noise(2), noise(2, size=(1, 8, 8))),
        ClipBatch(noise(2), noise(2, dtype=torch.float32)),
    ],
)
def test_context_and_target_belong_together(batch: ClipBatch) -> None:
    with pytest.raises(DataError, match="not parts of the same clips"):
        evaluate(Fading(), [batch], data=DATA)


@pytest.mark.parametrize(("context", "sentence"), [(0, "cannot predict without context"), (5, "one frame to predict")])
def test_context_and_target_need_frames(context: int, sentence: str) -> None:
    with pytest.raises(DataError, match=sentence):
        evaluate(Fading(), batches(noise(2), [2], context), data=DATA)


@pytest.mark.parametrize("value", [math.nan, math.inf, 1.5, -0.5])
def test_floats_out_of_range_are_named(value: float) -> None:
    clips = noise(5, dtype=torch.float32)
    clips[3, 1, 0, 2, 2] = value
    with pytest.raises(DataError, match=r"Clip 3 \(the first is 0\)"):
        evaluate(Fading(), batches(clips, [2, 3]), data=DATA)


class FailsOnWhite(Fading):
    """NaN wherever a clip's frame is all white."""

    def next_frame(self, state: State) -> Frame:
        white = state[0].flatten(1).eq(1).all(dim=1)
        return torch.where(white.view(-1, 1, 1, 1), math.nan, state[0])


def test_a_prediction_that_is_not_finite_is_named() -> None:
    clips = noise(6)
    clips[4] = 255
    with pytest.raises(WeightsError, match=r"The network predicted NaN.* for clip 4 "):
        evaluate(FailsOnWhite(), batches(clips, [3, 3]), data=DATA)
    with pytest.raises(WeightsError, match=r"Baseline white predicted NaN.* for clip 4 "):
        evaluate(Fading(), batches(clips, [3, 3]), data=DATA, baselines={"white": FailsOnWhite()})


@pytest.mark.parametrize(("factor", "shown"), [(0.0, "0.00"), (0.003, "0.00")])
def test_blank_predictions_are_noted(factor: float, shown: str) -> None:
    (note,) = score(noise(3), Fading(factor)).notes
    assert f"blank: every pixel is {shown} " in note
    assert "Likely causes:" in note


def test_a_blank_prediction_of_blank_data_is_right() -> None:
    black = torch.zeros(3, 4, 1, 8, 8, dtype=torch.uint8)
    assert score(black, Repeating(), baselines={"blank": Fading(0.0)}).notes == ()


def test_one_bright_clip_among_blank_ones_is_not_blank() -> None:
    clips = torch.zeros(3, 4, 1, 8, 8, dtype=torch.uint8)
    clips[0, :, :, 3, 3] = 255
    assert evaluate(Fading(), batches(clips, [1, 2]), data=DATA).notes == ()
    assert evaluate(Fading(), batches(clips.flip(0), [2, 1]), data=DATA).notes == ()


def test_clips_each_blank_in_another_way_are_not_blank() -> None:
    clips = torch.zeros(2, 4, 1, 8, 8, dtype=torch.uint8)
    clips[1] = 255
    assert evaluate(Repeating(), batches(clips, [1, 1]), data=DATA).notes == ()
    assert evaluate(Repeating(), batches(clips.flip(0), [1, 1]), data=DATA).notes == ()


def test_one_process_of_many_waits_for_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.distributed, "is_initialized", lambda: True)
    monkeypatch.setattr(torch.distributed, "get_rank", lambda: 0)
    assert score(noise(2)).data.clips == 2


def test_frames_too_small_for_ssim_are_an_error() -> None:
    with pytest.raises(ClipError, match="at least 7 × 7 pixels, not 6 × 9"):
        score(noise(2, size=(1, 6, 9)))


def test_an_unknown_protocol_is_an_error() -> None:
    with pytest.raises(ConfigError, match="openstl, predrnn, wang2004"):
        score(noise(2), protocol="simvp")
