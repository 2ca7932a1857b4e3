"""`deephtm run` of one file: learns its columns online, and writes their rows."""

import sys
from contextlib import nullcontext
from pathlib import Path

from tqdm import tqdm

from deephtm_gpu.cli.alarms import Alarms
from deephtm_gpu.cli.journal import Journal, Stand, begins_with
from deephtm_gpu.cli.reading import Missing
from deephtm_gpu.cli.row_file import growing_row_file, is_standard_output, row_file
from deephtm_gpu.cli.row_format import RowFormat
from deephtm_gpu.cli.run_models import learners_of, save
from deephtm_gpu.cli.run_output import check_enough_rows, diverged, new_rows
from deephtm_gpu.cli.signals import ended_later
from deephtm_gpu.errors import TrainingError, UserError
from deephtm_gpu.sources import RowError, open_source


def run_one(args, how) -> int:
    """Learns args.file. how: the Reading. Raises as `run`."""
    missing = Missing(args.missing)

    def tell(learners, name):
        _summarise(learners, name, missing, args)

    learn_file(args, how, missing, tell, lambda rows: "give a smaller --ahead or another --seed")
    return 0


def learn_file(args, how, missing, tell, remedy):
    """Learns args.file to its end. tell(learners, name) prints the summary. remedy(rows): what to do where training
    diverges; rows: the RowFile. Raises as `run`."""
    learners = learners_of(args)
    stand, same = _resumed(args, learners[0], how)
    journal = Journal(args.save_every, args.out, stand if same else None)
    with open_source(args.file, args.column, args.timestamp, how) as stream, _rows(args, stand) as rows:
        last = None if same else [learner.last for learner in learners]
        form = RowFormat(args.column, args.format, args.alarm, learners[0].ahead)
        try:
            _learn(learners, stream, missing.tables(stream, last), rows, form, journal, args, remedy)
        except (KeyboardInterrupt, RowError) as error:
            if isinstance(error, RowError) and not any(new_rows(learner) for learner in learners):
                raise UserError(str(error)) from None
            with ended_later():
                save(learners, args, journal, rows)
                tell(learners, stream.name)
            raise
        with ended_later():
            if not same:
                check_enough_rows(max((one.comparison for one in learners), key=lambda c: c.rows), stream.name)
            save(learners, args, journal, rows)
            rows.write(form.to_come([learner.waiting for learner in learners]), 0)
    tell(learners, stream.name)


def _resumed(args, learner, how) -> tuple[Stand | None, bool]:
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
    with open_source(args.file, args.column, args.timestamp, how) as stream:
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


def _learn(learners, stream, tables, rows, form, journal, args, remedy):
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
                outputs = [_learn_chunk(learner, list(cells), stream.name, lambda: remedy(rows))
                           for learner, cells in zip(learners, zip(*table))]
                rows.write(form.rows(outputs), len(table))
                journal.learned(table)
                if journal.due:
                    save(learners, args, journal, rows)
            for column, own in zip(stream.columns, outputs):
                alarms.look(f"{stream.name}, column {column!r}", own)
            bar.update(stream.done - bar.n)
    alarms.wait()


def _learn_chunk(learner, rows, name, remedy):
    try:
        return learner.learn(rows)
    except TrainingError as error:
        raise diverged(error, name, new_rows(learner) + learner.gaps, remedy()) from None


def _summarise(learners, name, missing, args):
    """Prints a summary: to the standard error if the rows went to the standard output, else to the standard output."""
    target, learner = sys.stderr if is_standard_output(args.out) else sys.stdout, learners[0]
    device, before = learner.model.device, learner.rows_before
    earlier = f" after {before:,} earlier ones" if before else ""
    where = f"learned on {device.name} ({device.backend}, {device.kind}), seed {learner.model.seed}"
    if len(learners) == 1:
        print(f"{new_rows(learner):,} rows of {name}{earlier} {where}\n{learner.summary()}", file=target)
    else:
        print(f"{len(learners)} columns of {name} {where}", file=target)
        for column, one in zip(args.column, learners):
            print(f"{column!r}: {new_rows(one):,} rows, {one.comparison.line()}", file=target)
    if table := missing.table():
        print(table, file=target)
