"""What a step is made of, op by op: multiply-adds and bytes by the plan, time on the adapter."""

from dataclasses import dataclass

import numpy as np

from deephtm_gpu.kernels.program import kernel
from deephtm_gpu.kernels.schedule import Dispatch, Group, Member
from deephtm_gpu.plan.plan import Call
from deephtm_gpu.plan.tensors import STATE

TURNS, RUNS = 20, 5  # dispatches timed at once, and how often


@dataclass(frozen=True)
class OpCost:
    """One call of a step. work: multiply-adds of a stream. bytes: read and written, contexts counted with all the room they have.
    microseconds: inside a kernel, without the dispatch; None where it was not timed."""

    name: str
    layer: str
    work: int
    bytes: int
    microseconds: float | None = None


def cost_of_step(plan) -> list[OpCost]:
    """By the plan alone."""
    return [OpCost(c.name, c.layer, c.work, bytes_of(c)) for c in plan.calls(plan.online)]


def bytes_of(call: Call) -> int:
    """A parameter is touched as often as there are multiply-adds, once whole at most; a trace where its list says. What changes is
    read and written."""
    listed = call.entries + call.consts.get("L", 0) + call.consts.get("K", 0)

    def touched(tensor):
        if tensor.parameter:
            return min(tensor.size, max(call.work, 1))
        return min(tensor.size, listed) if call.entries and tensor.place == STATE and not tensor.ragged else tensor.size

    return 4 * (sum(map(touched, call.read)) + sum(map(touched, call.written)))


def time_ops(backend) -> list[OpCost]:
    """Each call by itself in a kernel that goes through it many times: what n times take, less what one takes. Changes the
    model's numbers; for one stream."""
    return [_timed(backend, c) for c in backend.plan.calls(backend.plan.online)]


def _timed(backend, call) -> OpCost:
    dispatch = Dispatch(True, [Group([Member(call, 0)])], lasting=True)
    written = kernel(dispatch, backend._layout, backend._tuning)
    compiled = backend.compile(written)
    each = 1 + dispatch.iterations(written.lanes, 1)
    often = max(2, min(backend._layout.rows, (backend._tuning.loops or 60_000) // each))
    once, many = (backend.time_kernel(compiled, n, TURNS, RUNS) for n in (1, often))
    return OpCost(call.name, call.layer, call.work, bytes_of(call), max(0.0, 1e6 * (many - once) / (often - 1)))


def by_name(costs: list[OpCost]) -> dict[str, OpCost]:
    """Calls of one op on one layer added up."""
    found: dict[tuple, list[OpCost]] = {}
    for cost in costs:
        found.setdefault((cost.name, cost.layer), []).append(cost)
    return {f"{name} {layer}": OpCost(name, layer, *(sum(getattr(c, what) for c in same) for what in ("work", "bytes")),
                                      None if same[0].microseconds is None else float(np.sum([c.microseconds for c in same])))
            for (name, layer), same in found.items()}
