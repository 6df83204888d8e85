"""Small valid files of every kind that framepred reads, and the functions that read each kind."""

import gzip
import json
import struct
import tempfile
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from video_zoo import write_codec

Reader = Callable[[Path], object]

_VIDEOS = {
    "h264.mp4": ("libx264", "yuv420p"),
    "vp9.webm": ("libvpx-vp9", "yuv420p"),
    "ffv1.mkv": ("ffv1", "yuv420p"),
    "mjpeg.avi": ("mjpeg", "yuvj420p"),
    "mpeg2.ts": ("mpeg2video", "yuv420p"),
    "mpeg2.mpg": ("mpeg2video", "yuv420p"),
    "png.mov": ("png", "rgb24"),
    "flv1.flv": ("flv", "yuv420p"),
    "wmv2.wmv": ("wmv2", "yuv420p"),
    "gray16.mkv": ("ffv1", "gray16le"),
    "gray16.mov": ("png", "gray16be"),
}


def seeds(folder: Path, *, exports: bool = False) -> dict[str, Path]:
    """Write one small valid source of each kind; return them by name.

    Args:
        folder: an empty folder.
        exports: whether an ONNX export is among them, which takes ten seconds to write.
    """
    rng = np.random.default_rng(0)
    clip = rng.integers(0, 256, (6, 12, 16), dtype=np.uint8)
    color = rng.integers(0, 256, (6, 12, 16, 3), dtype=np.uint8)
    for name, (codec, pixels) in _VIDEOS.items():
        write_codec(folder / name, codec, pixels, frames=8, size=(32, 32))
    _write_pictures(folder, [Image.fromarray(frame) for frame in color])
    np.save(folder / "a.npy", clip)
    np.savez(folder / "stored.npz", frames=clip, time=np.arange(6))
    np.savez_compressed(folder / "deflated.npz", frames=clip)
    _write_stores(folder, clip)
    _write_texts(folder)
    _write_idx(folder)
    _write_networks(folder)
    _write_profile(folder)
    if exports:
        _write_export(folder)
    return {path.name: path for path in sorted(folder.iterdir())}


def readers(name: str) -> list[Reader]:
    """Return the functions that read the kind of file that :func:`seeds` gives this name."""
    return _READERS.get(name, [_read_all, _read_end, _read_in_order, _read_by_number])


def _write_pictures(folder: Path, pictures: list[Image.Image]) -> None:
    for name, more in {
        "a.gif": {}, "a.png": {}, "a.webp": {"lossless": True}, "plain.tif": {},
        "lzw.tif": {"compression": "tiff_lzw"}, "deflate.tif": {"compression": "tiff_adobe_deflate"},
    }.items():  # fmt: skip
        pictures[0].save(folder / name, save_all=True, append_images=pictures[1:], **more)
    for suffix in (".png", ".jpg", ".bmp", ".webp", ".tif"):
        (folder / f"folder{suffix[1:]}").mkdir()
        for number in range(3):
            pictures[number].save(folder / f"folder{suffix[1:]}" / f"{number}{suffix}")


def _write_stores(folder: Path, clip: np.ndarray) -> None:
    import h5py
    import zarr

    with h5py.File(folder / "a.h5", "w") as file:
        file.create_dataset("frames", data=clip, chunks=(2, 12, 16), compression="gzip")
        file["time"] = np.arange(6)
    for version in (2, 3):
        group = zarr.open_group(folder / f"v{version}.zarr", mode="w", zarr_format=version)
        group.create_array("frames", data=clip, chunks=(2, 12, 16))


def _write_texts(folder: Path) -> None:
    from framepred.training.config_files import configs

    bundled = json.loads((_bundled("moving-mnist-convlstm") / "card.json").read_text())
    (folder / "card.json").write_text(json.dumps(bundled))
    (folder / "config.yaml").write_text(configs()["smoke"].read_text())
    (folder / "missing.txt").write_text("1, 3\n7-9  # damaged\n")
    (folder / "spans.csv").write_text("start,end\n0.5,1.5\n4,5\n")
    (folder / "labels.csv").write_text("frame,label\n3,1\n4,0\n")


def _bundled(name: str) -> Path:
    from framepred.models.pretrained import BUNDLED

    return BUNDLED / name


def _write_idx(folder: Path) -> None:
    images = np.random.default_rng(1).integers(0, 256, (3, 28, 28), dtype=np.uint8)
    content = struct.pack(">4I", 0x803, 3, 28, 28) + images.tobytes()
    (folder / "images-idx3-ubyte").write_bytes(content)
    (folder / "images-idx3-ubyte.gz").write_bytes(gzip.compress(content, mtime=0))


