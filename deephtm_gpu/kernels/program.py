"""What runs for a plan: a list of kernels, each WGSL text and a number of workgroups. Needs no GPU and no GPU library.

    plan, _ = lower(network, ["mse"], dh.PolyakSGD(), streams=1, seeds=0, ahead=1)
    program = build(plan, HARDWARE)
    program.body[0].code  # WGSL, its entry point `main`

Bindings of a kernel, all in group 0: the arenas by their order in `BINDINGS` (`Layout` says what lies where), then the
steps and the turn (`compose.STEPS`, `compose.TURN`).
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from deephtm_gpu.errors import DeviceError
from deephtm_gpu.kernels.arenas import Layout
from deephtm_gpu.kernels.compose import ACROSS, compose
from deephtm_gpu.kernels.schedule import Dispatch, persistent, prefers_persistent, rotation, schedule
from deephtm_gpu.kernels.tuning import HARDWARE, Tuning
from deephtm_gpu.plan.plan import Call, Plan

CHUNK = 512  # steps: the most that are uploaded and read back at once
MOST_STEPS = 64  # of one dispatch


class LoopLimitError(DeviceError):
    """A dispatch needs more loop iterations than the adapter goes through."""


@dataclass(frozen=True)
class Kernel:
    """code: WGSL with the entry point `main`. x, y: workgroups along both axes. lanes: invocations of each."""

    code: str
    x: int
    y: int
    lanes: int


@dataclass(frozen=True)
class KernelProgram:
    """What runs for n steps of one kind: head (step 0), then body n-1 times (the tail of a step and the head of the
    next), then tail. Each a flat tuple of kernels, or of what a backend made of them. Or, where steps > 0, body alone,
    for so many steps at once."""

    head: tuple
    body: tuple
    tail: tuple
    steps: int = 0

    def map(self, make: Callable[[Kernel], Any]) -> "KernelProgram":
        """The same of what `make` makes of each kernel."""
        return KernelProgram(*(tuple(map(make, part)) for part in (self.head, self.body, self.tail)), self.steps)


def build(plan: Plan, tuning: Tuning = HARDWARE, calls: list[Call] | None = None, layout: Layout | None = None,
          in_one: bool | None = None, override: dict[str, str] | None = None) -> KernelProgram:
    """From a plan to kernels.

    Parameters
    ----------
    plan : Plan
    tuning : Tuning
        What the kernels are made for.
    calls : list of Call, optional
        Those of a step, in their order; by default those of a step that learns from a target.
    layout : Layout, optional
        What lies where in the arenas; by default `Layout(plan, CHUNK)`.
    in_one : bool, optional
        Whether a workgroup runs many steps in one dispatch; by default where that should be faster.
    override : dict of str to str, optional
        Shader texts by file name, see `compose`.

    Returns
    -------
    KernelProgram

    Raises
    ------
    LoopLimitError
        Where a dispatch needs more loop iterations than `tuning.loops`.
    """
    calls = plan.calls(plan.online) if calls is None else calls
    layout = layout or Layout(plan, CHUNK)

    def made(dispatch: Dispatch) -> Kernel:
        return kernel(dispatch, layout, tuning, override)

    cut = rotation(calls, plan, tuning)
    head, tail = calls[:cut], calls[cut:]
    parts = [[(c, 0) for c in head], [(c, 0) for c in tail] + [(c, 1) for c in head], [(c, 0) for c in tail]]
    head, body, tail = (schedule(part, plan, tuning) for part in parts)
    whole = None if in_one is False else persistent(calls, plan, tuning)
    if whole and (in_one or prefers_persistent(whole, body, tuning)) and (steps := _steps_at_once(whole, plan, tuning)):
        return KernelProgram((), (whole,), (), steps).map(made)
    return KernelProgram(tuple(head), tuple(body), tuple(tail)).map(made)


def kernel(dispatch: Dispatch, layout: Layout, tuning: Tuning, override: dict[str, str] | None = None) -> Kernel:
    """The kernel of one dispatch. Raises LoopLimitError where it would loop too often."""
    plan = layout.plan
    lanes = dispatch.lanes(tuning, plan.streams)
    if lanes is None:
        layers = ", ".join(sorted({m.call.layer for m in dispatch.members()}))
        raise LoopLimitError(
            f"The network's layers {layers} need more than {tuning.loops:,} loop iterations in a dispatch, where "
            "a software adapter may stop without a word; make them smaller, or use device='numpy'."
        )
    groups = dispatch.workgroups(plan)
    return Kernel(compose(dispatch, layout, lanes, override), min(groups, ACROSS), -(-groups // ACROSS), lanes)


def _steps_at_once(whole: Dispatch, plan: Plan, tuning: Tuning) -> int:
    """How many steps a persistent dispatch may go through; 0 where it cannot go through one."""
    lanes = whole.lanes(tuning, plan.streams)
    if lanes is None:
        return 0
    each = whole.iterations(lanes, plan.streams) + 1
    return max(1, min(tuning.loops // each if tuning.loops else MOST_STEPS, MOST_STEPS))
