"""Kernels with all their lanes, every access to memory watched (`backends/lanes`): accesses outside of arrays, reads of
workgroup memory that nobody wrote, and races, which are missing barriers."""

from dataclasses import replace

import numpy as np

from deephtm_gpu.backends.lanes.backend import LANES, OnLanes
from deephtm_gpu.ops.spec import Op
from deephtm_gpu.ops.table import OPS
from deephtm_gpu.validate.networks import check_networks
from deephtm_gpu.validate.ops import check_ops

MOST = 6_000  # elements of an op's example: lanes go through it in Python
NETWORKS = ("odd sizes, 3 streams", "window 8, Adam, 3 streams", "levels with clocks, layers at two places, 2 streams",
            "grid cells, anchored, beginning anew", "evidence, 2 streams", "maps and vectors, a clock at each position")
STEPS = 3  # of a network


def check_lanes(lanes: int = LANES, ops=OPS, networks=NETWORKS, override: dict[str, str] | None = None):
    """Yields a Check per pass and network.

    Parameters
    ----------
    lanes : int, default 8
        Of a workgroup.
    ops : sequence of Op
    networks : sequence of str
        Names of those of `validate`.
    override : dict of str to str, optional
        Shader texts by file name, see `compose`.

    Yields
    ------
    Check
        Of kind "lanes"; `worst` tells the first fault.
    """
    make = OnLanes(lanes, override)
    known = 0
    for checks in (*(check_ops(make, [_small(op)]) for op in ops),
                   *(check_networks(make, only=name, steps=STEPS) for name in networks)):
        for check in checks:
            faults, known = make.faults.found[known:], len(make.faults.found)
            yield replace(check, kind="lanes", holds=check.holds and not faults,
                          where=faults[0] if faults else check.where, worst="" if faults else check.worst)


def _small(op: Op) -> Op:
    """The op with those of its sizes that lanes in Python get through, one at least."""
    sizes = sorted(op.sizes, key=lambda size: _elements(op, size))
    return replace(op, sizes=tuple(s for s in sizes if _elements(op, s) <= MOST) or sizes[:1])


def _elements(op, size) -> int:
    example = op.example(np.random.default_rng(0), **size)
    return sum(np.size(part) for value in example.values() for part in (value if isinstance(value, list) else [value]))
