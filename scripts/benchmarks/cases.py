"""Run framepred on thirteen kinds of small generated input, and report the result of each."""

import http.server
import io
import json
import os
import shlex
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest.mock import patch

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

import framepred
from framepred.cli.main import main
from framepred.data import MovingMNIST, VideoFolder
from framepred.inference.scenes import find_cuts

LAST_FRAME = ("--weights", "baseline:last-frame")
"""A forecaster without a network, so that the script is quick; how files are read does not depend on it."""

NETWORK = (
    "--model.net.init_args.hidden_channels=[4]",
    "--trainer.accelerator=cpu",
    "--trainer.enable_progress_bar=false",
)
TRAINING_SECONDS = 10
"""Seconds of training before it is stopped."""


@dataclass(frozen=True)
class Case:
    """One kind of material.

    Attributes:
        name: kind of material.
        result_of_0_1: what framepred 0.1 did with it.
        run: makes the material in the current folder, runs framepred, and returns lines on the results.
    """

    name: str
    result_of_0_1: str
    run: Callable[[], list[str]]


@dataclass(frozen=True)
class Outcome:
    """Exit code and output of one command."""

    code: int
    out: str
    err: str

    @property
    def last_line(self) -> str:
        """The last line of the error, or of the output if there is none."""
        return last_line(self.err if self.code else self.out)

    def __str__(self) -> str:
        """The exit code, with the last line of an error."""
        return f"exit {self.code}, {self.last_line}" if self.code else "exit 0"

    def line_with(self, words: str) -> str:
        """The first line on standard error that contains these words; "not said" if none does."""
        return next((line.strip() for line in self.err.splitlines() if words in line), "not said")


def last_line(text: str) -> str:
    """Return the last line of a text with single spaces; an empty string if there is none."""
    lines = text.strip().splitlines()
    return " ".join(lines[-1].split()) if lines else ""


def train_on(folder: str, *more: object) -> "Outcome":
    """Train a small network on a folder of videos or arrays."""
    return run("train", "--config", "video_folder_convlstm", *NETWORK, f"--data.init_args.root={folder}", *more)


def run(*arguments: object) -> Outcome:
    """Run the command ``framepred`` in this process."""
    out, err = (io.TextIOWrapper(io.BytesIO(), encoding="utf-8", write_through=True) for _ in range(2))
    with patch.object(sys, "argv", ["framepred", *map(str, arguments)]), redirect_stdout(out), redirect_stderr(err):
        try:
            main()
        except SystemExit as end:
            code = int(end.code or 0)
    texts = [stream.buffer.getvalue().decode() for stream in (out, err)]  # type: ignore[attr-defined]
    return Outcome(code, *texts)


@contextmanager
def inside(folder: Path) -> Iterator[None]:
    """Create a folder and work in it."""
    folder.mkdir(parents=True)
    before = Path.cwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)


def blobs(count: int = 20, height: int = 48, width: int = 48) -> NDArray[np.float32]:
    """Frames ``(t, h, w)`` of a bright blob that crosses a dark picture, in [0, 1]."""
    down, right = np.mgrid[:height, :width]
    centres = [(height / 2, (8 + 1.5 * time) % width) for time in range(count)]
    frames = [np.exp(-((down - y) ** 2 + (right - x) ** 2) / 40) for y, x in centres]
    return np.stack(frames).astype(np.float32)


def pictures(folder: str, numbers: list[int], pattern: str) -> None:
    """Save numbered pictures of the blob into a folder."""
    Path(folder).mkdir(parents=True, exist_ok=True)
    frames = (255 * blobs(max(numbers) + 1)).astype(np.uint8)
    for number in numbers:
        Image.fromarray(frames[number]).save(Path(folder) / pattern.format(number))


def pages(path: str, frames: NDArray[Any], **options: Any) -> None:
    """Save frames as the pages of one picture file."""
    first, *others = [Image.fromarray(frame) for frame in frames]
    Path(path).parent.mkdir(exist_ok=True)
    first.save(path, save_all=True, append_images=others, **options)


def shape_of(path: str) -> str:
    """Shape, type and extent of the numbers in an array file."""
    if not Path(path).exists():
        return f"no {path}"
    found = np.load(path)
    return f"{found.dtype} {found.shape}, {found.min():.4g} to {found.max():.4g}"


