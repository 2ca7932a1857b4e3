"""How well it learns: the learning table, with trivial baselines for each figure, and controls with a part taken out.

Clean regression (sine), symbols (high-order sequences, letters, Reber grammar) and noisy regression (taxi) have one
configuration each; none is tuned for a row.
"""

from deephtm_gpu.bench.rows import Row, chosen
from deephtm_gpu.bench.sine_rows import SINE_ROWS
from deephtm_gpu.bench.symbol_rows import SYMBOL_ROWS
from deephtm_gpu.bench.taxi_rows import FILE, taxi_rows


def rows(taxi=FILE, only: str | None = None) -> tuple[Row, ...]:
    """The rows with `only` in their names. taxi: the file of the series; its row is left out if there is none. Raises
    UserError."""
    return chosen((*SINE_ROWS, *SYMBOL_ROWS, *taxi_rows(taxi)), only)
