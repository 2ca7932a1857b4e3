"""Global inhibition: the K largest overlaps win, and the runner-up inhibits them all (MODEL: SpatialPooler).

Activity is the winner's lead over the runner-up, to unit root mean square: it stays continuous where winners change,
and the best loser gets its gradient too. Ties go to the lower index; NaN ranks below everything.
"""

import numpy as np

from deephtm_gpu.ops.spec import Op, Pass, elements, root_mean_square, turns, unit_backward

BLOCKS, ALONE = 256, 32  # the shader's


def topk_forward(overlap, K):
    """overlap (S, C) -> winners (S, K) from the largest down, rows (S, K+1) = winners and runner-up,
    activity (S, K) >= 0, scale (S, 1)"""
    winners, rows, lead = lead_forward(overlap, K)
    scale = root_mean_square(lead)  # (S, 1)
    return winners, rows, lead / scale, scale


def topk_backward(dactivity, activity, scale, K):
    """dactivity, activity (S, K), scale (S, 1) -> doverlap (S, K+1), at `rows`; 0 where the winners hardly lead: see
    `unit_backward`"""
    dlead = unit_backward(dactivity, activity, scale)  # (S, K)
    return lead_backward(dlead)


def lead_forward(overlap, K):
    """overlap (S, C) -> winners (S, K), rows (S, K+1), lead (S, K) over the runner-up, >= 0: activity where the
    scale is that of a whole map (`map_norm.py`)"""
    rows = _largest_of_each(overlap, K + 1)  # (S, K+1)
    ranked = overlap[np.arange(len(rows))[:, None], rows]  # (S, K+1)
    return rows[:, :K], rows, ranked[:, :K] - ranked[:, K:]


def lead_backward(dlead):
    """dlead (S, K) -> doverlap (S, K+1), at `rows`"""
    return np.concatenate([dlead, -np.add.reduce(dlead, axis=1, keepdims=True)], axis=1)


def _largest_of_each(overlap, count):
    """`_largest` of each of (S, C)."""
    if len(overlap) < 16 or overlap.shape[1] > 512:  # to sort everything takes longer
        return np.array([_largest(o, count) for o in overlap])
    losing = np.where(np.isnan(overlap), np.inf, -overlap)
    return losing.argsort(axis=1, kind="stable")[:, :count]


def _largest(overlap, count):
    """Indices of the `count` largest of (C,), largest first, ties to the lower index."""
    losing = -overlap
    parted = losing.copy()
    parted.partition(count - 1)  # NaN comes last
    threshold = parted[count - 1]
    if not threshold < np.inf:  # NaN counts as minus infinity
        losing, threshold = np.where(np.isnan(losing), np.inf, losing), np.inf
    candidates = (losing <= threshold).nonzero()[0]  # in rising order, ties and all
    return candidates[losing[candidates].argsort(kind="stable")[:count]]


def _forward_loops(lanes, K, C, **_):
    """As in the shader: blocks of ALONE overlaps, at threshold one a lane and at most BLOCKS."""
    blocks = min(max(1 << (turns(C, ALONE) - 1).bit_length(), lanes), BLOCKS)
    block, tree = turns(C, blocks), lanes.bit_length()
    again = turns(block, lanes) + tree if block > ALONE else block
    each = (K + 1) * (1 + tree + again + turns(blocks, lanes))
    return turns(blocks, lanes) * (block + 2) + each + 2 * turns(K, lanes) + tree


def _example(rng, S, C, K, kind="normal"):
    overlap = {
        "normal": lambda: rng.normal(size=(S, C)),
        "ties": lambda: rng.integers(0, 3, size=(S, C)).astype(float),
        "negative": lambda: -1 - rng.random((S, C)),
        "equal": lambda: np.full((S, C), -0.5),
        "nan": lambda: rng.choice([np.nan, -1.0, 2.0], (S, C), p=[0.97, 0.02, 0.01]),
    }[kind]()
    _, _, activity, scale = topk_forward(overlap.astype(np.float32), K)
    return {"overlap": overlap, "activity": activity, "scale": scale, "dactivity": rng.normal(size=(S, K)),
            "dlead": rng.normal(size=(S, K)), "K": K, "C": C}


TOPK = Op(
    name="topk",
    shader="topk",
    passes=(
        Pass(topk_forward, reads=("overlap",), writes=("winners", "rows", "activity", "scale"), consts=("K", "C"),
             work=lambda K, C: C + K * (turns(C, BLOCKS) + BLOCKS), loops=_forward_loops),
        Pass(topk_backward, reads=("dactivity", "activity", "scale"), writes=("doverlap",), consts=("K",),
             work=elements),
        Pass(lead_forward, reads=("overlap",), writes=("winners", "rows", "lead"), consts=("K", "C"),
             work=lambda K, C: C + K * (turns(C, BLOCKS) + BLOCKS), loops=_forward_loops),
        Pass(lead_backward, reads=("dlead",), writes=("doverlap",), consts=("K",), work=elements),
    ),
    example=_example,
    sizes=tuple({"S": S, "C": C, "K": K, "kind": kind} for S, C, K, kind in [
        (1, 2, 1, "normal"), (1, 256, 5, "normal"), (1, 255, 254, "normal"), (1, 257, 1, "ties"), (3, 256, 10, "ties"),
        (1, 13, 12, "negative"), (2, 257, 20, "negative"), (1, 64, 5, "equal"), (1, 1031, 40, "normal"),
        (1, 2049, 7, "ties"),
        (2, 1031, 100, "nan"), (1, 16384, 5, "normal"), (1, 65536, 40, "normal"), (1, 65536, 40, "ties"),
        (1, 65537, 3, "negative"),
        (1, 16385, 600, "nan")]),
)
