"""The kinds of sources. The first that reads what the user typed is taken."""

from deephtm_gpu.sources.base import Source
from deephtm_gpu.sources.csv_file import CsvStream

SOURCES: tuple[type[Source], ...] = (
    CsvStream,  # any other name is that of a CSV file: last
)


def open_source(spec: str, column: str, timestamp: str | None = None) -> Source:
    """The source that the user named.

    Parameters
    ----------
    spec : str
        A file, or "-" for the standard input.
    column : str
        The column of numbers.
    timestamp : str, optional
        The column of timestamps.

    Returns
    -------
    Source
        Open; use it in a `with`.

    Raises
    ------
    UserError
        Where it cannot be read.
    """
    return next(kind for kind in SOURCES if kind.reads(spec))(spec, column, timestamp)
