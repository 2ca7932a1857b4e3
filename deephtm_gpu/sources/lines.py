"""The lines of a text, as they arrive: UTF-8 or UTF-16, ended by LF, CR LF or CR."""

import codecs
from collections.abc import Iterator

from deephtm_gpu.sources.base import RowError, Source
from deephtm_gpu.sources.byte_stream import ByteStream

LONGEST_LINE = 1 << 20  # characters: a file with longer lines has no rows, and would fill the memory
MARKS = ((codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be"))


class Lines:
    """Iterates over the lines, without their ends.

    Parameters
    ----------
    stream : ByteStream

    Attributes
    ----------
    number : int
        Of the line that was yielded last, from 1.
    ready : int
        Whole lines that have arrived and are not yielded yet.

    Raises
    ------
    RowError
        For a line that is too long or no text, after the lines before it.
    """

    def __init__(self, stream: ByteStream):
        self._stream, self.number, self.ready = stream, 0, 0
        encoding = next((name for mark, name in MARKS if stream.head.startswith(mark)), "utf-8")
        self._encoding, self._decoder = encoding, codecs.getincrementaldecoder(encoding)()

    def __iter__(self) -> Iterator[str]:
        rest, after_cr = "", False
        for text, error in self._texts():
            if after_cr and text[:1] == "\n":  # CR LF, cut in two
                text = text[1:]
            after_cr = text.endswith("\r") if text else after_cr
            *lines, rest = (rest + text).replace("\r\n", "\n").replace("\r", "\n").split("\n")
            self.ready = len(lines)
            for line in lines:
                self.ready -= 1
                yield self._checked(line)
            if error:
                raise self.error(error)
            if len(rest) > LONGEST_LINE:
                self._checked(rest)
        if rest:
            yield self._checked(rest)

    def error(self, what, after=1) -> RowError:
        """A mistake in the line `after` the last."""
        return RowError(f"{self._stream.name}: line {self.number + after} {what}")

    def _texts(self):
        """Yields (text, None), or the text before what is no text and the mistake."""
        first = True
        while True:
            block = self._stream.read()
            try:
                text, error = self._decoder.decode(block, final=not block), None
            except UnicodeDecodeError as bad:
                text = bad.object[:bad.start].decode(self._encoding)
                kind = self._encoding.upper()[:6].rstrip("-")
                error = f"must be {kind} text, got byte 0x{bad.object[bad.start]:02x}; save the file as UTF-8."
            yield text.removeprefix("\ufeff") if first else text, error
            first = first and not text
            if not block:
                return

    def _checked(self, line):
        if len(line) > LONGEST_LINE:
            raise self.error(f"must be at most {LONGEST_LINE:,} bytes; check that this is a CSV file.")
        if "\0" in line:
            raise self.error("must be text, got a byte 0; name a text file, or save this one as UTF-8.")
        self.number += 1
        return line


class LineSource(Source):
    """A Source whose rows are lines of text, `_lines`, of a ByteStream, `_stream`."""

    def _open(self, path):
        self._stream = path if isinstance(path, ByteStream) else ByteStream(path)
        self.name, self.size = self._stream.name, self._stream.size

    @property
    def done(self):
        return self._stream.done

    def close(self):
        self._stream.close()

    def _waits(self):
        return not self._lines.ready
