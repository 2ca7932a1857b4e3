"""Where the rows of `deephtm run` come from: a file for each kind of source, and the table of all of them.

A new kind is a new file here with a subclass of `Source`, and a line in `table.py`. Bytes come from `byte_stream.py`,
lines from `lines.py`, numbers from `numbers.py`, timestamps from `data/timestamps.py`.
"""

from deephtm_gpu.sources.base import CHUNK, Reading, Row, RowError, Source
from deephtm_gpu.sources.table import open_source

__all__ = ["CHUNK", "Reading", "Row", "RowError", "Source", "open_source"]
