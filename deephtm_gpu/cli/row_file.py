"""Where the rows of `deephtm run` go: whole rows only, whatever happens."""

import os
import sys
from contextlib import ExitStack, contextmanager
from pathlib import Path

from deephtm_gpu.cli.signals import ended_later
from deephtm_gpu.errors import UserError
from deephtm_gpu.files import replacing, write_all


class RowFile:
    """Rows of text, in UTF-8, into a binary file.

    name: for messages. length: of the file, in bytes, after the last whole row. whole: whether the file is this
    object's alone, so that a row that was half written can be cut off.
    """

    def __init__(self, file, name: str, length: int = 0, whole: bool = True):
        self._file, self.name, self.length, self._whole = file, name, length, whole
        self.rows = 0  # written by this object, without a header

    def header(self, text: str):
        self._add(text)

    def write(self, text: str, rows: int):
        """So many whole rows. Raises UserError where there is no room; the file then ends with a whole row."""
        self._add(text)
        self.rows += rows

    def sync(self):
        """Returns when all is on the disk, where it is a file."""
        if self._whole:
            os.fsync(self._file.fileno())

    def _add(self, text):
        content = text.encode("utf-8", "surrogateescape")
        try:
            write_all(self._file, content)
            self._file.flush()
        except BrokenPipeError:
            raise
        except OSError as error:
            if self._whole:
                os.ftruncate(self._file.fileno(), self.length)
            raise UserError(f"{self.name} cannot be written ({error.strerror or error}); free space there, or name "
                            "another file. The rows before are in it.") from None
        self.length += len(content)


@contextmanager
def row_file(path, source):
    """The RowFile of --out; None: the standard output. source: the file that is read.

    A file takes the place of an older one when the block ends, also with an error if there are rows in it.
    """
    if path is None:
        yield _standard_output()
        return
    target = check_rows_target(path, source)
    if target.exists() and not target.is_file():  # a pipe or a device is written to, never replaced
        with _opened(path, target, "wb") as file:
            yield RowFile(file, str(path), whole=False)
        return
    failed = None
    try:
        with ExitStack() as stack:
            rows = RowFile(stack.enter_context(replacing(target)), str(path))
            try:
                yield rows
            except BaseException as error:
                failed = error
            with ended_later():
                if failed is not None and not rows.rows:
                    raise _NothingWritten
                stack.close()
    except _NothingWritten:
        pass
    except OSError as error:
        raise _refused(path, error) from None
    if failed is not None:
        raise failed


class _NothingWritten(Exception):
    """An error came before the first row."""


@contextmanager
def growing_row_file(path, source, length: int):
    """The RowFile of --out that a later run goes on with: what is written is in the file at once. length: how much of
    it stays, in bytes; 0: it begins anew."""
    target = check_rows_target(path, source)
    if target.exists() and not target.is_file():
        raise UserError(f"--out {path} must be an ordinary file with --save-every, got a pipe or a device; name "
                        "another one.")
    size = target.stat().st_size if target.exists() else 0
    if size < length:
        raise UserError(f"--out {path} must hold the {length:,} bytes of the run that is resumed, got {size:,}; name "
                        "that run's file, or start anew without --resume.")
    with _opened(path, target, "r+b" if target.exists() else "w+b") as file:
        file.truncate(length)
        file.seek(length)
        yield RowFile(file, str(path), length)
        os.fsync(file.fileno())


def check_rows_target(path, source) -> Path:
    """The file, links followed. Raises UserError where --out cannot be that."""
    if not path:
        raise UserError("--out must be the name of a file, got an empty name; give --out FILE.csv.")
    target = Path(path)
    if not target.exists() or target.is_file():  # the name of a pipe may be no path: /dev/stdout
        target = target.resolve()
    if target.is_dir():
        raise UserError(f"--out {path} cannot be written (Is a directory); name a file in it.")
    if target.exists() and _same_file(source, target):
        raise UserError(f"--out {path} is the file that is read; name another one.")
    return target


def is_standard_output(path) -> bool:
    """Whether the rows of --out go there, by whatever name."""
    if path is None:
        return True
    try:
        return os.path.samestat(os.stat(path), os.fstat(1))
    except OSError:
        return False


def _standard_output() -> RowFile:
    if sys.stdout is None:
        raise UserError("The standard output is closed; give --out FILE.csv.")
    sys.stdout.flush()
    return RowFile(sys.stdout.buffer, "the standard output", whole=False)


@contextmanager
def _opened(path, target, mode):
    try:
        file = open(target, mode, buffering=0)
    except (OSError, ValueError) as error:
        raise _refused(path, error) from None
    with file:
        yield file


def _refused(path, error) -> UserError:
    reason = getattr(error, "strerror", None) or error
    return UserError(f"--out {path} cannot be written ({reason}); name a file in a writable folder.")


def _same_file(source, target):
    if source == "-":
        read = os.fstat(sys.stdin.fileno()) if sys.stdin else None
    else:
        read = os.stat(source) if os.path.exists(source) else None
    return read is not None and os.path.samestat(read, target.stat())
