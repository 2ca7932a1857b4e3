"""The evidence of a sensation for each hypothesis: a plan of its own for the engine, with one stream for each
hypothesis.

phase = anchor + R place; code = grid cells; q = W_d code + b for the cells of the winning columns; z = logsumexp of q
over a column's cells; l = sum over the winners of log(epsilon + (1 - epsilon) sigmoid(z)). The backward pass gives
dl/dplace.
"""

import numpy as np

from deephtm_gpu.backends.batch import Batch
from deephtm_gpu.plan.plan import Plan, Program
from deephtm_gpu.plan.scope import make_call
from deephtm_gpu.plan.tensors import IO, MATRIX, PARAM, SCRATCH, STATE, Tensor

FORWARD = Program(learn=False)
STREAMS = (16, 256, 2048)  # hypotheses at once: the smallest number that is enough, or several steps of the largest


class Judge:
    """opened: a device (see `backends.devices.open_device`). sizes: the letters C, K, M of the memory, G, B of the grid
    cells."""

    def __init__(self, opened, sizes: dict[str, int], sharpness: float, epsilon: float):
        self._opened, self._sizes, self._knobs = opened, sizes, {"sharpness": sharpness, "epsilon": epsilon}
        self._backends, self._weights = {}, {}

    def take(self, weights: dict[str, np.ndarray]):
        """Uses these weights from now on: metric, R (2G, 2); weight, W_d (N, G*B*B); bias (N,)."""
        self._weights = weights
        for backend in self._backends.values():
            self._give(backend)

    def __call__(self, places, anchors, winners, gradient=False):
        """places (H, 2), anchors (H, 2G), winners (K,) or (H, K) -> l (H,), and with `gradient` dl/dplace (H, 2), else
        None"""
        H = len(places)
        S = next((n for n in STREAMS if n >= H), STREAMS[-1])
        steps = -(-H // S)

        def spread(x):
            x = np.broadcast_to(x, (H, x.shape[-1]))
            # With the first hypothesis.
            padded = np.concatenate([x, np.broadcast_to(x[:1], (steps * S - H, x.shape[1]))])
            return np.asarray(padded, np.float32).reshape(steps, S, -1)

        inputs = [spread(np.asarray(x)) for x in (places, anchors, winners)]
        batch = Batch(FORWARD, inputs, None, np.zeros(steps, np.float32), np.zeros(steps, np.int64), 0)
        outputs = [p.reshape(steps * S, -1)[:H] for p in self._backend(S, gradient).run(batch).predictions]
        return outputs[0][:, 0], outputs[1] if gradient else None

    def _backend(self, streams, gradient):
        if (streams, gradient) not in self._backends:
            backend = self._opened.backend(_plan(streams, gradient, **self._sizes, **self._knobs))
            self._backends[streams, gradient] = backend
            self._give(backend)
        return self._backends[streams, gradient]

    def _give(self, backend):
        for name, value in self._weights.items():
            backend.write(name, value)


class _Builder:
    """Adds tensors, calls and outputs to a plan."""

    def __init__(self, plan: Plan):
        self.plan = plan

    def tensor(self, name, *shape, storage=SCRATCH, **kind):
        return self.plan.add(Tensor(name, shape, storage, **kind))

    def call(self, name, **arguments):
        self.plan.forward.append(make_call(name, arguments, "judge", None, learning=False))

    def output(self, name, x):
        self.plan.predictions.append(self.tensor(name, x.size, storage=IO))
        self.call("copy_forward", x=x, y=self.plan.predictions[-1], D=x.size)


def _plan(streams, gradient, C, K, M, G, B, sharpness, epsilon) -> Plan:
    build, L, I = _Builder(Plan(streams)), K * M, G * B * B
    tensor, call = build.tensor, build.call
    place, anchor, won = (tensor(name, n, storage=IO) for name, n in (("place", 2), ("anchor", 2 * G), ("winners", K)))
    build.plan.inputs = [place, anchor, won]
    metric, weight = tensor("metric", 2 * G, 2, storage=MATRIX), tensor("weight", C * M, I, storage=MATRIX)
    bias = tensor("bias", C * M, storage=PARAM)
    always = tensor("always", 1, storage=STATE, start=1.0)  # restarts the path at every step; also dl/dl
    phase, code, norm = tensor("phase", 2 * G), tensor("code", I), tensor("norm", 1)
    call("path_forward", movement=place, weight=metric, restart=always, anchor=anchor,
         travelled=tensor("travelled", 2 * G, storage=STATE), path=tensor("path", 2, storage=STATE), phase=phase,
         displacement=tensor("displacement", 2), D=2, G=G)
    call("grid_forward", phase=phase, code=code, norm=norm, sharpness=sharpness, G=G, B=B)
    winners, cells = tensor("columns", K, index=True), tensor("cells", L, index=True)
    q, z, l = tensor("q", L), tensor("z", K), tensor("l", 1)
    call("index_forward", numbers=won, index=winners, D=K)
    call("cells_forward", winners=winners, cells=cells, K=K, M=M)
    call("rows_forward", x=code, index=cells, weight=weight, bias=bias, y=q, L=L, I=I)
    call("any_forward", q=q, z=z, L=K, M=M)
    call("evidence_forward", z=z, l=l, epsilon=epsilon, K=K)
    build.output("evidence", l)
    if gradient:
        _add_gradient(build, K, M, G, B, sharpness, epsilon)
    return build.plan


def _add_gradient(build, K, M, G, B, sharpness, epsilon):
    L, I, t, call = K * M, G * B * B, build.plan.tensors, build.call
    gradients = ("z", K), ("q", L), ("code", I), ("phase", 2 * G), ("place", 2)
    dz, dq, dcode, dphase, dplace = (build.tensor(f"d{name}", n) for name, n in gradients)
    call("evidence_backward", dl=t["always"], z=t["z"], dz=dz, epsilon=epsilon, K=K)
    call("any_backward", dz=dz, q=t["q"], dq=dq, L=K, M=M, floor=0.0)
    call("rows_backward", dy=dq, index=t["cells"], weight=t["weight"], dx=dcode, L=L, I=I)
    call(
        "grid_backward",
        dcode=dcode,
        code=t["code"],
        norm=t["norm"],
        phase=t["phase"],
        dphase=dphase,
        sharpness=sharpness,
        G=G,
        B=B,
    )
    call("linear_backward", dy=dphase, weight=t["metric"], dx=dplace, I=2, O=2 * G)
    build.output("gradient", dplace)
