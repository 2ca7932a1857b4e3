"""How well it learns: the model's table, with trivial baselines beside each figure and the controls that take a part out.

Clean regression (sine), symbols (high-order sequences, letters, Reber grammar) and noisy regression (taxi) have one
configuration each; none is tuned for a row.
"""

from deephtm_gpu.bench.rows import Row
from deephtm_gpu.bench.sine_rows import SINE_ROWS
from deephtm_gpu.bench.symbol_rows import SYMBOL_ROWS
from deephtm_gpu.bench.taxi_rows import FILE, taxi_rows
from deephtm_gpu.errors import UserError


def rows(taxi=FILE, only: str | None = None) -> tuple[Row, ...]:
    """taxi: the series' file; left out where there is none. only: part of the names of the rows that are wanted. Raises UserError."""
    every = (*SINE_ROWS, *SYMBOL_ROWS, *taxi_rows(taxi))
    chosen = tuple(r for r in every if only is None or only.lower() in r.name.lower())
    if not chosen:
        raise UserError(f"--rows {only} was asked for; the rows are: {'; '.join(r.name for r in every)}. Give part of a name.")
    return chosen
