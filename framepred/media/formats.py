"""Which sources can be read: checks that import neither torch nor OpenCV."""

import os
import re
import stat
import sys
from pathlib import Path
from urllib.parse import SplitResult, urlsplit
from urllib.request import url2pathname

from framepred.errors import MediaError, reason_of
from framepred.media.headers import has_pages
from framepred.media.paths import expand_user

VIDEOS = (
    ".mp4", ".avi", ".mov", ".mkv", ".webm", ".m4v", ".mpg", ".mpeg", ".ts", ".mts", ".m2ts", ".wmv", ".flv", ".3gp",
    ".ogv", ".vob", ".mxf", ".dv", ".y4m",
)  # fmt: skip
DEMUXERS = "mov,matroska,avi,mpegts,mpeg,mpegvideo,asf,flv,dv,mxf,ogg,yuv4mpegpipe"
"""FFmpeg's readers of these files. Playlists (HLS, DASH, concat scripts) are left out: they name other files."""

GIF = ".gif"
IMAGES = (".png", ".jpg", ".jpeg", ".jpe", ".jfif", ".tif", ".tiff", ".webp", ".avif", ".bmp", ".pgm", ".ppm", ".apng")
PAGED_IMAGES = (".png", ".apng", ".tif", ".tiff", ".webp", ".avif")
"""Pictures that may hold several frames, and are clips if they do."""
ARRAYS = (".npy", ".npz")
HDF5, ZARR = (".h5", ".hdf5", ".nc", ".nc4"), ".zarr"
INPUTS = (*VIDEOS, GIF, *ARRAYS, *HDF5, ZARR)
STANDARD_INPUT = "-"
EMPTY_PATH = "The path of the input is empty; name a file or a folder."

_URL = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+):/{1,3}[^/]")  # pathlib joins the two slashes of an address into one
_LIVE_SCHEMES = ("rtsp", "rtsps", "rtp", "rtmp", "rtmps", "udp", "tcp", "srt", "mms", "mmsh")
_ADVICE = {  # for kinds that other programs convert
    ".dcm": "save its pixels as .npy with pydicom",
    ".nd2": "export it as OME-TIFF",
    ".czi": "export it as OME-TIFF",
    ".lif": "export it as OME-TIFF",
    ".mat": "save the array as .npy with scipy.io.loadmat, or with h5py where the file has version 7.3",
    ".csv": "save the numbers as .npy with numpy.loadtxt",
    ".fits": "save the array as .npy with astropy",
    ".zip": "unpack it first",
    ".tar": "unpack it first",
    ".gz": "unpack it first",
    ".7z": "unpack it first",
    ".jp2": "save the pictures as .png or .tif",
    ".heic": "save the pictures as .png or .jpg",
    ".yuv": "raw pixels state no size; convert them to .y4m or .mp4",
    ".grib": "save the field as .npy or NetCDF with cfgrib",
    ".grib2": "save the field as .npy or NetCDF with cfgrib",
    ".m3u8": "name the video itself: a playlist reaches other files",
    ".pkl": "save the array as .npy: a pickle can run code",
    ".pt": "save the tensor as .npy: a pickle can run code",
    ".pth": "save the tensor as .npy: a pickle can run code",
}


_KNOWN = (
    "give a video such as .mp4, .mov, .mkv, .avi or .webm, a .gif or .tif of several frames, an array in .npy, "
    ".npz, .h5, .nc or .zarr, or a folder of pictures"
)


def is_live(source: str) -> bool:
    """Whether a source is a camera number or the URL of no local file; an existing path is a path, also ``0``."""
    return not _exists(source) and (source.isdecimal() or (is_url(source) and file_of_url(url_of(source)) is None))


def is_url(source: str | Path) -> bool:
    """Whether a source is an address such as ``http://host/clip.mp4``; an existing path is a path."""
    return _URL.match(str(source)) is not None and not _exists(source)


