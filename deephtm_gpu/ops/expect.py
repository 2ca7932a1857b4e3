"""Which columns a context expects, and how well what came fits that.

A column is expected where some of its M cells is depolarised: z = logsumexp over the cells, pi = sigmoid(z). The
gradient falls on the cell that is depolarised most, so that learning blames one cell; what is left for the others is
rounded to exactly 0, and updates leave their rows alone. Evidence: sum over the K winners of log(epsilon + (1 -
epsilon) pi), epsilon being how likely a column wins that nothing expected.
"""

import numpy as np

from deephtm_gpu.ops.sparse_linear import by_rows
from deephtm_gpu.ops.spec import Op, Pass, elements


def any_forward(q, L, M):
    """q (S, L*M) -> z (S, L), logsumexp over the M cells of each column"""
    z, _ = _soften(q.reshape(-1, M))
    return z.reshape(len(q), L)


def any_backward(dz, q, M, floor):
    """dz (S, L), q (S, L*M) -> dq (S, L*M), 0 where it is less than `floor`"""
    _, share = _soften(q.reshape(-1, M))  # (S*L, M)
    dq = (dz.reshape(-1, 1) * share).reshape(q.shape)
    dq[np.abs(dq) < floor] = 0
    return dq


def spare_forward(dz, losers):
    """dz (S, L) -> y (S, L), `losers` times dz where that is above 0: where a column was expected and did not win"""
    return np.where(dz > 0, losers * dz, dz)


def _soften(q):
    """q (R, M) -> logsumexp of each row (R, 1), softmax of each row (R, M)"""
    top = np.maximum.reduce(q, axis=1, keepdims=True)  # (R, 1)
    share = np.exp(q - top)  # (R, M)
    total = np.add.reduce(share, axis=1, keepdims=True)  # (R, 1), 1 or more
    return top + np.log(total), share / total


def evidence_forward(z, epsilon):
    """z (S, K) -> l (S, 1), the sum of log(epsilon + (1 - epsilon) sigmoid(z))"""
    small = np.exp(-np.abs(z))  # (S, K), never too large
    likely = np.where(z < 0, small, 1) / (1 + small)
    return np.add.reduce(np.log(epsilon + (1 - epsilon) * likely), axis=1, keepdims=True)


def evidence_backward(dl, z, epsilon):
    """dl (S, 1), z (S, K) -> dz (S, K)"""
    small = np.exp(-np.abs(z))  # (S, K)
    likely = np.where(z < 0, small, 1) / (1 + small)
    slope = small / (1 + small) ** 2  # of the sigmoid: likely (1 - likely), without the difference
    return dl * (1 - epsilon) * slope / (epsilon + (1 - epsilon) * likely)


def _any_example(rng, S, L, M, floor, size=6.0, nan=False):
    q = size * rng.normal(size=(S, L * M))
    if nan:
        q[0, 0] = np.nan
    return {"q": q, "dz": rng.normal(size=(S, L)), "floor": floor, "losers": 0.3, "L": L, "M": M}


def _evidence_example(rng, S, K, epsilon, size=6.0, nan=False):
    z = size * rng.normal(size=(S, K))
    if nan:
        z[0, 0] = np.nan
    return {"z": z, "dl": rng.normal(size=(S, 1)), "epsilon": epsilon, "K": K}


def _any_loops(lanes, L, M, **_):
    return 3 * by_rows(lanes, L, M)


ANY = Op(
    name="any",
    shader="expect",
    passes=(
        Pass(any_forward, reads=("q",), writes=("z",), consts=("L", "M"), work=lambda L, M: L * M, loops=_any_loops),
        Pass(spare_forward, reads=("dz",), writes=("y",), consts=("losers", "L"), work=elements),
        Pass(any_backward, reads=("dz", "q"), writes=("dq",), consts=("L", "M", "floor"),
             work=lambda L, M, floor: L * M,
             loops=_any_loops),
    ),
    example=_any_example,
    sizes=tuple({"S": S, "L": L, "M": M, "floor": floor, "size": size, "nan": nan} for S, L, M, floor, size, nan in [
        (1, 1, 1, 0.0, 6.0, False), (1, 5, 32, 0.0, 6.0, False), (1, 257, 3, 1e-3, 6.0, False),
        (3, 7, 257, 1e-2, 1.0, False),
        (1, 2, 33, 0.0, 1e4, False), (2, 131, 5, 1e-3, 6.0, True)]),
)

EVIDENCE = Op(
    name="evidence",
    shader="expect",
    passes=(
        Pass(evidence_forward, reads=("z",), writes=("l",), consts=("epsilon", "K"), work=elements),
        Pass(evidence_backward, reads=("dl", "z"), writes=("dz",), consts=("epsilon", "K"), work=elements),
    ),
    example=_evidence_example,
    sizes=tuple({"S": S, "K": K, "epsilon": epsilon, "size": size, "nan": nan} for S, K, epsilon, size, nan in [
        (1, 1, 0.02, 6.0, False), (1, 5, 0.02, 6.0, False), (3, 257, 0.3, 1.0, False), (1, 256, 0.1, 6.0, False),
        (2, 13, 0.02, 50.0, False),
        (2, 7, 0.02, 6.0, True)]),
)
