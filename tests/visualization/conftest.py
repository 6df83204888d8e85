"""Every text that a test of this folder draws is checked: the font has its characters."""

from collections.abc import Iterator
from typing import Any

import pytest
from PIL import ImageDraw, ImageFont

MISSING = "\uffff"
"""No character, for which fonts draw a box."""


@pytest.fixture(autouse=True)
def _only_characters_of_the_font(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    draw = ImageDraw.ImageDraw.text
    drawn: set[str] = set()

    def noted(self: ImageDraw.ImageDraw, xy: Any, text: str, *arguments: Any, **options: Any) -> None:
        drawn.update(text)
        draw(self, xy, text, *arguments, **options)

    monkeypatch.setattr(ImageDraw.ImageDraw, "text", noted)
    yield
    font = ImageFont.load_default(20)
    box = bytes(font.getmask(MISSING))
    assert not {character for character in drawn - {" "} if bytes(font.getmask(character)) == box}
