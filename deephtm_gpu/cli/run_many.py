"""`deephtm run` of many files at once: one model for each file, all in one population while they have no gaps."""

import os
from contextlib import ExitStack, contextmanager
from itertools import islice
from pathlib import Path

from tqdm import tqdm

from deephtm_gpu.cli.alarms import Alarms
from deephtm_gpu.cli.reading import Missing
from deephtm_gpu.cli.row_file import row_file
from deephtm_gpu.cli.row_format import RowFormat
from deephtm_gpu.cli.run_output import check_enough_rows, diverged
from deephtm_gpu.cli.signals import ended_later
from deephtm_gpu.errors import TrainingError, UserError
from deephtm_gpu.learner import PopulationLearner, is_plain
from deephtm_gpu.saving.container import check_target
from deephtm_gpu.sources import CHUNK, open_source

SUFFIX = ".model"
SPARE = 64  # files that the rest of the program has open
REMEDY = "leave this file out, or give a smaller --ahead or another --seed"


def run_many(args, how) -> int:
    """Writes the rows of every file to a file of the same name in the folder --out, and its model to NAME.model in the
    folder --save. how: the Reading.

    A file that cannot be read to its end stops alone: its rows up to there are written and its model is saved. The
    others go on, and the error is raised at the end. After any other error there are no outputs.
    """
    names = _names(args)
    _allow_open_files(2 * len(names) + SPARE)
    with ExitStack() as opened:
        streams = [opened.enter_context(open_source(path, args.column, args.timestamp, how)) for path in args.files]
        writers = [opened.enter_context(row_file(Path(args.out) / name, path)) for name, path in zip(names, args.files)]
        models = opened.enter_context(_models(args.save))
        learner = PopulationLearner(
            len(names), args.ahead or 1, args.timestamp is not None, args.seed or 0, args.device
        )
        forms = [RowFormat(args.column, args.format, args.alarm, args.ahead or 1) for _ in names]
        alarms = Alarms(args.alarm, args.exec)
        files = _Files(models, learner, names, streams, writers, forms, alarms, Missing(args.missing))
        try:
            files.learn()
        except KeyboardInterrupt:
            files.end_all()
            raise
    alarms.wait()
    files.report()
    return 0


class _Files:
    """The files, by number, until each ends."""

    def __init__(self, models, learner, names, streams, writers, forms, alarms, missing):
        self._models, self._learner, self._names, self._streams = models, learner, names, streams
        self._writers, self._forms, self._alarms, self._missing = writers, forms, alarms, missing
        self._active = {n: missing.rows(s) for n, s in enumerate(streams)}
        self._alone = None  # (number, Learner) of a file that is learned outside the population
        self._stopped: dict[int, UserError] = {}  # why a file could not be read to its end
        for writer, form in zip(writers, forms):
            writer.header(form.header())

    def learn(self):
        total = sum(s.size for s in self._streams if s.size is not None)
        with tqdm(total=total, unit="B", unit_scale=True, disable=None) as bar:
            while self._active:
                rows = {n: self._take(n) for n in self._active}
                # What models of a population do, they do together: a file with gaps is learned by itself, to its end.
                for n in [n for n, chunk in rows.items() if len(chunk) < CHUNK or not is_plain(chunk)]:
                    self._learn_alone(n, rows.pop(n), bar)
                if rows:
                    with ended_later():
                        self._write(self._learn(rows))
                self._show(bar)

    def report(self):
        """Prints what was skipped where. Raises UserError if a file could not be read to its end."""
        if table := self._missing.table():
            print(table, flush=True)
        if not self._stopped:
            return
        first, *others = self._stopped.values()
        if not others:
            raise first
        print("stopped\n" + "\n".join(map(str, self._stopped.values())), flush=True)
        raise UserError(f"{len(self._stopped)} of {len(self._names)} files could not be read to their ends, the first: "
                        f"{first}")

    def _take(self, n):
        """The next CHUNK rows of a file; fewer at its end."""
        rows = []
        try:
            for row in islice(self._active[n], CHUNK):
                rows.append(row)
        except UserError as error:
            self._stopped[n] = error
        return rows

    def _learn(self, rows):
        try:
            return self._learner.learn(rows)
        except TrainingError as error:
            n = self._learner.learner_of(error.models[0])
            raise self._diverged(n, error) from None

    def _learn_alone(self, n, rows, bar):
        """Learns these rows and the rest of the file outside the population."""
        learner, whole = self._learner.take_out(n), len(rows) == CHUNK
        self._alone = n, learner
        while rows:
            with ended_later():
                try:
                    self._write({n: learner.learn(rows)})
                except TrainingError as error:
                    raise self._diverged(n, error) from None
            self._show(bar)
            rows = self._take(n) if whole else []
            whole = len(rows) == CHUNK
        with ended_later():
            del self._active[n]
            self._alone = None
            self._check_enough(n, learner)
            if n not in self._stopped:
                self._writers[n].write(self._forms[n].to_come([learner.waiting]), 0)
            self._finish(n, learner)

    def _check_enough(self, n, learner):
        try:
            check_enough_rows(learner.comparison, self._streams[n].name)
        except UserError as error:
            self._stopped.setdefault(n, error)

    def _show(self, bar):
        bar.update(sum(s.done for s in self._streams) - bar.n)

    def end_all(self):
        """After Ctrl-C: saves what has been learned."""
        for n in list(self._active):
            alone = self._alone is not None and self._alone[0] == n
            if self._learner.learners[n].comparison.rows:
                self._finish(n, self._alone[1] if alone else self._learner.take_out(n))

    def _finish(self, n, learner):
        if self._models is not None:
            learner.save(self._models.part_of(Path(self._names[n]).stem + SUFFIX))
        device = learner.model.device
        learner.model = None  # a thousand models would fill the memory
        print(f"{learner.comparison.rows:,} rows of {self._streams[n].name} learned on {device.name}: "
              f"{learner.comparison.line()}",
              flush=True)

    def _write(self, outputs):
        for n, rows in outputs.items():
            self._writers[n].write(self._forms[n].rows([rows]), len(rows))
            self._alarms.look(self._streams[n].name, rows)

    def _diverged(self, n, error):
        learner = self._learner.learners[n]
        return diverged(error, self._streams[n].name, learner.comparison.rows + learner.gaps, REMEDY)


