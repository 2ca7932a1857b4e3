"""Atomic file writing: a file is complete or it is not there."""

import glob
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from deephtm_gpu.errors import UserError

_PART = ".part"  # the end of the names of temporary files


def write_whole(path, content: bytes) -> None:
    """Write bytes to a file atomically, creating its folder.

    The bytes go to a temporary file in the same folder, which then replaces `path`. After a crash or a power cut the
    file at `path` is the old one or the new one, complete.

    Parameters
    ----------
    path : str or Path
        The file to write. An existing file is replaced.
    content : bytes
        The whole content.

    Raises
    ------
    UserError
        If the folder or the file cannot be written.

    Examples
    --------
    >>> import tempfile
    >>> from deephtm_gpu.files import write_whole
    >>> folder = tempfile.mkdtemp()
    >>> write_whole(f"{folder}/new/figures.json", b"{}")
    """
    path = make_folder(Path(path).parent) / Path(path).name
    try:
        with replacing(path) as file:
            write_all(file, content)
    except OSError as error:
        raise UserError(f"{path} cannot be written ({error.strerror or error}); choose another folder, or free "
                        "space there.") from error


@contextmanager
def replacing(path) -> Iterator[BinaryIO]:
    """A new file, which takes the place of another one when the block ends, and not before it is on the disk.

    After an error there is no trace of it. What a process that was killed left behind is removed by the next one that
    writes the same file.

    Parameters
    ----------
    path : str or Path
        The file, in a folder that exists. Links are followed; the mode of an existing file is kept.

    Yields
    ------
    file
        Binary, without a buffer.

    Raises
    ------
    OSError
        If it cannot be written.
    """
    path = Path(path).resolve()
    _remove_orphans(path)
    handle, name = tempfile.mkstemp(prefix=f"{_before(path)}{os.getpid()}.", suffix=_PART, dir=path.parent)
    part = Path(name)
    try:
        with open(handle, "wb", buffering=0) as file:
            if os.name == "posix":
                os.fchmod(handle, path.stat().st_mode & 0o7777 if path.exists() else 0o666 & ~_umask())
            yield file
            os.fsync(handle)  # otherwise the name could reach the disk before the bytes
        os.replace(part, path)
        _sync_folder(path.parent)
    finally:
        part.unlink(missing_ok=True)  # it exists only after an error


def write_all(file: BinaryIO, content: bytes) -> None:
    """Write bytes to a file without a buffer, which may take a part of them at a time.

    Parameters
    ----------
    file : file
    content : bytes

    Raises
    ------
    OSError
        If it cannot take them all.
    """
    left = memoryview(content)
    while left:
        left = left[file.write(left) :]


def _before(path) -> str:
    """What the names of its temporary files begin with."""
    return f".{path.name[:100]}."


def _remove_orphans(path):
    """Temporary files of this one whose process is gone."""
    for part in path.parent.glob(f"{glob.escape(_before(path))}*{_PART}"):
        number = part.name.removeprefix(_before(path)).split(".")[0]
        if number.isdigit() and not _runs(int(number)):
            part.unlink(missing_ok=True)


def _runs(process: int) -> bool:
    if os.name != "posix":
        return True  # it cannot be asked without harm
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:  # of another user
        return True
    return True


def _umask() -> int:
    mask = os.umask(0)  # there is no other way to ask
    os.umask(mask)
    return mask


def make_folder(folder) -> Path:
    """Create a folder if it does not exist, and check that it is writable.

    Parameters
    ----------
    folder : str or Path
        The folder.

    Returns
    -------
    Path
        The folder.

    Raises
    ------
    UserError
        If the folder cannot be created, or no file can be written in it.
    """
    folder = Path(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        reason = "a file of that name exists" if isinstance(error, FileExistsError) else error.strerror or error
        raise UserError(f"The folder {folder} cannot be created ({reason}); choose another one.") from error
    try:
        with tempfile.TemporaryFile(dir=folder):  # the permissions alone do not decide: a disk may be full or read-only
            return folder
    except OSError:
        raise UserError(f"The folder {folder} is not writable; choose another one.") from None


def _sync_folder(folder):
    """Write the new name to the disk, on systems that can do this for a folder (Windows cannot)."""
    if os.name != "posix":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    except OSError:
        pass  # some network file systems cannot; the file itself is complete in any case
    finally:
        os.close(handle)
