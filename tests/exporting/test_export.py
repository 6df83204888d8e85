"""Exports give the frames of PyTorch, are refused where they do not, and leave nothing half-written."""

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

import framepred
from framepred.baselines import LastFrame
from framepred.clips import State
from framepred.errors import ClipError, ConfigError, MediaError, WeightsError
from framepred.exporting.export import TOLERANCE, Export, export
from framepred.exporting.parity import moving_texture, rollout_difference, rounding_difference
from framepred.forecaster import Forecaster
from framepred.inference.networks import open_forecaster
from framepred.models import EncoderForecaster, FrameStack
from framepred.models.exported import ExportedForecaster
from framepred.onnx_graphs import graph_path
from full_disk import full_disk
from small_networks import RADAR, layered, tracking

SMALL: dict[str, Callable[[], Forecaster]] = {
    "shared": partial(EncoderForecaster, hidden_channels=[4], kernel_size=3),
    "separate": partial(EncoderForecaster, hidden_channels=[4], kernel_size=3, stride=2, share_weights=False),
    "colour": partial(EncoderForecaster, channels=3, hidden_channels=[4], kernel_size=3),
    "frame-stack": partial(FrameStack, hidden_channels=[4], kernel_size=3, frames=2),
    "layered": layered,
    "tracking": partial(tracking, history=4, lead_times=3, path_reach=16, revealed_share=0.5),
}


def make(name: str) -> Forecaster:
    torch.manual_seed(0)
    return SMALL[name]().eval()


@pytest.fixture
def clip() -> torch.Tensor:
    return torch.randint(0, 256, (2, 6, 1, 26, 31), dtype=torch.uint8)


def test_an_export_gives_the_frames_of_pytorch(
    exported: Export, exported_net: EncoderForecaster, clip: torch.Tensor
) -> None:
    """Sizes, batches and types that the export's own comparison does not use."""
    loaded, net = framepred.load(exported.files[1]), exported_net
    with torch.no_grad():
        torch.testing.assert_close(loaded(clip, 5), net(clip, 5), rtol=0, atol=1e-5)
        colour = clip.expand(-1, -1, 3, -1, -1)
        torch.testing.assert_close(loaded(colour, 2), net(colour, 2), rtol=0, atol=1e-5)


def test_an_observed_state_is_kept(exported: Export, clip: torch.Tensor) -> None:
    loaded = framepred.load(exported.files[1])
    state = loaded.observe(clip[:, 0])
    before = [tensor.clone() for tensor in state]
    loaded.forecast(loaded.observe(clip[:, 1], state), 3)
    assert all(torch.equal(old, new) for old, new in zip(before, state, strict=True))


def test_differences_are_measured_at_three_sizes(exported: Export) -> None:
    assert len(exported.differences) == 3
    assert max(exported.differences.values()) < TOLERANCE
    assert {file.name for file in exported.files} == {
        "small.onnx",
        "small.start.onnx",
        "small.feedback.onnx",
    }


def test_the_comparison_finds_a_difference_in_fed_back_frames_only() -> None:
    net, other = make("separate"), make("separate")
    assert rollout_difference(net, other, torch.rand(1, 4, 1, 16, 16)) == 0
    nn.init.zeros_(next(other.forecaster.parameters()))  # type: ignore[union-attr]
    assert rollout_difference(net, other, torch.rand(1, 4, 1, 16, 16)) > TOLERANCE


def test_metadata_describe_the_network(exported: Export) -> None:
    onnxruntime = pytest.importorskip("onnxruntime")
    session = onnxruntime.InferenceSession(exported.files[1], providers=["CPUExecutionProvider"])
    info = json.loads(session.get_modelmeta().custom_metadata_map["framepred"])
    assert info["network"] == "EncoderForecaster"
    assert info["axes"] == "b c h w"
    assert info["value_range"] == [0, 1]
    assert info["framepred"] == framepred.__version__
    assert [entry.name for entry in session.get_inputs()][:2] == ["frame", "state_0"]


