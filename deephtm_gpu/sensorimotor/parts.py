"""The parts of a sensorimotor column on the engine: the winners of a feature, the memory that learns, the judge of
hypotheses."""

import numpy as np

from deephtm_gpu.backends.devices import open_device
from deephtm_gpu.graph.networks import Network
from deephtm_gpu.graph.nodes import Input
from deephtm_gpu.layers.expectation import Expectation
from deephtm_gpu.layers.grid_cells import GridCells
from deephtm_gpu.layers.spatial_pooler import SpatialPooler
from deephtm_gpu.model import Model
from deephtm_gpu.ops.grid import grid_forward, wrapped
from deephtm_gpu.optimisers import SGD
from deephtm_gpu.sensorimotor.judge import Judge

LOSERS = 0.5  # the factor on the learning rate of columns that did not win: what is wrong here can be right elsewhere


class Parts:
    """objects: how many can be learned. inputs: the size of a feature's code. device: as in `Model`.

    memory: the Model that learns. Its inputs are the location, the object's anchor and 1 (every step is a path of its
    own), its targets the winning columns. anchors (O, 2G): random phases, so that each object is a space of its own.
    """

    def __init__(self, objects, inputs, columns, winners, cells, modules, side, epsilon, seed, device):
        opened = open_device(device)
        feature = Input((inputs,))
        self._pooler = Model(Network(feature, SpatialPooler(columns, winners)(feature)), seed=seed, device=opened)
        self._pooler.observe()
        place, anchor, begins = Input((2,)), Input((2 * modules,)), Input((1,))
        grid = GridCells(modules, side, orientation=0.0)
        expected = Expectation(columns, cells, losers=LOSERS)(grid(place, anchor=anchor, restart=begins))
        self._optimizer = SGD(1.0)
        network = Network([place, anchor, begins], expected)
        self.memory = Model(network, loss="bce", optimizer=self._optimizer, seed=seed, device=opened)
        self._metric = self.memory.state_dict()["0.weight"]  # fixed
        self.anchors = np.random.default_rng([seed, 1]).random((objects, 2 * modules), np.float32)
        self._columns, self._moved = columns, True
        self._modules, self._side, self._sharpness = modules, side, grid.sharpness
        self._judge = Judge(
            opened, {"C": columns, "K": winners, "M": cells, "G": modules, "B": side}, grid.sharpness, epsilon
        )

    @property
    def device(self):
        return self.memory.device

    def take(self, memory):
        """Replaces the memory by a loaded one."""
        self.memory, self._optimizer, self._moved = memory, memory.optimizer, True

    def winners(self, features) -> np.ndarray:
        """features (B, inputs) -> the winning columns (B, K)"""
        return self._pooler.trace(np.asarray(features, np.float32)).observed["0"]["winners"]

    def learn(self, places, objects, winners, lr):
        """Plain SGD, one step for each sample. places (B, 2), objects (B,), winners (B, K)"""
        B = len(places)
        won = np.zeros((B, self._columns), np.float32)
        np.put_along_axis(won, winners, 1, axis=1)
        self._optimizer.lr = float(lr)
        self.memory.fit([places, self.anchors[objects], np.ones((B, 1), np.float32)], targets=won)
        self._moved = True

    def bumps(self, place, object) -> np.ndarray:
        """place (2,), object: its number -> (G, B, B), the activity of the grid cells; each module sums to 1"""
        phase = wrapped(self.anchors[object] + self._metric @ place)[None]
        code, norm = grid_forward(phase, self._sharpness, self._modules, self._side)
        return (code * norm).reshape(self._modules, self._side, self._side) + 1 / self._side**2

    def judge(self, places, objects, winners, gradient=False):
        """The evidence of K winners: places (H, 2), objects (H,), winners (K,) or (H, K) -> l (H,), in nats, and with
        `gradient` dl/dplace (H, 2), else None"""
        if self._moved:
            weights = self.memory.state_dict()
            self._judge.take({"weight": weights["1.weight"], "metric": weights["0.weight"], "bias": weights["1.bias"]})
            self._moved = False
        return self._judge(np.asarray(places, np.float32), self.anchors[objects], winners, gradient)
