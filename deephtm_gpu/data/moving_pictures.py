"""The user's own moving pictures as frames: a folder of PNG files, an animation, a NumPy array, a video."""

import os
import re
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from deephtm_gpu.arguments import check_count, shown
from deephtm_gpu.errors import UserError

PICTURES = {".png", ".jpg", ".jpeg"}
ANIMATIONS, ARRAYS = {".gif", ".webp", ".png", ".apng"}, {".npy"}
VIDEOS = {".mp4", ".avi", ".mov", ".mkv", ".webm"}
KINDS = "a folder of PNG or JPEG files, an animation, a .npy file or a video"
GREY = np.array([0.299, 0.587, 0.114], np.float32)  # what red, green and blue weigh (ITU-R BT.601), as in Pillow
SIXTEEN_BITS = 65535
CHANNELS = (1, 2, 3, 4)  # as pictures have
# What readers raise at files that are not what their names say.
DECODING = (OSError, ValueError, SyntaxError, EOFError, IndexError, TypeError, KeyError, struct.error)


def frames(path, size: int | tuple[int, int] | None = None, colour: bool | None = None,
           channels_last: bool = False) -> "Frames":
    """The frames of a moving picture, one after the other, in memory that does not grow with their number.

    Parameters
    ----------
    path : str or path-like
        A folder of PNG or JPEG files (in the order of the numbers in their names), an animated GIF, WebP or PNG, a
        NumPy file `.npy` of (T, H, W), (T, C, H, W) or, with channels_last, (T, H, W, C), or a video, for which the
        extra `video` must be installed (pip install 'deephtm_gpu[video]').
    size : int or (height, width), optional
        What frames are resized to, in pixels. Default: as they are; then all must be of one size.
    colour : bool, optional
        Whether a frame has three channels, red, green, blue; else one, grey. Default: `.npy` files keep their channels,
        all others become grey.
    channels_last : bool, default False
        Of a `.npy` file: whether its channels come last.

    Returns
    -------
    Frames
        Iterable again and again: arrays (C, H, W) float32 from 0 to 1. `len` where the number is known, `shape`.

    Raises
    ------
    UserError
        Where there is no such file, a picture cannot be read, sizes differ, or numbers are not from 0 to 1.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> import numpy as np
    >>> from deephtm_gpu.data import frames
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "noise.npy"
    >>> np.save(path, np.random.default_rng(0).integers(256, size=(7, 12, 10), dtype=np.uint8))
    >>> moving = frames(path)
    >>> len(moving), moving.shape, next(iter(moving)).dtype
    (7, (1, 12, 10), dtype('float32'))
    """
    if not isinstance(path, str | os.PathLike):
        raise UserError(f"path must be the name of {KINDS}, got {path!r}; give a str or a pathlib.Path.")
    path, size = Path(path), _size(size)
    if path.is_dir():
        return _Folder(path, size, colour)
    if not path.exists():
        raise UserError(f"{path} must be {KINDS}, got no such file; check its path.")
    kind = path.suffix.lower()
    if kind in ARRAYS:
        return _Array(path, size, colour, channels_last)
    if kind in ANIMATIONS:
        return _Animation(path, size, colour)
    if kind in VIDEOS:
        return _Video(path, size, colour)
    known = ", ".join(sorted(ANIMATIONS | ARRAYS | VIDEOS))
    raise UserError(f"{path} must be a folder of PNG or JPEG files or one of {known}, got {kind or 'no ending'!r}; "
                    "convert it.")


class Frames:
    """See `frames`. A subclass yields pictures from `_pictures`, and what each is called."""

    def __init__(self, path: Path, size, colour: bool | None) -> None:
        self._path, self._size, self._colour = path, size, colour
        first = next(iter(self), None)
        if first is None:
            raise UserError(f"{path} must hold one frame or more, got none; name another.")
        self.shape: tuple[int, int, int] = first.shape

    def __iter__(self) -> Iterator[np.ndarray]:
        shape = getattr(self, "shape", None)
        for where, picture in self._pictures():
            frame = self._frame(picture)
            shape = shape or frame.shape
            if frame.shape != shape:
                raise UserError(f"{where} must be {shape[1]}×{shape[2]} pixels as the first frame, got "
                                f"{frame.shape[1]}×{frame.shape[2]}; give a size, and all are resized.")
            yield frame

    def _pictures(self):
        raise NotImplementedError

    def _frame(self, picture) -> np.ndarray:
        """A PIL image as (C, H, W)."""
        if picture.mode.startswith("I"):  # 16 bits, which PIL would cut off at 255
            pixels = (np.asarray(picture).astype(np.float32) / SIXTEEN_BITS).clip(0, 1)[None]
            return _fitted(pixels, self._size, bool(self._colour))
        if "transparency" in picture.info or picture.mode in ("RGBA", "LA", "PA"):
            picture = _on_black(picture)
        picture = picture.convert("RGB" if self._colour else "L")
        if self._size and picture.size != self._size[::-1]:
            picture = picture.resize(self._size[::-1])
        pixels = np.asarray(picture, np.float32) / 255
        return np.moveaxis(pixels, 2, 0).copy() if self._colour else pixels[None]


class _Folder(Frames):
    def __init__(self, path, size, colour):
        self._files = sorted((p for p in path.iterdir() if p.suffix.lower() in PICTURES), key=_natural)
        if not self._files:
            raise UserError(f"{path} must be a folder with PNG or JPEG files, got none in it; name another folder.")
        super().__init__(path, size, colour)

    def __len__(self) -> int:
        return len(self._files)

    def _pictures(self):
        for file in self._files:
            with _opened(file) as picture:
                yield file, picture


