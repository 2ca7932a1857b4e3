"""The flow table: how well grid cells, sensorimotor columns and levels work."""

import numpy as np

from deephtm_gpu import layers
from deephtm_gpu.backends.batch import Batch
from deephtm_gpu.backends.devices import open_device
from deephtm_gpu.bench.level_rows import LEVEL_ROWS
from deephtm_gpu.bench.object_rows import OBJECT_ROWS
from deephtm_gpu.bench.rows import Bound, Figures, Row, chosen
from deephtm_gpu.optimisers import SGD
from deephtm_gpu.plan.lowering import lower
from deephtm_gpu.plan.plan import Program

STEPS, OFF = 100_000, "periods off, at worst"


def _path(seed, device) -> Figures:
    """The error of the phases of 10 modules after a long walk, in periods."""
    network = layers.Sequential(layers.GridCells(side=2, orientation=0.0)).network((2,))
    plan, _ = lower(network, ["mse"], SGD(1.0), 1, seed, ahead=0)
    backend = open_device(device).backend(plan)
    walk = np.random.default_rng(seed).normal(size=(STEPS, 1, 2)).astype(np.float32)
    zeros = np.zeros(STEPS, np.float32)
    backend.run(Batch(Program(learn=False), [walk], None, zeros, zeros.astype(np.int64), first=0))
    exact = backend.read("0.weight").astype(np.float64) @ walk[:, 0].sum(axis=0, dtype=np.float64)
    off = backend.read("0.travelled")[0] - exact
    return {OFF: float(np.abs(off - np.round(off)).max()), "periods gone through, at most": float(np.abs(exact).max())}


FLOW_ROWS = (Row("path of 100,000 steps", _path, (Bound(OFF, each=1e-4),)), *OBJECT_ROWS, *LEVEL_ROWS)


def rows(only: str | None = None) -> tuple[Row, ...]:
    """The rows with `only` in their names. Raises UserError."""
    return chosen(FLOW_ROWS, only)