def radar() -> list[str]:
    """NaN outside coverage, dBZ, mm/h, packed NetCDF."""
    import h5py

    dbz = 92 * blobs() - 32
    masked = dbz.copy()
    masked[:, :6] = np.nan
    np.save("nan.npy", masked)
    rain = (10 ** (dbz / 10) / 200) ** (1 / 1.6)  # mm/h from Z = 200 R^1.6, Marshall & Palmer 1948
    np.save("rain.npy", np.where(dbz > 0, rain, 0))
    with h5py.File("radar.nc", "w") as file:  # NetCDF-4 is HDF5; packing by CF conventions, section 8.1
        packed = file.create_dataset("reflectivity", data=np.round((dbz + 32) / 0.5).astype(np.int16))
        packed.attrs.update(scale_factor=0.5, add_offset=-32.0, _FillValue=np.int16(-32768))
        file["time"] = np.arange(20)
    Path("late").mkdir()
    late = blobs()
    late[15, 5, 5] = np.nan
    np.save("late/a.npy", late)
    scaled = run("predict", "radar.nc", "--range=-32,60", *LAST_FRAME, "--frames", 2, "--output", "dbz.npy")
    auto = run("predict", "rain.npy", "--range", "auto", *LAST_FRAME, "--frames", 2, "--output", "rain-out.npy")
    filled = run("predict", "nan.npy", "--range=-32,60,nan=-32", *LAST_FRAME, "--frames", 2, "--output", "nan-out.npy")
    Path("covered").mkdir()
    for number in range(6):
        np.save(f"covered/{number}.npy", np.roll(masked, number, axis=2))
    trained = train_on(
        "covered", "--data.init_args.value_range=-32,60,nan=-32", "--trainer.max_steps=2",
        "--trainer.val_check_interval=2", "--trainer.default_root_dir=run",
    )  # fmt: skip
    scored = run("evaluate", "--data", "nan.npy", "--weights", "run/checkpoints/last.ckpt", "--json")
    return [
        f"NetCDF, `--range -32,60`: {scaled}, dBZ again: {shape_of('dbz.npy')}",
        f"mm/h, `--range auto`: {auto}, {shape_of('rain-out.npy')}",
        f"NaN: {run('predict', 'nan.npy', *LAST_FRAME).last_line}",
        f"NaN, `--range -32,60,nan=-32`: {filled}, {_nan_share('nan-out.npy')} of the output is NaN again",
        f"training with `nan=-32`: {trained}, {trained.line_with('clips, protocol')}",
        f"evaluate with these weights: {scored}, {_notes(scored)}",
        f"training, NaN in a late frame: {train_on('late').last_line}",
    ]


def _nan_share(path: str) -> str:
    return f"{np.isnan(np.load(path)).mean():.1%}" if Path(path).exists() else "nothing"


def _notes(scored: Outcome) -> str:
    """The notes on the card that ``evaluate --json`` printed."""
    return " ".join(json.loads(scored.out).get("notes", ())) if scored.code == 0 else ""


def grid() -> list[str]:
    """Two channels through training, prediction and scores."""
    Path("city").mkdir()
    for number in range(8):
        out = np.stack(
            [np.roll(blobs(24, 16, 16), number, axis=1), np.roll(blobs(24, 16, 16), -number, axis=2)], axis=1
        )
        np.save(f"city/day{number}.npy", out)
    trained = run(
        "train", "--config", "taxibj_convlstm", *NETWORK, "--trainer.max_steps=2", "--trainer.val_check_interval=2",
        "--trainer.default_root_dir=run", "--data.init_args.root=city", "--data.init_args.train=null",
        "--data.init_args.val=null", "--data.init_args.test=null",
    )  # fmt: skip
    weights = ("--weights", "run/checkpoints/best.ckpt", "--context", 4)
    predicted = run("predict", "city/day0.npy", *weights, "--frames", 4, "--output", "p.npy")
    folder = run("predict", "city", *weights, "--frames", 4, "--output", "all")
    scored = run("evaluate", "--data", "city", *weights, "--horizon", 4, "--json")
    return [
        f"train: {trained}; predict: {predicted}, {shape_of('p.npy')}",
        f"predict a folder: {folder}, {len(list(Path('all').glob('*.npy')))} arrays",
        f"evaluate a folder: {scored}",
        f"as .mp4: {run('predict', 'city/day0.npy', *weights, '--output', 'p.mp4').last_line}",
    ]


