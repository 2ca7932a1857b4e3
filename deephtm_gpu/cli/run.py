"""`deephtm run`: learns a column of a CSV file, or of a live pipe, online; writes predictions and anomalies row by row."""

import csv
import os
import sys
from contextlib import contextmanager
from pathlib import Path

from tqdm import tqdm

from deephtm_gpu.data.csv_stream import CsvStream
from deephtm_gpu.errors import TrainingError, UserError
from deephtm_gpu.learner import Learner

HEADER = ("timestamp", "value", "prediction", "anomaly_score", "anomaly_likelihood")
FURTHEST = 10_000  # rows ahead: every step whose target has not come is kept whole


def add_arguments(parser):
    parser.add_argument("file", metavar="FILE.csv", help="its first line names the columns; '-' reads the standard input")
    parser.add_argument("--column", required=True, metavar="C", help="the column to learn")
    parser.add_argument("--timestamp", metavar="T", help="the column of timestamps; the model then sees time of day and weekday")
    parser.add_argument("--ahead", type=int, default=1, metavar="N", help="how many rows ahead to predict (1)")
    parser.add_argument("--out", metavar="FILE.csv", help="where the rows go (the standard output)")
    parser.add_argument("--device", default="auto", metavar="D", help="auto, gpu, numpy, or part of an adapter's name (auto)")
    parser.add_argument("--seed", type=int, default=0, metavar="S", help="of the weights at the start (0)")


def run(args) -> int:
    """Raises UserError and TrainingError, then leaving no output file; KeyboardInterrupt, after the summary."""
    if not 1 <= args.ahead <= FURTHEST:
        raise UserError(f"--ahead {args.ahead} was asked for; it must be 1 to {FURTHEST:,} rows.")
    with CsvStream(args.file, args.column, args.timestamp) as stream, _output(args.out, args.file) as out:
        learner = Learner(args.ahead, args.timestamp is not None, seed=args.seed, device=args.device)
        try:
            _learn(learner, stream, out)
        except KeyboardInterrupt:
            _summarise(learner, stream.name, args)
            raise
        _check_rows(learner.comparison, stream.name)
    _summarise(learner, stream.name, args)
    return 0


def _learn(learner, stream, out):
    """Learns all of the stream; each chunk's rows are written before the next is waited for."""
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(HEADER)
    # No bar in logs (None: only on a terminal), nor between rows that go to the same terminal.
    hidden = True if out is sys.stdout and out.isatty() else None
    with tqdm(total=stream.size, unit="B", unit_scale=True, disable=hidden) as bar:
        for rows in stream.chunks():
            writer.writerows(_learn_chunk(learner, rows, stream.name))
            out.flush()
            bar.update(stream.done - bar.n)


def _learn_chunk(learner, rows, name):
    try:
        return learner.learn(rows)
    except TrainingError as error:
        row = learner.comparison.rows + error.step + 1
        raise TrainingError(
            f"Learning went out of bounds at row {row:,} of {name}: {error.layer} gave NaN or infinity; give a smaller --ahead "
            "or another --seed.", row, error.layer) from None


def _check_rows(comparison, name):
    if comparison.rows <= comparison.ahead:
        raise UserError(
            f"{name} has {comparison.rows} rows of numbers; to learn to predict {comparison.ahead} ahead takes "
            f"{comparison.ahead + 1} or more: add rows, or give a smaller --ahead."
        )


def _summarise(learner, name, args):
    """To the standard output, or to the standard error where the rows go to the standard output."""
    device = learner.model.device
    print(
        f"{learner.comparison.rows:,} rows of {name} learned on {device.name} ({device.backend}, {device.kind}), "
        f"seed {args.seed}\n{learner.comparison.table()}",
        file=sys.stdout if args.out else sys.stderr,
    )


def _same(source, target):
    read = os.fstat(sys.stdin.fileno()) if source == "-" and sys.stdin else os.stat(source) if os.path.exists(source) else None
    return read is not None and os.path.samestat(read, target.stat())


@contextmanager
def _output(path, source):
    """The file that rows are written to. A file appears at `path` only when all went well, or at Ctrl-C: until then the
    rows go to another beside it, and what lay there before is unharmed."""
    if path is None:
        if sys.stdout is None:
            raise UserError("The rows were to go to the standard output, which is closed; give --out FILE.csv.")
        yield sys.stdout
        return
    target = Path(path).resolve()
    special = target.exists() and not target.is_file()  # a pipe or device is written to, never replaced
    part = target if special else target.with_name(f".{target.name}.{os.getpid()}")
    if not path:
        raise UserError("--out was given without a name; give --out FILE.csv.")
    if not special and target.exists() and _same(source, target):
        raise UserError(f"--out {path} is the file that is read; name another one.")
    try:
        file = open(part, "w", newline="", encoding="utf-8")
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise UserError(f"--out {path} cannot be written ({reason}); name a file in a folder that can be written to.") from None
    kept = False
    try:
        with file:
            try:
                yield file
                kept = True
            except KeyboardInterrupt:
                kept = file.tell() > 0
                raise
    finally:
        if not special:
            os.replace(part, target) if kept else part.unlink()
