"""The bounds on loop iterations (`Pass.loops`, or what `kernels/schedule.py` takes by default), by counting: every pass
at its sizes, its kernel with a counter in every loop. An adapter that stops loops without a word makes a bound that is
too low a silent error.
"""

import re
from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from deephtm_gpu.backends.wgpu.backend import GpuBackend
from deephtm_gpu.kernels.compose import ACROSS, declarations
from deephtm_gpu.kernels.schedule import MOST_PARTS, persistent, schedule
from deephtm_gpu.kernels.tuning import Tuning
from deephtm_gpu.ops.table import OPS, PASSES
from deephtm_gpu.validate.ops import Trial, one_step

LANES = (8, 64, 256)
LOOP = re.compile(r"\b(?:for|while|loop)\b")
MOST_ROWS = 10_000
WORTH = 200  # from such a bound on it matters how loose it is
# Times what is counted; those of updates that look for rows in lists are for the worst lists that there can be.
LOOSE = 32


def counting(code: str, at: int) -> str:
    """A kernel that counts: iterations of every loop by each invocation, the most of a workgroup written to work[at +
    its number]."""
    done, begin = [], 0
    for found in LOOP.finditer(code):
        body = _body(code, found.end()) + 1
        done += [code[begin:body], " loop_turns++;"]
        begin = body
    code = "".join([*done, code[begin:]]).rstrip()
    assert code.endswith("}") and code.rfind("\nfn ") < code.index("fn main("), "main stands last"
    work = declarations("lib/arenas")["work"]
    return "\n".join(
        [
            "" if work in code else work,
            "var<private> loop_turns: u32;",
            "var<workgroup> most_turns: atomic<u32>;",
            code[:-1],
            "  if (lane == 0u) { atomicStore(&most_turns, 0u); }",
            "  workgroupBarrier();",
            "  atomicMax(&most_turns, loop_turns);",
            "  workgroupBarrier();",
            f"  if (lane == 0u) {{ work[{at}u + group] = f32(atomicLoad(&most_turns)); }}",
            "}",
        ]
    )


def _body(code, at):
    """Where the brace stands that opens a loop's body: behind its header, which may have brackets of its own."""
    depth = 0
    while depth or code[at] != "{":
        depth += {"(": 1, ")": -1}.get(code[at], 0)
        at += 1
    return at


class Counting(GpuBackend):
    """Runs the one pass of a trial and counts."""

    def __init__(self, plan, adapter, tuning, in_one=False):
        super().__init__(plan, adapter, tuning, persistent=in_one)
        calls = [(c, 0) for c in plan.forward]
        (self.dispatch,) = [persistent(plan.forward, plan, tuning)] if in_one else schedule(calls, plan, tuning)

    def _new_memory(self):
        self._at = self._layout.sizes["work"]
        self._layout.sizes["work"] += MOST_PARTS + self.plan.units
        return super()._new_memory()

    def compile(self, kernel):
        self.lanes, self._groups = kernel.lanes, kernel.x * kernel.y
        assert kernel.y == 1 or kernel.x == ACROSS
        return super().compile(replace(kernel, code=counting(kernel.code, self._at)))

    def count(self) -> int:
        self.run(one_step())
        return int(self._memory.read("work", self._at, self._groups, np.float32).max())

    def bound(self) -> int:
        return self.dispatch.iterations(self.lanes, self.plan.streams) + self.dispatch.persistent  # the loop over steps


def counted(op, op_pass, adapter, number, lanes, parts):
    """-> (iterations of the busiest invocation, their bound)"""
    tuning = Tuning(lanes=lanes, loops=60_000, **(dict(wide=0, grain=97) if parts else {}))
    trial = Trial(op, op_pass, number, spare=0)
    backend = Counting(trial.plan, adapter, tuning)
    trial.start(backend)
    return backend.count(), backend.bound()


