"""The NumPy backend: walks the plan with the reference functions. The fallback where there is no GPU, and the oracle of
every shader."""

import inspect
import os
from collections.abc import Callable

import numpy as np

from deephtm_gpu.backends.batch import Batch, Outputs
from deephtm_gpu.backends.protocol import DeviceInfo
from deephtm_gpu.errors import DeviceError
from deephtm_gpu.plan.plan import Call, Plan, Program
from deephtm_gpu.plan.tensors import GRADIENT, IO, MATRIX, PARAM, SCRATCH, STATE, STEP, TAPE, Tensor

ARRAY = 128  # bytes of an array beside its numbers


class NumpyBackend:
    """A plan of one model. dtype: float32 as on the GPU, or float64 as an oracle.

    Every step on the tape has an environment of its own: a list with the present array of every tensor. Parameters and
    state are the same arrays in all of them and change in place.
    """

    dispatches = None  # of a step
    info = DeviceInfo("NumPy", "numpy", "software")

    def __init__(self, plan: Plan, dtype=np.float32):
        self.plan, self.dtype = plan, dtype
        check_room(plan, dtype)
        self._place = {t: i for i, t in enumerate(plan.tensors.values())}
        # A step, of the environments of the step at hand and of earlier ones.
        self._programs: dict[Program, Callable] = {}
        self._lags = sorted({c.lag for c in plan.learn} | {0})
        self._envs = self._start()

    # Running

    def run(self, batch: Batch) -> Outputs:
        if batch.program not in self._programs:
            self._programs[batch.program] = self._compile(self.plan.calls(batch.program))
        # As on a GPU; the caller looks at what comes out.
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            return self._run(batch, self._programs[batch.program])

    def _run(self, batch: Batch, program) -> Outputs:
        outputs, plan = Outputs.empty(self.plan, len(batch)), self.plan
        given = self._given(batch)
        losses = (
            [(outputs.losses[j], self._place[t]) for j, t in enumerate(plan.losses)] if batch.program.target else []
        )
        made = []
        if batch.program.forward:
            made = [(outputs.predictions[j], self._place[t]) for j, t in enumerate(plan.predictions)]
            made += [(outputs.observed[j], self._place[t]) for j, t in enumerate(plan.observed)]
        anomaly = self._place[plan.anomaly] if plan.anomaly and batch.program.forward else None
        clock, rate, k, scored, waiting = (self._step_number(name) for name in ("t", "rate", "k", "scored", "waiting"))
        rates, updates = batch.rates.reshape(-1).tolist(), batch.updates.tolist()  # a plan of one model

        for n in range(len(batch)):
            step = batch.first + n
            env = self._envs[step % plan.slots]
            earlier = [self._envs[(step - batch.behind - lag) % plan.slots] for lag in self._lags]
            back = earlier[0]
            for e in (env, *earlier):
                e[clock], e[rate], e[k], e[scored], e[waiting] = (
                    step,
                    rates[n],
                    updates[n],
                    step - batch.behind,
                    batch.waiting,
                )
            for i, x in given:
                env[i] = back[i] = x[n]
            program(env, *earlier)
            for array, i in made:
                array[n] = env[i]
            for array, i in losses:
                array[n] = back[i][:, 0]
            if anomaly is not None:
                outputs.anomaly[n] = env[anomaly][:, 0]
        return outputs

    def _given(self, batch: Batch) -> list[tuple[int, np.ndarray]]:
        """What comes with every step: the index in an environment, and the arrays (T, S, D)."""
        plan = self.plan
        given = list(zip(plan.inputs, batch.inputs))
        if batch.targets is not None:
            given += zip(plan.targets, batch.targets)
        if plan.share:
            given.append((plan.share, batch.share))
        return [(self._place[t], np.asarray(x, self.dtype)) for t, x in given]

    def _step_number(self, name: str) -> int:
        """Where a number that all streams share goes in an environment; behind all tensors where the plan has no use
        for it."""
        tensor = self.plan.tensors.get(name)
        return len(self._place) if tensor is None else self._place[tensor]

    def _compile(self, calls):
        # A loop over calls would cost about as much as the smaller ops themselves.
        names = {c.name: c.op.reference for c in calls} | {"everywhere": _everywhere}
        parameters = ", ".join(["now", *(_env(lag) for lag in sorted({c.lag for c in self.plan.learn} | {0}))])
        text = "\n    ".join([f"def step({parameters}):", *(self._line(c) for c in calls), "return"])
        exec(text, names)
        return names["step"]

    def _line(self, call: Call) -> str:
        """The call as a line: `now[7] = relu_forward(now[6])`."""
        op, env = call.op, _env(call.lag)
        known = inspect.signature(op.reference).parameters
        everything = any(p.kind is p.VAR_KEYWORD for p in known.values())
        read = [self._argument(call.tensors[n], env, call.sites) for n in op.reads + op.changes]
        consts = [f"{k}={v!r}" for k, v in call.consts.items() if everything or k in known]
        put = "".join(f"{env}[{self._place[call.tensors[n]]}], " for n in op.writes)
        put = put.rstrip(", ") if len(op.writes) == 1 else put
        return (f"{put} = " if put else "") + f"{op.name}({', '.join(read + consts)})"

    def _argument(self, tensor, env, sites) -> str:
        if not isinstance(tensor, Tensor):
            return repr(tensor if isinstance(tensor, int) else float(tensor))  # t is an index in some passes
        held = f"{env}[{self._place[tensor]}]"
        per_stream = not tensor.parameter and tensor.storage != STEP
        return f"everywhere({held}, {sites})" if per_stream and tensor.sites < sites else held

    # Memory

    def _start(self):
        shared = {t: self._first(t) for t in self.plan.stored_in(MATRIX, PARAM, STATE, GRADIENT)}
        return [[shared[t] if t in shared else self._first(t) for t in self.plan.tensors.values()] + [None]
                for _ in range(self.plan.slots)]

    def _first(self, tensor: Tensor):
        S = self.plan.streams * tensor.sites
        kind = np.int64 if tensor.index else self.dtype
        if tensor.ragged:
            return [np.zeros(0, kind) for _ in range(S)]
        start = tensor.first(self.plan.seeds[0])
        if tensor.parameter:
            shown = np.broadcast_to(np.asarray(start, kind), tensor.shape)
            return np.array(shown, kind)
        start = np.asarray(start, kind)
        return np.array(np.broadcast_to(start, (S, *tensor.shape)), kind)

    def reset(self, tensors: list[Tensor] | None = None):
        """Puts the temporal state, or these tensors of it, back to its start."""
        for tensor in self.plan.stored_in(STATE) if tensors is None else tensors:
            self.write(tensor.name, self._first(tensor))

    def read(self, name: str, slot: int = 0, model: int | None = None):
        """A copy of a tensor: (S, *shape), of a map (S*X, *shape), parameters (*shape); a ragged one as a list of so
        many arrays. model: there is one."""
        tensor = self.plan.tensors[name]
        value = self._envs[slot][self._place[tensor]]
        return [v.copy() for v in value] if tensor.ragged else np.array(value)

    def write(self, name: str, value, slot: int = 0, model: int | None = None):
        """Overwrites a tensor, shaped as `read` gives it."""
        tensor = self.plan.tensors[name]
        env, i = self._envs[slot], self._place[tensor]
        if tensor.ragged:
            env[i][:] = [np.array(v, env[i][0].dtype) for v in value]
        elif tensor.storage in (MATRIX, PARAM, STATE, GRADIENT):
            env[i][...] = value  # in place: all environments hold the same array
        else:
            env[i] = np.array(value, np.int64 if tensor.index else self.dtype)

    def snapshot(self):
        """All that a step can change, to be given to `restore`."""
        kept = self.plan.stored_in(MATRIX, PARAM, STATE, GRADIENT)
        passing = [t for t in self.plan.stored_in(TAPE, SCRATCH, IO)]
        return ([(t.name, 0, self.read(t.name)) for t in kept]
                + [(t.name, s, self.read(t.name, s)) for s in range(self.plan.slots) for t in passing])

    def restore(self, snapshot):
        for name, slot, value in snapshot:
            self.write(name, value, slot)


