"""Rivals in PyTorch, where it is installed: our network in dense form, for its speed; a ConvGRU, for its error."""

import statistics
import time

import numpy as np

from deephtm_gpu.bench.networks import pictures_model
from deephtm_gpu.data.balls import Balls
from deephtm_gpu.ops.spec import EPSILON

LR = 1e-3
SCALES = {"9": 20.0, "10": 10.0, "12": 10.0}  # of layers that learn faster, as in `pictures`
DECAY, SMALLEST, WRITE, DILATION, KERNEL, STRIDE = 0.5, 0.1, 0.2, 2, 6, 2
NORM_RATE = 1e-3
WARM, FRAMES, TURNS = 10, 30, 5


def has_torch() -> bool:
    """Whether PyTorch is there."""
    from importlib.util import find_spec

    return find_spec("torch") is not None


class DensePictures:
    """The network of `pictures` in PyTorch, eager and dense: every cell of every column is computed everywhere, and
    winners are a mask. One stream.

    Parameters
    ----------
    model : dh.Model
        Of `pictures_model`, before its first step, for the weights.
    """

    def __init__(self, model):
        import torch

        self.torch = torch
        torch.set_num_threads(1)
        self.w = {}
        for name, array in model.state_dict().items():
            layer, what = name.split(".")
            if what in ("weight", "bias", "distal_weight", "distal_bias"):
                self.w[name] = torch.tensor(self._dense(layer, what, np.asarray(array)), requires_grad=True)
        groups = [{"params": [w], "lr": LR * SCALES.get(n.split(".")[0], 1.0)} for n, w in self.w.items()]
        self.optimizer = torch.optim.Adam(groups)
        self.averages = [w.detach().clone() for w in self.w.values()]
        self.mean, self.u, self.steps = torch.zeros(1, 32, 1, 1), None, 0
        self.ones = torch.ones(1, 1, 3, 3)

    def fit(self, inputs, targets):
        """inputs (T, 2, H, W), targets (T, 1, H, W); returns what it predicted for them."""
        made = [self._step(x[None], y[None]) for x, y in zip(self.torch.tensor(inputs), self.torch.tensor(targets))]
        return self.torch.stack(made).numpy()

    def _dense(self, layer, what, array):
        """Our weights in PyTorch's order."""
        if what == "distal_weight":  # (N, 9 N)
            N = len(array)
            return array.reshape(N, 3, 3, N).transpose(0, 3, 1, 2).copy()
        if what == "weight":
            side = {"3": 5, "10": 6, "13": 5}.get(layer, 3)
            return array.reshape(len(array), side, side, -1).transpose(0, 3, 1, 2).copy()
        return array.copy()

    def _step(self, x, target):
        F = self.torch.nn.functional
        logits = self._forward(self.torch.cat([x, self.torch.ones_like(x[:, :1])], 1))
        self.optimizer.zero_grad(set_to_none=True)
        F.binary_cross_entropy_with_logits(logits, target, reduction="sum").backward()
        self.optimizer.step()
        self.torch._foreach_lerp_(self.averages, [w.detach() for w in self.w.values()],
                                  min(1.0, 10 / (self.steps + 1)))
        self.steps += 1
        return self.torch.sigmoid(logits[0].detach())

    def _forward(self, x):
        torch, F, w = self.torch, self.torch.nn.functional, self.w
        h = F.relu(F.conv2d(x, w["1.weight"], w["1.bias"], padding=1))
        h = F.relu(F.conv2d(h, w["3.weight"], w["3.bias"], stride=2, padding=2))
        h = F.relu(F.conv2d(h, w["5.weight"], w["5.bias"], padding=1))
        with torch.no_grad():
            rate = max(NORM_RATE, 1 / (self.steps + 1))
            self.mean += rate * (h.detach().mean(dim=(2, 3), keepdim=True) - self.mean)
        h = h - self.mean
        h = h / torch.sqrt((h**2).mean() + EPSILON)
        overlap = F.conv2d(h, w["8.weight"], w["8.bias"], padding=1)
        K, (_, C, H, W) = 6, overlap.shape
        top, index = overlap.topk(K + 1, dim=1)
        lead = top[:, :K] - top[:, K:]
        activity = torch.zeros_like(overlap).scatter(1, index[:, :K], lead / torch.sqrt((lead**2).mean() + EPSILON))
        z = self._distal(len(w["9.distal_bias"]), H, W)
        gate = _entmax(torch, z.view(1, C, -1, H, W))
        cells = (activity[:, :, None] * gate).view(1, -1, H, W)
        with torch.no_grad():
            self.u *= DECAY
            self.u *= self.u.abs() >= SMALLEST
            self.u += cells * (cells > WRITE)
        pad = (KERNEL - STRIDE) // 2
        painted = F.relu(F.conv_transpose2d(cells, w["10.weight"], w["10.bias"], stride=STRIDE, padding=pad))
        return (F.conv2d(painted, w["12.weight"], w["12.bias"], padding=1)
                + F.conv2d(x, w["13.weight"], w["13.bias"], padding=2))

    def _distal(self, N, H, W):
        """Each position's context is scaled by its own neighbourhood's norm: behind the sum, for that is linear."""
        torch, F = self.torch, self.torch.nn.functional
        if self.u is None:
            self.u = torch.zeros(1, N, H, W)
        around = {"padding": DILATION, "dilation": DILATION}
        norm = torch.sqrt(F.conv2d((self.u**2).sum(dim=1, keepdim=True), self.ones, **around) + EPSILON)
        z = F.conv2d(self.u.clone(), self.w["9.distal_weight"], **around)  # a clone, for u changes before backward
        return z / norm + self.w["9.distal_bias"].view(1, -1, 1, 1)


