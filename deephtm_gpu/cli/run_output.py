"""What ends a run of `deephtm run`, of one file (`run`) or of many at once (`run_many`)."""

from deephtm_gpu.errors import TrainingError, UserError


def check_enough_rows(comparison, name):
    """Raises UserError if no row of the file had a prediction."""
    if comparison.rows <= comparison.ahead:
        raise UserError(f"{name} must have {comparison.ahead + 1} rows of numbers or more to predict "
                        f"{comparison.ahead} ahead, got {comparison.rows} rows; add rows, or give a smaller --ahead.")


def diverged(error, name, rows, remedy) -> TrainingError:
    """The model's TrainingError, with the file's name and row. rows: those learned before the chunk that failed."""
    row = rows + error.step + 1
    return TrainingError(f"Training diverged at row {row:,} of {name}: {error.layer} gave NaN or infinity; "
                         f"{remedy}.", row, error.layer)