def multipage() -> list[str]:
    """TIFF of 24 pages, 12 bits in 16."""
    frames = (1800 * blobs(24) + 200).astype(np.uint16)
    pages("stack.tif", frames)
    for number in range(6):
        pages(f"wells/well{number}.tif", np.roll(frames, number, axis=2))
    stack = run("predict", "stack.tif", *LAST_FRAME, "--frames", 4, "--output", "s.npy")
    sources = VideoFolder("wells", 20).sources
    wells = run("predict", "wells", *LAST_FRAME, "--frames", 4, "--output", "out")
    return [
        f"stack.tif: {stack}, {shape_of('s.npy')}; {stack.line_with('scaled to')}",
        f"folder of six: {wells}, {len(list(Path('out').iterdir()))} predictions",
        f"training finds {len(sources)} clips of {sources[0].frames} frames",
    ]


def overfit() -> list[str]:
    """One or two videos, few steps, Ctrl-C."""
    for number in range(2):
        framepred.write_video(
            f"two/{number}.mp4", torch.from_numpy((255 * blobs(60)).astype(np.uint8))[:, None], fps=20
        )
    framepred.write_video("one/a.mp4", torch.from_numpy((255 * blobs(160)).astype(np.uint8))[:, None], fps=20)
    small = ("--data.init_args.test_fraction=0", "--trainer.max_steps=2")

    def kept(name: str, folder: str, *more: str) -> str:
        trained = train_on(folder, *small, *more, f"--trainer.default_root_dir={name}")
        found = sorted(path.name for path in Path(name).glob("checkpoints/*.ckpt"))
        return f"{trained}, {' and '.join(found) or 'no checkpoint'}"

    return [
        f"2 steps, validation every 50: {kept('a', 'two')}",
        f"`limit_val_batches 0`: {kept('b', 'two', '--trainer.limit_val_batches=0')}",
        f"`val_fraction 0`: {kept('c', 'two', '--data.init_args.val_fraction=0')}",
        f"one long video: {kept('d', 'one')}",
        f"Ctrl-C: {_interrupted()}",
    ]


def _interrupted() -> str:
    command = (
        sys.executable, "-m", "framepred.cli", "train", "--config", "video_folder_convlstm", *NETWORK,
        "--data.init_args.root=two", "--data.init_args.test_fraction=0", "--trainer.default_root_dir=stopped",
    )  # fmt: skip
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # shells let background commands ignore it
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    signal.signal(signal.SIGINT, before)
    while process.poll() is None and not list(Path().glob("stopped/events*")):  # logs begin with the training
        time.sleep(0.5)
    threading.Timer(TRAINING_SECONDS, process.send_signal, [signal.SIGINT]).start()
    _, err = process.communicate()
    saved = Path("stopped/checkpoints/last.ckpt").exists()
    return f"exit {process.returncode}, last.ckpt {'is' if saved else 'is not'} there; {last_line(err)}"


def live() -> list[str]:
    """MPEG-TS, standard input, a named pipe, an address."""
    frames = torch.from_numpy((255 * blobs(25)).astype(np.uint8))[:, None]
    framepred.write_video("a.mp4", frames, fps=25)
    _remux("a.mp4", "a.ts")
    command = f"{shlex.quote(sys.executable)} -m framepred.cli predict"
    options = "--weights baseline:last-frame --frames 2"
    os.mkfifo("pipe.ts")

    def shell(command: str) -> str:
        done = subprocess.run(command, shell=True, capture_output=True, text=True, check=False)
        return f"exit {done.returncode}, {last_line(done.stdout or done.stderr)}"

    return [
        f"a.ts: {run('predict', 'a.ts', *LAST_FRAME).last_line}",
        f"`-`: {shell(f'cat a.ts | {command} - {options} --output stdin.mp4')}",
        f"named pipe: {shell(f'cat a.ts > pipe.ts & {command} pipe.ts {options} --output piped.mp4')}",
        f"address: {_served(command, options, shell)}",
        f"`predict 01` without such a path: {run('predict', '01', *LAST_FRAME).last_line}",
    ]


