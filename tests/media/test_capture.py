from pathlib import Path

import pytest
from torch import Tensor

from framepred.errors import MediaError
from framepred.media.capture import live_frames
from framepred.media.encoding import VideoWriter


@pytest.mark.parametrize(
    ("source", "name"),
    [("97", "Camera 97"), ("9" * 5000, "Camera 999"), ("file:///no/such/clip.mp4", "file:///no/such")],
)
def test_a_camera_that_is_not_there(source: str, name: str) -> None:
    with pytest.raises(MediaError, match=f"^{name}.* cannot be opened; check"):
        live_frames(source)


def test_a_url_is_read_like_a_file(tmp_path: Path, gray: Tensor) -> None:
    with VideoWriter(tmp_path / "a.mp4", 20) as writer:
        for frame in gray:
            writer.write(frame)
    stream = live_frames((tmp_path / "a.mp4").as_uri())
    assert stream.fps == 20
    assert len(list(stream.frames)) == len(gray)
