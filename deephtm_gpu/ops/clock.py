"""Clocks: parts of a network that step less often than the rest.

`tick` (S, 1) is 1 in the steps in which such a part steps, `has_ticked` (S, 1) is 1 from its first on. In between its
layers look at what is held for them, and nothing in them that lives on from step to step moves. `parent` is the tick of
the clock that the held value itself goes by; a part within a part counts its parent's ticks.
"""

import numpy as np

from deephtm_gpu.ops.spec import Op, Pass, elements

OPEN = 0.5  # a gate is open above


def every_forward(parent, count, started, steps):
    """A tick each `steps` ticks of the parent (S, 1), at the last of them. Changes count and started (S, 1) -> tick,
    has_ticked (S, 1)"""
    count += parent
    tick = (count >= steps).astype(count.dtype)
    count[tick > 0] = 0
    np.maximum(started, tick, out=started)
    return tick, started.copy()


def when_forward(gate, parent, started):
    """A tick where the gate (S, 1) is open. Changes started (S, 1) -> tick, has_ticked (S, 1)"""
    tick = (gate > OPEN) * parent
    np.maximum(started, tick, out=started)
    return tick, started.copy()


def hold_forward(x, tick, parent, kept, gathered, gathers):
    """What is held: x (S, D) as of the last tick, or where `gathers` is 1 the sum of x over the parent's ticks since
    the one before. Changes kept, gathered (S, D) -> y (S, D)"""
    new = gathers * gathered + np.where(parent > 0, x, 0) if gathers else x
    y = np.where(tick > 0, new, kept)
    kept[...] = y
    gathered[...] = np.where(tick > 0, 0, new)
    return y


def times_forward(x, by):
    """x (S, D), by (S, 1) -> y (S, D), 0 where by is 0 whatever x is"""
    return np.where(by == 0, 0, x * by)


def trace_forward(x, tick, kept, decay):
    """A leaky sum: kept (S, D) = decay kept + x at a tick -> y (S, D), what it is then"""
    kept[...] = np.where(tick > 0, decay * kept + x, kept)
    return kept.copy()


def _example(rng, S, D, steps, gathers):
    def flags(*options):
        return rng.choice(options, size=(S, 1)).astype(float)

    tick, parent = flags(0, 1), flags(0, 1)
    if S > 1:
        tick[0], tick[1] = 1, 0
    return {
        "x": rng.normal(size=(S, D)), "tick": tick, "parent": np.maximum(parent, tick), "count": flags(0, steps - 1),
        "started": flags(0, 1),
        "gate": flags(0.0, 0.5, 0.500001, 1.0), "kept": rng.normal(size=(S, D)), "gathered": rng.normal(size=(S, D)),
        "by": tick * 0.7,
        "steps": steps, "gathers": gathers, "decay": 0.97, "D": D,
    }


CLOCK = Op(
    name="clock", shader="clock", example=_example, tolerance=1e-10,
    passes=(
        Pass(every_forward, reads=("parent",), changes=("count", "started"), writes=("tick", "has_ticked"),
             consts=("steps",)),
        Pass(when_forward, reads=("gate", "parent"), changes=("started",), writes=("tick", "has_ticked")),
        Pass(hold_forward, reads=("x", "tick", "parent"), changes=("kept", "gathered"), writes=("y",),
             consts=("gathers", "D"), work=elements),
        Pass(times_forward, reads=("x", "by"), writes=("y",), consts=("D",), work=elements),
        Pass(trace_forward, reads=("x", "tick"), changes=("kept",), writes=("y",), consts=("decay", "D"),
             work=elements),
    ),
    sizes=tuple({"S": S, "D": D, "steps": steps, "gathers": g} for S, D, steps, g in [
        (1, 1, 1, 0), (1, 255, 2, 1), (2, 256, 7, 0), (5, 257, 3, 1), (13, 31, 1, 1)]),
)
