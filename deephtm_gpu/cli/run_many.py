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
from deephtm_gpu.cli.run_names import model_of, names_of
from deephtm_gpu.cli.run_output import check_enough_rows, diverged, kept, raise_stopped, tell_learned
from deephtm_gpu.cli.signals import ended_later
from deephtm_gpu.errors import TrainingError, UserError
from deephtm_gpu.learner import PopulationLearner, is_plain
from deephtm_gpu.sources import CHUNK, open_source

SPARE = 64  # files that the rest of the program has open


def run_many(args, how) -> int:
    """Writes the rows of every file to a file of the same name in the folder --out, and its model to NAME.model in the
    folder --save. how: the Reading.

    A file that cannot be read to its end stops alone: its rows up to there are written and its model is saved. So does
    one whose training diverges, but its model is not saved. The others go on, and the error is raised at the end. After
    any other error there are no outputs.
    """
    names = names_of(args)
    _allow_open_files(2 * len(names) + SPARE)
    with ExitStack() as opened:
        streams = [opened.enter_context(open_source(path, args.column, args.timestamp, how)) for path in args.files]
        writers = [opened.enter_context(row_file(Path(args.out) / name, path)) for name, path in zip(names, args.files)]
        models = opened.enter_context(models_in(args.save))
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
        self._stopped: dict[int, UserError | TrainingError] = {}  # why a file was not learned to its end
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
        """Prints what was skipped where. Raises the error of a file that was not learned to its end."""
        raise_stopped(list(self._stopped.values()), self._missing, len(self._names))

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
        """-> the rows of those whose training did not diverge."""
        outputs = self._learner.learn(rows)
        for n in sorted(rows.keys() - outputs.keys()):
            self._stop_diverged(n, self._learner.diverged[n])
        return outputs

    def _stop_diverged(self, n, error):
        learner = self._learner.learners[n]
        before = learner.comparison.rows + learner.gaps
        model = self._models and self._models.folder / model_of(self._names[n])
        self._stopped[n] = diverged(error, self._streams[n].name, before, kept(self._writers[n].rows, model))
        learner.model = None
        del self._active[n]

    def _learn_alone(self, n, rows, bar):
        """Learns these rows and the rest of the file outside the population."""
        learner, whole = self._learner.take_out(n), len(rows) == CHUNK
        self._alone = n, learner
        while rows:
            with ended_later():
                try:
                    self._write({n: learner.learn(rows)})
                except TrainingError as error:
                    self._alone = None
                    self._stop_diverged(n, error)
                    return
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
            learner.save(self._models.part_of(model_of(self._names[n])))
        tell_learned([learner], self._streams[n].name)
        learner.model = None  # a thousand models would fill the memory

    def _write(self, outputs):
        for n, rows in outputs.items():
            self._writers[n].write(self._forms[n].rows([rows]), len(rows))
            self._alarms.look(self._streams[n].name, rows)


class _Models:
    """Saved models, under temporary names until `finish`."""

    def __init__(self, folder):
        self.folder, self._parts = folder, {}

    def part_of(self, name) -> Path:
        self._parts[name] = self.folder / f".{name}.{os.getpid()}.part"
        return self._parts[name]

    def finish(self):
        for name, part in self._parts.items():
            if part.exists():  # one whose training diverged has none
                os.replace(part, self.folder / name)

    def drop(self):
        for part in self._parts.values():
            part.unlink(missing_ok=True)


@contextmanager
def models_in(folder):
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
