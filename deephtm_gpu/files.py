"""Files that are there whole or not at all."""

import os
import tempfile
from pathlib import Path

from deephtm_gpu.errors import UserError


def write_whole(path, content):
    """Writes bytes to path by way of a file beside it that takes its place at the end, creating the folder.

    However it ends, even by a kill or a power cut, what lies at path is the old file or the new one, whole. Raises UserError
    where it cannot be written.
    """
    path = make_folder(Path(path).parent) / Path(path).name
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        try:
            with open(beside, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())  # or the name could reach the disk before the bytes do
            os.replace(beside, path)
            _sync_folder(path.parent)
        finally:
            beside.unlink(missing_ok=True)  # there only if something went wrong
    except OSError as error:
        why = error.strerror or error
        raise UserError(f"{path} was to be written, but: {why}. Choose another folder, or make room there.") from error


def make_folder(folder):
    """Creates the folder where there is none and returns it as a Path. Raises UserError where that cannot be."""
    folder = Path(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        why = "a file of that name is there" if isinstance(error, FileExistsError) else error.strerror or error
        raise UserError(f"The folder {folder} was to be created, but: {why}. Choose another one.") from error
    try:
        with tempfile.TemporaryFile(dir=folder):  # what the rights of a folder say is not all: it may be the system's, or a disk may be full
            return folder
    except OSError:
        raise UserError(f"Files were to be written to the folder {folder}, which is not writable; choose another one.") from None


def _sync_folder(folder):
    """Brings the new name to the disk, where the system can do that for a folder (Windows cannot)."""
    if os.name != "posix":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    except OSError:
        pass  # some file systems of the network cannot either; the file itself is whole in any case
    finally:
        os.close(handle)
