import importlib
import json
import pickle
import resource
import runpy
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from huggingface_hub import HfApi, RepoUrl
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file

from framepred.baselines import HeldFrame, LinearInterpolation
from framepred.clips import to_unit
from framepred.data import MovingMNIST
from framepred.errors import ConfigError, WeightsError
from framepred.models import (
    BidirectionalForecaster,
    EncoderForecaster,
    FrameStack,
    LayeredForecaster,
    TrackingForecaster,
    load,
)
from framepred.models.pretrained import BUNDLED, MODEL, Pretrained, bundled_names, load_restorer, load_weights
from framepred.restorer import MiddleGap, Restorer, cut_middle

NETWORKS = [EncoderForecaster, FrameStack, LayeredForecaster, BidirectionalForecaster]
EXAMPLE: dict[str, object] = {
    "class": "EncoderForecaster",
    "channels": 1,
    "hidden_channels": [4, 3],
    "kernel_size": 3,
    "stride": 4,
    "norm": True,
    "motion": True,
    "share_weights": True,
    "cell": {"class_path": "framepred.models.ConvLSTMCell", "init_args": {}},
    "head": "pixels",
}
"""The config of ``small_net``."""


@pytest.fixture
def folder(small_net: EncoderForecaster, tmp_path: Path) -> Path:
    small_net.save_pretrained(tmp_path / "weights")
    return tmp_path / "weights"


def test_saved_weights_may_be_read_by_whom_other_files_may(folder: Path, tmp_path: Path) -> None:
    TrackingForecaster(coarse_channels=8, fine_channels=4, path_features=8).save_pretrained(tmp_path / "tracking")
    (tmp_path / "plain").touch()
    for path in (folder / MODEL, tmp_path / "tracking" / MODEL):
        assert path.stat().st_mode == (tmp_path / "plain").stat().st_mode


def test_an_export_for_other_programs_is_told_from_weights_that_are_not_there(tmp_path: Path) -> None:
    (tmp_path / "e.pt2").touch()
    with pytest.raises(WeightsError, match=r"e\.pt2 is an export that torch\.export\.load runs.*give an \.onnx export"):
        load(tmp_path / "e.pt2")
    with pytest.raises(WeightsError, match="There are no weights"):
        load(tmp_path / "nosuch.pt2")


def test_saved_weights_predict_the_same(small_net: EncoderForecaster, folder: Path) -> None:
    clip = torch.rand(1, 4, 1, 8, 8)
    expected = small_net.eval()(clip, 3)
    assert torch.equal(load(folder)(clip, 3), expected)
    assert torch.equal(EncoderForecaster.from_pretrained(folder).eval()(clip, 3), expected)


def test_loaded_networks_are_ready_to_predict(folder: Path) -> None:
    assert not load(folder).training


def test_from_pretrained_is_strict(folder: Path) -> None:
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "share_weights": False}))
    for read in (EncoderForecaster.from_pretrained, load):
        with pytest.raises(WeightsError, match=r"more values than model\.safetensors"):
            read(folder)


def test_from_pretrained_refuses_weights_of_another_class(folder: Path) -> None:
    with pytest.raises(WeightsError, match=r"are those of EncoderForecaster, not of FrameStack\."):
        FrameStack.from_pretrained(folder)


def test_a_network_added_to_framepred_is_refused_until_it_is_exported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    added = type("Mine", (FrameStack,), {"__module__": "framepred.models.mine"})
    with pytest.raises(ConfigError, match=r"does not export Mine.*import it in framepred/models/__init__\.py"):
        added()
    monkeypatch.setattr("framepred.models.Mine", added, raising=False)
    added().save_pretrained(tmp_path)
    assert type(load(tmp_path)) is added


