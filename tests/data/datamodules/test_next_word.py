import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import Tensor

from framepred.data import NextWordData
from framepred.data.datamodules.next_word import TEXT
from framepred.errors import ConfigError, DataError

REPOSITORY = Path(__file__).parents[3]


def said(data: NextWordData, words: Tensor) -> str:
    return " ".join(data.vocabulary[number] for number in words[:, :, 0, 0].argmax(dim=1))


@pytest.fixture
def text(tmp_path: Path) -> Path:
    path = tmp_path / "text.txt"
    path.write_text("\n".join(f"one two w{number} ." for number in range(20)))
    return path


def test_the_text_is_what_the_recipe_writes() -> None:
    recipe = REPOSITORY / "datasets" / "next_word" / "write.py"
    written = subprocess.run([sys.executable, str(recipe)], capture_output=True, text=True, check=True).stdout
    assert written == TEXT.read_text()


def test_the_recipe_is_grammatical() -> None:
    for line in TEXT.read_text().splitlines():
        words = line.split()
        if "flies" in words:
            assert "fly" not in words
            assert words.count("flies") == 2
        if "wall" in words:
            assert words[words.index("wall") - 1] in words[: words.index("bounces" if "bounces" in words else "bounce")]


def test_words_are_white_in_their_own_channel(text: Path) -> None:
    data = NextWordData(context=3, text=str(text))
    words = data.words("val")
    assert words.shape == (8, 23, 1, 1)
    assert words.dtype == torch.uint8
    assert words.sum(dim=1).eq(255).all()
    assert said(data, words) == "one two w16 . one two w17 ."


def test_splits_are_the_lines_in_order(text: Path) -> None:
    data = NextWordData(context=3, text=str(text))
    whole = " ".join(said(data, data.words(split)) for split in ("train", "val", "test"))
    assert whole == " ".join(text.read_text().split())


def test_training_clips_are_stretches_by_seed_and_number(text: Path) -> None:
    one, same, other = (NextWordData(context=4, seed=seed, text=str(text)) for seed in (0, 0, 1))
    numbers = range(40)
    clips = [torch.stack(data.dataset("train").__getitems__(numbers)) for data in (one, same, other)]
    assert torch.equal(clips[0], clips[1])
    assert not torch.equal(clips[0], clips[2])
    whole = said(one, one.words("train"))
    assert all(said(one, clip) in whole for clip in clips[0])
    assert len({said(one, clip) for clip in clips[0]}) > 20


def test_other_clips_follow_one_another(text: Path) -> None:
    data = NextWordData(context=2, batch_size=4, text=str(text))
    batches = list(data.test_dataloader())
    assert sum(len(batch.context) for batch in batches) == data.count("test") == 2
    assert [said(data, clip) for clip in batches[0].clips] == ["one two w18", ". one two"]
    assert batches[0].target.shape[1] == 1


def test_the_course_knows_the_text_by_its_content(text: Path, tmp_path: Path) -> None:
    """A run resumes on a moved text, and not on another one."""
    course = NextWordData(context=2, text=str(text)).course()
    moved = tmp_path / "moved.txt"
    moved.write_text(text.read_text())
    assert NextWordData(context=2, batch_size=1, text=str(moved)).course() == course
    moved.write_text(text.read_text().replace("w7", "w8"))
    assert NextWordData(context=2, text=str(moved)).course() != course


def test_a_text_that_is_too_short_is_refused(text: Path) -> None:
    with pytest.raises(DataError, match=r"val split of .* has 8 words, too few for clips of 9 \+ 1"):
        NextWordData(context=9, text=str(text))
    assert NextWordData(context=7, text=str(text)).count("val") == 1


@pytest.mark.parametrize("lines", [0, 1, 3])
def test_a_text_of_few_lines_is_refused(tmp_path: Path, lines: int) -> None:
    text = tmp_path / "short.txt"
    text.write_text("one two three four five .\n" * lines)
    with pytest.raises(DataError, match=r"has 0 words, too few for clips of 2 \+ 1"):
        NextWordData(context=2, text=str(text))


def test_a_negative_seed_is_refused() -> None:
    with pytest.raises(ConfigError, match="seed must be 0 or more, not -1"):
        NextWordData(seed=-1)


def test_a_text_that_is_not_there_is_refused() -> None:
    with pytest.raises(DataError, match=r"no\.txt cannot be read"):
        NextWordData(text="no.txt")
