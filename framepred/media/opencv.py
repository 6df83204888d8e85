"""Import OpenCV, silenced, or raise one sentence where it cannot be loaded. Other modules import it from here."""

import os

from framepred.errors import MediaError

os.environ.setdefault("OPENCV_LOG_LEVEL", "SILENT")
os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")  # AV_LOG_QUIET

try:
    import cv2
except ImportError as error:  # a server without libGL.so.1 or libgthread-2.0.so.0
    raise MediaError(
        f"OpenCV cannot be loaded ({error}); run 'pip uninstall opencv-python' and "
        "'pip install opencv-python-headless', or 'apt-get install libgl1 libglib2.0-0'."
    ) from error

__all__ = ["cv2"]
