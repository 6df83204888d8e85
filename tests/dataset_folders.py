"""Tiny stand-ins for data sets, in the layout in which each is distributed."""

import runpy
import struct
from pathlib import Path

import h5py
import numpy as np
import torch

from framepred import write_video
from framepred.media.opencv import cv2


def moving(frames: int, height: int, width: int, channels: int = 1, seed: int = 0) -> np.ndarray:
    """Frames of a random texture that moves by (1, 2) pixels per frame: uint8 (t, h, w, c)."""
    texture = np.random.default_rng(seed).integers(0, 256, (height, width, channels), dtype=np.uint8)
    return np.stack([np.roll(texture, (time, 2 * time), (0, 1)) for time in range(frames)])


def kth(folder: Path) -> None:
    """Folders of actions with Xvid videos, 160×120, one per person, action and scene."""
    for action, person in (("boxing", 1), ("walking", 12), ("running", 15), ("walking", 17), ("jogging", 25)):
        path = folder / action / f"person{person:02}_{action}_d1_uncomp.avi"
        path.parent.mkdir(parents=True, exist_ok=True)
        video = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"XVID"), 25, (160, 120))
        for frame in moving(34, 120, 160, 3, person):
            video.write(frame)
        video.release()


def taxibj(folder: Path) -> None:
    """OpenSTL's dataset.npz: windows of 4 + 4 half hours, in- and outflow of 32×32 regions, in [-1, 1]."""
    folder.mkdir(parents=True)
    windows = np.random.default_rng(0).uniform(-1, 1, (50, 8, 2, 32, 32))
    parts = {"X_train": windows[:40, :4], "Y_train": windows[:40, 4:], "X_test": windows[40:, :4]}
    np.savez(folder / "dataset.npz", **parts, Y_test=windows[40:, 4:])


def bair(folder: Path) -> None:
    """TFRecord files of trajectories with two cameras, 30 frames of 64×64, and the robot's actions."""
    for part, first in (("train", 0), ("train", 2), ("train", 4), ("test", 0)):
        path = folder / part / f"traj_{first}_to_{first + 1}.tfrecords"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"".join(map(_record, (_trajectory(first), _trajectory(first + 1)))))


def kitti_caltech(folder: Path) -> None:
    """KITTI's drives as PNG files; Caltech's videos as Norpix .seq files."""
    for drive in ("2011_09_26_drive_0001_sync", "2011_09_26_drive_0005_sync", "2011_09_26_drive_0104_sync"):
        pictures = folder / "2011_09_26" / drive / "image_03" / "data"
        pictures.mkdir(parents=True)
        for time, frame in enumerate(moving(12, 375 // 3, 1242 // 3, 3)):
            cv2.imwrite(str(pictures / f"{time:010}.png"), frame)
    path = folder / "set06" / "V000.seq"
    path.parent.mkdir()
    jpegs = [cv2.imencode(".jpg", frame)[1].tobytes() for frame in moving(36, 48, 64, 3)]
    path.write_bytes(bytes(1024) + b"".join(struct.pack("<I", len(jpeg) + 4) + jpeg + bytes(8) for jpeg in jpegs))


def human36m(folder: Path) -> None:
    """A folder of videos per person, named with a space and the camera's number; square, 50 frames per second."""
    for person in ("S1", "S8", "S9", "S11"):
        for action in ("Directions 1", "_ALL 1"):
            frames = moving(40, 64, 64, 3, len(person))
            path = folder / person / "Videos" / f"{action}.54138969.mp4"
            write_video(path, torch.from_numpy(frames).permute(0, 3, 1, 2), fps=50)


def sevir(folder: Path) -> None:
    """HDF5 files of events, uint8 (n, 384, 384, 49), and the names of the events."""
    for stem in ("RANDOMEVENTS_2018_0101_0430", "STORMEVENTS_2019_0101_0630", "STORMEVENTS_2019_0701_1231"):
        path = folder / stem.split("_")[1] / f"SEVIR_VIL_{stem}.h5"
        path.parent.mkdir(parents=True, exist_ok=True)
        with h5py.File(path, "w") as file:
            file["id"] = [b"S835047", b"R835048"]
            file["vil"] = np.stack([moving(49, 384, 384, seed=event)[..., 0].transpose(1, 2, 0) for event in range(2)])


def weatherbench(folder: Path) -> None:
    """A netCDF file per year: hourly temperatures in kelvin on 32×64 points."""
    folder.mkdir(parents=True)
    for year in range(2010, 2019):
        with h5py.File(folder / f"2m_temperature_{year}_5.625deg.nc", "w") as file:
            file["lat"], file["lon"], file["time"] = np.arange(32.0), np.arange(64.0), np.arange(30)
            file["t2m"] = (220 + moving(30, 32, 64, seed=year)[..., 0] * 0.3).astype(np.float32)


REPOSITORY = Path(__file__).parents[1]
LAYOUTS = {make.__name__: make for make in (kth, taxibj, bair, kitti_caltech, human36m, sevir, weatherbench)}


def _trajectory(seed: int) -> bytes:
    """A trajectory as a protocol buffer of the type Example."""
    entries = []
    for time, frame in enumerate(moving(30, 64, 64, 3, seed)):
        entries += [(f"{time}/image_main/encoded", _field(1, _field(1, bytes(64 * 64 * 3))))]
        entries += [(f"{time}/image_aux1/encoded", _field(1, _field(1, frame.tobytes())))]
        entries += [(f"{time}/action", _field(2, _field(1, struct.pack("<4f", 0, 1, 2, 3))))]
    return _field(1, b"".join(_field(1, _field(1, name.encode()) + _field(2, feature)) for name, feature in entries))


def _field(number: int, content: bytes) -> bytes:
    size, digits = len(content), []
    while size >= 0x80:
        digits.append(size & 0x7F | 0x80)
        size >>= 7
    return bytes([number << 3 | 2, *digits, size]) + content


def _record(message: bytes) -> bytes:
    """A record of a TFRecord file, with zeros for its checksums."""
    return struct.pack("<QI", len(message), 0) + message + bytes(4)


def ready_folder(name: str, folder: Path) -> Path:
    """Make a stand-in and return the folder to train on: as distributed, or prepared by the recipe in ``datasets/``."""
    distributed, recipe = folder / "distributed", REPOSITORY / "datasets" / name / "prepare.py"
    LAYOUTS[name](distributed)
    if not recipe.exists():
        return distributed
    runpy.run_path(str(recipe))["prepare"](distributed, folder / "prepared")
    return folder / "prepared"