def _remux(source: str, target: str) -> None:
    import av

    with av.open(source) as before, av.open(target, "w") as after:
        stream = after.add_stream_from_template(before.streams.video[0])
        for packet in before.demux(video=0):
            if packet.dts is not None:
                packet.stream = stream
                after.mux(packet)


def _served(command: str, options: str, shell: Callable[[str], str]) -> str:
    handler = type("Quiet", (http.server.SimpleHTTPRequestHandler,), {"log_message": lambda *_: None})
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        found = shell(f"{command} http://127.0.0.1:{server.server_port}/a.mp4 {options} --output fetched.mp4")
        server.shutdown()
    return found


def surveillance() -> list[str]:
    """People walk by; then the lens is covered."""
    random, still = np.random.default_rng(0), cv2.GaussianBlur(np.random.default_rng(1).random((72, 96)), (0, 0), 5)
    still = cv2.normalize(still, None, 60, 200, cv2.NORM_MINMAX)

    def seen(time: int) -> NDArray[Any]:
        frame = still.copy()
        for number, speed in enumerate((0.6, -0.9, 1.2)):
            left = int(40 * number + speed * time) % (still.shape[1] + 20) - 10
            cv2.ellipse(frame, (left, 30 + 12 * number), (3, 8), 0, 0, 360, 40 + 90 * number, -1)
        return frame

    def footage(path: str, dark_from: int) -> None:
        dimmed = [seen(time) * (1 if time < dark_from else 0.03) for time in range(300)]
        frames = [frame + random.normal(0, 3, still.shape) for frame in dimmed]
        clip = torch.from_numpy(np.stack(frames).clip(0, 255).astype(np.uint8))[:, None]
        framepred.write_video(path, clip, fps=15)

    footage("normal.mp4", 300)
    footage("covered.mp4", 150)
    watched = run("watch", "covered.mp4", "--normal", "normal.mp4", "--csv", "w.csv", "--json")
    streamed = run("stream", "covered.mp4", *LAST_FRAME, "--csv", "s.csv", "--json")
    cuts = [line.split(",")[0] for line in Path("s.csv").read_text().splitlines()[1:] if line.endswith(",1")]
    events = [line for line in watched.out.splitlines() if '"event": "event"' in line]
    return [
        f"watch: {watched}, {len(events)} event(s) in JSON for a lens covered from 10 s on: "
        f"{events[0][:90] if events else 'none'}",
        f"stream: cut at frame {', '.join(cuts) or 'none'} in the CSV, "
        f"{sum('cut' in line for line in streamed.out.splitlines())} line(s) in JSON",
    ]


