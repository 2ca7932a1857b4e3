"""A plan with all lanes of its kernels, one after the other, and every access watched."""

from functools import partial
from types import GeneratorType

import numpy as np

from deephtm_gpu.backends.arenas import ArenaBackend
from deephtm_gpu.backends.cpu.backend import HostMemory
from deephtm_gpu.backends.cpu.syntax import parse
from deephtm_gpu.backends.cpu.types import Types
from deephtm_gpu.backends.lanes.memory import UNSET, Faults, Watched
from deephtm_gpu.backends.lanes.python_code import functions_of
from deephtm_gpu.backends.protocol import PARTS, SEVERAL, DeviceInfo
from deephtm_gpu.kernels.compose import ACROSS
from deephtm_gpu.kernels.program import Kernel, build
from deephtm_gpu.kernels.tuning import Tuning
from deephtm_gpu.plan.plan import Plan

LANES = 8
_KINDS = {"weights": np.float32, "params": np.float32, "work": np.float32, "lists": np.uint32}


class OnLanes:
    """Makes plans runnable lane by lane. faults: what was found in all of them. override: see `compose`."""

    info = DeviceInfo("the processor, lane by lane", "lanes", "software")

    def __init__(self, lanes: int = LANES, override: dict[str, str] | None = None):
        self.faults, self._lanes, self._override = Faults(), lanes, override
        self.ways = {SEVERAL: partial(self._make, wide=1 << 62, grain=1 << 62), PARTS: partial(self._make, wide=0,
                                                                                             grain=97)}

    def __call__(self, plan: Plan) -> "LanesBackend":
        return self.ways[SEVERAL](plan)

    def _make(self, plan, wide, grain) -> "LanesBackend":
        return LanesBackend(plan, Tuning(lanes=self._lanes, wide=wide, grain=grain), self.faults, self._override)


class LanesBackend(ArenaBackend):
    info = OnLanes.info

    def __init__(self, plan: Plan, tuning: Tuning, faults: Faults, override: dict[str, str] | None = None):
        self._open(plan)
        self._tuning, self._faults, self._override = tuning, faults, override
        self._fill()
        self._numbers = None

    @property
    def dispatches(self) -> float:
        return len(self._program(self.plan.online).body)

    def _new_memory(self) -> HostMemory:
        return HostMemory(self._layout.sizes)

    def _send_steps(self, numbers: np.ndarray):
        self._numbers = [tuple(row.tolist()) for row in numbers]

    def _program(self, program):
        return build(self.plan, self._tuning, self.plan.calls(program), self._layout, False, self._override)

    def _submit(self, program, first: int, n: int):
        for step in range(n + 1):
            calls = program.head if step == 0 else program.body if step < n else program.tail
            for kernel in calls:
                self._dispatch(kernel, first + max(step - 1, 0))

    def _dispatch(self, kernel: Kernel, step: int):
        module, memories = parse(kernel.code), {}
        for name, (space, kind) in module.variables.items():
            if space == "storage":
                memories[name] = Watched(name, self._elements(name, kind), self._faults, True)
            elif name in ("steps", "turn"):
                data = self._numbers if name == "steps" else [(step, 1, 0, 0)]
                memories[name] = Watched(name, data, self._faults, False)
        functions, op = functions_of(module, memories), _op(kernel.code)
        for group in range(kernel.x * kernel.y):
            for name, (space, kind) in module.variables.items():
                if space == "workgroup":
                    memories[name] = Watched(name, [UNSET] * _length(module, kind), self._faults, False)
            for memory in memories.values():
                memory.enter(group)
                memory.function = op
            place = (group % ACROSS, group // ACROSS, 0)
            self._together([functions["main"](lane, lane, place) for lane in range(kernel.lanes)], module, memories)
        for name, memory in memories.items():
            if name in _KINDS:
                self._memory.write(name, 0, np.array(memory.data, _KINDS[name]).reshape(-1))

    def _elements(self, name, kind) -> list:
        flat = self._memory.arrays[name].view(_KINDS[name]).tolist()
        return list(zip(*[iter(flat)] * 4)) if "vec4" in kind else flat

    def _together(self, lanes: list, module, memories):
        """Lane after lane, each up to its next barrier."""
        running = [(n, lane, None) for n, lane in enumerate(lanes) if isinstance(lane, GeneratorType)]
        spaces = {space: [memories[n] for n, (s, _) in module.variables.items() if s == space]
                  for space in ("workgroup", "storage")}
        while running:
            reached = [(n, lane, self._next(lane, sent)) for n, lane, sent in running]
            kinds = {"end" if what is None else what if isinstance(what, str) else "load" for _, _, what in reached}
            if len(kinds) > 1:
                self._faults.add("barrier", next(iter(memories.values())).function,
                                 f": some lanes reach a {' or a '.join(sorted(kinds))} where others do not")
                return
            kind = kinds.pop()
            if kind == "end":
                return
            for memory in spaces["storage" if kind == "storage" else "workgroup"]:
                memory.barrier()
            running = [(n, lane, what[1](n) if kind == "load" else None) for n, lane, what in reached]
            if kind == "load":
                for memory in spaces["workgroup"]:
                    memory.barrier()

    @staticmethod
    def _next(lane, sent):
        """The barrier that it comes to; None where it ends."""
        try:
            return lane.send(sent)
        except StopIteration:
            return None


def _length(module, kind) -> int:
    return int(Types(module).ir(kind)[1:].split(" x ")[0]) if kind.startswith("array<") else 1


def _op(code: str) -> str:
    """The first op that a kernel calls."""
    body = code[code.rindex("fn main("):]
    for line in body.splitlines():
        line = line.strip()
        if line.endswith(");") and not line.startswith(("let ", "storage", "workgroup", "for ", "if ")):
            return line.split("(")[0]
    return "main"
