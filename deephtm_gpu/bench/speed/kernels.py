"""The cost of a step, op by op: multiply-adds and bytes by the plan, time on the adapter."""

from dataclasses import dataclass

import numpy as np

from deephtm_gpu.kernels.program import kernel
from deephtm_gpu.kernels.schedule import Dispatch, Group, Member
from deephtm_gpu.plan.plan import Call
from deephtm_gpu.plan.tensors import STATE

TURNS, RUNS = 20, 5  # dispatches that are timed together, and how often


@dataclass(frozen=True)
class OpCost:
    """One call of a step. work: multiply-adds of a stream. bytes: read and written, contexts with their full capacity.
    microseconds: inside a kernel, without the dispatch; None if it was not timed."""

    name: str
    layer: str
    work: int
    bytes: int
    microseconds: float | None = None


def cost_of_step(plan) -> list[OpCost]:
    """The cost by the plan alone."""
    return [OpCost(c.name, c.layer, c.work, bytes_of(c)) for c in plan.calls(plan.online)]


def bytes_of(call: Call) -> int:
    """Of a parameter as many numbers as there are multiply-adds, at most all; of a trace the entries of its list. A
    tensor that changes is read and written."""
    listed = call.entries + call.consts.get("L", 0) + call.consts.get("K", 0)

    def touched(tensor):
        if tensor.parameter:
            return min(tensor.size, max(call.work, 1))
        sparse = call.entries and tensor.storage == STATE and not tensor.ragged
        return min(tensor.size, listed) if sparse else tensor.size

    return 4 * (sum(map(touched, call.read)) + sum(map(touched, call.written)))


def time_ops(backend) -> list[OpCost]:
    """The time of each call, for one stream: a kernel repeats the call n times, and the time of one repetition is
    subtracted.

    This changes the state of the model.
    """
    return [_timed(backend, c) for c in backend.plan.calls(backend.plan.online)]


def _timed(backend, call) -> OpCost:
    dispatch = Dispatch(True, [Group([Member(call, 0)])], persistent=True)
    written = kernel(dispatch, backend._layout, backend._tuning)
    compiled = backend.compile(written)
    each = 1 + dispatch.iterations(written.lanes, 1)
    often = max(2, min(backend._layout.steps, (backend._tuning.loops or 60_000) // each))
    once, many = (backend.time_kernel(compiled, n, TURNS, RUNS) for n in (1, often))
    return OpCost(call.name, call.layer, call.work, bytes_of(call), max(0.0, 1e6 * (many - once) / (often - 1)))


def by_name(costs: list[OpCost]) -> dict[str, OpCost]:
    """The sum of the calls of one op on one layer."""
    groups: dict[tuple, list[OpCost]] = {}
    for cost in costs:
        groups.setdefault((cost.name, cost.layer), []).append(cost)
    return {f"{name} {layer}": _sum(name, layer, group) for (name, layer), group in groups.items()}


def _sum(name, layer, costs) -> OpCost:
    microseconds = None if costs[0].microseconds is None else float(np.sum([c.microseconds for c in costs]))
    return OpCost(name, layer, sum(c.work for c in costs), sum(c.bytes for c in costs), microseconds)
