"""Data frames in and out, of any kind that narwhals knows: pandas, polars, pyarrow, ...

A frame of numbers can also be given to `Model.fit` as it is.
"""

from collections.abc import Sequence
from datetime import date, datetime, time
from typing import Any

import numpy as np

from deephtm_gpu.adapters.optional import import_optional
from deephtm_gpu.data.timestamps import TimestampReader
from deephtm_gpu.errors import UserError
from deephtm_gpu.history import History
from deephtm_gpu.learner import Output
from deephtm_gpu.sources import Row

nw = import_optional("narwhals", "frames")


def to_array(frame: Any, columns: Sequence[str] | None = None) -> np.ndarray:
    """Columns of a frame as a series, for `Model.fit`.

    Parameters
    ----------
    frame : data frame
        T rows.
    columns : sequence of str, optional
        D names, in their order. None for all columns.

    Returns
    -------
    ndarray (T, D), float64

    Raises
    ------
    UserError
        If it is no frame, has no such column, or a column is not of numbers or lacks some.

    Examples
    --------
    >>> import pandas
    >>> from deephtm_gpu.adapters.frames import to_array
    >>> to_array(pandas.DataFrame({"name": ["p", "q"], "a": [1, 2], "b": [0.5, 1.5]}), ["b", "a"]).tolist()
    [[0.5, 1.0], [1.5, 2.0]]
    """
    frame = _wrapped("frame", frame)
    names = frame.columns if columns is None else columns
    if not names:
        raise UserError("frame must have a column of numbers or more, got none.")
    return np.stack([_numbers(frame, name) for name in names], axis=1)


def to_rows(frame: Any, column: str, timestamp: str | None = None) -> list[Row]:
    """A column of a frame as rows, for `deephtm_gpu.learner.Learner`.

    Parameters
    ----------
    frame : data frame
        T rows.
    column : str
        The column of numbers.
    timestamp : str, optional
        The column of timestamps: dates, dates with a time, or text as in CSV files. A time zone is dropped.

    Returns
    -------
    list of Row

    Raises
    ------
    UserError
        As `to_array`, and if a timestamp cannot be read.

    Examples
    --------
    >>> import pandas
    >>> from deephtm_gpu.adapters.frames import to_frame, to_rows
    >>> from deephtm_gpu.learner import Learner
    >>> frame = pandas.DataFrame({"time": pandas.date_range("2026-01-01", periods=48, freq="h"), "load": range(48)})
    >>> outputs = Learner(ahead=1, timed=True, device="numpy").learn(to_rows(frame, "load", "time"))
    >>> to_frame(outputs, like=frame).columns.tolist()
    ['timestamp', 'value', 'prediction', 'anomaly_score', 'anomaly_likelihood']
    """
    frame = _wrapped("frame", frame)
    values = _numbers(frame, column).tolist()
    times = [None] * len(values) if timestamp is None else _times(frame, timestamp)
    return [Row(v, f"{v:.15g}", when, "" if when is None else str(when)) for v, when in zip(values, times)]


def to_frame(outputs: History | list[Output], like: Any) -> Any:
    """What was learned of a frame, as a frame of the same kind.

    Parameters
    ----------
    outputs : History or list of Output
        What `Model.fit` or `Learner.learn` returned: T rows.
    like : data frame
        Its kind is taken, and, from pandas, its index if it has T rows.

    Returns
    -------
    data frame
        T rows. Of a History: `History.columns()`. Of a list of Output: timestamp (if there are some), value,
        prediction (missing in the first `ahead` rows), anomaly_score and anomaly_likelihood, as `deephtm run` writes.

    Raises
    ------
    UserError
        If `like` is no frame.

    Examples
    --------
    >>> import pandas
    >>> import deephtm_gpu as dh
    >>> from deephtm_gpu.adapters.frames import to_frame
    >>> frame = pandas.DataFrame({"x": [0.0, 1.0, 0.0]}, index=["mon", "tue", "wed"])
    >>> model = dh.Model(dh.Sequential(dh.Linear(1)), input_shape=(1,), device="numpy")
    >>> table = to_frame(model.fit(frame), like=frame)
    >>> table.index.tolist(), sorted(table.columns)
    (['mon', 'tue', 'wed'], ['anomaly', 'loss', 'prediction'])
    """
    like = _wrapped("like", like)
    columns = outputs.columns() if isinstance(outputs, History) else _columns(outputs)
    made = nw.from_dict(columns, backend=like.implementation).to_native()
    index = nw.maybe_get_index(like)  # None where frames have none
    if index is not None and len(made) == len(index):
        made.index = index
    return made


def _wrapped(what, frame):
    try:
        return nw.from_native(frame, eager_only=True)
    except TypeError:
        raise UserError(f"{what} must be a data frame in memory, such as of pandas, polars or pyarrow, got "
                        f"{type(frame).__name__!r}; of a lazy one, give what its collect() returns.") from None


def _column(frame, name):
    if name not in frame.columns:
        raise UserError(f"frame has no column {name!r}; it has {', '.join(map(repr, frame.columns))}.")
    series = frame[name]
    missing = series.is_null().arg_true()
    if len(missing):
        raise UserError(f"Column {name!r} must have no missing values, got one in row {missing[0]}, from 0; fill it in "
                        "or leave the row out.")
    return series


def _numbers(frame, name):
    """(T,) float64."""
    series = _column(frame, name)
    if not (series.dtype.is_numeric() or series.dtype == nw.Boolean):
        raise UserError(f"Column {name!r} must be of numbers, got {series.dtype}; convert it, or name other columns.")
    return series.cast(nw.Float64).to_numpy()


def _times(frame, name):
    """A list of T datetimes."""
    times, read = _column(frame, name).to_list(), TimestampReader()
    for row, given in enumerate(times):
        try:
            times[row] = _time(given, read)
        except ValueError as error:
            raise UserError(f"Column {name!r} must be of timestamps, got {given!r} in row {row}, from 0; "
                            f"{error}.") from None
    return times


def _time(given, read):
    if isinstance(given, datetime):
        return given.replace(tzinfo=None)
    if isinstance(given, date):
        return datetime.combine(given, time())
    if isinstance(given, str):
        return read(given)
    raise ValueError("give dates, dates with a time, or text")


def _columns(outputs):
    columns = {"timestamp": [o.row.when for o in outputs]} if outputs and outputs[0].row.when else {}
    return columns | {
        "value": [o.row.value for o in outputs],
        "prediction": [o.prediction for o in outputs],
        "anomaly_score": [o.anomaly for o in outputs],
        "anomaly_likelihood": [o.likelihood for o in outputs],
    }
