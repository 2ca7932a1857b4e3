"""The row of the learning table on the New York taxi series: noisy regression."""

from functools import partial
from pathlib import Path

import deephtm_gpu as dh
from deephtm_gpu.bench.rows import Bound, Figures, Row
from deephtm_gpu.learner import Learner
from deephtm_gpu.sources import open_source

AHEAD = 5  # half-hours
FILE = "demos/data/nyc_taxi.csv"


def _compare(path, seed, device):
    """The errors of the network, of the mixture and of the trivial forecasts from row 5,000 on, strictly online.

    The settings are those of the table: SGD 0.01, encoder and pooler × 0.1, K = 20.
    """
    learner = Learner(AHEAD, timed=True, optimizer=dh.SGD(0.01), seed=seed, device=device)
    with open_source(str(path), "value", "timestamp") as stream:
        for rows in stream.chunks():
            learner.learn(rows)
    return learner.comparison.late


def _mape(seed, device, path) -> Figures:
    """The MAPE of the network, of the mixture and of the trivial forecasts."""
    return {
        f"MAPE {name}" if name != "network" else "MAPE": error.percent
        for name, error in _compare(path, seed, device).items()
    }


def taxi_rows(path=FILE) -> tuple[Row, ...]:
    """The row of the taxi series; empty if the file does not exist."""
    if not Path(path).is_file():
        return ()
    return (Row("taxi, 5 ahead, rows 5,000 on", partial(_mape, path=path), (Bound("MAPE", each=11.0),)),)
