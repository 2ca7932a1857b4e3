"""The processor backend: a plan turned into one native function for each kind of step."""

import ctypes
import os
import time
from concurrent.futures import ThreadPoolExecutor, wait
from functools import cache, partial

import numpy as np

from deephtm_gpu.backends.arenas import ArenaBackend
from deephtm_gpu.backends.cpu.apart import ApartLayout
from deephtm_gpu.backends.cpu.driver import ir_of, source_of
from deephtm_gpu.backends.cpu.native import Native, native
from deephtm_gpu.backends.numpy import computer_memory
from deephtm_gpu.backends.protocol import IN_ONE, PARTS, SEVERAL, DeviceInfo
from deephtm_gpu.errors import DeviceError
from deephtm_gpu.kernels.program import build
from deephtm_gpu.kernels.tuning import Tuning
from deephtm_gpu.plan.plan import Plan, Program

# One lane, and as few workgroups as can be: what is shared out is only looked through more often.
ONE_LANE = Tuning(lanes=1, wide=1 << 62, grain=1 << 62, dispatch=0, workgroups=1)
IN_PARTS = Tuning(lanes=1, wide=0, grain=97, dispatch=0, workgroups=1)
ALIGNED = 64  # bytes of a cache line
_SHARED = 1 << 16  # bytes: more than the variables of a workgroup


class HostMemory:
    """The arenas as arrays, each at the beginning of a cache line."""

    def __init__(self, sizes: dict[str, int]):
        self.sizes = sizes
        self.arrays = {arena: aligned(n) for arena, n in sizes.items()}

    def read(self, arena: str, begin: int, length: int, kind) -> np.ndarray:
        return self.arrays[arena][begin : begin + length].view(kind).copy()

    def of_models(self, arena: str, models: int) -> np.ndarray:
        """An arena as (P, elements), not a copy."""
        return self.arrays[arena].reshape(models, -1)

    def write(self, arena: str, begin: int, data: np.ndarray):
        flat = np.ascontiguousarray(data).reshape(-1).view(np.uint32)
        self.arrays[arena][begin : begin + len(flat)] = flat

    def copy_to(self, other: "HostMemory"):
        for arena, array in self.arrays.items():
            np.copyto(other.arrays[arena], array)


def aligned(elements: int) -> np.ndarray:
    """Zeros of 4 bytes, with room for a quad behind them."""
    raw = np.zeros(4 * elements + 2 * ALIGNED, np.uint8)
    begin = -raw.ctypes.data % ALIGNED
    return raw[begin : begin + 4 * elements].view(np.uint32)


class OnProcessor:
    """Makes plans runnable on the processor. override: see `compose`."""

    info = DeviceInfo("the processor", "cpu", "software")

    def __init__(self, override: dict[str, str] | None = None):
        self._override = override
        self.ways = {
            SEVERAL: partial(self._make, in_one=False),
            IN_ONE: partial(self._make, in_one=True),
            PARTS: partial(self._make, in_one=False, tuning=IN_PARTS),
        }

    def __call__(self, plan: Plan) -> "CpuBackend":
        return self._make(plan)

    def _make(self, plan, in_one=None, tuning=ONE_LANE) -> "CpuBackend":
        return CpuBackend(plan, self._override, in_one, tuning)


