"""How a model learns a series: chunk by chunk, with a bar, callbacks, and a History in the end."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import pairwise

import numpy as np
from tqdm import tqdm

from deephtm_gpu.arguments import check_flag, shown
from deephtm_gpu.arrangement import prediction_shape
from deephtm_gpu.backends.batch import Outputs
from deephtm_gpu.errors import UserError
from deephtm_gpu.history import History, StepResult
from deephtm_gpu.numeric import as_array
from deephtm_gpu.session import Run
from deephtm_gpu.state import describe_observed

CHUNK = 512  # steps given to a session at once; the result does not depend on it
_NONE = object()  # there is no chunk
HISTORY_BYTES = 256 << 20  # of the History of an iterator: older rows are dropped, so that memory stays bounded


def fit(model, inputs, targets, ahead, progress, callback, mask, learn) -> History:
    """See `Model.fit`."""
    runs, done, bounded = [], 0, is_iterator(inputs)
    progress, learn = check_flag("progress", progress), check_flag("learn", learn)
    if bounded and mask is not None:
        raise UserError("mask must be left out where inputs are an iterator; give the series as one array.")
    if is_iterator(targets) != bounded and targets is not None:
        raise UserError("targets must be an iterator where inputs are one, and only then; give both alike.")
    series = _pieces(model, inputs, targets) if bounded else [whole_series(model, inputs, targets, mask)]
    callbacks, given = _callbacks(callback, model), targets is not None
    with tqdm(total=None if bounded else len(series[0][0][0]), unit="step", disable=not progress) as bar, _named(model):
        for xs, ys, active in series:
            for chunk in _chunks(xs, ys, active):
                run = model.session.run(*chunk[:2], learn=learn, ahead=ahead, active=chunk[2], done=done)
                runs.append(run)
                done += len(run)
                bar.update(len(run))
                if bounded:
                    _forget(runs)
                if any([c(done, history_of(model, [run], given)) is True for c in callbacks]):
                    return history_of(model, runs, given)
            if active is not None and not active[-1].any():
                _end(model, runs, active)
    for c in callbacks:
        getattr(c, "end", lambda: None)()
    if not runs:
        raise UserError("inputs must have one chunk or more, got an iterator without any.")
    return history_of(model, runs, given)


def is_iterator(inputs) -> bool:
    return isinstance(inputs, Iterator)


def step_result(model, run: Run, given: bool) -> StepResult:
    """What one step gave."""
    arrange, session = model.arrangement, model.session
    own = [losses for first, losses, _ in run.scores if not given or first == run.first]
    nothing = [np.full((1, session.setup.units), np.nan, np.float32)] * len(session.setup.losses)
    loss = arrange.last(arrange.shown(_total(session.setup.weights, own[-1] if own else nothing)))
    made = [arrange.last(p) for p in _predictions(model, run.outputs, not given)]
    return StepResult(_unpack(made), loss, arrange.last(arrange.shown(run.outputs.anomaly)))


def history_of(model, runs: list[Run], given: bool, observed: bool | None = None) -> History:
    """The runs one behind the other. A prediction's loss is reported when its target comes; it goes back beside the
    prediction. observed: whether it has what was observed; None: where the session does."""
    session, shown = model.session, model.arrangement.shown
    first, outputs = runs[0].first, Outputs.joined([run.outputs for run in runs])
    losses, late = _beside_predictions(runs, first, outputs.losses)
    loss = _total(session.setup.weights, losses)
    looked_at = {}
    if outputs.observed and (session.observes if observed is None else observed):
        described = describe_observed(session.setup.network, session.forms, outputs.observed)
        looked_at = {layer: {name: shown(array) for name, array in found.items()} for layer, found in described.items()}
    return History(
        shown(loss),
        _unpack(_predictions(model, outputs, not given)),
        shown(outputs.anomaly),
        looked_at,
        [shown(x) for x in losses],
        shown(_total(session.setup.weights, late)),
        first,
        model.arrangement.steps_axis,
    )


def _beside_predictions(runs, first, like):
    """like: one (T, S) per output -> the losses of the steps that made the predictions, one (T, S) per output, and
    those of earlier steps."""
    losses, late = [np.full_like(x, np.nan) for x in like], []
    for begin, scored, served in (score for run in runs for score in run.scores):
        before = max(0, min(first - begin, len(scored[0])))
        if before and not served:
            late.append([x[:before] for x in scored])
        for mine, x in zip(losses, scored):
            mine[begin + before - first : begin - first + len(x)] = x[before:]
    late = [np.concatenate(x) for x in zip(*late)] if late else [x[:0] for x in like]
    return losses, late


def _total(weights, losses):
    return sum(weight * loss if weight != 1 else loss for weight, loss in zip(weights, losses) if weight)


def _predictions(model, outputs: Outputs, follows: bool) -> list[np.ndarray]:
    network, forms = model.session.setup.network, model.session.forms
    return [model.arrangement.shown(p.reshape(*p.shape[:2], *prediction_shape(network, forms, j, p.shape[2], follows)))
            for j, p in enumerate(outputs.predictions)]


def _unpack(arrays):
    return arrays[0] if len(arrays) == 1 else arrays


# Series


def check_series(model, inputs, targets, mask=None):
    """-> the inputs and the targets (or None), one array (T, S, D) each. mask: which streams are active, (T, S)."""
    setup, arrange = model.session.setup, model.arrangement
    xs = arrange.series("inputs", inputs, [n.layer.shape for n in setup.network.inputs], mask=mask)
    if targets is None:
        return xs, None
    shapes = [model.session.forms[n].whole_shape for n in setup.network.outputs]
    classes = [loss.takes_classes for loss in setup.losses]
    return xs, arrange.series("targets", targets, shapes, classes, len(xs[0]), mask)


def whole_series(model, inputs, targets, mask=None):
    """All of a series at once: (inputs, targets, active)."""
    active = None if mask is None else _check_mask(model, mask)
    xs, ys = check_series(model, inputs, targets, active)
    if active is not None and len(active) != len(xs[0]):
        raise UserError(f"mask must have as many steps as the inputs, got {len(active)} and {len(xs[0])}.")
    _check_distributions(model, xs, ys, active)
    return xs, ys, active


def _pieces(model, inputs, targets):
    """An iterator's chunks, as they come."""
    for x in inputs:
        y = None if targets is None else next(targets, _NONE)
        if y is _NONE:
            raise UserError("targets must have as many chunks as the inputs, got fewer; give one for each.")
        yield whole_series(model, x, y)