def false_cuts() -> list[str]:
    """A pan, a flash, flicker and a binary board have no cut."""
    random = np.random.default_rng(5)
    texture = cv2.GaussianBlur(random.integers(0, 255, (60, 320)).astype(np.uint8), (0, 0), 1.5)
    texture = np.where(texture > texture.mean(), 220, 30).astype(np.uint8)
    pan = np.stack([texture[:, 6 * time : 6 * time + 80] for time in range(40)])
    ball = (200 * blobs(24, 60, 80) + 40).astype(np.uint8)
    flash = ball.copy()
    flash[16] = np.clip(flash[16].astype(int) + 110, 0, 255)
    gain = np.where(np.arange(24) % 2, 1.25, 0.85)[:, None, None]
    down, right = np.mgrid[:64, :64]
    board = np.stack([(((right - 2 * time) // 6 % 2) ^ (down // 6 % 2)) * 255 for time in range(30)])
    clips = {"pan": pan, "flash": flash, "flicker": np.clip(ball * gain, 0, 255), "board": board}
    return [
        f"{name}: {len(find_cuts(torch.from_numpy(clip.astype(np.uint8))[:, None]))} cuts in {len(clip)} frames"
        for name, clip in clips.items()
    ] + ["precision and recall: `python scripts/benchmark.py cuts`, below"]


def other_program() -> list[str]:
    """Another program's predictions, compared."""
    truth = np.stack([np.roll(blobs(10), number, axis=1) for number in range(8)])[:, :, None]
    np.save("trues.npy", truth)
    np.save("preds.npy", (truth + np.random.default_rng(0).normal(0, 0.03, truth.shape)).clip(0, 1).astype(np.float32))
    np.save("better.npy", (0.99 * truth).astype(np.float32))
    np.save("dry.npy", np.zeros((2, 20, 1, 32, 32), np.float32))
    cards = [
        run("evaluate", "--predictions", f"{name}.npy", "--truth", "trues.npy", "--output", name)
        for name in ("preds", "better")
    ]
    compared = run("compare", "preds/card.json", "better/card.json")
    dry = run("evaluate", "--data", "dry.npy", *LAST_FRAME, "--json")
    return [
        f"evaluate --predictions: {cards[0]} and {cards[1]}, a card each",
        f"compare: {compared}",
        f"dry clips: {dry}, {'NaN' if 'NaN' in dry.out else 'no NaN'} in the scores"
        if dry.code == 0
        else f"dry clips: {dry}",
    ]


def picture_sequences() -> list[str]:
    """Gaps, two series, webp, bmp, animations."""
    pictures("gaps", [n for n in range(16) if n not in (4, 5, 11)], "img_{:04d}0.png")
    pictures("twocams", list(range(8)), "cam1_{:03d}.png")
    pictures("twocams", list(range(8)), "cam2_{:03d}.png")
    pictures("webp", list(range(12)), "{}.webp")
    pictures("bmp", list(range(12)), "{}.bmp")
    frames = np.stack([(255 * blobs(16)).astype(np.uint8)] * 3, axis=-1)
    for name in ("anims/one.png", "anims/two.png", "anim.webp", "anim.gif"):
        pages(name, frames, duration=40)
    found = {
        name: run("predict", name, *LAST_FRAME, "--frames", 2)
        for name in ("gaps", "twocams", "webp", "bmp", "anim.webp", "anims")
    }
    filled = run("restore", "gaps", "--find", "--method", "linear", "--output", "filled.npy")
    codes = ", ".join(f"{name} {outcome.code}" for name, outcome in found.items())
    return [
        f"exit codes: {codes}",
        found["gaps"].line_with("lacks"),
        found["twocams"].line_with("series"),
        f"folder of two animated PNGs: {len(found['anims'].out.splitlines())} predictions",
        f"restore --find: {filled}, {filled.last_line}",
    ]


def science() -> list[str]:
    """HDF5, NetCDF and npz with several arrays, kelvin, DICOM."""
    import h5py

    rain = (200 * blobs(25)).astype(np.uint8)
    with h5py.File("two.h5", "w") as file:
        file["vil"], file["ir069"], file["id"] = rain, rain.astype(np.int16) * 10, np.array([b"S1"])
    np.savez("dated.npz", precip=rain, time=np.arange(25))
    np.save("kelvin.npy", 280 - 60 * blobs())
    Path("cine.dcm").write_bytes(b"\0" * 128 + b"DICM")
    unnamed = run("predict", "two.h5", *LAST_FRAME)
    named = run("predict", "two.h5", *LAST_FRAME, "--array", "vil", "--output", "vil.npy")
    kelvin = run("predict", "kelvin.npy", "--range", "200,300", *LAST_FRAME, "--output", "k.npy")
    return [
        f"two arrays: {unnamed.last_line}",
        f"`--array vil`: {named}, {shape_of('vil.npy')}",
        f"npz of precip and time: {run('predict', 'dated.npz', *LAST_FRAME)}",
        f"kelvin, `--range 200,300`: {kelvin}, {shape_of('k.npy')}",
        f"DICOM: {run('predict', 'cine.dcm', *LAST_FRAME).last_line}",
    ]


def python_api() -> list[str]:
    """Data sets in a plain DataLoader; half precision; values beyond [0, 1]."""
    pictures("clips/a", list(range(24)), "{}.png")
    loader = torch.utils.data.DataLoader
    sets = {"VideoFolder": VideoFolder("clips", 6), "MovingMNIST": MovingMNIST("test", clips=4, digits="mnist-5k")}
    loaded = [
        f"{name}, {workers} workers: {tuple(next(iter(loader(data, batch_size=2, num_workers=workers))).shape)}"
        for name, data in sets.items()
        for workers in (0, 2)
    ]
    net = framepred.load("natural-small")
    clip = torch.rand(1, 4, 1, 32, 32)
    half = net.half()(clip.half(), horizon=2).dtype
    return [
        *loaded,
        f"natural-small.half(): {half}",
        f"floats of 0 to 255: {_refused(clip * 255)}",
        f"NaN: {_refused(clip * torch.nan)}",
    ]


def _refused(clip: torch.Tensor) -> str:
    try:
        framepred.load("natural-small")(clip, horizon=2)
    except framepred.errors.FramepredError as error:
        return str(error)
    return "accepted"


def finetune() -> list[str]:
    """Fine-tuning of bundled weights, which bring their own network."""
    framepred.write_video("clips/a.mp4", torch.from_numpy((255 * blobs(160)).astype(np.uint8))[:, None], fps=20)
    tuned = run(
        "train", "--config", "video_folder_convlstm", "--weights", "natural-small", "--data.init_args.root=clips",
        "--data.init_args.batch_size=1", "--trainer.max_steps=1", "--trainer.limit_val_batches=0",
        "--trainer.accelerator=cpu", "--trainer.enable_progress_bar=false", "--trainer.default_root_dir=run",
    )  # fmt: skip
    again = run(
        "train", "--config", "run/config.yaml", "--ckpt_path", "last", "--trainer.default_root_dir=run"
    )  # fmt: skip
    return [
        f"train --weights natural-small: {tuned}, {tuned.line_with('Trains')}",
        f"again: {last_line(again.err)}",
    ]


def tiny() -> list[str]:
    """8 × 10 cells, time first."""
    down, right = np.mgrid[:8, :10]
    phases = np.random.default_rng(0).uniform(0, 6, 40)
    waves = [[0.5 + 0.5 * np.sin(0.5 * t + 0.6 * right + 0.4 * down + p) for p in phases] for t in range(20)]
    np.save("tiny.npy", np.array(waves, np.float32))
    predicted = run("predict", "tiny.npy", "--layout", "tnhw", *LAST_FRAME, "--output", "t.npy")
    scored = run("evaluate", "--data", "tiny.npy", "--layout", "tnhw", *LAST_FRAME, "--json")
    return [
        f"predict --layout tnhw: {predicted}, {shape_of('t.npy')}; cuts: {predicted.line_with('scene cut')}",
        f"evaluate --layout tnhw: {scored}",
        f"without: {run('evaluate', '--data', 'tiny.npy', *LAST_FRAME).last_line}",
    ]


CASES = [
    Case("radar with NaN, dBZ, NetCDF", "all refused; a NaN in a late frame ended training hours later", radar),
    Case(
        "two-channel grid",
        "could be trained and scored, but no command predicted it; errors sent users in circles",
        grid,
    ),
    Case("TIFF of many pages", "page 1 of each was read, 23 of 24 were ignored without a message", multipage),
    Case("overfit one or two videos", "no checkpoint at all; Ctrl-C saved nothing, exit 1", overfit),
    Case("live sources, pipes, addresses", "`-` and .ts not known; a pipe was reported as an empty file", live),
    Case("surveillance", "a covered lens: no alarm, no event, nothing in the CSV", surveillance),
    Case("false cuts", "39 cuts in 40 frames of a pan; one frame of context was left", false_cuts),
    Case("another program's predictions", "no weights 'preds.npy'; no command 'compare'", other_program),
    Case("picture sequences", "gaps and two series taken as one clip; webp and bmp unknown", picture_sequences),
    Case("scientific containers", "several arrays refused, none could be named; .nc, .dcm, kelvin refused", science),
    Case("Python API", "TypeError in a DataLoader; half precision failed; floats of 255 became white", python_api),
    Case("fine-tuning", "weights did not fit the config", finetune),
    Case("tiny grids", "`--layout` advised by commands that lacked it; one cut for 40 unrelated series", tiny),
]


def run_case(case: Case, folder: Path) -> list[str]:
    """Make the material of a case in a folder of its own, run framepred, and return lines on the results."""
    with inside(folder / case.run.__name__), patch.dict(os.environ, {"XDG_CACHE_HOME": str(folder / "cache")}):
        return case.run()
