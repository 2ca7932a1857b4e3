"""`deephtm run` of many CSV files at once: a model each, learned side by side."""

import csv
import os
from contextlib import ExitStack, contextmanager
from itertools import chain, islice
from pathlib import Path

from tqdm import tqdm

from deephtm_gpu.cli.run import HEADER, check_enough_rows, output, undisturbed
from deephtm_gpu.data.csv_stream import CHUNK, CsvStream
from deephtm_gpu.errors import TrainingError, UserError
from deephtm_gpu.learner import Crowd
from deephtm_gpu.saving.container import check_target

SUFFIX = ".model"
SPARE = 64  # files that the rest of the program has open


def run_many(args) -> int:
    """Every file's rows go to a file of its name in the folder --out, its model to NAME.model in the folder --save. As `run`:
    all outputs appear, or none."""
    names = _names(args)
    _allow(2 * len(names) + SPARE)
    crowd = None
    with ExitStack() as held:
        streams = [held.enter_context(CsvStream(path, args.column, args.timestamp)) for path in args.files]
        writers = [csv.writer(held.enter_context(output(Path(args.out) / name, path)), lineterminator="\n")
                   for name, path in zip(names, args.files)]
        models = held.enter_context(_models(args.save))
        crowd = Crowd(len(names), args.ahead or 1, args.timestamp is not None, args.seed or 0, args.device)
        files = _Files(models, crowd, names, streams, writers)
        try:
            files.learn()
        except KeyboardInterrupt:
            files.end_all()
            raise
    return 0


class _Files:
    """The files that still go on, by number."""

    def __init__(self, models, crowd, names, streams, writers):
        self._models, self._crowd, self._names, self._streams, self._writers = models, crowd, names, streams, writers
        self._going = {n: chain.from_iterable(s.chunks()) for n, s in enumerate(streams)}
        for writer in writers:
            writer.writerow(HEADER)

    def learn(self):
        total = sum(s.size for s in self._streams if s.size is not None)
        with tqdm(total=total, unit="B", unit_scale=True, disable=None) as bar:
            while self._going:
                rows = {n: list(islice(left, CHUNK)) for n, left in self._going.items()}
                with undisturbed():
                    for n in [n for n, chunk in rows.items() if len(chunk) < CHUNK]:
                        self._end(n, rows.pop(n))
                    if rows:
                        self._write(self._learn(rows))
                bar.update(sum(s.done for s in self._streams) - bar.n)

    def _learn(self, rows):
        try:
            return self._crowd.learn(rows)
        except TrainingError as error:
            n = self._crowd.name_of(error.models[0])
            raise self._out_of_bounds(n, error) from None

    def _end(self, n, last_rows):
        """The last rows are fewer than the others have: the model goes on alone."""
        learner = self._crowd.take_out(n)
        del self._going[n]
        if last_rows:
            try:
                self._write({n: learner.learn(last_rows)})
            except TrainingError as error:
                raise self._out_of_bounds(n, error) from None
        check_enough_rows(learner.comparison, self._streams[n].name)
        self._keep(n, learner)

    def end_all(self):
        """Interrupted: what has been learned is kept."""
        for n in list(self._going):
            if self._crowd.learners[n].comparison.rows:
                self._keep(n, self._crowd.take_out(n))

    def _keep(self, n, learner):
        if self._models is not None:
            learner.save(self._models.part_of(Path(self._names[n]).stem + SUFFIX))
        device = learner.model.device
        learner.model = None  # a thousand of them would fill the memory
        print(f"{learner.comparison.rows:,} rows of {self._streams[n].name} learned on {device.name}: {learner.comparison.line()}", flush=True)

    def _write(self, told):
        for n, rows in told.items():
            self._writers[n].writerows(rows)

    def _out_of_bounds(self, n, error):
        row = self._crowd.learners[n].comparison.rows + error.step + 1
        return TrainingError(f"Learning went out of bounds at row {row:,} of {self._streams[n].name}: {error.layer} gave NaN or infinity; "
                             "leave this file out, or give a smaller --ahead or another --seed.", row, error.layer)


class _Models:
    """Saved models, under other names until all have gone well."""

    def __init__(self, folder):
        self._folder, self._parts = folder, {}

    def part_of(self, name) -> Path:
        self._parts[name] = self._folder / f".{name}.{os.getpid()}.part"
        return self._parts[name]

    def finish(self):
        for name, part in self._parts.items():
            os.replace(part, self._folder / name)

    def drop(self):
        for part in self._parts.values():
            part.unlink(missing_ok=True)


@contextmanager
def _models(folder):
    """None without --save. They appear when all went well, or at Ctrl-C."""
    if folder is None:
        yield None
        return
    models = _Models(Path(folder))
    try:
        yield models
    except KeyboardInterrupt:
        models.finish()
        raise
    except BaseException:
        models.drop()
        raise
    models.finish()


def _names(args) -> list[str]:
    """The names of the output files, in the order of the files. Raises UserError where they would not do."""
    if "-" in args.files:
        raise UserError("The standard input was named beside other files; it can be learned alone: deephtm run - --column C.")
    if args.resume is not None:
        raise UserError(f"--resume {args.resume} was given with {len(args.files)} files; it goes on with one model: resume each file by itself.")
    for option, folder in (("--out", args.out), ("--save", args.save)):
        if folder is None and option == "--save":
            continue
        if not folder or not Path(folder).is_dir():
            raise UserError(f"{option} {folder or 'was not given'}{' is no folder' if folder else ''}; with {len(args.files)} files it names a folder that is there.")
    names = [Path(path).name for path in args.files]
    stems: dict[str, str] = {}
    for path, name in zip(args.files, names):
        if (stem := Path(name).stem) in stems:
            raise UserError(f"{stems[stem]} and {path} would both be written to {stem!r} in {args.out}; give the files different names.")
        stems[stem] = path
        if args.save is not None:
            check_target(Path(args.save) / (stem + SUFFIX))
    _check_apart(args, names, stems)
    return names


def _check_apart(args, names, stems):
    """Nothing that is written may be what is read, or be written twice."""
    taken = {Path(path).resolve(): f"the file {path}" for path in args.files}
    written = [(Path(args.out) / name, "the rows of") for name in names]
    written += [(Path(args.save) / (stem + SUFFIX), "the model of") for stem in stems] if args.save is not None else []
    for path, what in written:
        if (there := taken.get(path.resolve())) is not None:
            raise UserError(f"{what.capitalize()} {path.stem!r} would be written over {there}; name another folder.")
        taken[path.resolve()] = f"{what} {path.stem!r}"


def _allow(files):
    """Raises the limit on open files as far as may be."""
    try:
        import resource
    except ImportError:  # Windows has no such limit to speak of
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = files if hard == resource.RLIM_INFINITY else min(files, hard)
    if soft != resource.RLIM_INFINITY and soft < most:
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
    if hard != resource.RLIM_INFINITY and hard < files:
        raise UserError(f"The files named take {files:,} open files at once, and this system lets a program open {hard:,}; name fewer at a time.")
