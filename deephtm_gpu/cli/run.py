"""`deephtm run`: learns a column of a CSV file, or of a live pipe, online; writes predictions and anomalies row by
row."""

import csv
import sys
from contextlib import nullcontext
from pathlib import Path

from tqdm import tqdm

from deephtm_gpu.cli.run_many import run_many
from deephtm_gpu.cli.run_output import HEADER, as_texts, check_enough_rows, diverged, interrupt_later, output
from deephtm_gpu.errors import TrainingError, UserError
from deephtm_gpu.learner import Learner
from deephtm_gpu.saving.container import check_target
from deephtm_gpu.sources import open_source

MAX_AHEAD = 10_000  # rows: the model keeps every step whose target has not come


def add_arguments(parser):
    parser.add_argument("files", metavar="FILE.csv", nargs="+",
                        help="its first line names the columns; '-' reads the standard input. Several files: one "
                             "model each")
    parser.add_argument("--column", required=True, metavar="C", help="the column to learn")
    parser.add_argument("--timestamp", metavar="T",
                        help="the column of timestamps; the model then sees time of day and weekday")
    parser.add_argument("--ahead", type=int, metavar="N", help="how many rows ahead to predict (1, or as resumed)")
    parser.add_argument("--out", metavar="FILE.csv",
                        help="the output file (the standard output); with several files a folder")
    parser.add_argument("--save", metavar="FILE",
                        help="saves the model and its state at the end, for --resume; with several files a folder")
    parser.add_argument("--resume", metavar="FILE",
                        help="continues from the file that --save wrote, as if these rows came after those rows")
    parser.add_argument("--device", default="auto", metavar="D",
                        help="auto, gpu, numpy, or part of an adapter's name (auto)")
    parser.add_argument("--seed", type=int, metavar="S", help="of the initial weights (0, or as resumed)")


def run(args) -> int:
    """Learns the file, or the files, and returns 0.

    Raises UserError and TrainingError; then there is no output file, and the file of --save is unchanged. Raises
    KeyboardInterrupt after the rows learned so far, the summary and the save are written.
    """
    if args.ahead is not None and not 1 <= args.ahead <= MAX_AHEAD:
        raise UserError(f"--ahead must be from 1 to {MAX_AHEAD:,} rows, got {args.ahead}.")
    if len(args.files) > 1:
        return run_many(args)
    args.file = args.files[0]
    _check_save(args)
    with open_source(args.file, args.column, args.timestamp) as stream, output(args.out, args.file) as out:
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
    """A new Learner, or the one of --resume."""
    timed = args.timestamp is not None
    if args.resume is None:
        return Learner(args.ahead or 1, timed, seed=args.seed or 0, device=args.device)
    learner = Learner.load(args.resume, args.device)
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
    if args.save is None:
        return
    target = check_target(args.save)
    for name, other in (("the file that is read", args.file), ("the file of --out", args.out)):
        if other not in (None, "-", "") and Path(other).resolve() == target:
            raise UserError(f"--save {args.save} is {name}; name another one.")


def _save(learner, args):
    if args.save is not None:
        learner.save(args.save)


def _learn(learner, stream, out, whole_chunks):
    """Learns the whole stream. The rows of each chunk are written before the next chunk is read.

    whole_chunks: whether Ctrl-C takes effect only at the end of a chunk.
    """
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(HEADER)
    # No progress bar in logs (None: only on a terminal), and none between rows on the same terminal.
    hidden = True if out is sys.stdout and out.isatty() else None
    with tqdm(total=stream.size, unit="B", unit_scale=True, disable=hidden) as bar:
        for rows in stream.chunks():
            with interrupt_later() if whole_chunks else nullcontext():
                writer.writerows(map(as_texts, _learn_chunk(learner, rows, stream.name)))
                out.flush()
            bar.update(stream.done - bar.n)


def _learn_chunk(learner, rows, name):
    try:
        return learner.learn(rows)
    except TrainingError as error:
        before = learner.comparison.rows - learner.rows_before
        raise diverged(error, name, before, "give a smaller --ahead or another --seed") from None


def _summarise(learner, name, args):
    """Prints a summary: to the standard error if the rows went to the standard output, else to the standard output."""
    device, rows, before = learner.model.device, learner.comparison.rows, learner.rows_before
    earlier = f" after {before:,} earlier ones" if before else ""
    print(
        f"{rows - before:,} rows of {name}{earlier} learned on {device.name} ({device.backend}, {device.kind}), "
        f"seed {learner.model.seed}\n{learner.summary()}",
        file=sys.stdout if args.out else sys.stderr,
    )
