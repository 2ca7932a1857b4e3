"""A network learning on a backend: the one object that runs, saves, copies, resumes and looks ahead."""

import threading
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

import numpy as np

from deephtm_gpu.backends.batch import Batch, Outputs, shares
from deephtm_gpu.errors import UserError
from deephtm_gpu.graph.forms import forms_of
from deephtm_gpu.graph.networks import Network
from deephtm_gpu.optimisers.base import Optimizer
from deephtm_gpu.plan.lowering import lower
from deephtm_gpu.plan.plan import Plan, Program
from deephtm_gpu.plan.tensors import AVERAGED, PARAMETERS, STATE, TAPE
from deephtm_gpu.saving.tensors import read_tensors, write_tensors
from deephtm_gpu.session.checkpoint import EVERY, Checkpoint, runs
from deephtm_gpu.session.divergence import error, find_layer, first_bad
from deephtm_gpu.session.position import Position
from deephtm_gpu.session.settings import Settings
from deephtm_gpu.session.turns import Part, next_turn
from deephtm_gpu.state import describe_state, observable


@dataclass(frozen=True)
class Setup:
    """What a session is made of. losses, weights: one per output. seeds: of each of the models that run side by
    side."""

    network: Network
    losses: list
    weights: list[float]
    optimizer: Optimizer
    streams: int
    seeds: tuple[int, ...]

    @property
    def units(self) -> int:
        """Streams of all models."""
        return len(self.seeds) * self.streams


@dataclass
class Run:
    """What T steps gave. first: the number of the first. outputs: their predictions, anomaly scores and what is
    observed. scores: the losses of the predictions scored meanwhile, each (the number of the first step that made them,
    one (R, S) array per output, whether they had been learned from before, by given targets)."""

    first: int
    outputs: Outputs
    scores: list[tuple[int, list[np.ndarray], bool]] = field(default_factory=list)

    def __len__(self):
        return len(self.outputs.anomaly)


@dataclass(frozen=True)
class Contents:
    """A session as data: where it stands, for which plan, and its tensors as `saving.tensors` reads them."""

    position: Position
    ahead: int
    given: bool
    arrays: dict[str, np.ndarray]


@dataclass(frozen=True)
class _Engine:
    plan: Plan
    forms: dict
    backend: object
    checkpoint: Checkpoint
    settings: Settings
    reports: bool  # whether every step reports what can be observed


