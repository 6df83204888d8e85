import hashlib
import math
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from framepred.clips import ClipBatch, Frame, State, to_unit
from framepred.errors import ClipError, ConfigError, DataError, WeightsError
from framepred.evaluation import Card, DataRecord, SavedPredictions, WeightsRecord, evaluate, evaluate_together
from framepred.evaluation.compare import compare
from framepred.evaluation.protocols import Measure, find_protocol
from framepred.evaluation.report import build_report
from framepred.evaluation.scorer import ClipScores, Scorer
from framepred.evaluation.tables import score_table
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


OPENSTL = find_protocol("openstl").measures
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


def test_a_metric_with_one_value_per_clip_is_read_compared_and_shown() -> None:
    worst = Measure(lambda pred, target: (pred - target).abs().flatten(1).amax(1), higher_is_better=False)
    first, second = (
        Card.from_json(score(noise(4), net, extra_measures={"worst": worst}).to_json())
        for net in (Fading(), Repeating())
    )
    assert len(first.per_clip["worst"]) == 4
    assert "worst" not in first.lead_times
    assert compare([first, second]).differences["worst"][1].low is not None
    assert any("worst" in heading for heading in build_report(first, [second]).headings)
    assert len(build_report(first, [second]).charts) == 4
    assert "worst" in [column.header.strip() for column in score_table(first).columns]


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


def dim(context: Tensor, horizon: int) -> Tensor:
    """Predicts gray, and changes its input in a way that PyTorch notices."""
    context.mul_(0.5)
    return torch.full_like(context[:, -1:], 0.5).repeat(1, horizon, 1, 1, 1)


def dim_in_numpy(context: Tensor, horizon: int) -> Tensor:
    """Predicts gray, and changes its input in a way that PyTorch does not notice."""
    pixels = context.numpy()
    pixels *= 0.5
    return torch.full_like(context[:, -1:], 0.5).repeat(1, horizon, 1, 1, 1)


def gray(context: Tensor, horizon: int) -> Tensor:
    """Predicts gray."""
    return torch.full_like(context[:, -1:], 0.5).repeat(1, horizon, 1, 1, 1)


@pytest.mark.parametrize("dtype", [torch.uint8, torch.float32])
@pytest.mark.parametrize("changing", [dim, dim_in_numpy])
def test_a_predictor_that_changes_its_input_changes_nothing_else(changing, dtype: torch.dtype) -> None:
    clips = noise(4, dtype=dtype)
    batch = ClipBatch.cut(clips.clone(), 2)
    options = {"data": DATA, "baselines": {"repeat": Repeating()}, "weights": [None, None]}
    expected = evaluate_together({"first": gray, "second": Fading()}, [batch], **options)
    found = evaluate_together({"first": changing, "second": Fading()}, [batch], **options)
    for card, other in zip(found, expected, strict=True):
        assert (card.metrics, card.baselines) == (other.metrics, other.baselines)
    assert all(torch.equal(shown.context, clips[shown.number, :2]) for shown in found[0].evidence.examples())
    assert torch.equal(batch.clips, clips)


def test_progress_is_reported_in_clips() -> None:
    batch_sizes: list[int] = []
    evaluate(Fading(), batches(noise(7), [3, 3, 1]), data=DATA, on_batch=batch_sizes.append)
    assert batch_sizes == [3, 3, 1]


def test_who_gives_the_clips_and_hears_of_them_keeps_gradients() -> None:
    modes = []

    def read() -> Iterator[ClipBatch]:
        for batch in batches(noise(4), [2, 2]):
            modes.append(torch.is_inference_mode_enabled())
            yield batch

    evaluate(Fading(), read(), data=DATA, on_batch=lambda _: modes.append(torch.is_inference_mode_enabled()))
    assert modes == [False] * 4


def test_the_device_can_be_named() -> None:
    assert flat(score(noise(2), device="cpu")) == flat(score(noise(2)))


