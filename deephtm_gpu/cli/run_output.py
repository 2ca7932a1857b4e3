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


def new_rows(learner) -> int:
    """Rows learned in this run."""
    return learner.comparison.rows - learner.rows_before


def tell_learned(learners, name):
    """Prints a line on one of many files. learners: the only one of the file."""
    learner, = learners
    earlier = f" after {learner.rows_before:,} earlier ones" if learner.rows_before else ""
    print(f"{new_rows(learner):,} rows of {name}{earlier} learned on {learner.model.device.name}: "
          f"{learner.comparison.line()}", flush=True)


def kept(rows, model) -> str:
    """What is left of one of many files whose training diverged, and what to do. rows: written before. model: where its
    model would have been saved; None without --save."""
    there = f" (the file {model} is of an earlier save)" if model is not None and model.exists() else ""
    unsaved = "" if model is None else f", its model is not saved{there}"
    return (f"{rows:,} rows before are written{unsaved}; leave this file out, or give a smaller --ahead or another "
            "--seed")


def raise_stopped(errors, missing, files):
    """At the end of many files: prints what was skipped where, and raises what stopped some of the files."""
    if table := missing.table():
        print(table, flush=True)
    if not errors:
        return
    first, *others = errors
    if not others:
        raise first
    print("stopped\n" + "\n".join(map(str, errors)), flush=True)
    raise UserError(f"{len(errors)} of {files} files could not be learned to their ends, the first: {first}")