def test_predict_and_stream_run_an_export(
    exported: Export, exported_net: EncoderForecaster, clip: torch.Tensor
) -> None:
    """An export is blended as the network is, and gives the same frames."""
    path, net = exported.files[1], exported_net
    for blend in (False, True):
        found = framepred.predict(clip[0], weights=path, context=4, frames=3, blend=blend)
        expected = framepred.predict(clip[0], weights=net, context=4, frames=3, blend=blend)
        assert (found.frames.int() - expected.frames.int()).abs().max() <= 1
    steps = zip(*(framepred.stream(clip[0], weights=weights, frames=2) for weights in (path, net)), strict=True)
    for streamed, in_pytorch in steps:
        torch.testing.assert_close(streamed.future, in_pytorch.future, rtol=0, atol=1e-4)


def test_an_export_keeps_the_range_of_values(exported: Export, exported_net: EncoderForecaster) -> None:
    """The range that weights were trained on is in the metadata, and decides how arrays are read."""
    dbz = np.linspace(-20, 40, 6 * 24 * 24, dtype=np.float32).reshape(6, 24, 24)
    dbz[:, :4] = np.nan
    for weights in (exported.files[1], exported_net):
        found = framepred.predict(dbz, weights=weights, context=4, frames=2, cuts=False)
        assert found.value_range == RADAR
        assert bool(found.values[:, :, :4].isnan().all())


def test_an_export_is_named_by_its_hash(exported: Export) -> None:
    assert open_forecaster(exported.files[1]).record.sha256 is not None