class CpuBackend(ArenaBackend):
    """One lane on a core of the processor; several models on as many cores as there are.

    Parameters
    ----------
    plan : Plan
    override : dict of str to str, optional
        Shader texts by file name, see `compose`.
    in_one : bool, optional
        Whether many steps are one kernel; by default where that can be.
    tuning : Tuning

    Raises
    ------
    DeviceError
        Where the model does not fit into the computer's memory.
    """

    info = OnProcessor.info

    def __init__(self, plan: Plan, override: dict[str, str] | None = None, in_one: bool | None = None,
                 tuning: Tuning = ONE_LANE):
        layout = ApartLayout(plan)
        _check_room(plan, layout)
        self._open(plan, layout)
        self._each = np.array([4 * n for n in layout.each.values()], np.uint64)  # bytes from model to model
        self._override, self._in_one, self._tuning = override, in_one, tuning
        self._submit_steps = max(1, self._submit_steps // plan.models)
        self._fill()
        self._steps = aligned(8 * (self._layout.steps + 1))
        self._programs: dict[Program, tuple] = {}

    @property
    def dispatches(self) -> float:
        """Of a step that learns: the kernels it consists of."""
        program = self._program(self.plan.online)[2]
        return len(program.body) / max(1, program.steps)

    def _new_memory(self) -> HostMemory:
        return HostMemory(self._layout.sizes)

    def _send_steps(self, numbers: np.ndarray):
        flat = numbers.view(np.uint32).reshape(-1)
        self._steps[: len(flat)] = flat

    def _send(self, tensor, x):
        P, T = self.plan.models, len(x)
        rows = x.reshape(T, P, -1).swapaxes(0, 1).reshape(P, -1).astype(np.float32, copy=False)
        at = self._layout.offset(tensor)
        self._memory.of_models("work", P)[:, at : at + rows.shape[1]] = np.ascontiguousarray(rows).view(np.uint32)

    def _outputs(self, steps: int):
        P, S, arena = self.plan.models, self.plan.streams, self._memory.of_models("work", self.plan.models)

        def steps_of(tensor):
            at, D = self._layout.offset(tensor), tensor.size
            part = arena[:, at : at + steps * S * D].view(np.float32).reshape(P, steps, S, D)
            return part.swapaxes(0, 1).reshape(steps, P * S, D)

        return steps_of

    def _submit(self, program, first: int, n: int):
        began = time.perf_counter()
        run, _, _ = program
        given = [array.ctypes.data for array in (*self._memory.arrays.values(), self._each, self._steps)]
        threads = min(cores(), self.plan.models)
        if threads == 1:
            run(*given, _scratch(0), first, n, 0, self.plan.models)
        else:
            bounds = [self.plan.models * t // threads for t in range(threads + 1)]
            running = [_threads(os.getpid()).submit(run, *given, _scratch(t), first, n, bounds[t], bounds[t + 1])
                       for t in range(threads)]
            try:
                for one in running:
                    one.result()
            finally:
                wait(running)  # whoever is interrupted goes back to a copy: nobody may still be writing
        self._grow(n, time.perf_counter() - began)

    def snapshot(self) -> dict[str, np.ndarray]:
        """A copy of all that a step can change, to be given to `restore`. The steps of a chunk, which lie behind it,
        are made anew by each."""
        return {arena: self._lasting(arena).copy() for arena in self._memory.arrays}

    def restore(self, snapshot: dict[str, np.ndarray]):
        for arena, kept in snapshot.items():
            np.copyto(self._lasting(arena), kept)

    def _lasting(self, arena: str) -> np.ndarray:
        own = self._layout.one
        end = self.plan.streams * own.stride["work"] if arena == "work" else None
        return self._memory.of_models(arena, self.plan.models)[:, :end]

    def _program(self, program: Program) -> tuple:
        """(the native function, what keeps it in memory, its kernels)"""
        if program not in self._programs:
            one = self._layout.one
            made = build(one.plan, self._tuning, one.plan.calls(program), one, self._in_one, self._override)
            code: Native = native(source_of(made), ir_of)
            kind = ctypes.CFUNCTYPE(None, *[ctypes.c_void_p] * 7, *[ctypes.c_uint32] * 4)
            self._programs[program] = kind(code.address), code, made
        return self._programs[program]


def _check_room(plan: Plan, layout: ApartLayout):
    """Raises DeviceError where the models do not fit into the computer's memory, with the copy to go back to."""
    most = computer_memory()
    need = 2 * 4 * sum(layout.sizes.values())
    if most is not None and need > most:
        largest = max(layout.addresses, key=lambda t: t.size * t.sites)
        models = f" of {plan.models:,} models" if plan.models > 1 else ""
        raise DeviceError(
            f"The model must fit into this computer's memory twice, one copy to go back to, got {need / 2**20:,.0f} "
            f"MiB{models}, most of it for {largest.name!r} {largest.shape}, and there are {most / 2**20:,.0f} MiB; "
            "make the layer smaller.")


@cache
def cores() -> int:
    """Of the processor, that this process may use."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # not on this system
        return os.cpu_count() or 1


@cache
def _threads(process: int) -> ThreadPoolExecutor:
    """Of this process: a forked child has none of its parent's."""
    return ThreadPoolExecutor(cores(), thread_name_prefix="deephtm")


@cache
def _shared(thread: int) -> np.ndarray:
    return aligned(_SHARED // 4)


def _scratch(thread: int) -> int:
    """Where the workgroup memory of a thread lies."""
    return _shared(thread).ctypes.data
