"""How well a sensation fits where one may be: a plan of its own for the engine, a stream for each hypothesis.

phase = anchor + R place; code = grid cells; q = W_d code + b for the cells of the columns that won; z = logsumexp of q over a column's
cells; l = sum over the winners of log(epsilon + (1 - epsilon) sigmoid(z)). And back again: dl/dplace, for those who doubt their place.
"""

import numpy as np

from deephtm_gpu.backends.batch import Batch
from deephtm_gpu.plan.plan import Plan, Program
from deephtm_gpu.plan.scope import make_call
from deephtm_gpu.plan.tensors import IO, MATRIX, PARAM, SCRATCH, STATE, Tensor

FORWARD = Program(learn=False)
STREAMS = (16, 256, 2048)  # hypotheses at once: the fewest that hold them all, or several rows of the most


class Judge:
    """opened: a device (see `backends.devices.open_device`). sizes: the letters C, K, M of the memory, G, B of the grid cells."""

    def __init__(self, opened, sizes: dict[str, int], sharpness: float, epsilon: float):
        self._opened, self._sizes, self._knobs = opened, sizes, {"sharpness": sharpness, "epsilon": epsilon}
        self._backends, self._weights = {}, {}

    def take(self, weights: dict[str, np.ndarray]):
        """From now on: metric, R (2G, 2); weight, W_d (N, G*B*B); bias (N,)."""
        self._weights = weights
        for backend in self._backends.values():
            self._give(backend)

    def __call__(self, places, anchors, winners, slope=False):
        """places (H, 2), anchors (H, 2G), winners (K,) or (H, K) -> l (H,), and where `slope` is asked for dl/dplace (H, 2), else None"""
        H = len(places)
        S = next((n for n in STREAMS if n >= H), STREAMS[-1])
        rows = -(-H // S)

        def spread(x):
            x = np.broadcast_to(x, (H, x.shape[-1]))
            filled = np.concatenate([x, np.broadcast_to(x[:1], (rows * S - H, x.shape[1]))])  # with what is there anyway
            return np.asarray(filled, np.float32).reshape(rows, S, -1)

        inputs = [spread(np.asarray(x)) for x in (places, anchors, winners)]
        made = self._backend(S, slope).run(Batch(FORWARD, inputs, None, np.zeros(rows, np.float32), np.zeros(rows, np.int64), 0))
        found = [p.reshape(rows * S, -1)[:H] for p in made.predictions]
        return found[0][:, 0], found[1] if slope else None

    def _backend(self, streams, slope):
        if (streams, slope) not in self._backends:
            backend = self._backends[streams, slope] = self._opened.backend(_plan(streams, slope, **self._sizes, **self._knobs))
            self._give(backend)
        return self._backends[streams, slope]

    def _give(self, backend):
        for name, value in self._weights.items():
            backend.write(name, value)


def _plan(streams, slope, C, K, M, G, B, sharpness, epsilon) -> Plan:
    plan, L, I, grid = Plan(streams), K * M, G * B * B, {"sharpness": sharpness, "G": G, "B": B}

    def tensor(name, *shape, place=SCRATCH, **kind):
        return plan.add(Tensor(name, shape, place, **kind))

    def call(name, **arguments):
        plan.forward.append(make_call(name, arguments, "judge", None, learning=False))

    def told(name, x):
        plan.predictions.append(tensor(name, x.size, place=IO))
        call("copy_forward", x=x, y=plan.predictions[-1], D=x.size)

    place, anchor, won = plan.inputs = [tensor(name, n, place=IO) for name, n in (("place", 2), ("anchor", 2 * G), ("winners", K))]
    metric, weight, bias = tensor("metric", 2 * G, 2, place=MATRIX), tensor("weight", C * M, I, place=MATRIX), tensor("bias", C * M, place=PARAM)
    always = tensor("always", 1, place=STATE, start=1.0)  # each path begins anew, and its gradient at 1
    phase, code, norm = tensor("phase", 2 * G), tensor("code", I), tensor("norm", 1)
    call("path_forward", movement=place, weight=metric, restart=always, anchor=anchor, travelled=tensor("travelled", 2 * G, place=STATE),
         path=tensor("path", 2, place=STATE), phase=phase, displacement=tensor("displacement", 2), D=2, G=G)
    call("grid_forward", phase=phase, code=code, norm=norm, **grid)
    winners, cells, q, z, l = (tensor("columns", K, index=True), tensor("cells", L, index=True), tensor("q", L), tensor("z", K), tensor("l", 1))
    call("index_forward", numbers=won, index=winners, D=K)
    call("cells_forward", winners=winners, cells=cells, K=K, M=M)
    call("rows_forward", x=code, index=cells, weight=weight, bias=bias, y=q, L=L, I=I)
    call("any_forward", q=q, z=z, L=K, M=M)
    call("evidence_forward", z=z, l=l, epsilon=epsilon, K=K)
    told("evidence", l)
    if slope:
        dz, dq, dcode, dphase, dplace = (tensor(f"d{name}", n) for name, n in (("z", K), ("q", L), ("code", I), ("phase", 2 * G), ("place", 2)))
        call("evidence_backward", dl=always, z=z, dz=dz, epsilon=epsilon, K=K)
        call("any_backward", dz=dz, q=q, dq=dq, L=K, M=M, floor=0.0)
        call("rows_backward", dy=dq, index=cells, weight=weight, dx=dcode, L=L, I=I)
        call("grid_backward", dcode=dcode, code=code, norm=norm, phase=phase, dphase=dphase, **grid)
        call("linear_backward", dy=dphase, weight=metric, dx=dplace, I=2, O=2 * G)
        told("slope", dplace)
    return plan
