"""`deephtm run`: learns columns of a file, or of a live pipe, online; writes predictions and anomalies row by row."""

import sys
from contextlib import nullcontext
from dataclasses import asdict
from math import isfinite
from pathlib import Path

from tqdm import tqdm

from deephtm_gpu.cli import alarms, reading
from deephtm_gpu.cli.alarms import Alarms, check_alarm
from deephtm_gpu.cli.journal import Journal, Stand, begins_with
from deephtm_gpu.cli.reading import Missing, columns_of, reading_of
from deephtm_gpu.cli.row_file import growing_row_file, is_standard_output, row_file
from deephtm_gpu.cli.row_format import CSV, JSON_LINES, RowFormat
from deephtm_gpu.cli.run_many import SUFFIX, run_many
from deephtm_gpu.cli.run_output import check_enough_rows, diverged
from deephtm_gpu.cli.signals import ended_by_signals, ended_later
from deephtm_gpu.errors import TrainingError, UserError
from deephtm_gpu.learner import Learner
from deephtm_gpu.saving.container import check_target
from deephtm_gpu.sources import RowError, open_source

MAX_AHEAD = 10_000  # rows: the model keeps every step whose target has not come


def add_arguments(parser):
    parser.add_argument("files", metavar="FILE", nargs="+",
                        help="CSV, whose first line names the columns, JSON lines, Parquet or Arrow; '-' reads the "
                             "standard input. Several files: one model each")
    parser.add_argument("--column", required=True, metavar="C", action="append",
                        help="the column to learn; several of them (--column A --column B): one model each")
    parser.add_argument("--timestamp", metavar="T",
                        help="the column of timestamps; the model then sees time of day and weekday")
    parser.add_argument("--ahead", type=int, metavar="N", help="how many rows ahead to predict (1, or as resumed)")
    parser.add_argument("--out", metavar="FILE.csv",
                        help="the output file (the standard output); with several files a folder")
    parser.add_argument("--save", metavar="FILE",
                        help="saves the model and its state at the end, for --resume; with several files or columns a "
                             "folder")
    parser.add_argument("--resume", metavar="FILE",
                        help="continues from the file that --save wrote, as if these rows came after those rows")
    parser.add_argument("--no-learn", action="store_true",
                        help="with --resume: the network stays as it is; predictions and alarms go on")
    parser.add_argument("--save-every", type=float, metavar="SECONDS",
                        help="saves on the way too; after a crash the same command with --resume FILE of --save goes "
                             "on where the last save stood")
    parser.add_argument("--device", default="auto", metavar="D",
                        help="auto, gpu, numpy, or part of an adapter's name (auto)")
    reading.add_arguments(parser)
    parser.add_argument("--format", choices=(CSV, JSON_LINES), default=CSV,
                        help="of the rows that are written; a JSON line also has what is predicted at its row, and for "
                             "when (csv)")
    alarms.add_arguments(parser)
    parser.add_argument("--seed", type=int, metavar="S", help="of the initial weights (0, or as resumed)")


def run(args) -> int:
    """Learns the file, or the files, and returns 0.

    Raises UserError and TrainingError; the rows before are written. Raises KeyboardInterrupt, for a signal too, and
    RowError for a row that cannot be read, after the rows learned so far, the summary and the save are written.
    """
    if args.ahead is not None and not 1 <= args.ahead <= MAX_AHEAD:
        raise UserError(f"--ahead must be from 1 to {MAX_AHEAD:,} rows, got {args.ahead}.")
    columns, how = columns_of(args), reading_of(args)
    _check_save_every(args)
    check_alarm(args)
    if args.no_learn and args.resume is None:
        raise UserError("--no-learn looks with a network that has learned, got none; give --resume FILE.")
    with ended_by_signals():
        if len(args.files) > 1:
            return run_many(args, how)
        args.file = args.files[0]
        _check_save(args)
        return _run_one(args, columns, how)