def url_of(source: str | Path) -> str:
    """The address in a source that :func:`is_url` accepts, also if it went through a ``Path``."""
    scheme, rest = str(source).split(":", 1)
    slashes = "///" if scheme.lower() == "file" else "//"
    return f"{scheme.lower()}:{slashes}{rest.lstrip('/')}"


def split_url(url: str) -> SplitResult:
    """The parts of an address.

    Raises:
        MediaError: if it is none, such as one with half a bracket.
    """
    try:
        return urlsplit(url)
    except ValueError as error:
        raise MediaError(f"{url} is no address ({reason_of(error)}); check how it is written.") from error


def file_of_url(url: str) -> Path | None:
    """The file that a ``file:`` address names; None for other addresses.

    Raises:
        MediaError: if it is no address.
    """
    parts = split_url(url)
    return Path(url2pathname(parts.path)) if parts.scheme == "file" else None


def is_standard_input(source: str | Path) -> bool:
    """Whether a source is ``-``, which stands for standard input; a file of that name is ``./-``."""
    return str(source) == STANDARD_INPUT


def spoken_name(source: str | Path) -> str:
    """What sentences call a source: ``standard input`` for ``-``, else what the user wrote."""
    return "standard input" if is_standard_input(source) else str(source)


def input_stem(source: str | Path) -> str:
    """A name for what is made of a source: its file name without the suffix; ``stdin`` for ``-``."""
    if is_standard_input(source):
        return "stdin"
    name = split_url(url_of(source)).path if is_url(source) else str(source)
    return Path(name).stem or "video"


def stated_path(text: str) -> Path:
    """The path that a user wrote; ``./-`` becomes absolute, because ``-`` alone stands for standard input.

    Raises:
        MediaError: if nothing was written.
    """
    if not text:
        raise MediaError(EMPTY_PATH)
    path = Path(text)
    return path.absolute() if is_standard_input(path) and not is_standard_input(text) else path


def is_pipe(path: str | Path) -> bool:
    """Whether a path is a named pipe, or a device such as ``/dev/stdin`` that is connected to a pipe."""
    try:
        return stat.S_ISFIFO(Path(path).stat().st_mode)
    except (OSError, ValueError):
        return False


def is_array(path: Path) -> bool:
    """Whether a path names a file of arrays; a zarr store is a folder."""
    suffix = path.suffix.lower()
    return suffix == ZARR or (suffix in (*ARRAYS, *HDF5) and not path.is_dir())


def is_paged(path: Path) -> bool:
    """Whether a path is a picture file of several frames, which is a clip: TIFF, animated PNG, WebP or AVIF."""
    return path.suffix.lower() in PAGED_IMAGES and path.is_file() and has_pages(path)


def is_clip_file(path: Path) -> bool:
    """Whether a file in a folder is a clip of its own, by its name and for pictures by their number of frames."""
    return path.suffix.lower() in INPUTS or is_paged(path)


def is_folder_of_clips(path: Path) -> bool:
    """Whether a path is a folder of clips: one without single pictures that holds clips or folders.

    A folder that holds nothing but one picture of several frames is that clip.
    """
    if not _exists(path) or not path.is_dir() or is_array(path) or frame_files(path):
        return False
    return only_paged_file(path) is None and any(entry.is_dir() or is_clip_file(entry) for entry in path.iterdir())


def only_paged_file(folder: Path) -> Path | None:
    """The picture of several frames in a folder that shows nothing else; such a folder is that clip."""
    shown = [entry for entry in folder.iterdir() if not entry.name.startswith(".")]
    return shown[0] if len(shown) == 1 and is_paged(shown[0]) else None


def natural_key(name: str) -> tuple[list[str | int], str]:
    """Sort key under which ``frame2.png`` comes before ``frame10.png``."""
    parts = re.split(r"(\d+)", name.casefold())
    return [_number(part) if position % 2 else part for position, part in enumerate(parts)], name


def _number(digits: str) -> int:
    return int(digits[:_MAX_DIGITS])


_MAX_DIGITS = 1000  # Python refuses to read longer numbers; no file name of that length exists


