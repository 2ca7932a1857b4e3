"""Every pass of every op on a device, against the reference in float64."""

import inspect
from itertools import product

import numpy as np

from deephtm_gpu.backends.batch import Batch
from deephtm_gpu.backends.protocol import PARTS, SEVERAL, Backend, Factory, OpenMemory, ways
from deephtm_gpu.ops.spec import Op, Pass
from deephtm_gpu.ops.table import OPS
from deephtm_gpu.plan.plan import Plan, Program
from deephtm_gpu.plan.scope import make_call
from deephtm_gpu.plan.tensors import MATRIX, PARAM, SCRATCH, Tensor
from deephtm_gpu.validate.check import Check, compare

POISON = 7.25e20  # fills the outputs before an op runs, so that elements it does not write are found
SPARE = 3  # entries that a ragged list has room for beyond those it needs


def check_ops(make: Factory, ops=OPS):
    """Yields a Check per pass: its worst trial. make: a factory of backends. Each size runs once in each way that the
    device has for it: where the work can be shared out also in many workgroups; one of several streams runs at as many
    positions of a map of one stream too, where a position is as a stream to the pass."""
    for op in ops:
        for op_pass in op.passes:
            yield _check_pass(op, op_pass, make)


def _check_pass(op: Op, op_pass: Pass, make: Factory) -> Check:
    worst = Check("op", op_pass.name, True, limit=op.tolerance, trials=0)
    names = (SEVERAL, PARTS) if op_pass.rows else (SEVERAL,)
    sized_for_maps = _sized_for_maps(op, op_pass)
    for number, size in enumerate(op.sizes):
        trials = [
            Trial(op, op_pass, number),
            *([Trial(op, op_pass, number, streams=1)] if size == sized_for_maps else []),
        ]
        for trial, make_so in product(trials, ways(make, *names).values()):
            for tensor, error, element in trial.run(make_so(trial.plan)):
                worst.trials += 1
                if error > worst.error or not worst.where:
                    worst.error = max(error, worst.error)
                    worst.where, worst.worst = f"{tensor} at {size}", element
    worst.holds = worst.error <= worst.limit
    return worst


def _sized_for_maps(op: Op, op_pass: Pass) -> dict | None:
    """The first size of several streams, if streams may be positions: of parameters that change there would be a sum
    over them."""
    if op_pass.whole or set(op_pass.changes) & {*op.matrices, *op.params}:
        return None
    return next((size for size in op.sizes if size["S"] > 1), None)


class Trial:
    """One pass at one of its op's sizes: the plan of it, what it gets, and what it should write. number: of the size.
    spare: room in ragged lists beyond what they need. streams: what has more rows stands at positions of a map; None: S
    of the size."""

    def __init__(self, op: Op, op_pass: Pass, number: int, spare: int = SPARE, streams: int | None = None):
        streams = streams or op.sizes[number]["S"]
        self._pass = op_pass
        self._example = _single(op.example(np.random.default_rng([number, len(op_pass.name)]), **op.sizes[number]))
        self._want = _reference(op_pass, self._example)
        given = {n: _tensor(op, n, self._example.get(n), self._want.get(n), spare, streams) for n in op_pass.tensors}
        self._tensors = {n: t for n, t in given.items() if isinstance(t, Tensor)}
        self.plan = Plan(streams)
        for tensor in self._tensors.values():
            self.plan.add(tensor)
        self.plan.forward.append(
            make_call(op_pass.name, {**given, **{c: self._example[c] for c in op_pass.consts}}, op.name)
        )

    def start(self, backend: Backend):
        """Writes what the pass reads and changes, and poison where it has to write."""
        for name, tensor in self._tensors.items():
            backend.write(
                name, _poison(tensor, self.plan.streams) if name in self._pass.writes else self._example[name]
            )

    def run(self, backend: Backend):
        """Runs the pass; yields (tensor, error, worst element) for all it writes, and for the rest of memory where it
        can be looked at."""
        self.start(backend)
        memories = [backend.memory()] if isinstance(backend, OpenMemory) else []
        backend.run(one_step())
        memories += [backend.memory()] if memories else []
        for name in self._pass.changes + self._pass.writes:
            if name not in self._tensors:
                continue
            got, want, tensor = backend.read(name), self._want[name], self._tensors[name]
            if tensor.ragged and not tensor.index:
                got = [g[: len(w)] for g, w in zip(got, want)]
            yield name, *compare(got, want)
            if memories:
                backend.erase(name, *memories)
        if memories:
            before, after = memories
            outside = sum(int((before[a] != after[a]).sum()) for a in before)
            yield "memory outside", np.inf if outside else 0.0, f"{outside} elements changed that are not the op's"


def one_step() -> Batch:
    return Batch(Program(), [], None, np.ones(1, np.float32), np.zeros(1, np.int64), first=0)


def _single(example):
    """Numbers as the device gets them: float32."""
    def cast(v):
        if isinstance(v, list):
            return [cast(a) for a in v]
        return v.astype(np.float32) if isinstance(v, np.ndarray) and v.dtype.kind == "f" else v

    return {k: cast(v) for k, v in example.items()}


def _reference(op_pass: Pass, example) -> dict:
    """What the pass should write, in float64."""
    def double(v):
        if isinstance(v, list):
            return [double(a) for a in v]
        return np.array(v, np.float64 if v.dtype.kind == "f" else np.int64) if isinstance(v, np.ndarray) else v

    known = op_pass.reference.__code__.co_varnames[: op_pass.reference.__code__.co_argcount]
    arguments = {n: double(example[n]) for n in op_pass.reads + op_pass.changes}
    everything = op_pass.reference.__code__.co_flags & inspect.CO_VARKEYWORDS
    consts = {c: example[c] for c in op_pass.consts if everything or c in known}
    out = op_pass.reference(*arguments.values(), **consts)
    results = dict(zip(op_pass.writes, out if len(op_pass.writes) > 1 else (out,)))
    return {**{n: arguments[n] for n in op_pass.changes}, **results}


def _tensor(op: Op, name: str, given, want, spare, streams) -> Tensor | float:
    if given is not None and not isinstance(given, (np.ndarray, list)):
        return given
    shown = want if given is None else given
    if isinstance(shown, list):
        room = max(1, spare + max(len(a) for a in [*shown, *(want or [])]))
        return Tensor(
            name, (room,), SCRATCH, index=shown[0].dtype.kind in "iu", ragged=True, sites=len(shown) // streams
        )
    storage = MATRIX if name in op.matrices else PARAM if name in op.params else SCRATCH
    if storage != SCRATCH:
        return Tensor(name, shown.shape, storage, index=shown.dtype.kind in "iu")
    return Tensor(name, shown.shape[1:], storage, index=shown.dtype.kind in "iu", sites=len(shown) // streams)


def _poison(tensor: Tensor, streams: int):
    if tensor.ragged:
        return [[] for _ in range(streams * tensor.sites)]
    return np.full((streams * tensor.sites, *tensor.shape), 77 if tensor.index else POISON)
