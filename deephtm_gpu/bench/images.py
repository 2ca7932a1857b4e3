"""The image table: how well the next frame is predicted."""

from deephtm_gpu.bench.image_rivals import has_torch
from deephtm_gpu.bench.image_rows import IMAGE_ROWS
from deephtm_gpu.bench.rows import Row, chosen

__all__ = ["has_torch", "rows"]


def rows(only: str | None = None) -> tuple[Row, ...]:
    """The rows with `only` in their names. Raises UserError."""
    return chosen(IMAGE_ROWS, only)
