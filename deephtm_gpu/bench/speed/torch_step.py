"""The post's step in PyTorch, for comparison: autograd, with only the weights of winners and cells in the graph, as in
our reference.

All shapes are fixed and nothing waits for the device, so a step can be captured as a CUDA graph (`capture`, not run on
a card yet).
"""

import numpy as np

from deephtm_gpu.layers.memory_step import SURE_OF_COLUMNS
from deephtm_gpu.ops.context import FORGET, SMALLEST
from deephtm_gpu.ops.head import BIAS_RATE, LOSERS, RATE
from deephtm_gpu.ops.spec import EPSILON

SLOW, LAST, DECAY = 0.01, 0.3, 0.8  # lr_scale of encoder and pooler, and of the last layer; decay of the fast context
WORD = 0xFFFFFFFF


class TorchStep:
    """model: a Model of the post's network with one stream and PolyakSGD, for the initial weights. name: "cpu" or
    "cuda"."""

    def __init__(self, model, name="cpu"):
        import torch

        self.torch, self.device = torch, torch.device(name)
        weights = {n: torch.tensor(np.asarray(a), device=self.device) for n, a in model.state_dict().items()}
        self.w = weights
        self.C, self.K, self.M = len(weights["5.bias"]), 5, 5
        self.N = self.C * self.M
        self.dense = ["0.weight", "0.bias", "2.weight", "2.bias", "9.weight", "9.bias"]
        for n in self.dense:
            weights[n].requires_grad_(True)
        zeros = lambda *shape: torch.zeros(*shape, device=self.device)  # noqa: E731
        self.fast, self.slow, self.target, self.x = zeros(self.N), zeros(self.C), zeros(1), zeros(1)
        self.t = torch.zeros((), dtype=torch.int64, device=self.device)
        self.seen = zeros(())
        self.seed = int(model.session.read("6.noise_seed")[0, 0])
        self.pending = None  # the graph of the step before, whose target comes now
        self.graph = None
        self.R = LOSERS * self.K
        bounds = np.arange(self.R + 1) * self.C // self.R
        self.begin, self.draw = torch.tensor(bounds[:-1], device=self.device), torch.arange(self.R, device=self.device)
        self.length = torch.tensor(np.diff(bounds), device=self.device)

    def step(self, x):
        """Learns from x as the target of the step before, and predicts the next value."""
        if self.pending is not None:
            self.learn(x, *self.pending)
        self.pending = self.forward(x)
        return self.pending[0]

    def run(self, series):
        """series: a tensor (T, 1). Returns the predictions (T, 1)."""
        if self.graph is not None:
            return self.torch.stack([self._replayed(x, y) for x, y in zip(series, self.torch.roll(series, -1, 0))])
        return self.torch.stack([self.step(x).detach() for x in series])

    def capture(self):
        """From now on a step is a replayed CUDA graph: it predicts from `x`, and learns from `target`."""
        torch = self.torch
        self.x.copy_(torch.zeros(1))
        side = torch.cuda.Stream()
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            # New leaves: autograd adds a leaf's gradient up in the stream that first used it, and what is captured must
            # not wait for another stream.
            for n in self.dense:
                self.w[n] = self.w[n].detach().requires_grad_(True)
            self.pending = None
            for _ in range(3):
                self.step(self.x)
            self.pending = None
        torch.cuda.current_stream().wait_stream(side)
        self.graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(self.graph, stream=side):
            # Within the graph the forward pass comes before the learning; the work is the same.
            graph = self.forward(self.x)
            self.learn(self.target, *graph)
            self.prediction = graph[0].detach()

    def _replayed(self, x, target):
        self.x.copy_(x)
        self.target.copy_(target)
        self.graph.replay()
        return self.prediction.clone()

    def forward(self, x):
        torch, w, K, M = self.torch, self.w, self.K, self.M
        h = torch.relu(w["0.weight"] @ x + w["0.bias"])
        h = torch.relu(w["2.weight"] @ h + w["2.bias"])
        with torch.no_grad():
            w["4.mean"] += torch.clamp(1 / (self.seen + 1), min=0.001) * (h - w["4.mean"])
            self.seen += 1
        centred = h - w["4.mean"]
        n = centred / torch.sqrt((centred * centred).mean() + EPSILON)
        with torch.no_grad():
            top = torch.topk(w["5.weight"] @ n + w["5.bias"], K + 1).indices
        rows, offsets = w["5.weight"][top].requires_grad_(True), w["5.bias"][top].requires_grad_(True)
        o = rows @ n + offsets
        lead = o[:K] - o[K]
        s = lead / torch.sqrt((lead * lead).mean() + EPSILON)  # (K,)
        with torch.no_grad():
            winners = top[:K]
            cells = (winners[:, None] * M + torch.arange(M, device=self.device)).reshape(-1)
            context = torch.cat([self.fast / torch.sqrt((self.fast * self.fast).sum() + EPSILON),
                                 self.slow / torch.sqrt((self.slow * self.slow).sum() + EPSILON)])  # (N + C,)
            z = w["6.distal_weight"][cells] @ context + w["6.distal_bias"][cells]
        z.requires_grad_(True)
        a = (s[:, None] * self.gate(z.reshape(K, M))).reshape(-1)
        from_cells = w["7.weight"].T[cells].requires_grad_(True)
        offset = w["7.bias"].detach().requires_grad_(True)
        y = w["9.weight"] @ torch.relu(a @ from_cells + offset) + w["9.bias"]
        with torch.no_grad():
            anomaly = self.head(winners, s, context)
            self.move(cells, a, winners, s, anomaly)
            self.t += 1
        return y, top, cells, context, rows, offsets, z, from_cells, offset

    def gate(self, z):
        torch = self.torch
        x = (z - z.max(1, keepdim=True).values) / 2
        y = x.sort(1, descending=True).values
        k = torch.arange(1, self.M + 1, device=self.device)
        mean = y.cumsum(1) / k
        spread = (y * y).cumsum(1) - k * mean * mean
        threshold = mean - torch.sqrt(torch.clamp((1 - spread) / k, min=1e-12))
        support = (threshold <= y).to(torch.int64).cumprod(1).sum(1, keepdim=True)
        return torch.clamp(x - threshold.gather(1, support - 1), min=0) ** 2

    def head(self, winners, s, context):
        torch, w = self.torch, self.w
        losers = self.begin + self.hash(self.hash(self.seed ^ self.t) ^ self.draw) % self.length
        asked = torch.cat([winners, losers])
        likely = torch.sigmoid(w["6.predicted_weight"][asked] @ context + w["6.predicted_bias"][asked])
        won = torch.arange(len(asked), device=self.device) < self.K
        drawn_too = (losers[:, None] == winners).any(1)
        delta = torch.where(won, likely - 1, likely)
        delta = torch.where(torch.cat([torch.zeros_like(winners, dtype=torch.bool), drawn_too]), 0.0, delta)
        w["6.predicted_weight"].index_add_(0, asked, -RATE * delta[:, None] * context)
        w["6.predicted_bias"].index_add_(0, asked, -BIAS_RATE * delta)
        return 1 - (s * likely[: self.K]).sum() / torch.clamp(s.sum(), min=1e-12)

    def hash(self, x):
        x = ((x ^ (x >> 16)) * 0x7FEB352D) & WORD
        x = ((x ^ (x >> 15)) * 0x846CA68B) & WORD
        return x ^ (x >> 16)

    def move(self, cells, a, winners, s, anomaly):
        torch = self.torch
        self.fast *= DECAY
        self.fast *= self.fast.abs() >= SMALLEST
        self.fast.index_add_(0, cells, a)
        p = torch.where(anomaly >= SURE_OF_COLUMNS, anomaly, torch.zeros_like(anomaly))
        self.slow *= 1 - FORGET * p
        self.slow *= self.slow.abs() >= SMALLEST
        self.slow.index_add_(0, winners, torch.where(s * p > SMALLEST, s * p, torch.zeros_like(s)))

    def learn(self, target, y, top, cells, context, rows, offsets, z, from_cells, offset):
        torch, w = self.torch, self.w
        error = y - target
        leaves = [w[n] for n in self.dense]
        *dense, drows, doffsets, dz, dfrom, doffset = torch.autograd.grad(
            y, [*leaves, rows, offsets, z, from_cells, offset], error.detach()
        )
        with torch.no_grad():
            scale = [SLOW] * 4 + [LAST] * 2
            size = sum(c * (g * g).sum() for c, g in zip(scale, dense))
            size = (
                size
                + SLOW * ((drows * drows).sum() + (doffsets * doffsets).sum())
                + (dfrom * dfrom).sum()
                + (doffset * doffset).sum()
            )
            size = size + (dz * dz).sum() * ((context * context).sum() + 1)
            step = (error * error).sum() / (size + 1e-12)
            for leaf, c, g in zip(leaves, scale, dense):
                leaf -= c * step * g
            w["5.weight"].index_add_(0, top, -SLOW * step * drows)
            w["5.bias"].index_add_(0, top, -SLOW * step * doffsets)
            w["7.weight"].T.index_add_(0, cells, -step * dfrom)
            w["7.bias"] -= step * doffset
            w["6.distal_weight"].index_add_(0, cells, -step * dz[:, None] * context)
            w["6.distal_bias"].index_add_(0, cells, -step * dz)