def _run_one(args, columns, how) -> int:
    learners, missing = [_learner(args) for _ in columns], Missing(args.missing)
    stand, same = _resumed(args, learners[0], columns, how)
    journal = Journal(args.save_every, args.out, stand if same else None)
    with open_source(args.file, columns, args.timestamp, how) as stream, _rows(args, stand) as rows:
        last = None if same else [learner.last for learner in learners]
        form = RowFormat(columns, args.format, args.alarm, learners[0].ahead)
        try:
            _learn(learners, stream, missing.tables(stream, last), rows, form, journal, args)
        except (KeyboardInterrupt, RowError) as error:
            if isinstance(error, RowError) and not any(_new_rows(learner) for learner in learners):
                raise UserError(str(error)) from None
            with ended_later():
                _save(learners, args, journal, rows)
                _summarise(learners, stream.name, missing, args)
            raise
        with ended_later():
            if not same:
                check_enough_rows(max((one.comparison for one in learners), key=lambda c: c.rows), stream.name)
            _save(learners, args, journal, rows)
            rows.write(form.to_come([learner.waiting for learner in learners]), 0)
    _summarise(learners, stream.name, missing, args)
    return 0


def _resumed(args, learner, columns, how) -> tuple[Stand | None, bool]:
    """Where the run stood that is resumed, and whether the input begins with what it has learned."""
    if learner.run is None:
        return None, False
    try:
        stand = Stand.of(learner.run)
    except (KeyError, TypeError, UserError) as error:
        raise UserError(f"{args.resume} must be a file that `deephtm run --save` wrote, got one whose state is "
                        f"incomplete ({str(error).rstrip('.')}); name another file.") from None
    if args.file == "-":  # what went through a pipe does not come again
        return stand, False
    with open_source(args.file, columns, args.timestamp, how) as stream:
        same = stand.rows > 0 and begins_with(stand, stream)
    if same:
        print(f"{args.file}: goes on behind its first {stand.rows:,} rows", file=sys.stderr)
    return stand, same


def _rows(args, stand):
    """The RowFile of --out; where a run is resumed that wrote the same one, behind what that has written."""
    ours = args.out is not None and stand is not None and stand.out == str(Path(args.out).resolve())
    if args.out is None or not (ours or args.save_every is not None):
        return row_file(args.out, args.file)
    return growing_row_file(args.out, args.file, stand.length if ours else 0)


def _check_save_every(args):
    if args.save_every is None:
        return
    if not (isfinite(args.save_every) and args.save_every >= 0):
        raise UserError(f"--save-every must be 0 seconds or more, got {args.save_every:g}; give another number.")
    if args.save is None:
        raise UserError("--save-every says how often --save FILE is written, got no --save; give --save FILE.")
    if len(args.files) > 1 or len(args.column) > 1:
        raise UserError(f"--save-every saves one model, got {len(args.files)} files and {len(args.column)} columns; "
                        "learn each in a run of its own.")


def _learner(args):
    """A new Learner, or the one of --resume."""
    timed = args.timestamp is not None
    if args.resume is None:
        return Learner(args.ahead or 1, timed, seed=args.seed or 0, device=args.device)
    learner = Learner.load(args.resume, args.device)
    learner.learning = not args.no_learn
    if args.ahead not in (None, learner.ahead):
        raise _mismatch(args, f"--ahead {learner.ahead}", f"--ahead {args.ahead}", "leave --ahead out")
    if args.seed not in (None, learner.model.seed):
        raise _mismatch(args, f"--seed {learner.model.seed}", f"--seed {args.seed}", "leave --seed out")
    if learner.timed and not timed:
        raise _mismatch(args, "a column of timestamps", "no --timestamp", "give --timestamp")
    if timed and not learner.timed:
        raise _mismatch(args, "no timestamps", f"--timestamp {args.timestamp}", "leave --timestamp out")
    return learner


def _mismatch(args, saved, got, remedy):
    return UserError(f"--resume {args.resume} continues a model with {saved}, got {got}; {remedy}, or start a new "
                     "model without --resume.")


