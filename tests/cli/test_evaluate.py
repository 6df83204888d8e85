"""``framepred evaluate`` and ``framepred compare`` as users type them, and the Python call behind them."""

import json
import shlex
import struct
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch
import zarr
from torch import Tensor

import framepred as package
from framepred.errors import ClipError, ConfigError, DataError, FramepredError
from framepred.evaluation import Card, WeightsRecord
from framepred.evaluation.report import build_report
from framepred.inference.evaluate import write_results

RNG = np.random.default_rng(0)
CLIPS = RNG.integers(0, 256, (6, 5, 1, 16, 18), dtype=np.uint8)  # (n, t, c, h, w): 2 observed, 3 predicted
CONTEXT, TRUTH = CLIPS[:, :2], CLIPS[:, 2:]
PREDICTIONS = np.clip(TRUTH / 255 + RNG.normal(0, 0.1, TRUTH.shape), -0.1, 1.1).astype(np.float32)


def values(card: Card) -> dict[str, float]:
    return {name: interval.value for name, interval in card.metrics.items()}


def save(kind: str, name: str, array: np.ndarray) -> Path:
    """The array as one file, or as a folder of files, under the current folder."""
    path = Path(f"{name}.{kind}")
    if kind == "npy":
        np.save(path, array)
    elif kind == "npz":
        np.savez(path, array)
    elif kind == "h5":
        with h5py.File(path, "w") as file:
            file["frames"] = array
    elif kind == "zarr":
        zarr.save_array(str(path), array)
    else:
        path.mkdir()
        parts = {"shards": np.array_split(array, 2), "clips": list(array)}[kind]
        for number, part in enumerate(parts):
            np.save(path / f"part {number}.npy", part)
    return path


@pytest.fixture(scope="module")
def expected() -> Card:
    """The scores of the predictions as arrays."""
    return package.evaluate(predictions=PREDICTIONS, truth=TRUTH, context_frames=CONTEXT, batch_size=4)


@pytest.mark.parametrize("kind", ["npy", "npz", "h5", "zarr", "shards", "clips"])
def test_saved_predictions_of_any_kind_score_alike(kind: str, expected: Card, framepred) -> None:
    paths = [save(kind, name, array) for name, array in (("p", PREDICTIONS), ("t", TRUTH), ("c", CONTEXT))]
    card = package.evaluate(predictions=paths[0], truth=paths[1], context_frames=paths[2])
    assert values(card) == pytest.approx(values(expected), rel=1e-9)
    assert card.data.sha256 == expected.data.sha256
    assert card.baselines.keys() == {"blank", "last-frame", "optical-flow"}


def test_saved_predictions_give_the_card_of_the_program_that_made_them(expected: Card) -> None:
    def program(context: Tensor, horizon: int) -> Tensor:
        matches = [
            np.equal(CONTEXT, np.uint8(clip * 255 + 0.5)).all(axis=(1, 2, 3, 4)).argmax() for clip in context.numpy()
        ]
        return torch.from_numpy(PREDICTIONS[matches])

    card = package.evaluate(program, data=CLIPS, context=2, horizon=3)
    assert values(card) == pytest.approx(values(expected), rel=1e-9)
    assert card.data.sha256 == expected.data.sha256  # so that the two can be compared
    assert card.baselines == {name: pytest.approx(values) for name, values in expected.baselines.items()}


@pytest.mark.parametrize("protocol", ["openstl", "predrnn", "wang2004"])
def test_saved_predictions_without_context_have_no_baselines(protocol: str) -> None:
    card = package.evaluate(predictions=PREDICTIONS, truth=torch.from_numpy(TRUTH), protocol=protocol)
    assert (card.protocol.name, card.data.context, card.data.horizon) == (protocol, None, 3)
    assert card.baselines == {}
    assert len(card.lead_intervals["mse"]) == 3


