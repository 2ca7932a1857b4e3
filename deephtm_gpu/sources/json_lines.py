"""Reads JSON lines: an object a line, such as {"time": "2024-01-01 00:00", "load": 1.5}."""

import json

from deephtm_gpu.errors import UserError
from deephtm_gpu.sources.base import Record
from deephtm_gpu.sources.lines import Lines, LineSource

ENDINGS = (".jsonl", ".ndjson", ".json", ".jsonl.gz", ".ndjson.gz", ".json.gz")
DEPTH = 1000  # brackets in a line: more would end in Python's recursion


class JsonLines(LineSource):
    """The rows of a file of JSON lines. A row without the key of a column, or with null there, is a gap.

    Parameters
    ----------
    path, columns, timestamp, reading
        As of `CsvStream`; a column is a key of the objects.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> from deephtm_gpu.sources.json_lines import JsonLines
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "load.jsonl"
    >>> _ = path.write_text('{"load": 1.5}\\n{"load": null}\\n')
    >>> with JsonLines(path, "load") as stream:
    ...     print([row.value for rows in stream.chunks() for row in rows])
    [1.5, None]
    """

    def __init__(self, path, columns, timestamp=None, reading=None):
        self._open(path)
        super().__init__(columns, timestamp, reading, ",")
        self._lines, self._wanted = Lines(self._stream), [*self.columns, *([timestamp] if timestamp else [])]

    @classmethod
    def reads(cls, stream):
        return stream.path.lower().endswith(ENDINGS) or stream.head.lstrip(b"\xef\xbb\xbf \r\n\t")[:1] == b"{"

    def _records(self):
        missing = set(self._wanted)  # keys that no row had so far
        keys: dict[str, None] = {}
        for line in self._lines:
            if not line.strip():
                yield None
                continue
            cells = self._object(line)
            keys |= dict.fromkeys(list(cells)[:20])
            missing -= cells.keys()
            if missing and not self._lines.number % 1000:
                self._refuse(missing, keys)
            stamp = None if self.timestamp is None else self._stamp(cells)
            yield Record(f"line {self._lines.number}", tuple([cells.get(c) for c in self.columns]), stamp)
        if missing and keys:
            self._refuse(missing, keys)

    def _object(self, line):
        if line.count("[") + line.count("{") > DEPTH:
            raise self._lines.error("must be a JSON object of numbers and texts, got one nested deeply; correct or "
                                    "remove the line.", after=0)
        try:
            found = json.loads(line)
        except ValueError as error:
            what = f"{error.msg} at character {error.pos + 1}" if isinstance(error, json.JSONDecodeError) else error
            raise self._lines.error(f"cannot be read as JSON ({what}); write one object a line, such as "
                                    '{"' + self.columns[0] + '": 1.5}.', after=0) from None
        if not isinstance(found, dict):
            raise self._lines.error(f"must be a JSON object such as {{\"{self.columns[0]}\": 1.5}}, got a "
                                    f"{type(found).__name__}; write one object a line.", after=0)
        return found

    def _stamp(self, cells):
        cell = cells.get(self.timestamp)
        return cell if cell is None or isinstance(cell, str) else json.dumps(cell)

    def _refuse(self, missing, keys):
        name = next(c for c in self._wanted if c in missing)
        shown = ", ".join(map(repr, list(keys)[:20]))
        raise UserError(f"{self.name} has no column {name!r} up to line {self._lines.number}; it has {shown}: name one "
                        "of these.")