def _write_networks(folder: Path) -> None:
    from framepred.models import EncoderForecaster
    from framepred.models.checkpoints import write_checkpoint
    from framepred.models.pretrained import describe

    torch.manual_seed(0)
    net = EncoderForecaster(hidden_channels=[2], kernel_size=3)
    net.save_pretrained(folder / "weights")
    (folder / "weights" / "README.md").unlink(missing_ok=True)
    tensors = {f"net.{name}": tensor for name, tensor in net.state_dict().items()}
    write_checkpoint({"net": describe(net), "state_dict": tensors, "global_step": 3}, folder / "framepred.ckpt")
    torch.save({"net": describe(net), "state_dict": tensors, "global_step": 3}, folder / "torch.ckpt")


def _write_profile(folder: Path) -> None:
    from framepred.inference.watching.profile import Profile

    noise = torch.Generator().manual_seed(0)
    normal = [torch.randint(90, 110, (1, 16, 16), generator=noise, dtype=torch.uint8) for _ in range(160)]
    Profile.fit(normal, fps=10).save(folder / "usual.profile")


def _write_export(folder: Path) -> None:
    """A folder, because an export has several files."""
    from framepred.exporting.export import export

    (folder / "export").mkdir()
    export(folder / "weights", folder / "export" / "net.onnx")


def _read_all(path: Path) -> None:
    from framepred.media.reading import read_clips

    read_clips(path)


def _read_end(path: Path) -> None:
    from framepred.media.reading import read_clips

    read_clips(path, last=3, value_range="auto")


def _read_in_order(path: Path) -> None:
    from framepred.media.reading import open_frames

    for _ in open_frames(path).frames:
        pass


def _read_by_number(path: Path) -> None:
    from framepred.media.random_access import open_reader

    with closing(open_reader(path)) as reader:
        for _ in reader.read(range(reader.frames - 1, -1 + reader.frames)):
            pass
        for _ in reader.read(range(0, reader.frames, 2)):
            pass


def _read_card(path: Path) -> None:
    """Read a card, and make of it what the commands show."""
    from framepred.evaluation.cards import Card
    from framepred.evaluation.tables import score_table

    card = Card.read(path)
    score_table(card)
    with tempfile.TemporaryDirectory() as folder:
        card.report(Path(folder) / "report.html")


def _open_config(path: Path) -> None:
    """Build everything that a config names, in a folder that is not written."""
    from framepred.training.configuration import open_config

    open_config([f"--config={path}", "--trainer.logger=false", "--trainer.enable_checkpointing=false"])


def _read_missing(path: Path) -> None:
    from framepred.inference.missing import read_missing

    read_missing(path)


def _read_labels(path: Path) -> None:
    from framepred.inference.watching.labels import read_labels

    read_labels(path)(np.arange(10), np.arange(10) / 2)


def _read_idx(path: Path) -> None:
    from framepred.data.digit_files import read_idx_images

    read_idx_images(path)


def _forecast(path: Path) -> None:
    """Load weights and forecast one frame with them."""
    from framepred.models import load

    with torch.inference_mode():
        load(path)(torch.zeros(1, 2, 1, 8, 8), 1)


def _forecast_export(path: Path) -> None:
    _forecast(path / "net.onnx")


def _read_checkpoint(path: Path) -> None:
    from framepred.models.checkpoints import read_checkpoint

    read_checkpoint(path)


def _score(path: Path) -> None:
    """Load a profile and score frames with it."""
    from framepred.inference.watching.profile import Profile

    profile = Profile.load(path)
    profile.threshold(1.0)
    for value in (90, 100, 200):
        profile.score(torch.full((1, 16, 16), value, dtype=torch.uint8))


_READERS: dict[str, list[Reader]] = {
    "card.json": [_read_card],
    "config.yaml": [_open_config],
    "missing.txt": [_read_missing],
    "spans.csv": [_read_labels],
    "labels.csv": [_read_labels],
    "images-idx3-ubyte": [_read_idx],
    "images-idx3-ubyte.gz": [_read_idx],
    "weights": [_forecast],
    "framepred.ckpt": [_read_checkpoint, _forecast],
    "torch.ckpt": [_read_checkpoint, _forecast],
    "export": [_forecast_export],
    "usual.profile": [_score],
}
