"""`deephtm run`: learns columns of a file, or of a live pipe, online; writes predictions and anomalies row by row."""

from math import isfinite

from deephtm_gpu.cli import alarms, reading
from deephtm_gpu.cli.alarms import check_alarm
from deephtm_gpu.cli.reading import check_columns, reading_of
from deephtm_gpu.cli.row_format import CSV, JSON_LINES
from deephtm_gpu.cli.run_each import run_each
from deephtm_gpu.cli.run_many import run_many
from deephtm_gpu.cli.run_models import check_models
from deephtm_gpu.cli.run_one import run_one
from deephtm_gpu.cli.signals import ended_by_signals
from deephtm_gpu.errors import UserError

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
                        help="continues from the file that --save wrote, as if these rows came after those rows; with "
                             "several files from the folder, and a file without a model begins anew")
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
    check_columns(args)
    how = reading_of(args)
    _check_save_every(args)
    check_alarm(args)
    if args.no_learn and args.resume is None:
        raise UserError("--no-learn looks with a network that has learned, got none; give --resume FILE.")
    with ended_by_signals():
        if len(args.files) > 1:
            return run_many(args, how) if args.resume is None else run_each(args, how)
        args.file = args.files[0]
        check_models(args)
        return run_one(args, how)


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