def _check_distributions(model, xs, ys, active):
    active = np.ones(xs[0].shape[:2], bool) if active is None else active
    session = model.session
    for loss, x, output in zip(session.setup.losses, ys or xs, session.setup.network.outputs):
        loss.check_targets("inputs" if ys is None else "targets", x, active, session.forms[output].sites)


def _check_mask(model, mask) -> np.ndarray:
    """mask (T, S) -> the same as an array, all its rules kept."""
    mask, S = as_array("mask", mask), model.streams
    if S == 1:
        raise UserError("mask must be left out where the model has one stream; cut the series where it ends, and call "
                        "reset() before the next.")
    if mask.ndim != 2 or mask.shape[1] != S or not (mask.dtype == bool or np.isin(mask, (0, 1)).all()):
        raise UserError(f"mask must be (steps, {S}) truth values, got shape {mask.shape}, type {mask.dtype}.")
    mask = mask.astype(bool)
    begins = mask & ~np.vstack([model.session.position.active, mask[:-1]])
    if begins.any():
        step, stream = np.argwhere(begins)[0]
        raise UserError(f"mask must not let stream {stream} go on at step {step} after it has ended; call reset() "
                        "before a stream begins again.")
    return mask


def _chunks(xs, ys, active):
    """Behind the end of all streams there is nothing to run."""
    T = len(xs[0]) if active is None else int(active.any(axis=1).sum())
    for begin, end in pairwise([*range(0, T, CHUNK), T]):
        cut = slice(begin, end)
        yield [x[cut] for x in xs], ys and [y[cut] for y in ys], None if active is None else active[cut]


def _end(model, runs, active):
    """All streams have ended: the rows behind are NaN."""
    session, left = model.session, int((~active.any(axis=1)).sum())
    session.end_streams()
    nothing = Outputs.empty(session.plan, left)
    nothing.mute(np.ones((left, session.setup.units), bool))
    runs.append(Run(session.position.steps, nothing))


def _forget(runs):
    """Drops the oldest where they take up too much memory."""
    while len(runs) > 1 and sum(run.outputs.bytes for run in runs) > HISTORY_BYTES:
        del runs[0]


# Callbacks


def _callbacks(callback, model) -> list[Callable]:
    callbacks = [] if callback is None else list(callback) if isinstance(callback, (list, tuple)) else [callback]
    for c in callbacks:
        if not callable(c):
            raise UserError(f"callback must be a function of (steps done, History), or a list of them, got {shown(c)}.")
        getattr(c, "begin", lambda model: None)(model)
    return callbacks


def refuse_within_fit(model):
    """Raises UserError where the model is called to learn from within its own fit."""
    if model.session.busy:
        raise UserError("A model must not learn or step within its own fit, such as in a callback; do so after it.")


@contextmanager
def _named(model):
    """What interrupts learning names the step where the model stands. No other run may come in between."""
    refuse_within_fit(model)
    session = model.session
    session.busy = True
    try:
        yield
    except BaseException as interruption:
        if not isinstance(interruption, UserError):
            interruption.add_note(f"The model stands at step {model.steps:,} (model.steps), as if it had learned "
                                  "exactly so many, and can go on from there.")
        raise
    finally:
        session.busy = False
