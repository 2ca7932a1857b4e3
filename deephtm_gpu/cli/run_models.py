"""The models of one file of `deephtm run`: new or resumed, and where they are saved."""

from dataclasses import asdict
from pathlib import Path

from deephtm_gpu.cli.run_names import SUFFIX
from deephtm_gpu.errors import UserError
from deephtm_gpu.learner import Learner
from deephtm_gpu.saving.container import check_target


def learners_of(args) -> list[Learner]:
    """New ones, or those of --resume, one for each column."""
    return [_learner(args) for _ in args.column]


def _learner(args):
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


def check_models(args):
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


def save(learners, args, journal, rows):
    """To --save, if it is given. The rows are on the disk before the models are."""
    if args.save is None:
        return
    stand = journal.stand(rows)
    if stand is not None and args.out is not None:
        rows.sync()
    for learner, path in zip(learners, _saved(args)):
        learner.save(path, stand and asdict(stand))


def _saved(args):
    """The files of --save, one for each column."""
    if len(args.column) == 1:
        return [args.save]
    bad = next((c for c in args.column if Path(c).name != c), None)
    if bad is not None:
        raise UserError(f"--save names files after the columns, got the column {bad!r}, which cannot be a file's name; "
                        "learn it in a run of its own.")
    return [Path(args.save) / (column + SUFFIX) for column in args.column]
