"""Every pass of every op on an adapter, against the reference in float64."""

import inspect
from dataclasses import replace

import numpy as np

from deephtm_gpu.backends.batch import Batch
from deephtm_gpu.backends.wgpu.backend import GpuBackend
from deephtm_gpu.kernels.tuning import tuning_of
from deephtm_gpu.ops.spec import Op, Pass
from deephtm_gpu.ops.table import OPS
from deephtm_gpu.plan.plan import Plan, Program
from deephtm_gpu.plan.scope import make_call
from deephtm_gpu.plan.tensors import MATRIX, PARAM, SCRATCH, Tensor
from deephtm_gpu.validate.check import Check, compare

POISON = 7.25e20  # stands where an op has to write: what it leaves out shows


def check_ops(adapter, override=None, ops=OPS, tuning=None):
    """Yields a Check per pass: its worst trial. Each size runs in one workgroup, and where the work can be shared out in many.
    override: shader texts by file name (see `compose`). tuning: None for the adapter's own."""
    for op in ops:
        for op_pass in op.passes:
            yield _check_pass(op, op_pass, adapter, override, tuning or tuning_of(adapter))


def _check_pass(op: Op, op_pass: Pass, adapter, override, tuning) -> Check:
    worst = Check("op", op_pass.name, True, limit=op.tolerance, trials=0)
    for number, size in enumerate(op.sizes):
        example = _single(op.example(np.random.default_rng([number, len(op_pass.name)]), **size))
        tunings = [tuning]
        if op_pass.rows:
            tunings.append(replace(tuning, wide=0, grain=97))
        for tried in tunings:
            for tensor, error, element in _trial(op, op_pass, example, adapter, tried, override):
                worst.trials += 1
                if error > worst.error or not worst.where:
                    worst.error = max(error, worst.error)
                    worst.where, worst.worst = f"{tensor} at {size}", element
    worst.holds = worst.error <= worst.limit
    return worst


def _trial(op, op_pass, example, adapter, tuning, override):
    """Runs one pass on the adapter; yields (tensor, error, worst element) for all it writes, and for the rest of memory."""
    want = _reference(op_pass, example)
    tensors = {n: _tensor(op, n, example.get(n), want.get(n)) for n in op_pass.tensors}
    streams = _streams(op_pass, example, tensors)
    plan = Plan(streams)
    for tensor in tensors.values():
        if isinstance(tensor, Tensor):
            plan.add(tensor)
    plan.forward.append(make_call(op_pass.name, {**tensors, **{c: example[c] for c in op_pass.consts}}, op.name))
    backend = GpuBackend(plan, adapter, tuning, override, lasting=False)
    for name, tensor in tensors.items():
        if not isinstance(tensor, Tensor):
            continue
        if name in op_pass.writes:
            backend.write(name, _poison(tensor, streams))
        else:
            backend.write(name, example[name])
    before = backend.memory()
    backend.run(Batch(Program(), [], None, np.ones(1, np.float32), np.zeros(1, np.int64), first=0))
    after = backend.memory()
    for name in op_pass.changes + op_pass.writes:
        if isinstance(tensors[name], Tensor):
            got = backend.read(name)
            if tensors[name].ragged and not tensors[name].index:
                got = [g[: len(w)] for g, w in zip(got, want[name])]
            yield name, *compare(got, want[name])
            backend.erase(name, before, after)
    outside = sum(int((before[a] != after[a]).sum()) for a in before)
    yield "memory outside", np.inf if outside else 0.0, f"{outside} elements changed that are not the op's"


def _single(example):
    """Numbers as the shader gets them: float32."""
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


def _tensor(op: Op, name: str, given, want) -> Tensor | float:
    if given is not None and not isinstance(given, (np.ndarray, list)):
        return given
    shown = want if given is None else given
    if isinstance(shown, list):
        room = 3 + max(len(a) for a in [*shown, *(want or [])])
        return Tensor(name, (room,), SCRATCH, index=shown[0].dtype.kind in "iu", ragged=True)
    place = MATRIX if name in op.matrices else PARAM if name in op.params else SCRATCH
    shape = shown.shape if place != SCRATCH else shown.shape[1:]
    return Tensor(name, tuple(shape), place, index=shown.dtype.kind in "iu")


def _streams(op_pass, example, tensors) -> int:
    return next(len(example[n]) for n in op_pass.reads + op_pass.changes if isinstance(tensors[n], Tensor) and tensors[n].place == SCRATCH)


def _poison(tensor: Tensor, streams: int):
    if tensor.ragged:
        return [[] for _ in range(streams)]
    return np.full((streams, *tensor.shape), 77 if tensor.index else POISON)
