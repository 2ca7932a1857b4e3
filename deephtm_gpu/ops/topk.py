"""Global inhibition: the K largest overlaps win, and the runner-up inhibits them all (MODEL: SpatialPooler).

Activity is the winner's lead over the runner-up, to unit root mean square: it stays continuous where winners change,
and the best loser gets its gradient too. Ties go to the lower index; NaN ranks below everything.
"""

import numpy as np

from deephtm_gpu.ops.spec import Op, Pass, elements, mean_product, root_mean_square


def topk_forward(overlap, K):
    """overlap (S, C) -> winners (S, K) from the largest down, rows (S, K+1) = winners and runner-up,
    activity (S, K) >= 0, scale (S, 1)"""
    rows = np.array([_largest(o, K + 1) for o in overlap])  # (S, K+1)
    ranked = overlap[np.arange(len(rows))[:, None], rows]  # (S, K+1)
    lead = ranked[:, :K] - ranked[:, K:]  # (S, K)
    scale = root_mean_square(lead)  # (S, 1)
    return rows[:, :K], rows, lead / scale, scale


def topk_backward(dactivity, activity, scale, K):
    """dactivity, activity (S, K), scale (S, 1) -> doverlap (S, K+1), at `rows`"""
    dlead = (dactivity - mean_product(dactivity, activity) * activity) / scale  # (S, K)
    return np.concatenate([dlead, -np.add.reduce(dlead, axis=1, keepdims=True)], axis=1)


def _largest(overlap, count):
    """Indices of the `count` largest of (C,), largest first, ties to the lower index."""
    losing = -overlap
    parted = losing.copy()
    parted.partition(count - 1)  # NaN comes last, as in argsort
    candidates = (~(losing > parted[count - 1])).nonzero()[0]  # in rising order, ties, NaN and all
    return candidates[losing[candidates].argsort(kind="stable")[:count]]


def _example(rng, S, C, K, kind="normal"):
    overlap = {
        "normal": lambda: rng.normal(size=(S, C)),
        "ties": lambda: rng.integers(0, 3, size=(S, C)).astype(float),
        "negative": lambda: -1 - rng.random((S, C)),
        "equal": lambda: np.full((S, C), -0.5),
    }[kind]()
    _, _, activity, scale = topk_forward(overlap.astype(np.float32), K)
    return {"overlap": overlap, "activity": activity, "scale": scale, "dactivity": rng.normal(size=(S, K)), "K": K, "C": C}


TOPK = Op(
    name="topk",
    shader="topk",
    passes=(
        Pass(topk_forward, reads=("overlap",), writes=("winners", "rows", "activity", "scale"), consts=("K", "C"),
             work=lambda K, C: C * (K + 2)),
        Pass(topk_backward, reads=("dactivity", "activity", "scale"), writes=("doverlap",), consts=("K",), work=elements),
    ),
    example=_example,
    sizes=tuple({"S": S, "C": C, "K": K, "kind": kind} for S, C, K, kind in [
        (1, 2, 1, "normal"), (1, 256, 5, "normal"), (1, 255, 254, "normal"), (1, 257, 1, "ties"), (3, 256, 10, "ties"),
        (1, 13, 12, "negative"), (2, 257, 20, "negative"), (1, 64, 5, "equal"), (1, 1031, 40, "normal"), (1, 2049, 7, "ties")]),
)