class _Animation(Frames):
    def __init__(self, path, size, colour):
        with _opened(path) as picture, _decoding(path):
            self._count = getattr(picture, "n_frames", 1)
        super().__init__(path, size, colour)

    def __len__(self) -> int:
        return self._count

    def _pictures(self):
        with _opened(self._path) as picture:
            for n in range(self._count):
                with _decoding(f"Frame {n} of {self._path}"):
                    picture.seek(n)
                    picture.load()
                yield f"Frame {n} of {self._path}", picture


class _Array(Frames):
    """Frames of a NumPy file, which stays on the disk."""

    def __init__(self, path, size, colour, channels_last):
        with _decoding(path, "a NumPy file of numbers"):
            self._frames = np.load(path, mmap_mode="r", allow_pickle=False)
        if not isinstance(self._frames, np.ndarray):
            raise UserError(f"{path} must be one array, got an archive of several; save one with np.save.")
        at, shape = self._frames, self._frames.shape
        if at.dtype.kind not in "fu" or at.dtype.kind == "u" and at.dtype != np.uint8:
            raise UserError(f"{path} must hold uint8 from 0 to 255 or floats from 0 to 1, got {at.dtype}; convert it.")
        if at.ndim not in (3, 4) or not at.size:
            raise UserError(f"{path} must be (frames, height, width) or (frames, channels, height, width), "
                            f"got {shape}; reshape it.")
        if at.ndim == 4 and not channels_last and shape[3] in CHANNELS and shape[1] not in CHANNELS:
            raise UserError(f"{path} must be (frames, channels, height, width), got {shape}, whose channels seem to "
                            "come last; give channels_last=True.")
        self._channels_last = channels_last and at.ndim == 4
        super().__init__(path, size, colour)

    def __len__(self) -> int:
        return len(self._frames)

    def _pictures(self):
        for n, frame in enumerate(self._frames):
            yield f"Frame {n} of {self._path}", (n, frame)

    def _frame(self, picture):
        n, frame = picture
        if self._channels_last:
            frame = np.moveaxis(frame, 2, 0)
        made = np.array(frame, np.float32).reshape(-1, *frame.shape[-2:])
        if frame.dtype == np.uint8:
            made /= 255
        elif not (made.min() >= 0 and made.max() <= 1):  # NaN too
            raise UserError(f"Frame {n} of {self._path} must hold numbers from 0 to 1, got {made.min():g} to "
                            f"{made.max():g}; scale them, or save uint8.")
        return _fitted(made, self._size, self._colour)


class _Video(Frames):
    def _pictures(self):
        try:
            import imageio.v3 as imageio
        except ImportError:
            raise UserError(f"{self._path} is a video, which needs imageio, got none; install it: pip install "
                            "'deephtm_gpu[video]'.") from None
        from PIL import Image

        try:
            for n, pixels in enumerate(imageio.imiter(self._path, plugin="FFMPEG")):
                yield f"Frame {n} of {self._path}", Image.fromarray(np.asarray(pixels))
        except ImportError:  # imageio is there, but not what decodes
            raise UserError(f"{self._path} is a video, which needs ffmpeg, got none; install it: pip install "
                            "'deephtm_gpu[video]'.") from None
        except (*DECODING, RuntimeError) as error:
            raise _unreadable(self._path, error, "a video") from None


def _size(size):
    """(height, width) or None."""
    if size is None:
        return None
    sides = tuple(size) if isinstance(size, tuple | list | np.ndarray) else (size, size)
    if len(sides) != 2:
        raise UserError(f"frames' size must be a number of pixels or (height, width), got {shown(size)}; give such as "
                        "64.")
    return tuple(check_count("A side of frames' size", n) for n in sides)


def _opened(file):
    from PIL import Image

    with _decoding(file):
        try:
            picture = Image.open(file)
            picture.load()
        except Image.DecompressionBombError as error:
            raise OSError(str(error)) from None
    return picture


@contextmanager
def _decoding(what, kind="a picture"):
    """Whatever goes wrong in a reader of files is the file's fault."""
    try:
        yield
    except DECODING as error:
        raise _unreadable(what, error, kind) from None


def _unreadable(what, error, kind) -> UserError:
    first = (str(error).splitlines() or [""])[0]  # ffmpeg's messages have hundreds
    why = f"{type(error).__name__}: {first}".rstrip(".: ")
    return UserError(f"{what} must be {kind} that can be read, got {why}; save it again, or take it out.")


def _fitted(pixels, size, colour):
    """Pixels (C, H, W) resized, and grey or in colour where that is asked for."""
    from PIL import Image

    if colour is not None and len(pixels) in (1, 3):
        if colour and len(pixels) == 1:
            pixels = np.repeat(pixels, 3, axis=0)
        if not colour and len(pixels) == 3:
            pixels = np.tensordot(GREY, pixels, axes=1)[None]
    if size and pixels.shape[1:] != size:
        resized = [np.asarray(Image.fromarray(channel, "F").resize(size[::-1])) for channel in pixels]
        pixels = np.stack(resized).clip(0, 1)  # bicubic: it overshoots at edges
    return pixels.astype(np.float32)


def _on_black(picture):
    from PIL import Image

    picture = picture.convert("RGBA")
    whole = Image.new("RGBA", picture.size, (0, 0, 0, 255))
    whole.alpha_composite(picture)
    return whole


def _natural(path):
    """img2 before img10."""
    return [int(part) if part.isdecimal() else part for part in re.split(r"(\d+)", path.name)]