def test_the_command_scores_saved_predictions_and_writes_card_and_report(expected: Card, framepred) -> None:
    for name, array in (("preds", PREDICTIONS), ("trues", TRUTH), ("inputs", CONTEXT)):
        save("npy", name, array)
    saved = ("evaluate", "--predictions", "preds.npy", "--truth", "trues.npy")
    code, out, _ = framepred(*saved, "--context", "inputs.npy", "--output", "to", "--json")
    assert code == 0
    assert json.loads(out) == json.loads(Path("to/card.json").read_text())
    assert values(Card.read(Path("to"))) == pytest.approx(values(expected))
    assert Path("to/report.html").stat().st_size > 10_000
    code, out, _ = framepred(*saved, "--context-frames", "inputs.npy")
    assert code == 0
    assert "last-frame" in out


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--predictions", "p.npy"], "give both predictions and truth"),
        (["--predictions", "p.npy", "--truth", "short.npy"], "predictions for 6 clips but truth for 5"),
        (["--predictions", "p.npy", "--truth", "long.npy"], "Predictions have 3 frames per clip but the truth has 4"),
        (["--predictions", "p.npy", "--truth", "nosuch.npy"], "nosuch.npy does not exist"),
        (["--predictions", "p.npy", "--truth", "t.npy", "--weights", "moving-mnist"], "--weights has no effect on"),
        (["--predictions", "nan.npy", "--truth", "t.npy"], "saved predictions hold NaN or infinite pixels for clip 4"),
        (["--predictions", "white.npy", "--truth", "t.npy"], "white must be 1"),
        (["--predictions", "p.npy", "--truth", "wide.npy"], "must have one shape"),
        (["--context", "0"], "--context must be a number of frames from 1 to 10,000, not 0"),
        (["--context", "nosuch.npy"], "--context must be a number of frames from 1 to 10,000, not nosuch.npy"),
        (["--predictions", "p.npy", "--truth", "t.npy", "--context", "nosuch.npy"], "nosuch.npy does not exist"),
    ],
)
def test_what_cannot_be_scored_gets_one_sentence(arguments: list[str], sentence: str, framepred) -> None:
    nan = PREDICTIONS.copy()
    nan[4, 1] = np.nan
    named = {"p": PREDICTIONS, "t": TRUTH, "short": TRUTH[:5], "long": CLIPS[:, 1:], "nan": nan}
    for name, array in {**named, "white": PREDICTIONS * 255, "wide": TRUTH[..., :-1]}.items():
        np.save(f"{name}.npy", array)
    code, out, err = framepred("evaluate", *arguments, "--output", "to")
    assert (code, out) == (2, "")
    assert sentence in err
    assert err.count("\n") == 1
    assert not Path("to").exists()


def test_a_range_scales_saved_predictions_truth_and_context(tmp_path: Path, framepred) -> None:
    """12-bit clips, and the same in degrees, have the scores of the same clips in [0, 1]."""
    clips = np.random.default_rng(0).integers(0, 4096, (3, 5, 1, 16, 16)).astype(np.uint16)
    parts = {"context_frames": clips[:, :2], "truth": clips[:, 2:4], "predictions": clips[:, 3:5]}
    unit = {name: (part / 4095).astype(np.float32) for name, part in parts.items()}
    kelvin = {name: part * np.float32(40) + 260 for name, part in unit.items()}
    expected = package.evaluate(**unit)
    for scaled, stated in ((parts, "0,4095"), (kelvin, (260, 300))):
        for name, part in scaled.items():
            np.save(tmp_path / f"{name}.npy", part)
        for sources in (scaled, {name: tmp_path / f"{name}.npy" for name in scaled}):
            card = package.evaluate(**sources, value_range=stated)
            assert card.data.value_range == ((0, 4095) if scaled is parts else (260, 300))
            for name, metric in expected.metrics.items():
                assert card.metrics[name].value == pytest.approx(metric.value, rel=1e-4)
    np.save(tmp_path / "p.npy", parts["predictions"])
    np.save(tmp_path / "t.npy", parts["truth"])
    saved = ["--predictions", tmp_path / "p.npy", "--truth", tmp_path / "t.npy"]
    note = "and white is 65535; state the range if it is another, such as 0,4095"
    assert [note in framepred("evaluate", *saved, *more)[2] for more in ([], ["--range", "0,4095"])] == [True, False]
    with pytest.raises(ConfigError, match="two numbers, low,high, for all files alike, not auto"):
        package.evaluate(**parts, value_range="auto")


SAVED = ["--predictions", "p.npy", "--truth", "t.npy"]


