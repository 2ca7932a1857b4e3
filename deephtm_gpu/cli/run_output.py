"""What `deephtm run` writes: the rows of one file. Used for one file (`run`) and for many at once (`run_many`)."""

import os
import signal
import sys
from contextlib import contextmanager
from pathlib import Path

from deephtm_gpu.errors import TrainingError, UserError
from deephtm_gpu.learner import Output

HEADER = ("timestamp", "value", "prediction", "anomaly_score", "anomaly_likelihood", "network")


def as_texts(output: Output) -> tuple[str, ...]:
    """The cells of a row, as in HEADER."""
    predicted, network = ("" if x is None else f"{x:.15g}" for x in (output.prediction, output.network))
    return output.row.stamp, output.row.text, predicted, f"{output.anomaly:.6f}", f"{output.likelihood:.10f}", network


@contextmanager
def output(path, source):
    """The file that rows are written to.

    path: None for the standard output. source: the file that is read. The rows go to a temporary file in the same
    folder, which replaces `path` when the block ends without an error, or with Ctrl-C. After any other error the old
    file is unchanged.
    """
    if path is None:
        if sys.stdout is None:
            raise UserError("The standard output is closed; give --out FILE.csv.")
        yield sys.stdout
        return
    target, part, replace = _open_target(path, source)
    try:
        file = open(part, "w", newline="", encoding="utf-8")
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise UserError(f"--out {path} cannot be written ({reason}); name a file in a writable folder.") from None
    complete = False
    try:
        with file:
            try:
                yield file
                complete = True
            except KeyboardInterrupt:
                complete = file.tell() > 0
                raise
    finally:
        if replace:
            os.replace(part, target) if complete else part.unlink()


def _open_target(path, source):
    """The file `path`, the file to write to first, and whether that one replaces the other."""
    if not path:
        raise UserError("--out must be the name of a file, got an empty name; give --out FILE.csv.")
    target = Path(path).resolve()
    if target.exists() and not target.is_file():  # a pipe or a device is written to, never replaced
        return target, target, False
    if target.exists() and _same_file(source, target):
        raise UserError(f"--out {path} is the file that is read; name another one.")
    return target, target.with_name(f".{target.name}.{os.getpid()}"), True


def _same_file(source, target):
    if source == "-":
        read = os.fstat(sys.stdin.fileno()) if sys.stdin else None
    else:
        read = os.stat(source) if os.path.exists(source) else None
    return read is not None and os.path.samestat(read, target.stat())


@contextmanager
def interrupt_later():
    """Delays Ctrl-C to the end of the block, so that the model and the output file are never between two rows."""
    interrupts = []
    try:
        before = signal.signal(signal.SIGINT, lambda *_: interrupts.append(True))
    except ValueError:  # only the main thread may do this, and only the main thread is interrupted
        yield
        return
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
    if interrupts:
        raise KeyboardInterrupt


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
