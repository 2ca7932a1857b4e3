"""Atomic file writing: a file is complete or it is not there."""

import os
import tempfile
from pathlib import Path

from deephtm_gpu.errors import UserError


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
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        try:
            with open(temporary, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())  # otherwise the name could reach the disk before the bytes
            os.replace(temporary, path)
            _sync_folder(path.parent)
        finally:
            temporary.unlink(missing_ok=True)  # it exists only after an error
    except OSError as error:
        raise UserError(f"{path} cannot be written ({error.strerror or error}); choose another folder, or free "
                        "space there.") from error


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
