"""The bytes of a file or of a live pipe, as they arrive, unpacked where they are packed by gzip."""

import os
import stat
import zlib

from deephtm_gpu.errors import UserError
from deephtm_gpu.sources.base import RowError

BLOCK = 65536  # bytes per read; a pipe returns what it has
GZIP = b"\x1f\x8b"
FOREIGN = {  # how files begin that are packed otherwise, and what to do about it
    b"PK\x03\x04": "a ZIP archive or an Excel file; save the sheet as CSV, or unpack the archive",
    b"\xd0\xcf\x11\xe0": "an old Excel file; save the sheet as CSV",
    b"BZh": "packed by bzip2; unpack it, or pipe it: bzcat FILE | deephtm run -",
    b"\xfd7zXZ": "packed by xz; unpack it, or pipe it: xzcat FILE | deephtm run -",
    b"\x28\xb5\x2f\xfd": "packed by zstd; unpack it, or pipe it: zstdcat FILE | deephtm run -",
    b"%PDF": "a PDF file; export the table as CSV",
    b"\x89HDF": "an HDF5 file; export the table as CSV or Parquet",
    b"SQLite format 3": "a database; export the table as CSV",
}


class ByteStream:
    """A file that is read once, from its start to its end.

    Parameters
    ----------
    path : str or Path
        "-" for the standard input.

    Attributes
    ----------
    name : str
        For messages.
    path : str
    head : bytes
        What the first read gave, unpacked: to see what kind of file it is. `read` gives it again.
    size : int or None
        Bytes of the file; None for a pipe.
    done : int
        Bytes read of it.

    Raises
    ------
    UserError
        Where the file cannot be opened, or is packed in another way.

    Examples
    --------
    >>> import gzip, pathlib, tempfile
    >>> from deephtm_gpu.sources.byte_stream import ByteStream
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "a.csv.gz"
    >>> _ = path.write_bytes(gzip.compress(b"v\\n1\\n"))
    >>> stream = ByteStream(path)
    >>> stream.read(), stream.read()
    (b'v\\n1\\n', b'')
    """

    def __init__(self, path):
        self.path, self.name = str(path), "standard input" if path == "-" else str(path)
        self.done, self._unpacker = 0, None
        self._file = self._open(path)
        try:
            info = os.fstat(self._file.fileno())
            self.size = info.st_size if stat.S_ISREG(info.st_mode) else None
            self.head = self._first()
        except BaseException:
            self.close()
            raise
        self._given = False

    def read(self) -> bytes:
        """The next bytes, as soon as there are some; b"" at the end. Raises RowError."""
        if not self._given:
            self._given = True
            return self.head
        return self._next()

    def close(self) -> None:
        self._file.close()

    def _open(self, path):
        if path != "-" and os.path.isdir(path):
            raise UserError(f"{self.name} must be a file of rows, got a folder; name a file in it.")
        try:
            # Unbuffered: a read returns what the pipe holds and does not wait for a whole block.
            return open(0 if path == "-" else path, "rb", buffering=0, closefd=path != "-")
        except FileNotFoundError:
            raise UserError(f"{self.name} cannot be opened (no such file); check its path.") from None
        except (OSError, ValueError) as error:  # ValueError: a NUL in the name
            raise UserError(f"{self.name} cannot be opened ({_reason(error)}); check the file and its "
                            "permissions.") from None

    def _first(self):
        block = self._block()
        for begin, what in FOREIGN.items():
            if block.startswith(begin):
                raise UserError(f"{self.name} must be CSV, JSON lines, Parquet or Arrow, got {what}.")
        if not block.startswith(GZIP):
            return block
        self._unpacker = zlib.decompressobj(wbits=31)
        return self._unpacked(block) or self._next()

    def _next(self):
        while block := self._block():
            if self._unpacker is None:
                return block
            if found := self._unpacked(block):
                return found
        if self._unpacker is not None and not self._unpacker.eof:
            raise RowError(f"{self.name} must be a whole gzip file, got one that breaks off; copy it again. The rows "
                           "before were read.")
        return b""

    def _unpacked(self, block):
        """A gzip file may consist of several, one behind the other, with zeros behind them."""
        found = b""
        try:
            while block:
                if self._unpacker.eof:
                    if not (block := block.lstrip(b"\0")):
                        break
                    self._unpacker = zlib.decompressobj(wbits=31)
                found += self._unpacker.decompress(block)
                block = self._unpacker.unused_data
        except zlib.error as error:
            raise RowError(f"{self.name} cannot be unpacked ({error}); copy it again. The rows before were "
                           "read.") from None
        return found

    def _block(self):
        try:
            block = self._file.read(BLOCK)
        except OSError as error:
            raise RowError(f"{self.name} cannot be read further ({_reason(error)}); check the file and "
                           "its disk.") from None
        self.done += len(block or b"")
        return block or b""


def _reason(error):
    return getattr(error, "strerror", None) or error