def frame_files(folder: Path) -> list[Path]:
    """The pictures in a folder that are single frames, in natural order; hidden files are left out."""
    found = (file for file in folder.iterdir() if file.suffix.lower() in IMAGES and not file.name.startswith("."))
    return sorted((file for file in found if not is_paged(file)), key=lambda file: natural_key(file.name))


def check_input(source: str | Path) -> Path:
    """The path of a source that can be read; ``-`` and addresses pass as they are.

    Args:
        source: a video file, a picture file of several frames, an array file, a folder of pictures, a named pipe,
            ``-`` for standard input, or an ``http:``, ``https:`` or ``file:`` address.

    Raises:
        MediaError: if it is missing, unreadable, empty or of an unknown kind.
    """
    if is_standard_input(source):
        if sys.stdin is None or sys.stdin.isatty():
            raise MediaError("Standard input is a terminal, not a video; pipe a video into this command.")
        return Path(source)
    if is_url(source):
        return _checked_url(source)
    if not str(source):
        raise MediaError(EMPTY_PATH)
    path = expand_user(source)
    if is_standard_input(path):  # "./-" is a file or folder of that name
        path = path.absolute()
    if not _exists(path):
        raise MediaError(f"{path} does not exist; check the path.{_camera_hint(str(source))}")
    if not os.access(path, os.R_OK):
        raise MediaError(f"{path} may not be read; check its permissions.")
    if path.is_dir() and not is_array(path):
        return _checked_folder(path)
    _check_file(path)
    return path


def _exists(source: str | Path) -> bool:
    try:
        return expand_user(source).exists()
    except (OSError, ValueError):  # a name too long, a null byte
        return False


def _checked_url(source: str | Path) -> Path:
    url = url_of(source)
    scheme = split_url(url).scheme
    file = file_of_url(url)
    if file is not None:
        return check_input(file)
    if scheme in _LIVE_SCHEMES:
        raise MediaError(f"{url} is a live stream, which has no end; follow it with stream, or record it first.")
    if scheme not in ("http", "https"):
        raise MediaError(f"{url} cannot be read because {scheme} is not known; give an http or https address.")
    return Path(source)


def _camera_hint(source: str) -> str:
    return " Only stream and watch read cameras by number." if source.isdecimal() else ""


def _checked_folder(path: Path) -> Path:
    if frame_files(path):
        return path
    only = only_paged_file(path)
    if only is not None:
        return only
    clips = sorted((file for file in path.iterdir() if is_clip_file(file)), key=lambda file: natural_key(file.name))
    if clips:
        raise MediaError(
            f"The folder {path} holds {len(clips)} clips where one is wanted; name one, such as {clips[0]}."
        )
    raise MediaError(
        f"The folder {path} holds no videos, arrays or pictures that make a clip; put some in it, pictures as "
        f"{_listed(IMAGES)}, or name one file."
    )


def _check_file(path: Path) -> None:
    mode = path.stat().st_mode
    if stat.S_ISFIFO(mode):
        return
    if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
        kind = "a socket" if stat.S_ISSOCK(mode) else "a device"
        raise MediaError(f"{path} is {kind}, not a file; give a file, or follow a camera by its number with stream.")
    suffix = path.suffix.lower()
    if suffix not in (*INPUTS, *IMAGES):
        found = f"{path.suffix} is not known" if path.suffix else "it has no suffix"
        advice = _ADVICE.get(suffix, _KNOWN)
        raise MediaError(f"{path} cannot be read as video because {found}; {advice}.")
    if path.is_file() and path.stat().st_size == 0:
        raise MediaError(f"{path} is an empty file of 0 bytes; copy or record it again.")
    if suffix in IMAGES and not has_pages(path):
        raise MediaError(
            f"{path} is a single picture, not a clip; give a folder of pictures, or a TIFF, PNG, WebP or AVIF of "
            "several frames."
        )


def _listed(suffixes: tuple[str, ...]) -> str:
    return f"{', '.join(suffixes[:-1])} or {suffixes[-1]}"
