"""What a sensorimotor column computes, in NumPy: the feature's winners, the code of places, the memory's expectations.

The column asks for three things: `winners`, `learn` and `judge`. Whatever answers them can stand here.
Letters: H hypotheses, B samples, n grid modules of m x m cells, D = n·m² location cells, C columns, K winners, M cells per
column, N = C·M.
"""

from math import pi, sqrt

import numpy as np

SPREAD = 5.0  # standard deviation of W_d: so large that one cell of a column stands out anywhere, and takes all the blame
BIAS = -18.0  # of every cell, fixed: where nothing was learned, none of 32 cells is depolarised
LOSERS = 0.5  # of the learning rate, for columns that did not win: what is wrongly expected here may be right elsewhere
SMALLEST, GROWTH = 2.0, 1.3  # period of the first module, in units of length, and from module to module
LEAST = 1e-3  # of dq, that a cell learns from


class NumpyParts:
    """objects: of how many it can learn. inputs: numbers in a feature's code. Everything random comes from `rng`."""

    def __init__(self, rng, objects, inputs, columns, winners, cells, modules, side, epsilon):
        self.K, self.M, self.epsilon = winners, cells, epsilon
        normal = lambda std, *shape: (std * rng.standard_normal(shape)).astype(np.float32)  # noqa: E731
        self.pooler = normal(sqrt(2 / inputs), columns, inputs)
        self.grid = GridCells(modules, side)
        self.anchors = rng.random((objects, modules, 2)).astype(np.float32)  # each object is a space of its own
        self.distal = normal(SPREAD, columns * cells, self.grid.size)  # (N, D)

    def winners(self, features):
        """features: (B, inputs). Returns (B, K) int: the columns of the largest overlap, ties to the lower index."""
        overlap = np.asarray(features, np.float32) @ self.pooler.T
        return np.argsort(-overlap, axis=1, kind="stable")[:, :self.K]

    def learn(self, places, objects, winners, rate):
        """Plain SGD, a step for each sample, one after the other. places: (B, 2), objects: (B,), winners: (B, K).

        The loss is Σ_c BCE(sigmoid z_c, c wins), of columns that did not win times LOSERS. B steps move W_d by
        −rate·Σ_b dq_b ⊗ u_b, and what that does to q of a sample to come is told by u_b·u_a alone: so W_d is read once and
        written once, however many the samples.
        """
        code = self.grid.forward(self._phase(places, objects))[0]  # (B, D)
        alike = code @ code.T  # (B, B)
        q = (self.distal @ code.T + np.float32(BIAS)).T.copy()  # (B, N)
        moved = np.zeros_like(q)
        for b, win in enumerate(winners):
            share, z = _cells(q[b].reshape(-1, self.M))
            expected = _sigmoid(z)  # (C,)
            error = np.float32(LOSERS) * expected
            error[win] = expected[win] - 1
            dq = (share * error[:, None]).ravel()
            learns = np.flatnonzero(np.abs(dq) > LEAST)
            moved[b, learns] = step = -np.float32(rate) * dq[learns]
            q[b + 1:, learns] += alike[b + 1:, b, None] * step
        rows = np.flatnonzero(moved.any(axis=0))
        self.distal[rows] += moved[:, rows].T @ code

    def judge(self, places, objects, winners, gradient=False):
        """Evidence for being at this place of this object, of K winning columns: l = Σ_K log(ε + (1 − ε)·sigmoid z).

        places: (H, 2), objects: (H,), winners: (K,). Returns l (H,) and, where `gradient` is asked for, dl/dplaces (H, 2), else
        None.
        """
        code, kept = self.grid.forward(self._phase(places, objects))  # (H, D)
        weight = self.distal.reshape(-1, self.M, self.grid.size)[winners].reshape(-1, self.grid.size)  # (K·M, D)
        q = (code @ weight.T + np.float32(BIAS)).reshape(len(code), len(winners), self.M)
        share, z = _cells(q)
        expected = _sigmoid(z)  # (H, K)
        likely = self.epsilon + (1 - self.epsilon) * expected
        evidence = np.log(likely).sum(axis=1)
        if not gradient:
            return evidence, None
        dz = (1 - self.epsilon) * expected * (1 - expected) / likely
        dcode = (share * dz[..., None]).reshape(len(code), -1) @ weight
        return evidence, np.einsum("nij,hni->hj", self.grid.metric, self.grid.backward(dcode, code, kept))

    def _phase(self, places, objects):
        phase = self.anchors[objects] + np.einsum("nij,hj->hni", self.grid.metric, np.asarray(places, np.float32))
        return phase - np.floor(phase)  # (H, n, 2)