class _Models:
    """Saved models, under temporary names until `finish`."""

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
    """A _Models, or None without --save. Its files appear when the block ends without an error, or with Ctrl-C."""
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
    """The names of the output files, in the order of the files. Raises UserError if two outputs, or an output and an
    input, collide."""
    if len(args.column) > 1:
        raise UserError(f"--column must be given once with several files, got {len(args.column)} columns and "
                        f"{len(args.files)} files; learn each file in a run of its own.")
    if "-" in args.files:
        raise UserError("The standard input cannot be one of several files; learn it alone: deephtm run - --column C.")
    if args.resume is not None:
        raise UserError(f"--resume {args.resume} continues one model, got {len(args.files)} files; resume each file in "
                        "a run of its own.")
    _check_folders(args)
    names = [Path(path).name for path in args.files]
    stems: dict[str, str] = {}
    for path, name in zip(args.files, names):
        if (stem := Path(name).stem) in stems:
            raise UserError(f"{stems[stem]} and {path} would both be written to {stem!r} in {args.out}; give the files "
                            "different names.")
        stems[stem] = path
        if args.save is not None:
            check_target(Path(args.save) / (stem + SUFFIX))
    _check_apart(args, names, stems)
    return names


def _check_folders(args):
    for option, folder in (("--out", args.out), ("--save", args.save)):
        if folder is None and option == "--save":
            continue
        if not folder or not Path(folder).is_dir():
            got = f"{folder}, which is no folder" if folder else "nothing"
            raise UserError(f"{option} must be an existing folder with {len(args.files)} files, got {got}; give "
                            f"{option} FOLDER.")


def _check_apart(args, names, stems):
    """Raises UserError if an output would overwrite an input or another output."""
    taken = {Path(path).resolve(): f"the file {path}" for path in args.files}
    written = [(Path(args.out) / name, "the rows of") for name in names]
    written += [(Path(args.save) / (stem + SUFFIX), "the model of") for stem in stems] if args.save is not None else []
    for path, what in written:
        if (owner := taken.get(path.resolve())) is not None:
            raise UserError(f"{what.capitalize()} {path.stem!r} would be written over {owner}; name another folder.")
        taken[path.resolve()] = f"{what} {path.stem!r}"


def _allow_open_files(files):
    """Raises the limit on open files. Raises UserError if the system allows fewer."""
    try:
        import resource
    except ImportError:  # Windows has no such limit
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = files if hard == resource.RLIM_INFINITY else min(files, hard)
    if soft != resource.RLIM_INFINITY and soft < most:
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
    if hard != resource.RLIM_INFINITY and hard < files:
        raise UserError(f"Open files must be at most {hard:,} on this system, got {files:,}; name fewer files "
                        "at a time.")
