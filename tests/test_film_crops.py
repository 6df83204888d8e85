"""Crops of a predicted window of a film, as a picture and as a clip."""

import importlib
from pathlib import Path

import pytest
import torch
from PIL import Image

from framepred import read_video, write_video

SCRIPTS = Path(__file__).parents[1] / "scripts"


@pytest.mark.parametrize("name", ["crops.png", "crops.mp4"])
def test_crops_show_truth_flow_and_blend(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.syspath_prepend(str(SCRIPTS))
    write_crops = importlib.import_module("benchmarks.film_crops").write_crops
    picture = (torch.rand(1, 12, 16, generator=torch.Generator().manual_seed(0)) * 255).byte().expand(3, -1, -1)
    still = picture.repeat_interleave(4, dim=1).repeat_interleave(4, dim=2)
    write_video(tmp_path / "film.mp4", still.expand(24, -1, -1, -1))
    output = write_crops(tmp_path / "film.mp4", "natural-small", 14, (8, 0, 40, 32), tmp_path / name)
    if name.endswith("png"):
        with Image.open(output) as shown:
            assert shown.size == (3 * 40, 4 * 32)
        return
    clip = read_video(output)
    assert clip.shape == (10, 1, 32, 3 * 40)
    for part in clip.split(40, dim=3):
        assert (part.float() - still[0, :32, 8:48].float()).abs().mean() < 8