def test_predictions_are_scored_where_the_sums_are() -> None:
    """Exports return frames on the CPU; the meta device stands for a GPU."""
    meta = torch.device("meta")
    scorer = Scorer("An export", lambda context, horizon: torch.zeros(2, horizon, 1, 8, 8), OPENSTL, meta)
    context = torch.zeros(2, 3, 1, 8, 8, device=meta)
    assert scorer.predict(context, 4, [0, 1]).device == meta


def test_float64_sums_of_an_apple_gpu_are_kept_on_the_cpu() -> None:
    scores, expected = (ClipScores(OPENSTL, torch.device(name)) for name in ("mps", "cpu"))
    for one in (scores, expected):
        one.add(torch.zeros(2, 3, 1, 8, 8), torch.full((2, 3, 1, 8, 8), 0.5), [0, 1])
    assert scores.scores() == expected.scores()
    assert {part.device.type for average in scores.averages.values() for part in average.sums} == {"cpu"}
    assert scores.error_map().mean() == 0.25


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


class Halves:
    """Predictions that another program saved: half of what they should be."""

    def __init__(self, clips: Tensor, context: int = 2) -> None:
        self.future = clips[:, context:].float() / 510

    def __len__(self) -> int:
        return len(self.future)

    def __getitems__(self, indices: Sequence[int]) -> Tensor:
        return self.future[list(indices)]


def test_saved_predictions_score_like_the_network_that_made_them() -> None:
    clips = noise(5)
    future = clips[:, 2:].float() / 510
    expected = evaluate(lambda context, horizon: future, batches(clips, [5]), data=DATA)
    saved = evaluate(SavedPredictions(Halves(clips)), batches(clips, [3, 2]), data=DATA)
    assert flat(saved) == pytest.approx(flat(expected), rel=1e-9)


def test_saved_predictions_need_no_context_and_baselines_do() -> None:
    clips = noise(5)
    card = evaluate(SavedPredictions(Halves(clips, 0)), batches(clips, [5], context=0), data=DATA)
    assert (card.data.context, card.data.horizon) == (None, 5)
    with pytest.raises(DataError, match="Baseline repeat cannot predict without context"):
        evaluate(
            SavedPredictions(Halves(clips, 0)), batches(clips, [5], 0), data=DATA, baselines={"repeat": Repeating()}
        )


def test_saved_predictions_on_another_scale_are_refused() -> None:
    clips, predictions = noise(5), Halves(noise(5))
    predictions.future *= 255
    with pytest.raises(DataError, match=r"pixels from 0 to 127\.5 but white must be 1"):
        evaluate(SavedPredictions(predictions), batches(clips, [5]), data=DATA)
    predictions.future[0, 0, 0, 0, 0] = torch.nan  # as where a true pixel is missing
    with pytest.raises(DataError, match=r"but white must be 1"):
        evaluate(SavedPredictions(predictions), batches(clips, [5]), data=DATA)


