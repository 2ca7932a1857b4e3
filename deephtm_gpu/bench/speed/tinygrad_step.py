"""The post's step in tinygrad on its WebGPU backend, for comparison: autograd, captured with TinyJit.

It has no head that predicts columns and no slow context, which makes it faster. It is a program of its own, because
tinygrad chooses its device at import: python -m deephtm_gpu.bench.speed.tinygrad_step STEPS prints the steps per
second. It needs tinygrad, and dawn-python for the WebGPU library.
"""

import os
import sys
import time

import numpy as np

SLOW, LAST, DECAY, SMALLEST, EPSILON = 0.01, 0.3, 0.8, 0.1, 1e-4
H, C, K, M = 256, 256, 5, 5
N = C * M
LR_SCALES = dict.fromkeys(("w1", "b1", "w2", "b2", "w3", "b3"), SLOW) | {"w5": LAST, "b5": LAST}


def main(steps):
    from tinygrad import Tensor, TinyJit

    weights, memory = _start()
    step = TinyJit(lambda x, target: _step(weights, memory, x, target))
    series = [Tensor([float(np.sin(2 * np.pi * t / 50))]).realize() for t in range(steps + 4)]
    for t in range(3):  # TinyJit captures in the second call
        step(series[t], series[t + 1]).numpy()
    began = time.perf_counter()
    for t in range(3, 3 + steps):
        last = step(series[t], series[t + 1])
    last.numpy()
    print(steps / (time.perf_counter() - began))


def _start():
    """The weights that autograd learns, and the memory's own: distal weights, fast context; also the mean of the
    norm."""
    from tinygrad import Tensor

    rng = np.random.default_rng(0)

    def normal(*shape, std):
        return Tensor((std * rng.normal(size=shape)).astype(np.float32)).contiguous().realize()

    def zeros(*shape):
        return Tensor.zeros(*shape).contiguous().realize()

    weights = {"w1": normal(H, 1, std=2**0.5), "b1": zeros(H), "w2": normal(H, H, std=(2 / H) ** 0.5), "b2": zeros(H),
               "w3": normal(C, H, std=(2 / H) ** 0.5), "b3": zeros(C), "w4": normal(N, H, std=0.25 / K**0.5),
               "b4": zeros(H), "w5": normal(1, H, std=0.5 * (2 / H) ** 0.5), "b5": zeros(1)}
    for tensor in weights.values():
        tensor.requires_grad = True
    return weights, {"distal": normal(N, N, std=0.7), "bias": zeros(N), "fast": zeros(N), "mean": zeros(H)}


def _step(weights, memory, x, target):
    """One step: predicts, and learns from the target at once."""
    from tinygrad import Tensor

    prediction, a, z, cells, context, mean = _forward(weights, memory, x)
    error = prediction - target
    (0.5 * error.square().sum()).backward()
    square = sum(LR_SCALES.get(n, 1.0) * t.grad.square().sum() for n, t in weights.items()) + z.grad.square().sum() * 2
    lr = error.square().sum().detach() / (square + 1e-12)
    for name, t in weights.items():
        t.assign((t.detach() - LR_SCALES.get(name, 1.0) * lr * t.grad).contiguous())
    hot = cells.reshape(-1, 1) == Tensor.arange(N)
    change = hot.where((lr * z.grad).reshape(-1, 1), 0.0).sum(axis=0)
    memory["distal"].assign((memory["distal"] - change.reshape(N, 1) * context).contiguous())
    memory["bias"].assign((memory["bias"] - change).contiguous())
    fast = memory["fast"] * DECAY
    fast = (fast.abs() >= SMALLEST).where(fast, 0.0) + hot.where(a.detach().reshape(-1, 1), 0.0).sum(axis=0)
    memory["fast"].assign(fast.contiguous())
    memory["mean"].assign(mean)
    for t in (*weights.values(), z):
        t.grad = None
    Tensor.realize(*weights.values(), *memory.values(), prediction)
    return prediction


def _forward(weights, memory, x):
    from tinygrad import Tensor, dtypes

    w = weights
    h = (w["w2"] @ (w["w1"] @ x + w["b1"]).relu() + w["b2"]).relu()
    mean = (memory["mean"] + 0.001 * (h.detach() - memory["mean"])).contiguous()
    centred = h - mean
    n = centred / (centred.square().mean() + EPSILON).sqrt()
    o = w["w3"] @ n + w["b3"]
    top, where = o.topk(K + 1)
    lead = top[:K] - top[K]
    s = lead / (lead.square().mean() + EPSILON).sqrt()
    cells = (where[:K].reshape(K, 1) * M + Tensor.arange(M)).reshape(-1).cast(dtypes.int32)
    context = memory["fast"] / (memory["fast"].square().sum() + EPSILON).sqrt()
    z = (memory["distal"][cells] @ context + memory["bias"][cells]).detach()
    z.requires_grad = True
    a = (s.reshape(K, 1) * _gate(z.reshape(K, M))).reshape(-1)
    prediction = w["w5"] @ (a @ w["w4"][cells] + w["b4"]).relu() + w["b5"]
    return prediction, a, z, cells, context, mean


def _gate(z):
    """Entmax with alpha = 1.5."""
    from tinygrad import Tensor, dtypes

    x = (z - z.max(axis=1, keepdim=True)) / 2
    y = x.detach().sort(dim=1, descending=True)[0]
    k = Tensor.arange(1, M + 1).cast(dtypes.float32)
    m = y.cumsum(axis=1) / k
    threshold = m - ((1 - (y.square().cumsum(axis=1) - k * m * m)) / k).maximum(0).sqrt()
    tau = (threshold <= y).where(threshold, -9.0).max(axis=1, keepdim=True)
    return (x - tau.detach()).relu().square()


if __name__ == "__main__":
    import pydawn

    folder = os.path.join(os.path.dirname(pydawn.__file__), "lib")
    endings = (".dylib", ".dll") if sys.platform != "linux" else f"{os.uname().machine}.so"
    library = next(os.path.join(folder, f) for f in os.listdir(folder) if f.endswith(endings))
    os.environ.update(
        {"DEV": "WEBGPU", "WEBGPU": "1", "WEBGPU_BACKEND": "WGPUBackendType_Vulkan", "WEBGPU_PATH": library}
    )
    main(int(sys.argv[1]))
