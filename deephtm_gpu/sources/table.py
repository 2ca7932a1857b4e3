"""The kinds of sources. The first that reads what the user typed is taken."""

from deephtm_gpu.sources.arrow_file import ArrowFile
from deephtm_gpu.sources.base import Reading, Source
from deephtm_gpu.sources.byte_stream import ByteStream
from deephtm_gpu.sources.csv_file import CsvStream
from deephtm_gpu.sources.json_lines import JsonLines

SOURCES: tuple[type[Source], ...] = (
    ArrowFile,
    JsonLines,
    CsvStream,  # any other file is a CSV file: last
)


def open_source(spec: str, columns: str | list[str], timestamp: str | None = None,
                reading: Reading | None = None) -> Source:
    """The source that the user named. Its kind is found from how it begins; gzip is unpacked.

    Parameters
    ----------
    spec : str
        A file, or "-" for the standard input.
    columns : str or list of str
        The columns of numbers.
    timestamp : str, optional
        The column of timestamps.
    reading : Reading, optional
        How to read it, where the user says so.

    Returns
    -------
    Source
        Open; use it in a `with`.

    Raises
    ------
    UserError
        Where it cannot be read.
    """
    stream = ByteStream(spec)
    try:
        return next(kind for kind in SOURCES if kind.reads(stream))(stream, columns, timestamp, reading)
    except BaseException:
        stream.close()
        raise