def test_an_export_is_neither_adapted_nor_exported_again(exported: Export, clip: torch.Tensor, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no parameters to train"):
        framepred.predict(clip[0].repeat(6, 1, 1, 1), weights=exported.files[1], context=3, frames=2, adapt=1)
    with pytest.raises(WeightsError, match="is an export already"):
        export(exported.files[1], tmp_path / "again.onnx")


def test_frames_that_do_not_fit_are_refused(exported: Export, clip: torch.Tensor) -> None:
    loaded = framepred.load(exported.files[1])
    with pytest.raises(ClipError, match="at least 4 pixels"):
        loaded(clip[..., :3, :], 1)
    with pytest.raises(ClipError, match="the one before had"):
        loaded.observe(clip[:, 0, :, :20], loaded.observe(clip[:, 0]))


@pytest.fixture
def copy(exported: Export, tmp_path: Path) -> Path:
    """A copy of the export, to be damaged."""
    for file in exported.files:
        (tmp_path / file.name).write_bytes(file.read_bytes())
    return tmp_path / "small.onnx"


def test_damaged_exports_are_refused(copy: Path) -> None:
    start = copy.with_name("small.start.onnx")
    with pytest.raises(WeightsError, match="holds the graph start, not observe"):
        framepred.load(start)
    whole = start.read_bytes()
    start.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(WeightsError, match=r"small.start.onnx is no file that framepred export wrote"):
        framepred.load(copy)
    start.unlink()
    with pytest.raises(WeightsError, match="the file is missing"):
        framepred.load(copy)
    copy.write_bytes(b"")
    with pytest.raises(WeightsError, match=r"small.onnx is no file that framepred export wrote"):
        framepred.load(copy)


def test_files_of_different_exports_are_refused(exported: Export, copy: Path) -> None:
    onnx = pytest.importorskip("onnx")
    model = onnx.load(copy)
    entry = next(entry for entry in model.metadata_props if entry.key == "framepred")
    entry.value = entry.value.replace(exported.info.id, "0" * len(exported.info.id))
    onnx.save(model, copy)
    with pytest.raises(WeightsError, match="different exports"):
        framepred.load(copy)


def test_a_deviating_export_writes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("framepred.exporting.export.TOLERANCE", -1.0)
    (tmp_path / "model.pt2").write_bytes(b"older")
    with pytest.raises(ConfigError, match="differs from PyTorch"):
        export(FrameStack(hidden_channels=[2], kernel_size=1, frames=1), tmp_path / "model.pt2")
    assert {file.name: file.read_bytes() for file in tmp_path.iterdir()} == {"model.pt2": b"older"}


def test_a_full_disk_is_told_in_a_sentence_and_leaves_nothing(tmp_path: Path) -> None:
    with full_disk(2000), pytest.raises(MediaError, match=r"cannot be written .*; free disk space"):
        export(FrameStack(hidden_channels=[2], kernel_size=1, frames=1), tmp_path / "model.pt2")
    assert not list(tmp_path.iterdir())


class Tipped(Forecaster):
    """Predicts the last frame, darker where the numbers are coarse, as a network whose decision rounding tips."""

    def observe(self, frame: torch.Tensor, state: State | None = None) -> State:
        return (frame,)

    def next_frame(self, state: State) -> torch.Tensor:
        return state[0] * (0.9 if state[0].dtype == torch.float32 else 1.0)


@pytest.mark.parametrize(
    ("net", "advice"),
    [(Tipped(), "rounding tips decisions.*choose another size"), (LastFrame(), "Run the weights in PyTorch")],
)
def test_a_network_that_rounding_tips_is_told_from_a_deviating_export(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, net: Forecaster, advice: str
) -> None:
    monkeypatch.setattr("framepred.exporting.export.rollout_differences", lambda *_: {(8, 8): 0.0077})
    with pytest.raises(ConfigError, match=rf"by 0\.0077 at 8x8 pixels, and at most 0\.0001 is allowed.*{advice}"):
        export(net, tmp_path / "model.pt2", size=(8, 8))
    assert not list(tmp_path.iterdir())


class Steep(Forecaster):
    """Predicts the last frame, darker where the brightness of a clip exceeds a bound, which rounding tips."""

    def __init__(self, bound: float) -> None:
        super().__init__()
        self.bound = bound

    def observe(self, frame: torch.Tensor, state: State | None = None) -> State:
        first = frame if state is None else state[1]
        return frame, first

    def feedback(self, frame: torch.Tensor, state: State) -> State:
        return frame, state[1]

    def next_frame(self, state: State) -> torch.Tensor:
        excess = (state[1].amax(dim=(1, 2, 3), keepdim=True) - self.bound) * 1e8
        return state[0] * (1 - 0.1 * excess.sigmoid())


def test_decisions_that_rounding_tips_are_found_by_clip() -> None:
    bound = float(moving_texture(1, LastFrame(), (8, 8))[:, 0].max())
    net = Steep(bound).eval()
    assert rounding_difference(net, (8, 8)) > 100 * TOLERANCE
    assert rounding_difference(net, (8, 8), clip=1) < TOLERANCE / 10


def test_an_export_is_compared_on_clips_on_which_rounding_tips_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = [0.0077, 0.0077, 0.00001]
    monkeypatch.setattr("framepred.exporting.export.rollout_differences", lambda *given: {given[2][0]: found[given[3]]})
    assert set(export(Tipped(), tmp_path / "model.pt2", size=(8, 8)).differences.values()) == {0.00001}


class Plain(Forecaster):
    """Two convolutions, which see the frame edges and state nothing about the size of frames."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Conv2d(1, 4, 3, padding=1), nn.ReLU(), nn.Conv2d(4, 1, 3, padding=1))

    def observe(self, frame: torch.Tensor, state: State | None = None) -> State:
        return (frame,)

    def next_frame(self, state: State) -> torch.Tensor:
        return self.layers(state[0])


@pytest.mark.usefixtures("unchecked_shapes")
def test_a_network_that_states_nothing_is_exported_for_one_exact_size(tmp_path: Path) -> None:
    torch.manual_seed(0)
    result = export(Plain(), tmp_path / "model.pt2", size=(13, 9))
    assert (result.info.size, result.info.multiple) == ((13, 9), 1)
    assert result.differences.keys() == {(13, 9)}


class Unconverted(Plain):
    """Uses an operator that ONNX does not have."""

    def next_frame(self, state: State) -> torch.Tensor:
        return torch.special.bessel_j0(self.layers(state[0]))


@pytest.mark.usefixtures("unchecked_shapes")
@pytest.mark.parametrize(
    ("net", "advice"),
    [
        (framepred.accelerate(Plain(), compiled=False, precision="bf16-mixed"), "give the weights that it was made"),
        (Plain().double(), r"computes in float64.*convert it by net\.float\(\), or export it to \.pt2"),
        (Plain().bfloat16(), r"computes in bfloat16.*convert it by net\.float\(\), or export it to \.pt2"),
        (Unconverted(), r"cannot be exported to ONNX \(.*bessel_j0.*export it to \.pt2"),
    ],
)
def test_a_network_that_onnx_cannot_hold_is_one_sentence(net: Forecaster, advice: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=advice) as caught:
        export(net, tmp_path / "model.onnx", size=(8, 8))
    assert "\n" not in str(caught.value)
    assert not list(tmp_path.iterdir())


class Uncast(Plain):
    """Converts only observed frames to its precision, or refuses those that are fed back."""

    def observe(self, frame: torch.Tensor, state: State | None = None) -> State:
        return (frame.to(self.layers[0].weight.dtype),)

    def feedback(self, frame: torch.Tensor, state: State) -> State:
        return (self.layers(frame),)


@pytest.mark.usefixtures("unchecked_shapes")
def test_a_network_whose_feedback_fails_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"Uncast .* its observe or feedback fails on float32 frames \(.+\); run it"):
        export(Uncast().half(), tmp_path / "model.pt2", size=(8, 8))
    assert not list(tmp_path.iterdir())


def reloaded(result: Export) -> ExportedForecaster:
    """The forecaster that runs the files of a ``.pt2`` export."""
    files = {name: graph_path(result.files[1], name) for name in result.info.graphs}
    programs = {name: torch.export.load(file).module() for name, file in files.items()}
    graphs = {name: lambda inputs, run=program: run(*inputs) for name, program in programs.items()}
    return ExportedForecaster(graphs, result.info).eval()


@pytest.mark.usefixtures("unchecked_shapes")
@pytest.mark.parametrize(
    ("name", "dtype"),
    [
        ("shared", torch.bfloat16),
        *(
            pytest.param(name, dtype, marks=pytest.mark.slow)
            for name, dtype in [
                ("separate", torch.float16),
                ("separate", torch.float64),
                ("layered", torch.bfloat16),
                ("tracking", torch.float16),
            ]
        ),
    ],
)
def test_a_network_in_another_precision_is_exported(
    name: str, dtype: torch.dtype, tmp_path: Path, clip: torch.Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("framepred.exporting.export.DYNAMIC_SIZES", [(12, 9)])
    net = make(name).to(dtype)
    loaded = reloaded(export(net, tmp_path / "model.pt2", size=(26, 31)))
    with torch.no_grad():
        torch.testing.assert_close(loaded(clip, 4), net(clip, 4), rtol=0, atol=1e-6)


@pytest.mark.slow
@pytest.mark.usefixtures("unchecked_shapes")
@pytest.mark.parametrize(("name", "dtype"), [("natural-small", torch.bfloat16), ("moving-mnist", torch.float16)])
def test_bundled_weights_are_exported_in_half_precision(name: str, dtype: torch.dtype, tmp_path: Path) -> None:
    result = export(framepred.load(name).to(dtype), tmp_path / "model.pt2")
    assert max(result.differences.values()) < TOLERANCE


def test_restorers_and_other_suffixes_are_refused(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="restore missing frames"):
        export("moving-mnist-restore", tmp_path / "model.onnx")
    with pytest.raises(MediaError, match=r"choose .onnx or .pt2"):
        export("moving-mnist-convlstm", tmp_path / "model.pt")
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
@pytest.mark.usefixtures("unchecked_shapes")
@pytest.mark.parametrize("suffix", ["onnx", "pt2"])
@pytest.mark.parametrize(
    "name", [pytest.param("separate", marks=pytest.mark.ci), *(name for name in SMALL if name != "separate")]
)
def test_every_network_is_exported(name: str, suffix: str, tmp_path: Path) -> None:
    result = export(make(name), tmp_path / f"model.{suffix}", size=(30, 40))
    assert max(result.differences.values()) < TOLERANCE
    assert all(file.is_file() for file in result.files)


@pytest.mark.slow
@pytest.mark.usefixtures("unchecked_shapes")
def test_a_tracking_network_is_exported_for_one_exact_size(tmp_path: Path, clip: torch.Tensor) -> None:
    """It reads the distances to the frame edges, so a padded frame would be another frame."""
    result = export(make("tracking"), tmp_path / "model.pt2", size=(26, 31))
    assert result.info.size == (26, 31)
    assert result.info.multiple == 1
    assert result.info.has_feedback


@pytest.mark.slow
@pytest.mark.usefixtures("unchecked_shapes")
def test_a_fixed_size_is_named(tmp_path: Path, clip: torch.Tensor) -> None:
    export(make("layered"), tmp_path / "model.onnx", size=(26, 31))
    loaded = framepred.load(tmp_path / "model.onnx")
    assert loaded(clip, 2).shape == (2, 2, 1, 26, 31)
    with pytest.raises(ClipError, match="exported for frames of 32x32 pixels"):
        loaded(clip[..., :20, :], 1)
