import numpy as np
from PIL import Image, ImageDraw

from framepred.visualization.pictures import PREDICTED, TEXT
from framepred.visualization.rolling_curve import Curve

BOX = (0, 0, 99, 50)


def drawn(curve: Curve) -> np.ndarray:
    page = Image.new("RGB", (100, 51))
    curve.draw(ImageDraw.Draw(page), BOX, text_height=8)
    return np.asarray(page)[1:50, 30:99]  # without the border, and the scale at the left


def is_colour(page: np.ndarray, colour: tuple[int, int, int]) -> np.ndarray:
    return (page == colour).all(axis=-1)


def test_larger_is_higher_and_newer_is_further_right() -> None:
    curve = Curve(100)
    for value in np.linspace(0, 100, 100):
        curve.add(float(value))
    rows, columns = is_colour(drawn(curve), TEXT).nonzero()
    assert np.corrcoef(rows, columns)[0, 1] < -0.99


def test_values_past_the_threshold_have_another_colour() -> None:
    curve = Curve(100, threshold=4)
    for value in [1.0] * 50 + [9.0] * 50:
        curve.add(value)
    page = drawn(curve)
    line = is_colour(page, PREDICTED).all(axis=1)
    assert line.sum() == 1
    assert is_colour(page, TEXT)[~line, :15].any()
    assert not is_colour(page, TEXT)[~line, 25:].any()
    assert not is_colour(page, PREDICTED)[~line, :15].any()
    assert is_colour(page, PREDICTED)[~line, 25:].any()


def test_what_is_unknown_is_a_gap() -> None:
    curve = Curve(100)
    for value in [*[5.0] * 60, *[None] * 20, *[5.0] * 20]:
        curve.add(value)
    known = is_colour(drawn(curve), TEXT).any(axis=0)
    assert known[:28].all()
    assert not known[32:48].any()
    assert known[52:-1].all()


def test_only_the_last_values_are_shown() -> None:
    curve, other = Curve(10), Curve(10)
    for value in [1000.0, *[3.0] * 10]:
        curve.add(value)
    for _ in range(10):
        other.add(3)
    assert (drawn(curve) == drawn(other)).all()


def test_nothing_yet() -> None:
    assert not is_colour(drawn(Curve(10)), TEXT).any()
    assert not is_colour(drawn(Curve(1)), TEXT).any()