def _entmax(torch, z):
    """entmax with alpha 1.5 over the cells, (1, C, M, H, W)."""
    z = (z - z.max(dim=2, keepdim=True).values) / 2
    ordered = z.sort(dim=2, descending=True).values
    count = torch.arange(1, z.shape[2] + 1).view(1, 1, -1, 1, 1)
    mean = ordered.cumsum(2) / count
    spread = (ordered**2).cumsum(2) - count * mean**2
    threshold = mean - torch.sqrt(torch.clamp((1 - spread) / count, min=0))
    support = (threshold <= ordered).sum(dim=2, keepdim=True)
    return torch.clamp(z - threshold.gather(2, support - 1), min=0) ** 2


class ConvGRU:
    """A convolutional GRU that predicts the next frame: one frame in, back-propagation through a whole sequence.

    Parameters
    ----------
    side : int
        Pixels along a side.
    seed : int
    hidden : int, default 32
        Channels of its state.

    References
    ----------
    Ballas, Yao, Pal & Courville, "Delving deeper into convolutional networks for learning video representations", 2016.
    """

    def __init__(self, side: int, seed: int, hidden: int = 32) -> None:
        import torch

        self.torch, self.hidden, self.side = torch, hidden, side
        torch.manual_seed(seed)
        make = torch.nn.Conv2d
        self.parts = torch.nn.ModuleDict({
            "encoder": make(1, 16, 5, padding=2), "gates": make(16 + hidden, 2 * hidden, 5, padding=2),
            "new": make(16 + hidden, hidden, 5, padding=2), "head": make(hidden, 1, 5, padding=2)})
        self.optimizer = torch.optim.Adam(self.parts.parameters(), lr=LR)

    def learn(self, frames: np.ndarray) -> None:
        """One sequence of streams, (T, S, 1, H, W)."""
        F, torch = self.torch.nn.functional, self.torch
        frames = torch.tensor(frames)
        loss = F.binary_cross_entropy_with_logits(self._forward(frames[:-1]), frames[1:], reduction="sum")
        self.optimizer.zero_grad()
        (loss / frames.shape[1]).backward()
        torch.nn.utils.clip_grad_norm_(self.parts.parameters(), 100.0)
        self.optimizer.step()

    def errors(self, frames: np.ndarray) -> np.ndarray:
        """Squared errors summed over a frame, (T-1, S)."""
        with self.torch.no_grad():
            made = self.torch.sigmoid(self._forward(self.torch.tensor(frames)[:-1])).numpy()
        return ((made - frames[1:]) ** 2).sum(axis=(2, 3, 4))

    def _forward(self, frames):
        torch, parts = self.torch, self.parts
        h, made = torch.zeros(frames.shape[1], self.hidden, self.side, self.side), []
        for x in frames:
            x = torch.relu(parts["encoder"](x))
            update, reset = torch.sigmoid(parts["gates"](torch.cat([x, h], 1))).chunk(2, 1)
            new = torch.tanh(parts["new"](torch.cat([x, reset * h], 1)))
            h = h + update * (new - h)
            made.append(parts["head"](h))
        return torch.stack(made)


def frames_per_second(device: str, seed: int = 0) -> dict[str, float]:
    """Of our network and of its dense form in PyTorch, one stream, bouncing balls: medians of alternating runs.

    Parameters
    ----------
    device : str
        Of ours; PyTorch runs on one thread of the processor.
    seed : int, default 0

    Returns
    -------
    dict
        ours, torch: frames a second; ratio.
    """
    frames = Balls(seed).take(WARM + FRAMES * TURNS + 2)
    inputs, targets = np.concatenate([frames[:-2], frames[1:-1]], axis=1), frames[2:]
    ours, dense = pictures_model(side=30, seed=seed, device=device), DensePictures(pictures_model(
        side=30, seed=seed, device="numpy"))
    times = {"ours": [], "torch": []}
    for turn in range(TURNS + 1):
        at = slice(0, WARM) if not turn else slice(WARM + FRAMES * (turn - 1), WARM + FRAMES * turn)
        for name, model in (("ours", ours), ("torch", dense)):
            began = time.perf_counter()
            model.fit(inputs[at], targets=targets[at])
            if turn:
                times[name].append((time.perf_counter() - began) / FRAMES)
    rates = {name: 1 / statistics.median(seconds) for name, seconds in times.items()}
    return rates | {"ratio": rates["ours"] / rates["torch"]}
