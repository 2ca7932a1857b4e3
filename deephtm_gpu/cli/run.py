"""`deephtm run`: learns a column of a CSV file, or of a live pipe, online; writes predictions and anomalies row by row."""

import csv
import os
import sys
from collections import deque
from contextlib import contextmanager
from pathlib import Path

from tqdm import tqdm

import deephtm_gpu as dh
from deephtm_gpu.anomaly import AnomalyLikelihood
from deephtm_gpu.data.baselines import Comparison
from deephtm_gpu.data.csv_stream import CsvStream
from deephtm_gpu.data.scaler import OnlineScaler
from deephtm_gpu.data.time_features import FEATURES, time_features
from deephtm_gpu.errors import TrainingError, UserError

HEADER = ("timestamp", "value", "prediction", "anomaly_score", "anomaly_likelihood")
LATER = 5000  # rows after which learning counts as settled, for the second error of the summary
FURTHEST = 10_000  # rows ahead: every step whose target has not come is kept whole
CORRECTED = 0.2  # at most this part of an error is corrected by its step: the rest may be noise
SLOW = 0.1  # the learning rate of encoder and pooler beside that of the rest: a moving code cannot be read


def add_arguments(parser):
    parser.add_argument("file", metavar="FILE.csv", help="its first line names the columns; '-' reads the standard input")
    parser.add_argument("--column", required=True, metavar="C", help="the column to learn")
    parser.add_argument("--timestamp", metavar="T", help="the column of timestamps; the model then sees time of day and weekday")
    parser.add_argument("--ahead", type=int, default=1, metavar="N", help="how many rows ahead to predict (1)")
    parser.add_argument("--out", metavar="FILE.csv", help="where the rows go (the standard output)")
    parser.add_argument("--device", default="auto", metavar="D", help="auto, gpu, numpy, or part of an adapter's name (auto)")
    parser.add_argument("--seed", type=int, default=0, metavar="S", help="of the weights at the start (0)")


def run(args) -> int:
    """Raises UserError and TrainingError, then leaving no output file; KeyboardInterrupt, after the summary."""
    if not 1 <= args.ahead <= FURTHEST:
        raise UserError(f"--ahead {args.ahead} was asked for; it must be 1 to {FURTHEST:,} rows.")
    with CsvStream(args.file, args.column, args.timestamp) as stream, _output(args.out, args.file) as out:
        learner = Learner(args.ahead, args.timestamp is not None, args.seed, args.device)
        try:
            _learn(learner, stream, out)
        except KeyboardInterrupt:
            _summarise(learner, stream.name, args)
            raise
        _check_rows(learner.comparison, stream.name)
    _summarise(learner, stream.name, args)
    return 0


class Learner:
    """A model of one series, and all that stands around it: scale, anomaly likelihood, comparison.

    ahead: rows. timed: whether the rows have timestamps. Everything is strictly online: a row's prediction was made
    `ahead` rows earlier, from what had arrived by then.
    """

    def __init__(self, ahead, timed, seed, device):
        # An error is corrected `ahead` rows late: a loop with a delay, which bursts when each round corrects more than
        # pi/2 / ahead of it. The Polyak step knows what part it corrects; with a fixed rate a step in the series burst it.
        # PolyakSGD divides by `ahead` itself.
        optimizer = dh.PolyakSGD(scale=min(CORRECTED * ahead, 1.0))
        self.model = dh.Model(_network(timed), loss="mse", optimizer=optimizer, seed=seed, device=device)
        self.comparison = Comparison(ahead, timed, LATER)
        self._ahead, self._timed = ahead, timed
        self._scaler, self._likelihood = OnlineScaler(), AnomalyLikelihood()
        self._waiting = deque()  # predictions whose rows have not come, the oldest first

    def learn(self, rows):
        """rows: a list of `csv_stream.Row`. Returns one tuple of texts per row, as HEADER names them."""
        z, mean, deviation = self._scaler.standardise([r.value for r in rows])  # (T,) each
        inputs = [z[:, None]]
        if self._timed:
            inputs.append(time_features([r.when for r in rows]))
        history = self.model.fit(inputs, ahead=self._ahead)
        made = mean + deviation * history.prediction[:, 0]  # (T,), each for the row `ahead` later
        likelihood = self._likelihood.batch(history.anomaly)
        return [self._told(*row) for row in zip(rows, made, history.anomaly, likelihood)]

    def _told(self, row, made, anomaly, likelihood):
        due = self._waiting.popleft() if len(self._waiting) == self._ahead else None
        self._waiting.append(float(made))
        self.comparison.update(row.value, row.when, due)
        shown = "" if due is None else f"{due:.15g}"
        return row.stamp, row.text, shown, f"{anomaly:.6f}", f"{likelihood:.10f}"