def test_weights_are_pushed_to_the_hub(small_net: EncoderForecaster, monkeypatch: pytest.MonkeyPatch) -> None:
    """The hub is a folder here."""
    told: list[object] = []

    def upload(_: HfApi, repo_id: str, folder_path: str) -> str:
        told.append((repo_id, (Path(folder_path) / "README.md").read_text()[:3]))
        told.append(load(folder_path)(torch.zeros(1, 2, 1, 8, 8), 1))
        return "https://example.org/commit"

    def create(_: HfApi, repo_id: str, private: bool, exist_ok: bool) -> RepoUrl:
        told.append((repo_id, private, exist_ok))
        return RepoUrl(f"https://huggingface.co/me/{repo_id}")

    monkeypatch.setattr(HfApi, "create_repo", create)
    monkeypatch.setattr(HfApi, "upload_folder", upload)
    assert small_net.push_to_hub("net", private=True) == "https://example.org/commit"
    created, uploaded, future = told
    assert (created, uploaded) == (("net", True, True), ("me/net", "---"))
    assert torch.equal(future, small_net.eval()(torch.zeros(1, 2, 1, 8, 8), 1))


def test_networks_load_without_what_only_the_hub_needs() -> None:
    program = "import sys, framepred; framepred.load('moving-mnist'); assert 'huggingface_hub' not in sys.modules"
    subprocess.run([sys.executable, "-c", program], check=True)


@pytest.mark.parametrize("name", bundled_names())
def test_bundled_weights_load_and_are_small(name: str) -> None:
    assert not load_weights(name).net.training
    assert (BUNDLED / name / "model.safetensors").stat().st_size <= 8_000_000
    assert {"card.json", "README.md"} <= {file.name for file in (BUNDLED / name).iterdir()}


def test_moving_mnist_is_bundled() -> None:
    assert "moving-mnist" in bundled_names()


def test_bundled_weights_restore_better_than_interpolation() -> None:
    """On digits that training never saw, three frames missing in the middle."""
    batch = cut_middle(MovingMNIST("test", digits="mnist-5k").render(range(4)), 3)
    context, truth = to_unit(batch.context), to_unit(batch.target)
    nets: list[Restorer] = [load_restorer("moving-mnist-restore"), LinearInterpolation(), HeldFrame()]
    with torch.inference_mode():
        ours, *others = ((MiddleGap(net.eval())(context, 3) - truth).square().mean() for net in nets)
    assert ours < min(others) / 2


def test_hash_is_of_the_file(folder: Path) -> None:
    first = load_weights(folder).sha256
    net = load(folder)
    with torch.no_grad():
        net.readout.bias.add_(1)
    net.save_pretrained(folder)
    assert load_weights(folder).sha256 != first


IMPOSSIBLE = ["nosuch", "no/such/place", "../nosuch", "/nosuch", "a/..", "-x/y", "a--b/c", "a/b--c", "a/b.git"]


