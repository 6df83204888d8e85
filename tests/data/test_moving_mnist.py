import hashlib
import math
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from framepred.data import MovingMNIST
from framepred.errors import ConfigError


@pytest.fixture(scope="module")
def clips() -> MovingMNIST:
    return MovingMNIST("test", clips=50, digits="mnist-5k")


def sha256(clips: torch.Tensor) -> str:
    return hashlib.sha256(clips.numpy().tobytes()).hexdigest()


def draw(seed: int, stream: int, clip: int, digit: int) -> tuple[int, float, float, float]:
    """The four words of one digit of one clip, by the plainest use of NumPy's generator."""
    key = np.array([seed, stream], np.uint64)
    words = np.random.Philox(key=key, counter=[clip, digit, 0, 0]).random_raw(4)
    x, y, angle = (int(word) // 2**11 / 2**53 for word in words[1:])
    return int(words[0]) // 2**32, x, y, angle


def reference_clip(clips: MovingMNIST, clip: int) -> np.ndarray:
    """The rule of the class, one digit, one frame, one coordinate at a time."""
    height, width = clips.frame_size
    frames = np.zeros((clips.length, 1, height, width), np.uint8)
    for digit in range(clips.digits_per_clip):
        word, x, y, angle = draw(clips.seed, {"train": 0, "val": 1, "test": 2}[clips.split], clip, digit)
        image = clips.bank.images[word * len(clips.bank) // 2**32]
        dx, dy = math.cos(2 * math.pi * angle), math.sin(2 * math.pi * angle)
        for frame in frames:
            x += dx * clips.speed
            y += dy * clips.speed
            if x <= 0:
                x, dx = 0.0, -dx
            elif x >= 1:
                x, dx = 1.0, -dx
            if y <= 0:
                y, dy = 0.0, -dy
            elif y >= 1:
                y, dy = 1.0, -dy
            left, top = int((width - 28) * x), int((height - 28) * y)
            for row in range(28):
                for column in range(28):
                    old = frame[0, top + row, left + column]
                    frame[0, top + row, left + column] = max(old, image[row, column])
    return frames


@pytest.mark.parametrize(
    ("split", "arguments"),
    [
        ("test", {}),
        ("val", {"seed": 2**64 - 1, "length": 30, "speed": 0.31}),
        ("train", {"seed": 7, "length": 5, "frame_size": (28, 91), "digits_per_clip": 3, "speed": 1.7}),
    ],
)
def test_clips_follow_the_rule(split: str, arguments: dict[str, Any]) -> None:
    clips = MovingMNIST(split, digits="mnist-5k", **arguments)
    for index in (0, 1, 12345):
        np.testing.assert_array_equal(clips.render([index])[0].numpy(), reference_clip(clips, index))


@pytest.mark.parametrize(
    ("split", "seed", "expected"),
    [
        ("train", 0, "ddbef7c68bc2ef79e8417278eda4c2440bbb298fd86f34cb316a345485aa38ad"),
        ("val", 0, "10e33ca0105c41fa585281bd22b137563a935679980fd2c9ab2384732e2f04ab"),
        ("test", 0, "f878105b4e71e9c6601875ceb9f08174a100f7a17cf8644e11cc178f1da01fb6"),
        ("test", 1, "476da0866efd5379f7199b2a13882681ee961a18057f4697d49c1573daba4d48"),
    ],
)
def test_the_generator_never_changes(split: str, seed: int, expected: str) -> None:
    """Scores are compared across releases: these bytes are a promise. Do not update them; find what broke them."""
    clips = MovingMNIST(split, seed=seed, digits="mnist-5k")
    assert sha256(clips.render([0, 1, 2, 10**12])) == expected


def test_a_clip_is_uint8_frames_first(clips: MovingMNIST) -> None:
    clip = clips[3]
    assert clip.shape == (20, 1, 64, 64)
    assert clip.dtype == torch.uint8
    assert clip.max() > 200


@given(st.lists(st.integers(0, 2**62), min_size=0, max_size=12))
@settings(max_examples=25)
def test_a_clip_does_not_depend_on_its_batch(clips: MovingMNIST, indices: list[int]) -> None:
    batch = clips.render(indices)
    assert batch.shape == (len(indices), 20, 1, 64, 64)
    for index, clip in zip(indices, batch, strict=True):
        assert torch.equal(clip, clips.render([index])[0])


def test_runs_and_shuffles_give_the_same_clips(clips: MovingMNIST) -> None:
    order = torch.randperm(40).tolist()
    assert torch.equal(clips.render(range(40))[order], clips.render(order))


def test_seeds_splits_and_indices_give_other_clips(clips: MovingMNIST) -> None:
    same_digits = MovingMNIST("test", seed=1, digits="mnist-5k")
    assert not torch.equal(clips[0], same_digits[0])
    assert not torch.equal(clips[0], clips[1])
    assert not torch.equal(MovingMNIST("val", digits="mnist-5k")[0], MovingMNIST("train", digits="mnist-5k")[0])


def test_one_more_digit_leaves_the_others_where_they_were() -> None:
    one, two = (MovingMNIST("test", digits="mnist-5k", digits_per_clip=count)[0] for count in (1, 2))
    assert (two >= one).all()
    assert not torch.equal(one, two)


def test_a_longer_clip_begins_alike(clips: MovingMNIST) -> None:
    longer = MovingMNIST("test", digits="mnist-5k", length=33)
    assert torch.equal(longer[0][:20], clips[0])


@given(
    height=st.integers(28, 80),
    width=st.integers(28, 80),
    digits=st.integers(1, 4),
    length=st.integers(1, 30),
    speed=st.floats(0, 3),
    seed=st.integers(0, 2**64 - 1),
)
@settings(max_examples=40)
def test_digits_stay_whole_on_any_canvas(
    height: int, width: int, digits: int, length: int, speed: float, seed: int
) -> None:
    clips = MovingMNIST(
        "test",
        seed=seed,
        length=length,
        frame_size=(height, width),
        digits_per_clip=digits,
        speed=speed,
        digits="mnist-5k",
    )
    frames = clips.render([0, 1])
    assert frames.shape == (2, length, 1, height, width)
    for index, clip in enumerate(frames):
        images = [clips.bank.images[draw(seed, 2, index, digit)[0] * 2500 // 2**32] for digit in range(digits)]
        brightest = max(int(image.max()) for image in images)
        assert (clip.amax(dim=(1, 2, 3)) == brightest).all()
        light = clip.sum(dim=(1, 2, 3))
        assert (light >= max(int(image.sum()) for image in images)).all()
        assert (light <= sum(int(image.sum()) for image in images)).all()


def test_a_clip_counts_from_zero_and_ends(clips: MovingMNIST) -> None:
    assert len(clips) == 50
    assert len(list(clips)) == 50
    for index in (-51, 50):
        with pytest.raises(IndexError):
            clips[index]
    with pytest.raises(IndexError, match="the first clip is 0"):
        clips.render([3, -2])


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ({"clips": 0}, "clips must be at least 1"),
        ({"length": 0}, "length must be at least 1"),
        ({"digits_per_clip": 0}, "digits_per_clip must be at least 1"),
        ({"frame_size": (27, 64)}, "frame_size must be at least 28 by 28"),
        ({"speed": -0.1}, "speed"),
        ({"speed": math.nan}, "speed"),
        ({"speed": math.inf}, "speed"),
        ({"seed": -1}, "seed"),
        ({"seed": 2**64}, "seed"),
        ({"digits": "letters"}, "letters"),
    ],
)
def test_arguments_outside_their_domain_are_named(arguments: dict[str, object], complaint: str) -> None:
    with pytest.raises(ConfigError, match=complaint):
        MovingMNIST("test", **{"digits": "mnist-5k", **arguments})


def test_corners_say_where_each_digit_is() -> None:
    clips = MovingMNIST("test", digits_per_clip=1, digits="mnist-5k")
    frames, corners = clips.render([3, 8]), clips.corners([3, 8])
    assert corners.shape == (2, 20, 1, 2)
    for clip, places in zip(frames, corners, strict=True):
        squares = [frame[0, y : y + 28, x : x + 28] for frame, (y, x) in zip(clip, places[:, 0].tolist(), strict=True)]
        assert all(torch.equal(square, squares[0]) for square in squares)
        assert squares[0].sum() == clip[0].sum() > 0
    with pytest.raises(IndexError, match="the first clip is 0"):
        clips.corners([-1])