def _network(timed):
    """MODEL's network for noisy regression: the value, and the clock beside it, to the value."""
    inputs = [dh.Input((1,))] + ([dh.Input((FEATURES,))] if timed else [])
    x = dh.Concat()(inputs) if timed else inputs[0]
    h = dh.ReLU()(dh.Linear(256, lr_scale=SLOW)(x))
    h = dh.RunningNorm()(dh.ReLU()(dh.Linear(256, lr_scale=SLOW)(h)))
    columns = dh.SpatialPooler(columns=256, winners=20, lr_scale=SLOW)(h)
    cells = dh.TemporalMemory(cells_per_column=5)(columns)
    return dh.Network(inputs=inputs, outputs=dh.Linear(1)(dh.ReLU()(dh.Linear(256)(cells))))


def _learn(learner, stream, out):
    """Learns all of the stream; each chunk's rows are written before the next is waited for."""
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(HEADER)
    # No bar in logs (None: only on a terminal), nor between rows that go to the same terminal.
    hidden = True if out is sys.stdout and out.isatty() else None
    with tqdm(total=stream.size, unit="B", unit_scale=True, disable=hidden) as bar:
        for rows in stream.chunks():
            writer.writerows(_learn_chunk(learner, rows, stream.name))
            out.flush()
            bar.update(stream.done - bar.n)


def _learn_chunk(learner, rows, name):
    try:
        return learner.learn(rows)
    except TrainingError as error:
        row = learner.comparison.rows + error.step + 1
        raise TrainingError(
            f"Learning went out of bounds at row {row:,} of {name}: {error.layer} gave NaN or infinity; give a smaller --ahead "
            "or another --seed.", row, error.layer) from None


def _check_rows(comparison, name):
    if comparison.rows <= comparison.ahead:
        raise UserError(
            f"{name} has {comparison.rows} rows of numbers; to learn to predict {comparison.ahead} ahead takes "
            f"{comparison.ahead + 1} or more: add rows, or give a smaller --ahead."
        )


def _summarise(learner, name, args):
    """To the standard output, or to the standard error where the rows go to the standard output."""
    device = learner.model.device
    print(
        f"{learner.comparison.rows:,} rows of {name} learned on {device.name} ({device.backend}, {device.kind}), "
        f"seed {args.seed}\n{learner.comparison.table()}",
        file=sys.stdout if args.out else sys.stderr,
    )


@contextmanager
def _output(path, source):
    """The file that rows are written to. A file appears at `path` only when all went well, or at Ctrl-C: until then the
    rows go to another beside it, and what lay there before is unharmed."""
    if path is None:
        yield sys.stdout
        return
    target = Path(path).resolve()
    special = target.exists() and not target.is_file()  # a pipe or device is written to, never replaced
    part = target if special else target.with_name(target.name + ".part")
    if source != "-" and target.exists() and os.path.samefile(source, target):
        raise UserError(f"--out {path} is the file that is read; name another one.")
    try:
        file = open(part, "w", newline="", encoding="utf-8")
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise UserError(f"--out {path} cannot be written ({reason}); name a file in a folder that can be written to.") from None
    kept = False
    try:
        with file:
            try:
                yield file
                kept = True
            except KeyboardInterrupt:
                kept = file.tell() > 0
                raise
    finally:
        if not special:
            os.replace(part, target) if kept else part.unlink()