@pytest.mark.parametrize("name", [*IMPOSSIBLE, "a/b\n", "\0/x", "a/" + "b" * 200, "é/x", "a" * 5000])
def test_unknown_weights_never_ask_the_network(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.snapshot_download", lambda *_, **__: pytest.fail("asked"))
    with pytest.raises(WeightsError, match="There are no weights"):
        load(name)


def test_only_owner_and_name_ask_the_hub(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    monkeypatch.setattr("huggingface_hub.snapshot_download", lambda name, **_: asked.append(name) or str(folder))
    load("owner/name")
    assert asked == ["owner/name"]


def test_without_network_the_hub_gives_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise OSError("no route\nto host")

    monkeypatch.setattr("huggingface_hub.snapshot_download", fail)
    with pytest.raises(WeightsError, match=r"could not be fetched .*no route.*bundled ones: .*moving-mnist, "):
        load("owner/name")


def test_damaged_files_are_refused(folder: Path) -> None:
    (folder / "model.safetensors").write_bytes(b"rubbish")
    with pytest.raises(WeightsError, match="does not hold readable weights"):
        load(folder)


class Trap:
    """Creates a file when it is unpickled."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def __reduce__(self) -> tuple[object, ...]:
        return (self.file.touch, ())


def zipped_checkpoint(trap: Trap, path: Path) -> None:
    torch.save({"net": trap, "state_dict": {}}, path)


def old_checkpoint(trap: Trap, path: Path) -> None:
    torch.save({"net": {}, "state_dict": {"net.x": trap}}, path, _use_new_zipfile_serialization=False)


def plain_pickle(trap: Trap, path: Path) -> None:
    path.write_bytes(pickle.dumps({"net": {"class": trap}, "state_dict": {}}))


@pytest.mark.parametrize("write", [zipped_checkpoint, old_checkpoint, plain_pickle])
@pytest.mark.parametrize("name", ["trap.ckpt", "model.safetensors", "config.json"])
def test_pickles_are_not_run(write: Callable[[Trap, Path], None], name: str, folder: Path) -> None:
    write(Trap(folder / "sprung"), folder / name)
    with pytest.raises(WeightsError):
        load(folder / name if name.endswith(".ckpt") else folder)
    assert not (folder / "sprung").exists()


CLASSES = ["os", "os.system", "load", "Forecaster", "PretrainedForecaster", "RecurrentCell", "ConvLSTMCell", "NoSuch"]


@pytest.mark.parametrize("name", [*CLASSES, "__loader__", None, 1, ["EncoderForecaster"], {}])
def test_only_framepreds_own_networks_are_built(folder: Path, name: object) -> None:
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "class": name}))
    with pytest.raises(WeightsError, match=r"framepred.models does not have"):
        load(folder)


OWN_NETWORK = """
import torch
from framepred.models.pretrained import PretrainedForecaster

class Fading(PretrainedForecaster):
    def __init__(self, rate: float = 1.0) -> None:
        super().__init__()
        self.rate = torch.nn.Parameter(torch.tensor(rate))

    def observe(self, frame, state=None):
        return (frame.float(),)

    def next_frame(self, state):
        return self.rate * state[0]
"""


def test_a_network_of_a_module_of_ones_own_loads_once_it_is_imported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "fading_of_mine.py").write_text(OWN_NETWORK)
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "weights").mkdir()
    (tmp_path / "weights/config.json").write_text('{"class": "Fading", "rate": 0.5}')
    save_file({"rate": torch.tensor(0.25)}, tmp_path / "weights/model.safetensors")
    with pytest.raises(WeightsError, match=r"'Fading', which framepred.models does not have; import the module"):
        load(tmp_path / "weights")
    assert "fading_of_mine" not in sys.modules
    kind = importlib.import_module("fading_of_mine").Fading
    net = load(tmp_path / "weights")
    assert type(net) is kind
    assert net(torch.ones(1, 2, 1, 8, 8), 2)[0, :, 0, 0, 0].tolist() == [0.25, 0.0625]
    net.save_pretrained(tmp_path / "again")
    assert load(tmp_path / "again").rate == 0.25


SAME_NAME = """
import framepred.models

class EncoderForecaster(framepred.models.EncoderForecaster):
    def next_frame(self, state):
        return 0.5 * super().next_frame(state)
"""


def test_a_network_of_ones_own_may_have_the_name_of_one_of_framepreds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It never loads as framepred's, nor as that of another module; a script's module has no name."""
    for module in ("mine", "theirs"):
        (tmp_path / f"{module}_of_the_same_name.py").write_text(SAME_NAME)
    monkeypatch.syspath_prepend(tmp_path)
    mine, theirs = (importlib.import_module(f"{module}_of_the_same_name") for module in ("mine", "theirs"))
    net = mine.EncoderForecaster(hidden_channels=[4], kernel_size=3).eval()
    net.save_pretrained(tmp_path)
    assert type(load(tmp_path)) is mine.EncoderForecaster
    saved = (tmp_path / "config.json").read_text()
    for name, kind in (
        (f"{theirs.__name__}.EncoderForecaster", theirs.EncoderForecaster),
        ("__main__.EncoderForecaster", theirs.EncoderForecaster),  # the one defined last
        ("EncoderForecaster", EncoderForecaster),
    ):
        (tmp_path / "config.json").write_text(saved.replace(f"{mine.__name__}.EncoderForecaster", name))
        assert type(load(tmp_path)) is kind
    (tmp_path / "config.json").write_text(saved.replace(mine.__name__, "nobodys"))
    with pytest.raises(WeightsError, match=r"'nobodys.EncoderForecaster', which framepred.models does not have"):
        load(tmp_path)


NO_CONFIGS = [
    "[" * 100_000,
    '{"a":' * 100_000,
    "[]",
    "null",
    "7",
    '"text"',
    "{}",
    "",
    "\ud800",
    "NaN",
    " " * 10_000_000,
]


@pytest.mark.parametrize("config", NO_CONFIGS, ids=range(len(NO_CONFIGS)))
def test_a_config_that_is_no_mapping_is_refused(folder: Path, config: str) -> None:
    (folder / "config.json").write_text(config, errors="surrogatepass")
    with pytest.raises(WeightsError):
        load(folder)


VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.sampled_from([2**31, 2**62, 10**9, 10**30, 1, 3])
    | st.floats()
    | st.text(max_size=3)
    | st.sampled_from(["framepred.models.ConvLSTMCell", "framepred.models.ConvGRUCell", "os.system", "softmax"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["class_path", "init_args", "hidden_channels", "peephole"]), inner, max_size=2
        )
    ),
    max_leaves=4,
)
SETTINGS = {"max_examples": 30, "suppress_health_check": [HealthCheck.function_scoped_fixture]}