@cache
def all_counts(adapter, last: bool = True) -> dict[str, list]:
    """pass -> (size, lanes, in parts?, counted, bound). The sizes take turns with the lanes, beginning elsewhere in
    every pass, and every other one is shared out among workgroups where it can be. last: the last sizes, one for each
    number of lanes; else those before, of passes that have a bound of their own. An update that looks at more than
    MOST_ROWS rows takes seconds, and has no loop that a smaller one has not."""
    found = {}
    for turn, (op, op_pass) in enumerate((op, p) for op in OPS for p in op.passes):
        rows = found[op_pass.name] = []
        begin = max(0, len(op.sizes) - len(LANES))
        for number in range(begin, len(op.sizes)) if last else range(begin if op_pass.loops else 0):
            if op_pass.rows == "N" and op.sizes[number]["N"] > MOST_ROWS:
                continue
            lanes, parts = LANES[(turn + number) % len(LANES)], bool(op_pass.rows) and (turn + number) % 2 == 1
            rows.append((op.sizes[number], lanes, parts, *counted(op, op_pass, adapter, number, lanes, parts)))
    return found


@pytest.mark.parametrize("name", PASSES)
def test_no_invocation_loops_more_often_than_its_bound(adapter, name):
    check_counts(name, all_counts(adapter)[name])


@pytest.mark.soak
def test_nor_at_the_other_sizes(adapter):
    for name, rows in all_counts(adapter, last=False).items():
        check_counts(name, rows)


def check_counts(name, rows):
    for size, lanes, parts, count, bound in rows:
        assert count <= bound, (
            f"{name} at {size} with {lanes} lanes{', in parts' * parts}: {count} iterations, its bound is {bound}"
        )


def test_bounds_are_not_far_off(adapter):
    """The loosest of each pass where there is something to loop over; `pytest -s` shows them."""
    loosest = {}
    for name, rows in all_counts(adapter).items():
        for size, lanes, parts, count, bound in rows:
            if bound > WORTH and bound / max(count, 1) > loosest.get(name, (0,))[0]:
                loosest[name] = bound / max(count, 1), count, bound, lanes, parts, size
    for name, (times, count, bound, lanes, parts, size) in sorted(loosest.items(), key=lambda item: item[1][0]):
        print(f"{name:24s}{times:6.2f} x: {bound:6d} for {count:6d}, {lanes:3d} lanes{', in parts' * parts}, {size}")
    assert len(loosest) > 20 and max(times for times, *_ in loosest.values()) < LOOSE


@pytest.mark.parametrize(
    "name", ["relu_forward", "linear_forward", "synapse_forward", "credit_backward", "clip_forward"]
)
def test_positions_one_behind_the_other_are_a_loop_too(adapter, name):
    op = next(op for op in OPS if name in [p.name for p in op.passes])
    number = next(n for n, size in enumerate(op.sizes) if size["S"] > 1)
    trial = Trial(op, PASSES[name], number, spare=0, streams=1)
    backend = Counting(trial.plan, adapter, Tuning(lanes=64, loops=60_000), in_one=True)
    trial.start(backend)
    assert op.sizes[number]["S"] < backend.count() <= backend.bound()


@pytest.mark.parametrize(
    "name, number", [("linear_forward", 4), ("mse_forward", 5), ("gate_forward", 4), ("vector_update", 4)]
)
def test_a_bound_that_is_too_low_is_seen(adapter, monkeypatch, name, number):
    """Lowered to half of what is counted: of a pass with bounds of its own, and of one that has the default."""
    op = next(op for op in OPS if name in [p.name for p in op.passes])
    count, bound = counted(op, PASSES[name], adapter, number, 8, False)
    assert 4 < count <= bound
    monkeypatch.setitem(PASSES, name, replace(PASSES[name], loops=lambda **_: count // 2))
    count, bound = counted(op, PASSES[name], adapter, number, 8, False)
    assert count > bound


def test_every_kind_of_loop_gets_a_counter():
    code = """fn main() {
  for (var i = (0u + 0u); i < 5u; i++) { for (var j = 0u; j < 2u; j++) { } }
  while (k < 3u) { k++; }
  loop { if (k == 6u) { break; } k++; }
}"""
    assert counting(code, 0).count("loop_turns++;") == 4
    for header in ("j++) {", "i++) {", "while (k < 3u) {", "loop {"):
        assert f"{header} loop_turns++;" in counting(code, 0)
