"""What `deephtm run` writes: the rows of one file. Used for one file (`run`) and for many at once (`run_many`)."""

from deephtm_gpu.errors import TrainingError, UserError
from deephtm_gpu.learner import Output

HEADER = ("timestamp", "value", "prediction", "anomaly_score", "anomaly_likelihood", "network")


def as_texts(output: Output) -> tuple[str, ...]:
    """The cells of a row, as in HEADER."""
    row, predicted, network = output.row, _number(output.prediction), _number(output.network)
    if output.anomaly is None:  # a gap
        return row.stamp, row.text, predicted, "", "", network
    return row.stamp, row.text, predicted, f"{output.anomaly:.6f}", f"{output.likelihood:.10f}", network


def _number(x) -> str:
    return "" if x is None else f"{x:.15g}"


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