def refusal(folder: Path) -> str:
    """The sentence with which weights are refused; empty if they load. Any other error fails the test."""
    try:
        load(folder)
    except WeightsError as error:
        return str(error)
    return ""


@settings(**SETTINGS)
@given(changed=st.dictionaries(st.sampled_from([*EXAMPLE, "unknown"]), VALUES, min_size=1, max_size=3))
def test_any_config_is_loaded_or_refused_in_bounded_memory(folder: Path, changed: dict[str, object]) -> None:
    (folder / "config.json").write_text(json.dumps(EXAMPLE | changed))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert "\n" not in refusal(folder)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 200_000  # KiB


@settings(**SETTINGS)
@given(start=st.integers(0, 3000), junk=st.binary(max_size=12), cut=st.booleans())
def test_any_damage_is_loaded_or_refused(folder: Path, start: int, junk: bytes, cut: bool) -> None:
    path = folder / "model.safetensors"
    content = path.read_bytes()
    path.write_bytes(content[:start] + junk + (b"" if cut else content[start + len(junk) :]))
    assert "\n" not in refusal(folder)
    path.write_bytes(content)


@pytest.mark.parametrize("kind", NETWORKS)
@pytest.mark.parametrize("size", [10**5, 10**9, 2**62])
def test_sizes_beyond_the_file_are_refused_before_memory_is_used(
    kind: type[Pretrained], size: int, tmp_path: Path
) -> None:
    net = kind()
    net.save_pretrained(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for name, value in config.items():
        if isinstance(value, list) or (isinstance(value, int) and not isinstance(value, bool)):
            changed = [size] * len(value) if isinstance(value, list) else size
            (tmp_path / "config.json").write_text(json.dumps(config | {name: changed}))
            with pytest.raises(WeightsError, match=r"config.json"):
                load_weights(tmp_path)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 200_000  # KiB


def test_weights_of_the_first_version_are_converted(
    folder: Path, small_net: EncoderForecaster, capsys: pytest.CaptureFixture[str]
) -> None:
    """As framepred 0.1 named arguments and tensors."""
    config = json.loads((folder / "config.json").read_text())
    config["widths"], config["kernel"] = config.pop("hidden_channels"), config.pop("kernel_size")
    (folder / "config.json").write_text(json.dumps(config))
    old = {name.replace("readout", "draw"): value for name, value in small_net.state_dict().items()}
    save_file(old, folder / "model.safetensors")
    with pytest.raises(WeightsError, match="convert_weights"):
        load(folder)
    main = runpy.run_path(str(Path(__file__).parents[2] / "scripts" / "convert_weights.py"))["main"]
    for answer in ("converted", "has the new names already"):
        assert main([str(folder)]) == 0
        assert answer in capsys.readouterr().out
    clip = torch.rand(1, 4, 1, 8, 8)
    assert torch.equal(load(folder)(clip, 3), small_net.eval()(clip, 3))
    assert {file.suffix for file in folder.iterdir()} <= {".json", ".safetensors", ".md"}
