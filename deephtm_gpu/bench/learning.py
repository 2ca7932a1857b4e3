"""How well it learns: the model's table, with trivial baselines beside each figure and the controls that take a part out.

Clean regression (sine), symbols (high-order sequences, letters, Reber grammar) and noisy regression (taxi) have one
configuration each; none is tuned for a row.
"""

from deephtm_gpu.bench.rows import Row, chosen
from deephtm_gpu.bench.sine_rows import SINE_ROWS
from deephtm_gpu.bench.symbol_rows import SYMBOL_ROWS
from deephtm_gpu.bench.taxi_rows import FILE, taxi_rows


def rows(taxi=FILE, only: str | None = None) -> tuple[Row, ...]:
    """taxi: the series' file; left out where there is none. only: part of the names of the rows that are wanted. Raises UserError."""
    return chosen((*SINE_ROWS, *SYMBOL_ROWS, *taxi_rows(taxi)), only)