@pytest.mark.parametrize("saved", [False, True])
def test_predictions_of_integers_score_as_their_floats(saved: bool) -> None:
    clips = noise(5)
    for levels in (clips[:, 2:] // 2, clips[:, 2:].to(torch.uint16) * 100):

        def predictor(frames: Tensor) -> object:
            return SavedPredictions(frames) if saved else lambda context, horizon: frames

        cards = [evaluate(predictor(frames), batches(clips, [5]), data=DATA) for frames in (levels, to_unit(levels))]
        assert flat(cards[0]) == flat(cards[1])


@pytest.mark.usefixtures("unchecked_shapes")
@pytest.mark.parametrize("lost", [False, True], ids=["measured", "lost frame"])
def test_callables_that_return_no_frames_on_the_scale_are_refused(lost: bool) -> None:
    clips = to_unit(noise(3))
    clips[:, 1] = torch.nan if lost else 0  # a frame without a measured pixel is forecast across

    def refused(function: Callable[[Tensor], object], match: str) -> None:
        filled = (batch._replace(filler=0.0) for batch in batches(clips, [3]))
        with pytest.raises(ClipError, match=f"The network {match}"):
            evaluate(lambda context, horizon: function(context[:, :1].repeat(1, horizon, 1, 1, 1)), filled, data=DATA)

    refused(lambda frames: frames.numpy(), "returned ndarray, not a tensor")
    refused(lambda frames: (frames, None), "returned tuple, not a tensor")
    refused(lambda frames: frames * 255, r"predicted pixels from .* to 2.. but white must be 1")


def test_several_forecasters_in_one_pass_score_as_each_alone() -> None:
    clips, read = noise(5), []

    def watched() -> Iterator[ClipBatch]:
        for batch in batches(clips, [2, 3]):
            read.append(len(batch.target))
            yield batch

    both = evaluate_together({"a": Fading(), "b": Repeating()}, watched(), data=DATA, weights=[None, None])
    assert read == [2, 3]
    assert [flat(card) for card in both] == [
        flat(evaluate(net, batches(clips, [2, 3]), data=DATA)) for net in (Fading(), Repeating())
    ]


def test_floats_of_gray_levels_are_known_as_the_same_data() -> None:
    clips = noise(3)
    assert score((clips / 255).float()).data.sha256 == score(clips).data.sha256
    assert score((clips / 255).float().clamp(max=0.999)).data.sha256 != score(clips).data.sha256


@pytest.mark.parametrize("count", [1, 2, 7])
def test_two_processes_give_the_card_of_one(count: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two threads play the processes, so that the test is quick; a slow test uses real ones."""
    ranks, barrier, boxes = threading.local(), threading.Barrier(2), [None, None]

    def gather(found: list[object], mine: object) -> None:
        boxes[ranks.number] = mine
        barrier.wait()
        found[:] = boxes
        barrier.wait()

    predicted: list[int] = []

    def fading(context: Tensor, horizon: int) -> Tensor:
        predicted.append(len(context))
        return Fading().eval()(context, horizon)

    def run(rank: int) -> Card:
        ranks.number = rank
        return evaluate(fading, batches(clips, sizes), data=DATA, baselines={"repeat": Repeating()}, distributed=True)

    clips = noise(count)
    sizes = [2] * (count // 2) + [1] * (count % 2)
    alone = evaluate(Fading(), batches(clips, sizes), data=DATA, baselines={"repeat": Repeating()})
    with monkeypatch.context() as patch, ThreadPoolExecutor(2) as pool:
        patch.setattr(torch.distributed, "is_initialized", lambda: True)
        patch.setattr(torch.distributed, "get_world_size", lambda: 2)
        patch.setattr(torch.distributed, "get_rank", lambda: ranks.number)
        patch.setattr(torch.distributed, "all_gather_object", gather)
        cards = list(pool.map(run, (0, 1)))
    for card in cards:
        assert card.data == alone.data
        assert flat(card) == pytest.approx(flat(alone), rel=1e-9)
        assert card.per_clip == alone.per_clip
    assert sum(predicted) == count


def test_examples_are_the_best_the_median_and_the_worst_clip() -> None:
    clips = torch.zeros(5, 4, 1, 8, 8, dtype=torch.uint8)
    for number, level in enumerate((30, 250, 10, 90, 60)):
        clips[number] = level
    loaded = list(batches(clips, [3, 2]))
    examples = evaluate(Fading(), loaded, data=DATA).evidence.examples()
    assert [(example.title, example.number) for example in examples] == [("best", 2), ("median", 4), ("worst", 1)]
    assert torch.equal(examples[2].target, clips[1, 2:])
    assert examples[2].prediction[0].max().item() == pytest.approx(250 / 510)
    assert evaluate(Fading(), batches(clips, [5]), data=DATA).evidence.examples() == []


def test_the_error_map_is_the_mean_over_clips_and_channels() -> None:
    clips = noise(4, size=(3, 8, 9))
    card = evaluate(Fading(0.0), batches(clips, [1, 3]), data=DATA)
    expected = (clips[:, 2:].float() / 255).square().mean(dim=(0, 2))
    torch.testing.assert_close(card.evidence.error_map, expected)
