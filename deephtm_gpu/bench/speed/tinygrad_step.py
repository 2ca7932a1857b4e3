"""The post's step in tinygrad on its WebGPU backend, for comparison: autograd, captured with TinyJit. Without the head that
predicts columns and without the slow context, which favours it.

Run as a program of its own, for tinygrad chooses its device when it is imported: python -m deephtm_gpu.bench.speed.tinygrad_step STEPS
prints the steps per second. Needs tinygrad, and dawn-python for the WebGPU library.
"""

import os
import sys
import time

import numpy as np

SLOW, LAST, DECAY, SMALLEST, EPSILON = 0.01, 0.3, 0.8, 0.1, 1e-4
H, C, K, M = 256, 256, 5, 5
N = C * M


def main(steps):
    from tinygrad import Tensor, TinyJit, dtypes

    rng = np.random.default_rng(0)

    def normal(*shape, std):
        return Tensor((std * rng.normal(size=shape)).astype(np.float32)).contiguous().realize()

    def zeros(*shape):
        return Tensor.zeros(*shape).contiguous().realize()

    w = {"w1": normal(H, 1, std=2**0.5), "b1": zeros(H), "w2": normal(H, H, std=(2 / H) ** 0.5), "b2": zeros(H),
         "w3": normal(C, H, std=(2 / H) ** 0.5), "b3": zeros(C), "w4": normal(N, H, std=0.25 / K**0.5), "b4": zeros(H),
         "w5": normal(1, H, std=0.5 * (2 / H) ** 0.5), "b5": zeros(1)}
    distal, distal_bias, fast, mean = normal(N, N, std=0.7), zeros(N), zeros(N), zeros(H)
    scales = dict.fromkeys(("w1", "b1", "w2", "b2", "w3", "b3"), SLOW) | {"w5": LAST, "b5": LAST}
    for t in w.values():
        t.requires_grad = True

    @TinyJit
    def step(x, target):
        """One step: predicts, learns from the target at once."""
        h = (w["w2"] @ (w["w1"] @ x + w["b1"]).relu() + w["b2"]).relu()
        moved = (mean + 0.001 * (h.detach() - mean)).contiguous()
        centred = h - moved
        n = centred / (centred.square().mean() + EPSILON).sqrt()
        o = w["w3"] @ n + w["b3"]
        top, where = o.topk(K + 1)
        lead = top[:K] - top[K]
        s = lead / (lead.square().mean() + EPSILON).sqrt()
        cells = (where[:K].reshape(K, 1) * M + Tensor.arange(M)).reshape(-1).cast(dtypes.int32)
        context = fast / (fast.square().sum() + EPSILON).sqrt()
        z = (distal[cells] @ context + distal_bias[cells]).detach()
        z.requires_grad = True
        x2 = (z.reshape(K, M) - z.reshape(K, M).max(axis=1, keepdim=True)) / 2
        y = x2.detach().sort(dim=1, descending=True)[0]
        k = Tensor.arange(1, M + 1).cast(dtypes.float32)
        m = y.cumsum(axis=1) / k
        threshold = m - ((1 - (y.square().cumsum(axis=1) - k * m * m)) / k).maximum(0).sqrt()
        tau = (threshold <= y).where(threshold, -9.0).max(axis=1, keepdim=True)
        root = (x2 - tau.detach()).relu()
        a = (s.reshape(K, 1) * root.square()).reshape(-1)
        prediction = w["w5"] @ (a @ w["w4"][cells] + w["b4"]).relu() + w["b5"]
        error = prediction - target
        (0.5 * error.square().sum()).backward()
        size = sum(scales.get(n, 1.0) * t.grad.square().sum() for n, t in w.items()) + z.grad.square().sum() * 2
        size_of_step = error.square().sum().detach() / (size + 1e-12)
        for name, t in w.items():
            t.assign((t.detach() - scales.get(name, 1.0) * size_of_step * t.grad).contiguous())
        hot = cells.reshape(-1, 1) == Tensor.arange(N)
        at = hot.where((size_of_step * z.grad).reshape(-1, 1), 0.0).sum(axis=0)
        distal.assign((distal - at.reshape(N, 1) * context).contiguous())
        distal_bias.assign((distal_bias - at).contiguous())
        kept = fast * DECAY
        kept = (kept.abs() >= SMALLEST).where(kept, 0.0) + hot.where(a.detach().reshape(-1, 1), 0.0).sum(axis=0)
        fast.assign(kept.contiguous())
        mean.assign(moved)
        for t in (*w.values(), z):
            t.grad = None
        Tensor.realize(*w.values(), distal, distal_bias, fast, mean, prediction)
        return prediction

    series = [Tensor([float(np.sin(2 * np.pi * t / 50))]).realize() for t in range(steps + 4)]
    for t in range(3):  # TinyJit captures in the second call
        step(series[t], series[t + 1]).numpy()
    began = time.perf_counter()
    for t in range(3, 3 + steps):
        last = step(series[t], series[t + 1])
    last.numpy()
    print(steps / (time.perf_counter() - began))


if __name__ == "__main__":
    import pydawn

    folder = os.path.join(os.path.dirname(pydawn.__file__), "lib")
    library = [f for f in os.listdir(folder) if f.endswith((".dylib", ".dll") if sys.platform != "linux" else f"{os.uname().machine}.so")]
    os.environ.update({"DEV": "WEBGPU", "WEBGPU": "1", "WEBGPU_BACKEND": "WGPUBackendType_Vulkan", "WEBGPU_PATH": os.path.join(folder, library[0])})
    main(int(sys.argv[1]))