def _everywhere(value, sites):
    """What stands once in a stream, for each of its positions: (S, D) -> (S*X, D), or S lists -> S*X."""
    if isinstance(value, list):
        return [part for part in value for _ in range(sites)]
    return np.repeat(value, sites, axis=0)


def _env(lag: int | None) -> str:
    """The name, in a compiled step, of the environment that a call of this lag works on."""
    return "now" if lag is None else f"back{lag}"


def check_room(plan: Plan, dtype=np.float32):
    """Raises DeviceError where all of the plan's models together do not fit into the computer's memory."""
    most = computer_memory()
    held = {t: _bytes(plan, t, np.dtype(dtype).itemsize) for t in plan.tensors.values()}
    if most is not None and sum(held.values()) > most:
        largest = max(held, key=held.get)
        models = f" of {plan.models:,} models" if plan.models > 1 else ""
        raise DeviceError(
            f"The model must fit into this computer's memory, got {sum(held.values()) / 2**20:,.0f} MiB{models}, most "
            f"of it for {largest.name!r} {largest.shape}{_positions(largest)}, and there are {most / 2**20:,.0f} MiB; "
            "make the layer smaller."
        )


def _bytes(plan, tensor, item) -> int:
    """What it takes, of all models, streams and steps: a list is an array of its own in every stream."""
    slots = 1 if tensor.parameter or tensor.storage in (STATE, GRADIENT) else plan.slots
    units = 1 if tensor.parameter else tensor.sites * plan.streams
    array = ARRAY * units if tensor.ragged else ARRAY + item * units * tensor.size
    return plan.models * slots * array


def computer_memory() -> int | None:
    """Bytes; None where the system does not say."""
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):  # Windows
        return None


def _positions(tensor) -> str:
    return f" at {tensor.sites:,} positions" if tensor.sites > 1 else ""