class GridCells:
    """n hexagonal modules of m x m cells: phases (H, n, 2) -> unit vectors (H, n·m²). metric: (n, 2, 2), phase per length."""

    def __init__(self, modules, side):
        self.size, self.side = modules * side * side, side
        lattice = np.array([[1, 0.5], [0, sqrt(0.75)]])
        angles = pi / 3 * np.arange(modules) / modules
        turned = np.array([[[np.cos(a), np.sin(a)], [-np.sin(a), np.cos(a)]] for a in angles])
        scales = SMALLEST * GROWTH ** np.arange(modules)
        self.metric = (np.linalg.inv(lattice) @ turned / scales[:, None, None]).astype(np.float32)

    def forward(self, phase):
        """g = softmax in each module of Σ cos 2πδ over the three waves; the code is g − 1/m², of norm 1 over all modules."""
        three = np.stack([phase[..., 0], phase[..., 1], phase[..., 0] + phase[..., 1]])  # (3, H, n): plane waves 60° apart
        angle = np.float32(2 * pi) * (three[..., None] - np.arange(self.side, dtype=np.float32) / np.float32(self.side))
        first, second, third = np.exp(np.cos(angle))  # (H, n, m) each; cell (i, j) prefers their phases i/m, j/m and (i + j)/m
        g = first[..., :, None] * second[..., None, :] * self._diagonals(third)  # (H, n, m, m)
        g /= g.sum(axis=(-2, -1), keepdims=True)
        code = (g - np.float32(1 / self.side**2)).reshape(len(phase), -1)
        norm = np.sqrt(np.square(code).sum(axis=1))  # (H,)
        return code / norm[:, None], (g, norm, np.sin(angle))

    def backward(self, dcode, code, kept):
        """Returns dphase (H, n, 2)."""
        g, norm, (first, second, third) = kept
        dv = (dcode - code * (code * dcode).sum(axis=1, keepdims=True)) / norm[:, None]
        dg = dv.reshape(g.shape)
        w = g * (dg - np.einsum("hnij,hnij->hn", g, dg)[..., None, None])
        along = np.einsum("hnij,hnij->hn", w, self._diagonals(third))
        waves = [np.einsum("hnij,hni->hn", w, first) + along, np.einsum("hnij,hnj->hn", w, second) + along]
        return np.float32(-2 * pi) * np.stack(waves, axis=-1)

    def _diagonals(self, wave):
        """(H, n, m) -> (H, n, m, m): at cell (i, j) entry (i + j) mod m."""
        twice = np.concatenate([wave, wave[..., :-1]], axis=-1)
        return np.lib.stride_tricks.sliding_window_view(twice, self.side, axis=-1)


def _cells(q):
    """q: (..., M). The share of each cell in its column, and z = logsumexp: some cell of the column is depolarised."""
    top = q.max(axis=-1, keepdims=True)
    share = np.exp(q - top)
    total = share.sum(axis=-1, keepdims=True)
    return share / total, (top + np.log(total))[..., 0]


def _sigmoid(z):
    return 1 / (1 + np.exp(-np.clip(z, -80, 80)))