@pytest.mark.parametrize(
    ("source", "option"),
    [
        *((SAVED, option) for option in ("--data t.npy", "--horizon 3", "--context 2", "--seed 1", "--root .")),
        *((SAVED, option) for option in ("--download", "--array a", "--split val", "--skip-broken")),
        *((SAVED, option) for option in ("--max-side 16", "--compile", "--precision 32-true")),
        *(([], option) for option in ("--split val", "--skip-broken", "--layout thw", "--array a", "--range 0,1")),
        *((["--data", "t.npy"], option) for option in ("--seed 0", "--root .", "--download", "--split all")),
        *((["--data", "clips"], option) for option in ("--seed 0", "--root .", "--download")),
        *((["--data", "run.yaml"], option) for option in ("--context 2", "--horizon 1", "--seed 7", "--range 0,5")),
        *((["--data", "run.yaml"], option) for option in ("--layout thw", "--array a", "--root .", "--download")),
        (["--data", "run.yaml"], "--skip-broken"),
    ],
)
def test_an_option_without_effect_is_refused(source: list[str], option: str, framepred) -> None:
    for name, array in (("p", PREDICTIONS), ("t", TRUTH)):
        np.save(f"{name}.npy", array)
    save("clips", "clips", CLIPS)
    Path("clips.clips").rename("clips")
    code, out, err = framepred("evaluate", *source, *option.split())
    assert (code, out) == (2, "")
    assert err.startswith(f"{option.split()[0]} has no effect on ")
    assert err.count("\n") == 1


@pytest.mark.parametrize(("clips", "said"), [(4, "The first 4 of 6 clips are scored"), (6, ""), (7, "")])
def test_clips_that_are_left_out_are_said(clips: int, said: str, framepred) -> None:
    np.save("clips.npy", CLIPS)
    np.save("t.npy", TRUTH)
    np.save("p.npy", PREDICTIONS)
    for source in (SAVED, ["--weights", "baseline:blank", "--data", "clips.npy", "--context", 2, "--horizon", 3]):
        code, out, err = framepred("evaluate", *source, "--clips", clips, "--json")
        assert code == 0
        assert json.loads(out)["data"]["clips"] == min(clips, 6)
        assert said in err
        assert bool(said) == (" are scored" in err)


def test_several_options_without_effect_are_named_together(framepred) -> None:
    *_, err = framepred("evaluate", "--layout", "thw", "--split", "val")
    assert err == "--layout and --split have no effect on moving-mnist; leave them out.\n"


