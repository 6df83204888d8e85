import importlib
import os
import sys

import pytest

from framepred.errors import MediaError


def test_a_server_without_libgl_gets_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "framepred.media.opencv", raising=False)
    monkeypatch.setitem(sys.modules, "cv2", None)
    with pytest.raises(MediaError, match=r"pip install opencv-python-headless.+apt-get install libgl1"):
        importlib.import_module("framepred.media.opencv")


def test_opencv_is_silenced() -> None:
    importlib.import_module("framepred.media.opencv")
    assert os.environ["OPENCV_LOG_LEVEL"] == "SILENT"
    assert os.environ["OPENCV_FFMPEG_LOGLEVEL"] == "-8"
