"""The processor backend: a plan turned into one native function for each kind of step."""

import ctypes
import time

import numpy as np

from deephtm_gpu.backends.arenas import ArenaBackend
from deephtm_gpu.backends.cpu.driver import ir_of, source_of
from deephtm_gpu.backends.cpu.native import Native, native
from deephtm_gpu.backends.protocol import DeviceInfo
from deephtm_gpu.kernels.program import build
from deephtm_gpu.kernels.tuning import Tuning
from deephtm_gpu.plan.plan import Plan, Program

# One lane, and as few workgroups as can be: what is shared out is only looked through more often.
ONE_LANE = Tuning(lanes=1, wide=1 << 62, grain=1 << 62, dispatch=0, workgroups=1)
ALIGNED = 64  # bytes of a cache line
_SHARED = 1 << 16  # bytes: more than the variables of a workgroup


class HostMemory:
    """The arenas as arrays, each at the beginning of a cache line."""

    def __init__(self, sizes: dict[str, int]):
        self.sizes = sizes
        self.arrays = {arena: aligned(n) for arena, n in sizes.items()}

    def read(self, arena: str, begin: int, length: int, kind) -> np.ndarray:
        return self.arrays[arena][begin : begin + length].view(kind).copy()

    def write(self, arena: str, begin: int, data: np.ndarray):
        flat = np.ascontiguousarray(data).reshape(-1).view(np.uint32)
        self.arrays[arena][begin : begin + len(flat)] = flat

    def copy_to(self, other: "HostMemory"):
        for arena, array in self.arrays.items():
            np.copyto(other.arrays[arena], array)


def aligned(elements: int) -> np.ndarray:
    """Zeros of 4 bytes."""
    raw = np.zeros(4 * elements + ALIGNED, np.uint8)
    begin = -raw.ctypes.data % ALIGNED
    return raw[begin : begin + 4 * elements].view(np.uint32)


class CpuBackend(ArenaBackend):
    """One lane on a core of the processor.

    Parameters
    ----------
    plan : Plan
    override : dict of str to str, optional
        Shader texts by file name, see `compose`.
    """

    info = DeviceInfo("the processor", "LLVM", "software")

    def __init__(self, plan: Plan, override: dict[str, str] | None = None, in_one: bool | None = None):
        self._open(plan)
        self._override, self._in_one = override, in_one
        self._fill()
        self._steps = aligned(8 * (self._layout.steps + 1))
        self._shared = aligned(_SHARED // 4)
        self._programs: dict[Program, tuple] = {}

    @property
    def dispatches(self) -> float:
        """Of a step that learns: kernels that one call of the native function goes through."""
        program = self._program(self.plan.online)[2]
        return len(program.body) / max(1, program.steps)

    def _new_memory(self) -> HostMemory:
        return HostMemory(self._layout.sizes)

    def _send_steps(self, numbers: np.ndarray):
        flat = numbers.view(np.uint32).reshape(-1)
        self._steps[: len(flat)] = flat

    def _submit(self, program, first: int, n: int):
        began = time.perf_counter()
        run, _, _ = program
        given = [*self._memory.arrays.values(), self._steps, self._shared]
        run(*(array.ctypes.data for array in given), first, n)
        self._grow(n, time.perf_counter() - began)

    def _program(self, program: Program) -> tuple:
        """(the native function, what keeps it in memory, its kernels)"""
        if program not in self._programs:
            made = build(self.plan, ONE_LANE, self.plan.calls(program), self._layout, self._in_one, self._override)
            code: Native = native(source_of(made), ir_of)
            kind = ctypes.CFUNCTYPE(None, *[ctypes.c_void_p] * 6, ctypes.c_uint32, ctypes.c_uint32)
            self._programs[program] = kind(code.address), code, made
        return self._programs[program]