class Session:
    """setup: the network and how it learns. opened: a device, see `backends.devices.open_device`.

    All methods may be called from several threads; they take turns. An exception that interrupts one, wherever it
    strikes, leaves the session where its `position` says: the next call goes back there first.
    """

    def __init__(self, setup: Setup, opened):
        self.setup, self.opened = setup, opened
        self._lock = threading.RLock()
        self.busy = False  # whether a fit is going on
        self.observes = False  # whether every run reports what `state.observable` lists
        self._written = False  # whether weights were put in
        self._dirty = False  # whether the backend may stand elsewhere than the position says
        self._looking: Position | None = None  # where a look ahead stands, which is undone in the end
        predicts = _predicts_inputs(setup.network)
        position = Position(np.ones(setup.units, bool), ahead=1 if predicts else 0)
        self._committed = position, 0  # where the session stands, and how many actions led there from the checkpoint
        self._wanted = position.ahead, not predicts, False  # what the engine is made for: see `_build`
        self._made: _Engine | None = self._build(*self._wanted)

    # Where it stands

    @property
    def position(self) -> Position:
        return self._looking or self._committed[0]

    @property
    def plan(self) -> Plan:
        return self._engine.plan

    @property
    def forms(self) -> dict:
        return self._engine.forms

    @property
    def backend(self):
        """Where the position says. Read, and change nothing."""
        with self._lock:
            self._settle()
            return self._engine.backend

    @property
    def ahead(self) -> int:
        """How many steps ahead the network predicts its inputs where nobody says otherwise: as it did last."""
        return self.position.horizon

    @property
    def steps(self) -> int:
        """Steps run since it was made, without those that only look ahead."""
        return self._committed[0].steps

    def turn(self):
        """A context manager: several calls in a row, while other threads wait."""
        return self._lock

    # Running

    def run(self, xs, ys=None, learn=True, ahead=1, active=None, done=0) -> Run:
        """Runs T steps. xs, ys: one array (T, S, D) per input and output; without ys the inputs are predicted, `ahead`
        steps later; with learn=False, inputs need not be what is predicted. active (T, S): which streams are active;
        None: as it stands. done: steps of the series before these, for messages. Raises UserError where inputs cannot
        be predicted, TrainingError where learning diverges."""
        with self._lock:
            self._settle()
            if ys is None and not learn and self.plan.follows:  # a look at the next step: there is nothing to score
                ahead = 0
            self._prepare(ahead if ys is None else 0, given=ys is not None or not ahead)
            if active is None:
                active = np.broadcast_to(self.position.active, (len(xs[0]), self.setup.units))
            return self._run(xs, ys, learn, ahead, active, done)

    def end_streams(self):
        """All streams have ended."""
        with self._lock:
            at, count = self._committed
            self._committed = replace(at, active=np.zeros_like(at.active)), count

    def look(self, xs, observed=False, averaged=False) -> Run:
        """As `run`, without learning. Leaves every bit as it was. observed: whether what `observe` asks for is reported
        too. averaged: by the averaged weights, for whose optimiser there are some."""
        with self._lock:
            self._settle()
            if observed:
                self._report(True)
            return self._look(xs, averaged)

    def _look(self, xs, averaged=False) -> Run:
        with self._aside():
            if averaged:
                for tensor in self._averaged():
                    self._engine.backend.write(tensor.name, self._engine.backend.read(f"{tensor.name}.{AVERAGED}"))
            active = np.broadcast_to(self.position.active, (len(xs[0]), self.setup.units))
            return self._run(xs, None, False, self.position.ahead, active, 0, mute=False)

    def _averaged(self) -> list:
        return [t for t in self.plan.stored_in(*PARAMETERS) if t.averaged]

    def averages(self) -> dict[str, np.ndarray]:
        """The averaged weights by the names of the weights."""
        return {t.name: self.read(f"{t.name}.{AVERAGED}") for t in self._averaged()}

    def rollout(self, steps: int) -> Run:
        """Feeds predictions back as the next inputs, from the last step on. Leaves every bit as it was."""
        with self._lock, self._aside():
            first, made = self.position.steps, [self.position.last]
            active = self.position.active[None]
            for _ in range(steps - 1):
                made.append(
                    self._run(made[-1].predictions, None, False, self.position.ahead, active, 0, mute=False).outputs
                )
            return Run(first, Outputs.joined(made))

    def reset(self):
        """Forgets the temporal state and what is pending. What the memories' windows have put off is learned first:
        their last steps can gather no more credit."""
        with self._lock:
            self._settle()
            at, backend = self.position, self._engine.backend
            actions = [] if at.learned is None else [runs(backend, self._flush(at))]
            self._commit([*actions, lambda: backend.reset()], at.after_reset(), self.plan.window)

    def _flush(self, at: Position) -> Batch:
        """What the memories' rings still hold (see `Program`)."""
        turns = self.plan.window - 1
        rates = np.array([self.setup.optimizer.rate(at.updates)] * turns, np.float32)
        share = None if self.setup.streams == 1 else shares(np.ones((turns, self.setup.streams), bool))
        behind = at.steps - at.next_learned
        return Batch(
            Program(teach=True, flush=True),
            [],
            None,
            rates,
            np.full(turns, at.updates),
            at.steps,
            behind,
            max(1, behind),
            share,
        )

    def _run(self, xs, ys, learn, ahead, active, done, mute=True) -> Run:
        run, n, outputs = Run(self.position.steps, Outputs.empty(self.plan, 0)), 0, []
        while n < len(xs[0]):
            parts, after = next_turn(self.position, n, xs, ys, learn, ahead)
            for part, batch, result in self._run_parts(parts, after, xs, ys, active, done, mute):
                if batch.program.target:
                    run.scores.append(
                        (batch.first - batch.behind, result.losses, batch.program.learn and not batch.program.teach)
                    )
                if batch.program.forward:
                    outputs.append(result)
                    n = part.end
        run.outputs = Outputs.joined(outputs) if outputs else run.outputs
        return run

    def _run_parts(self, parts: list[Part], after: Position, xs, ys, active, done, mute):
        """Runs them, all or none, and moves the position."""
        at, actions, made = self.position, [], []
        backend, updates, learned = self._engine.backend, at.updates, at.learned
        first = parts[0].begin
        self._begin()
        for part in parts:
            batch = self._batch(part, at.steps + part.begin - first, updates, xs, ys, active)
            if batch.program.teach:
                if learned not in (None, batch.first - batch.behind) and self.plan.credit:  # steps were left out
                    actions.append(lambda: backend.reset(self.plan.credit))
                    actions[-1]()
                learned, updates = batch.first - batch.behind + len(batch), updates + len(batch)
            result = backend.run(batch)
            if batch.program.learn and (bad := first_bad(result, batch, self.plan)) is not None:
                self._diverged(actions, result, batch, bad, done + part.begin)
            actions.append(runs(backend, batch.copy()))  # a live stream may use its own array again
            if mute:
                result.mute(~active[part.begin : part.end])
            made.append((part, batch, result))
            if batch.program.forward:
                last = result.last()
        horizon, still = after.ahead or at.horizon, active[parts[-1].end - 1].copy()
        after = replace(after, updates=updates, last=last, horizon=horizon, active=still)
        self._end(actions, after, sum(len(batch) for _, batch, _ in made))
        return made

    def _batch(self, part: Part, first: int, updates: int, xs, ys, active) -> Batch:
        cut, T = slice(part.begin, part.end), part.end - part.begin
        counts = updates + np.arange(T) if part.program.teach else np.full(T, updates)
        rates = np.array([self.setup.optimizer.rate(int(k)) for k in counts], np.float32)
        inputs, targets = [x[cut] for x in xs], ys and [y[cut] for y in ys]
        if not part.program.forward:
            inputs, targets = ([], part.target) if part.program.target == "given" else (part.target, None)
            inputs, targets = [x[None] for x in inputs], targets and [y[None] for y in targets]
        elif part.program.target != "given":
            targets = None
        share = shares(active[cut]) if self.setup.streams > 1 else None
        return Batch(part.program, inputs, targets, rates, counts, first, part.behind, part.waiting, share)

    def _diverged(self, actions, result, batch, bad, done):
        """Goes back to where these parts began, and raises what says why."""
        self._settle()
        for action in actions:
            action()
        layer = find_layer(self._engine.backend, batch, bad)
        self._dirty = True
        self._settle()
        raise error(result, batch, self.plan, layer, bad, done)

    # The way back

    def _settle(self):
        """Makes the backend stand where the position says, if a call was interrupted."""
        if self._dirty or self._looking is not None:
            self._dirty = True
            self._looking = None
            self._engine.checkpoint.recover(self._committed[1])
            self._dirty = False

    def _begin(self):
        if self._looking is None:
            self._committed = self._committed[0], self._engine.checkpoint.ready()
            self._dirty = True

    def _end(self, actions, after: Position, steps: int):
        if self._looking is not None:
            self._looking = after
            return
        count = self._committed[1]
        for action in actions:
            count = self._engine.checkpoint.add(action, steps)
            steps = 0
        self._committed = after, count
        self._dirty = False

    def _commit(self, actions, after: Position, steps: int):
        self._begin()
        for action in actions:
            action()
        self._end(actions, after, steps)

    @contextmanager
    def _aside(self):
        """What runs within is undone."""
        self._settle()
        self._committed = self._committed[0], self._engine.checkpoint.ready(fresh=True)
        self._looking = self._committed[0]
        try:
            yield
        finally:
            self._settle()

    # The plan and its backend

    def observe(self, on: bool):
        """Whether every run reports what `state.observable` lists."""
        with self._lock:
            self._settle()
            self._report(on)
            self.observes = on

    def _report(self, on: bool):
        if on != self._engine.reports:
            self._rebuild(self.plan.ahead, self.plan.given, on)

    def _prepare(self, ahead: int, given: bool):
        """A plan that can do what is asked. Raises UserError where inputs cannot be predicted, or layers were
        changed."""
        if not given and self.plan.follows:
            raise UserError(self.plan.follows)
        plan, fresh = self.plan, not self.position.steps and not self._written
        wanted = (ahead, given) if fresh else (max(ahead, plan.ahead), given or plan.given)
        if wanted != (plan.ahead, plan.given):
            self._rebuild(*wanted, self._engine.reports)
        self._obey()

    def _obey(self):
        """Follows changes of layers and optimiser, so that what is saved or copied is of the same plan."""
        if self._engine.settings.changed():
            self._rebuild(self.plan.ahead, self.plan.given, self._engine.reports)

    @property
    def _engine(self) -> _Engine:
        if self._made is None:  # its making was interrupted
            self._made = self._build(*self._wanted)
        return self._made

    def _build(self, ahead: int, given: bool, reports: bool) -> _Engine:
        s = self.setup
        observed = tuple(tensor for *_, tensor in observable(s.network)) if reports else ()
        plan, forms = lower(s.network, s.losses, s.optimizer, s.streams, s.seeds, ahead, observed, s.weights, given)
        backend = self.opened.backend(plan)
        return _Engine(plan, forms, backend, Checkpoint(backend), Settings(s.network, s.optimizer), reports)

    def _rebuild(self, ahead: int, given: bool, reports: bool):
        """The same session on another plan: everything goes over, what is pending too."""
        if self.position.steps or self._written:
            new = self._build(ahead, given, reports)
            _move(self._engine, new, self.position.steps)
        else:  # as it was made; the old one goes first, for a population fills much memory
            before, self._wanted = self._wanted, (ahead, given, reports)
            self._made = None
            try:
                new = self._engine
            except Exception:
                self._wanted = before
                raise
        self._wanted = (ahead, given, reports)
        self._made = new
        self._committed = self._committed[0], 0

    # Contents

    def read(self, name: str, slot: int = 0, model: int | None = None):
        return self.backend.read(name, slot) if model is None else self.backend.read(name, slot, model=model)

    def write(self, arrays: dict[str, np.ndarray]):
        """Puts weights in, all or none."""
        with self._lock:
            self._settle()
            self._obey()
            backend = self._engine.backend

            def put():
                for name, array in arrays.items():
                    backend.write(name, array)

            self._commit([put], self.position, EVERY)  # the next run makes a new copy
            self._written = True

    def state(self, model: int | None = None) -> dict:
        """The last step by layer name, of one of the models."""
        with self._lock:
            def read(name, slot=0):
                return self.read(name, slot, model)

            return describe_state(self.setup.network, self.forms, read, self.plan, self.position.steps)

    def contents(self, models: list[int] | None = None) -> Contents:
        """Everything that is needed to go on to the bit; of some of the models alone."""
        with self._lock:
            self._settle()
            self._obey()
            at = self.position if models is None else self.position.of_models(models)
            return Contents(at, self.plan.ahead, self.plan.given, read_tensors(self.plan, self.backend, models))

    def restore(self, contents: Contents):
        """Goes on from there."""
        with self._lock:
            if (contents.ahead, contents.given) != (self.plan.ahead, self.plan.given):
                self._rebuild(contents.ahead, contents.given, self._engine.reports)
            self._written = True
            write_tensors(self.plan, self._engine.backend, contents.arrays)
            self._engine.checkpoint.forget()
            self._committed = contents.position, 0


def _predicts_inputs(network: Network) -> bool:
    forms = forms_of(network)
    inputs, outputs = ([forms[n].total for n in nodes] for nodes in (network.inputs, network.outputs))
    return len(outputs) <= len(inputs) and all(o == i for o, i in zip(outputs, inputs))


def _move(old: _Engine, new: _Engine, steps: int):
    """Weights, state and tape go over; a step of the tape keeps its number, and so gets another slot."""
    for tensor in new.plan.stored_in(*PARAMETERS, STATE):
        before = old.plan.tensors.get(tensor.name)
        if before and before.shape == tensor.shape:  # else a step writes it before it reads it
            new.backend.write(tensor.name, old.backend.read(tensor.name))
    for tensor in new.plan.stored_in(TAPE):
        if tensor.name in old.plan.tensors:
            for step in range(steps - min(old.plan.slots, new.plan.slots), steps):
                new.backend.write(
                    tensor.name, old.backend.read(tensor.name, step % old.plan.slots), step % new.plan.slots
                )
