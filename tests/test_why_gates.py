"""The experiments of docs/why-gates.md: data, score and saved networks."""

from pathlib import Path

import pytest
import torch

from framepred.baselines import LastFrame

SCRIPTS = Path(__file__).parents[1] / "scripts"


@pytest.fixture(autouse=True)
def _scripts_on_the_path(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(SCRIPTS)


def test_digits_return_after_black_frames_and_a_gray_one() -> None:
    from gates.hidden_digits import FLASH, HiddenDigits

    clips = HiddenDigits("test", 6, digits=2).__getitems__([3, 4])
    assert clips.shape == (2, 14, 1, 14, 14)
    for first in (0, 7):
        digit = clips[:, first]
        assert digit.float().std() > 0
        assert torch.equal(clips[:, first + 1], digit)
        assert torch.equal(clips[:, first + 6], digit)
        assert not clips[:, first + 2 : first + 5].any()
        assert (clips[:, first + 5] == FLASH).all()
    assert not torch.equal(clips[:, 0], clips[:, 7])
    assert torch.equal(HiddenDigits("test", 6, digits=2).__getitems__([4])[0], clips[1])
    assert not torch.equal(HiddenDigits("train", 6, digits=2).__getitems__([4])[0], clips[1])


def test_forgetting_is_relative_to_the_mean_digit() -> None:
    from gates.hidden_digits import HiddenDigits
    from gates.learning import forgotten

    digits = HiddenDigits("test", 6)
    mean = torch.from_numpy(digits.pictures.mean(axis=0) / 255).float()

    class Draws(LastFrame):
        """Returns a given frame."""

        def __init__(self, frame: torch.Tensor | None) -> None:
            super().__init__()
            self.frame = frame

        def forward(self, context: torch.Tensor, horizon: int) -> torch.Tensor:
            first = context[:, :1].float() / 255
            return first if self.frame is None else self.frame.expand_as(first)

    assert forgotten(Draws(None), digits) == pytest.approx(0, abs=1e-9)
    assert forgotten(Draws(mean), digits) == pytest.approx(1, abs=0.15)


def test_only_the_last_frame_is_scored() -> None:
    from gates.learning import Return

    target = torch.rand(2, 5, 1, 4, 4)
    pred = target.clone()
    pred[:, :-1] += 1
    assert Return()(pred, target) == 0
    pred[:, -1] += 0.5
    assert Return()(pred, target) == pytest.approx(0.25)


def test_a_network_is_trained_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from gates import learning

    trial = learning.Trial("Elman", 4, 3)
    first = learning.learned(trial, tmp_path, None)
    assert len(first.loss) == len(first.gradient) == 3
    monkeypatch.setattr(learning, "make_trainer", lambda *_, **__: pytest.fail("trained again"))
    again = learning.learned(trial, tmp_path, None)
    assert again[1:] == first[1:]
    assert torch.equal(again.net.readout.weight, first.net.readout.weight)
