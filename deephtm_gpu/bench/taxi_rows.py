"""The row of the learning table on the New York taxi series: noisy regression."""

from functools import partial
from pathlib import Path

import deephtm_gpu as dh
from deephtm_gpu.bench.rows import Bound, Figures, Row
from deephtm_gpu.data.csv_stream import CsvStream
from deephtm_gpu.learner import Learner

AHEAD = 5  # half-hours
FILE = "demos/data/nyc_taxi.csv"


def _compare(path, seed, device):
    """Learns the series strictly online, with the table's settings: SGD 0.01, encoder and pooler x 0.1, K = 20. Returns the late
    figures, over rows 5,000 on, of the `Comparison` with the trivial forecasts."""
    learner = Learner(AHEAD, timed=True, optimizer=dh.SGD(0.01), seed=seed, device=device)
    with CsvStream(str(path), "value", "timestamp") as stream:
        for rows in stream.chunks():
            learner.learn(rows)
    return learner.comparison.late


def _mape(seed, device, path) -> Figures:
    """The comparison's trivial forecasts come with the same run."""
    return {f"MAPE {name}" if name != "model" else "MAPE": error.percent for name, error in _compare(path, seed, device).items()}


def taxi_rows(path=FILE) -> tuple[Row, ...]:
    """None where the file is not there."""
    if not Path(path).is_file():
        return ()
    return (Row("taxi, 5 ahead, rows 5,000 on", partial(_mape, path=path), (Bound("MAPE", each=11.0),)),)