@pytest.mark.parametrize(
    ("array", "options"),
    [
        (CLIPS, {}),
        (CLIPS[:, :, 0], {"layout": "nthw"}),
        (CLIPS.reshape(30, 16, 18), {}),  # one long clip: six windows
        (CLIPS.astype(np.int16) * 4 - 300, {"value_range": (-300, 720)}),
        (np.where(CLIPS < 9, np.nan, CLIPS.astype(np.float32)), {"value_range": "0,255,nan=0"}),
    ],
    ids=["clips", "layout", "windows", "range", "missing"],
)
def test_an_array_scores_as_its_file(array: np.ndarray, options: dict[str, object], tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", array)
    cards = [
        package.evaluate("baseline:last-frame", data=data, context=2, horizon=3, **options)
        for data in (array, tmp_path / "a.npy")
    ]
    assert values(cards[0]) == values(cards[1])
    assert cards[0].data.clips == 6
    assert cards[0].data.value_range == cards[1].data.value_range


def test_channels_last_are_not_taken_for_channels_first() -> None:
    last = np.moveaxis(TRUTH, 2, -1)
    with pytest.raises(ClipError, match="name the order of its axes"):
        package.evaluate(predictions=last, truth=last)
    assert package.evaluate(predictions=last, truth=last, layout="nthwc").metrics["mse"].value == 0


def test_predictions_are_read_clip_by_clip(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A memory-mapped file of 10 GB (mostly holes) is opened at once."""
    for name in ("p", "t"):
        np.lib.format.open_memmap(tmp_path / f"{name}.npy", "w+", np.uint8, (2**18, 10, 1, 64, 64))
    card = package.evaluate(predictions=tmp_path / "p.npy", truth=tmp_path / "t.npy", clips=3)
    assert card.data.clips == 3


def test_shards_are_read_as_one_test_set(framepred) -> None:
    save("npy", "all", CLIPS)
    save("shards", "all", CLIPS)
    options = {"context": 2, "horizon": 3}
    one = package.evaluate("baseline:last-frame", "all.npy", **options)
    many = package.evaluate("baseline:last-frame", "all.shards", split="all", **options)
    assert many.data.sha256 == one.data.sha256
    assert values(many) == values(one)


def test_several_weights_are_scored_in_one_pass_then_compared(framepred) -> None:
    save("npy", "clips", CLIPS)
    data = ("--data", "clips.npy", "--context", 2, "--horizon", 3)
    names = ("--weights", "baseline:last-frame", "--weights", "baseline:blank")
    code, out, _ = framepred("evaluate", *names, *data, "--output", "to")
    assert code == 0
    cards = ("to/baseline-last-frame/card.json", "to/baseline-blank")
    assert "to/baseline-blank/report.html" in out.replace("\n", "")

    code, out, _ = framepred("compare", *cards, "--plot", "curves.png")
    assert code == 0
    assert "baseline:blank" in out.replace("\n", "")
    assert Path("curves.png").is_file()
    code, out, _ = framepred("compare", *cards, "--json")
    assert [card["name"] for card in json.loads(out)["cards"]] == ["baseline:last-frame", "baseline:blank"]
    assert framepred("compare", *cards, "--markdown")[1].splitlines()[2].startswith("|  | mse ↓ |")


@pytest.mark.parametrize(
    "arguments",
    [
        "--data radar --split all --range=-20,70,nan=-20 --layout tchw --clips 3 --context 2 --horizon 3",
        "--data radar/file-0.npy --range auto --layout tchw --context 1 --horizon 2 --protocol wang2004",
        "--data moving-mnist --seed 4 --clips 2 --context 2 --horizon 2",
        "--data moving-mnist --root idx --clips 2 --context 2 --horizon 2",
        "--data config.yaml --split val --clips 2",
    ],
    ids=["folder", "file", "generated", "root", "run"],
)
@pytest.mark.filterwarnings("ignore")
def test_the_command_in_the_report_measures_the_card_again(arguments: str, framepred) -> None:
    Path("radar").mkdir()
    digits = np.random.default_rng(0).integers(0, 256, (24, 28, 28), dtype=np.uint8)
    Path("idx").mkdir()
    Path("idx/t10k-images-idx3-ubyte").write_bytes(struct.pack(">4i", 0x803, *digits.shape) + digits.tobytes())
    for number in range(3):
        values = np.random.default_rng(number).uniform(-20, 70, (22, 2, 16, 16)).astype(np.float32)
        values[7:8, :, number] = np.nan if arguments.startswith("--data radar ") else 0
        np.save(f"radar/file-{number}.npy", values)
    generated = {"context": 3, "horizon": 2, "val_clips": 6, "frame_size": [32, 32], "digits": "mnist-5k"}
    Path("config.yaml").write_text(
        json.dumps({"data": {"class_path": "framepred.data.MovingMNISTData", "init_args": generated}})
    )
    weights = ["--weights", "baseline:last-frame"]
    assert framepred("evaluate", *weights, *arguments.split(), "--output", "first")[0] == 0
    again = shlex.split(build_report(Card.read("first")).commands[-1])
    assert framepred(*again[1:], "--output", "again")[0] == 0
    assert Card.read("again") == Card.read("first")


def test_saved_predictions_and_networks_of_python_have_no_command(expected: Card) -> None:
    repeat = package.evaluate(lambda context, horizon: context[:, :1], CLIPS, context=2, horizon=1)
    for card in (expected, repeat):
        assert build_report(card).commands == []


def test_every_card_has_a_visible_folder_of_its_own(tmp_path: Path) -> None:
    names = ("../run/best.ckpt", "run/best.ckpt", "RUN-best.ckpt", "-dash.ckpt", ".hidden/a.ckpt", "..")
    options = {"context": 2, "horizon": 3}
    card = package.evaluate("baseline:blank", CLIPS, **options)
    written = write_results([replace(card, weights=WeightsRecord(name)) for name in names], tmp_path)
    folders = {path.parent for path, _ in written}
    assert {folder.parent for folder in folders} == {tmp_path}
    assert len({folder.name.casefold() for folder in folders}) == len(names)
    assert all(folder.name[0] not in ".-" for folder in folders)
    assert {Card.read(path).name for path in tmp_path.glob("[!.-]*/card.json")} == set(names)


def test_cards_of_other_clips_or_protocols_are_refused(framepred) -> None:
    save("npy", "clips", CLIPS)
    data = ("evaluate", "--weights", "baseline:blank", "--data", "clips.npy", "--context", 2, "--horizon", 3)
    for name, options in {"a": (), "b": ("--clips", 5), "c": ("--protocol", "predrnn")}.items():
        assert framepred(*data, *options, "--output", name)[0] == 0
    for other, reason in (("b", "the number of clips differs, 6 and 5"), ("c", "openstl v1 and predrnn v1")):
        code, out, err = framepred("compare", "a", other)
        assert (code, out) == (2, "")
        assert reason in err
        assert err.count("\n") == 1
    code, _, err = framepred("compare", "a", "--reference", "openstl/convlstm-s")
    assert code == 2
    assert "it has data moving-mnist or mnist_test_seq.npy, not clips.npy" in err
    assert "nosuch.json cannot be read" in framepred("compare", "a", "nosuch.json")[2]


def test_a_single_clip_has_no_interval(framepred) -> None:
    save("npy", "clips", CLIPS)
    data = ("--data", "clips.npy", "--context", 2, "--horizon", 3, "--clips", 1)
    _, out, _ = framepred("evaluate", "--weights", "baseline:last-frame", *data)
    assert "±" not in out


def test_films_show_psnr_first_and_errors_per_pixel(framepred) -> None:
    np.save("film.npy", RNG.integers(0, 256, (10, 40, 40, 3), dtype=np.uint8))
    _, out, _ = framepred(
        "evaluate", "--weights", "baseline:last-frame", "--data", "film.npy", "--context", 2, "--horizon", 3
    )
    heading = next(line for line in out.splitlines() if "ssim" in line)
    assert heading.split()[:3] == ["psnr", "dB", "↑"]
    assert "mse/pixel·10³" in heading


def test_lpips_without_its_weights_is_one_sentence(framepred, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TORCH_HOME", "empty")
    save("npy", "clips", CLIPS)
    options = ("--weights", "baseline:blank", "--data", "clips.npy", "--context", 2, "--horizon", 3)
    code, _, err = framepred("evaluate", *options, "--lpips")
    assert code == 2
    assert "LPIPS needs AlexNet's weights, and empty/hub/checkpoints/alexnet-owt-7be5be79.pth does not exist" in err
    Path("wrong.pth").write_bytes(b"no weights")
    _, _, err = framepred("evaluate", *options, "--lpips-weights", "wrong.pth")
    assert "wrong.pth cannot be read as PyTorch weights" in err


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"clips": 0}, ConfigError),
        ({"horizon": 10**8}, ConfigError),
        ({"seed": -1}, ConfigError),
        ({"split": "nosuch"}, ConfigError),
        ({"protocol": "nosuch"}, ConfigError),
        ({"truth": TRUTH}, ConfigError),
        ({"predictions": PREDICTIONS, "truth": TRUTH, "context_frames": CONTEXT[:2]}, DataError),
        ({"data": np.zeros((2, 3)), "context": 1, "horizon": 1}, FramepredError),
        ({"data": CLIPS}, FramepredError),
    ],
)
def test_wrong_arguments_of_the_call_are_errors_of_ours(options: dict[str, object], error: type[Exception]) -> None:
    with pytest.raises(error):
        package.evaluate("baseline:blank", **{"data": CLIPS, **options})


@pytest.mark.slow
def test_two_processes_of_torchrun_write_the_card_of_one(tmp_path: Path) -> None:
    arguments = ["-m", "framepred.cli", "evaluate", "--weights", "baseline:optical-flow", "--clips", "7", "--output"]
    launch = ["-m", "torch.distributed.run", "--nproc-per-node", "2", "--standalone"]
    outputs = []
    for name, prefix in (("one", []), ("two", launch)):
        done = subprocess.run(
            [sys.executable, *prefix, *arguments, str(tmp_path / name)], capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
        outputs.append(done.stdout)
    one, two = (Card.read(tmp_path / name) for name in ("one", "two"))
    assert two.data == one.data
    assert two.per_clip == one.per_clip
    assert values(two) == pytest.approx(values(one), rel=1e-9)
    assert two.baselines["blank"] == pytest.approx(one.baselines["blank"], rel=1e-9)
    assert outputs[1].count("report.html") == outputs[0].count("report.html") == 1
