"""`deephtm run` of many files that are resumed: one after the other, each as in a run of its own."""

import sys
from argparse import Namespace
from pathlib import Path

from deephtm_gpu.cli.reading import Missing
from deephtm_gpu.cli.run_many import models_in
from deephtm_gpu.cli.run_names import model_of, names_of
from deephtm_gpu.cli.run_one import learn_file
from deephtm_gpu.cli.run_output import kept, raise_stopped, tell_learned
from deephtm_gpu.errors import DeviceError, TrainingError, UserError
from deephtm_gpu.sources import open_source


def run_each(args, how) -> int:
    """As `run_many`. A file goes on from the model of its name in the folder --resume; one without such a model begins
    anew. how: the Reading.

    Models that go on stand at different steps, which those of a population cannot.
    """
    names, missing, stopped = names_of(args), Missing(args.missing), []
    for path in args.files:  # all of them can be opened, before hours of learning
        with open_source(path, args.column, args.timestamp, how):
            pass
    with models_in(args.save) as models:
        for path, name in zip(args.files, names):
            model = None if args.save is None else Path(args.save) / model_of(name)
            try:
                own = _of_file(args, path, name, models)
                learn_file(own, how, missing, tell_learned, lambda rows, model=model: kept(rows.rows, model))
            except DeviceError:  # it would be the same for all of them
                raise
            except (UserError, TrainingError) as error:
                stopped.append(error)
    raise_stopped(stopped, missing, len(names))
    return 0


def _of_file(args, path, name, models) -> Namespace:
    """The arguments of a run of this file alone."""
    own = Namespace(**vars(args))
    own.file, own.out = path, str(Path(args.out) / name)
    own.save = models and str(models.part_of(model_of(name)))
    own.resume = str(Path(args.resume) / model_of(name))
    if not Path(own.resume).exists():
        if args.no_learn:
            raise UserError(f"{path}: --no-learn looks with a network that has learned, got no model {own.resume}; "
                            "leave this file out, or leave --no-learn out.")
        print(f"{path}: begins anew, there is no model {own.resume}", file=sys.stderr)
        own.resume = None
    return own