def _check_save(args):
    """Raises UserError, before hours of learning, if --save cannot be written or is another file of this run."""
    several = len(args.column) > 1
    if several and args.resume is not None:
        raise UserError(f"--resume {args.resume} continues one model, got {len(args.column)} columns; resume each "
                        "column in a run of its own.")
    if args.save is None:
        return
    if several and not Path(args.save).is_dir():
        raise UserError(f"--save must be an existing folder with {len(args.column)} columns, got {args.save}; give "
                        "--save FOLDER.")
    for path in _saved(args):
        target = check_target(path)
        for name, other in (("the file that is read", args.file), ("the file of --out", args.out)):
            if other not in (None, "-", "") and Path(other).resolve() == target:
                raise UserError(f"--save {args.save} is {name}; name another one.")


def _saved(args):
    """The files of --save, one for each column."""
    if len(args.column) == 1:
        return [args.save]
    bad = next((c for c in args.column if Path(c).name != c), None)
    if bad is not None:
        raise UserError(f"--save names files after the columns, got the column {bad!r}, which cannot be a file's name; "
                        "learn it in a run of its own.")
    return [Path(args.save) / (column + SUFFIX) for column in args.column]


def _save(learners, args, journal, rows):
    """The rows are on the disk before the model is."""
    if args.save is None:
        return
    stand = journal.stand(rows)
    if stand is not None and args.out is not None:
        rows.sync()
    for learner, path in zip(learners, _saved(args)):
        learner.save(path, stand and asdict(stand))


def _learn(learners, stream, tables, rows, form, journal, args):
    """Learns the whole stream. The rows of each chunk are written before the next chunk is read. With --save a signal
    takes effect only at the end of a chunk."""
    if not rows.length:
        rows.header(form.header())
    alarms = Alarms(args.alarm, args.exec)
    # No progress bar in logs (None: only on a terminal), and none between rows on the same terminal.
    hidden = True if is_standard_output(args.out) and sys.stdout.isatty() else None
    with tqdm(total=stream.size, unit="B", unit_scale=True, disable=hidden) as bar:
        for table in journal.remaining(tables, form.skip):
            with ended_later() if args.save is not None else nullcontext():
                outputs = [_learn_chunk(learner, list(cells), stream.name)
                           for learner, cells in zip(learners, zip(*table))]
                rows.write(form.rows(outputs), len(table))
                journal.learned(table)
                if journal.due:
                    _save(learners, args, journal, rows)
            for column, own in zip(stream.columns, outputs):
                alarms.look(f"{stream.name}, column {column!r}", own)
            bar.update(stream.done - bar.n)
    alarms.wait()


def _learn_chunk(learner, rows, name):
    try:
        return learner.learn(rows)
    except TrainingError as error:
        before = _new_rows(learner) + learner.gaps
        raise diverged(error, name, before, "give a smaller --ahead or another --seed") from None


def _new_rows(learner):
    """Rows learned in this run."""
    return learner.comparison.rows - learner.rows_before


def _summarise(learners, name, missing, args):
    """Prints a summary: to the standard error if the rows went to the standard output, else to the standard output."""
    target, learner = sys.stderr if is_standard_output(args.out) else sys.stdout, learners[0]
    device, before = learner.model.device, learner.rows_before
    earlier = f" after {before:,} earlier ones" if before else ""
    where = f"learned on {device.name} ({device.backend}, {device.kind}), seed {learner.model.seed}"
    if len(learners) == 1:
        print(f"{_new_rows(learner):,} rows of {name}{earlier} {where}\n{learner.summary()}", file=target)
    else:
        print(f"{len(learners)} columns of {name} {where}", file=target)
        for column, one in zip(args.column, learners):
            print(f"{column!r}: {_new_rows(one):,} rows, {one.comparison.line()}", file=target)
    if table := missing.table():
        print(table, file=target)
