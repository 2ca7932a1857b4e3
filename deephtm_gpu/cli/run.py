"""`deephtm run`: learns a column of a CSV file, or of a live pipe, online; writes predictions and anomalies row by row."""

import csv
import os
import signal
import sys
from contextlib import contextmanager, nullcontext
from pathlib import Path

from tqdm import tqdm

from deephtm_gpu.data.csv_stream import CsvStream
from deephtm_gpu.errors import TrainingError, UserError
from deephtm_gpu.learner import Learner
from deephtm_gpu.saving.container import check_target

HEADER = ("timestamp", "value", "prediction", "anomaly_score", "anomaly_likelihood")
FURTHEST = 10_000  # rows ahead: every step whose target has not come is kept whole


def add_arguments(parser):
    parser.add_argument("files", metavar="FILE.csv", nargs="+",
                        help="its first line names the columns; '-' reads the standard input. Several files: a model each, side by side")
    parser.add_argument("--column", required=True, metavar="C", help="the column to learn")
    parser.add_argument("--timestamp", metavar="T", help="the column of timestamps; the model then sees time of day and weekday")
    parser.add_argument("--ahead", type=int, metavar="N", help="how many rows ahead to predict (1, or as resumed)")
    parser.add_argument("--out", metavar="FILE.csv", help="where the rows go (the standard output); with several files a folder")
    parser.add_argument("--save", metavar="FILE", help="where all that was learned goes at the end, for --resume; with several files a folder")
    parser.add_argument("--resume", metavar="FILE", help="goes on from what --save wrote, as if these rows stood behind those")
    parser.add_argument("--device", default="auto", metavar="D", help="auto, gpu, numpy, or part of an adapter's name (auto)")
    parser.add_argument("--seed", type=int, metavar="S", help="of the weights at the start (0, or as resumed)")


def run(args) -> int:
    """Raises UserError and TrainingError, then leaving no output file and --save as it was; KeyboardInterrupt, after the summary
    and the saving."""
    if args.ahead is not None and not 1 <= args.ahead <= FURTHEST:
        raise UserError(f"--ahead {args.ahead} was asked for; it must be 1 to {FURTHEST:,} rows.")
    if len(args.files) > 1:
        from deephtm_gpu.cli.run_many import run_many

        return run_many(args)
    args.file = args.files[0]
    _check_save(args)
    with CsvStream(args.file, args.column, args.timestamp) as stream, output(args.out, args.file) as out:
        learner = _learner(args)
        try:
            _learn(learner, stream, out, whole_chunks=args.save is not None)
        except KeyboardInterrupt:
            _save(learner, args)
            _summarise(learner, stream.name, args)
            raise
        check_enough_rows(learner.comparison, stream.name)
        _save(learner, args)
    _summarise(learner, stream.name, args)
    return 0


def _learner(args):
    """A new one, or the one that --resume names."""
    timed = args.timestamp is not None
    if args.resume is None:
        return Learner(args.ahead or 1, timed, seed=args.seed or 0, device=args.device)
    learner = Learner.load(args.resume, args.device)
    there = f"--resume {args.resume} goes on with a model"
    if args.ahead not in (None, learner.ahead):
        raise UserError(f"{there} that predicts {learner.ahead} ahead and --ahead {args.ahead} was asked for; leave --ahead out, or begin anew without --resume.")
    if args.seed not in (None, learner.model.seed):
        raise UserError(f"{there} of seed {learner.model.seed} and --seed {args.seed} was asked for; leave --seed out, or begin anew without --resume.")
    if learner.timed and not timed:
        raise UserError(f"{there} that sees the time of each row and no --timestamp was given; name the column of timestamps.")
    if timed and not learner.timed:
        raise UserError(f"{there} that sees no timestamps and --timestamp {args.timestamp} was given; leave --timestamp out, or begin anew without --resume.")
    return learner


def _check_save(args):
    """Before hours of learning. Raises UserError where the file cannot be written, or is another one of this run's."""
    if args.save is None:
        return
    target = check_target(args.save)
    for name, other in (("the file that is read", args.file), ("the file of --out", args.out)):
        if other not in (None, "-", "") and Path(other).resolve() == target:
            raise UserError(f"--save {args.save} is {name}; name another one.")


def _save(learner, args):
    if args.save is not None:
        learner.save(args.save)


@contextmanager
def undisturbed():
    """Puts Ctrl-C off to the end: what is saved then is the state between two rows, and those before it are written."""
    came = []
    try:
        before = signal.signal(signal.SIGINT, lambda *_: came.append(True))
    except ValueError:  # only the main thread may do this, and only it is interrupted
        yield
        return
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
    if came:
        raise KeyboardInterrupt


def _learn(learner, stream, out, whole_chunks):
    """Learns all of the stream; each chunk's rows are written before the next is waited for. whole_chunks: Ctrl-C waits for the
    end of the chunk."""
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(HEADER)
    # No bar in logs (None: only on a terminal), nor between rows that go to the same terminal.
    hidden = True if out is sys.stdout and out.isatty() else None
    with tqdm(total=stream.size, unit="B", unit_scale=True, disable=hidden) as bar:
        for rows in stream.chunks():
            with undisturbed() if whole_chunks else nullcontext():
                writer.writerows(_learn_chunk(learner, rows, stream.name))
                out.flush()
            bar.update(stream.done - bar.n)


def _learn_chunk(learner, rows, name):
    try:
        return learner.learn(rows)
    except TrainingError as error:
        row = learner.comparison.rows - learner.rows_before + error.step + 1
        raise TrainingError(
            f"Learning went out of bounds at row {row:,} of {name}: {error.layer} gave NaN or infinity; give a smaller --ahead "
            "or another --seed.", row, error.layer) from None


def check_enough_rows(comparison, name):
    if comparison.rows <= comparison.ahead:
        raise UserError(
            f"{name} has {comparison.rows} rows of numbers; to learn to predict {comparison.ahead} ahead takes "
            f"{comparison.ahead + 1} or more: add rows, or give a smaller --ahead."
        )


def _summarise(learner, name, args):
    """To the standard output, or to the standard error where the rows go to the standard output."""
    device, rows, before = learner.model.device, learner.comparison.rows, learner.rows_before
    behind = f" behind {before:,} earlier ones" if before else ""
    print(
        f"{rows - before:,} rows of {name}{behind} learned on {device.name} ({device.backend}, {device.kind}), "
        f"seed {learner.model.seed}\n{learner.comparison.table()}",
        file=sys.stdout if args.out else sys.stderr,
    )


def _same(source, target):
    read = os.fstat(sys.stdin.fileno()) if source == "-" and sys.stdin else os.stat(source) if os.path.exists(source) else None
    return read is not None and os.path.samestat(read, target.stat())


@contextmanager
def output(path, source):
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
