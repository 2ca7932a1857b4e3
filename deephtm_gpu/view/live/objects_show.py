"""A show of a column that learns objects by touch, and recognises them."""

import numpy as np

from deephtm_gpu.arguments import check_count, shown
from deephtm_gpu.data.objects import SURE, IdealObserver, Objects, explorations, names_truth
from deephtm_gpu.errors import UserError
from deephtm_gpu.sensorimotor import SensorimotorColumn
from deephtm_gpu.view.live.block import MARK, Block
from deephtm_gpu.view.live.show import Show
from deephtm_gpu.view.live.spec import Spec
from deephtm_gpu.view.live.tracks import Classes, Line


class ObjectsShow(Show):
    """column: a SensorimotorColumn that knows no object yet. task: a `data.objects.Objects`, on a grid. It learns all objects in
    `exposures` rounds, a touch a step, then recognises one after the other by `touches` each, until `total` touches are over. seed: of the
    order in which it touches.

    explored: the explorations that are over. recognised, ideal: of each of them, whether the truth had a probability of .9 after each touch,
    for the column and for an ideal observer. Raises UserError."""

    def __init__(self, column, task, title, total, exposures=3, touches=6, seed=0):
        _check(column, task)
        total, exposures, touches = (check_count(f"ObjectsShow's {name}", value)
                                     for name, value in (("total", total), ("exposures", exposures), ("touches", touches)))
        seed = check_count("ObjectsShow's seed", seed, least=0)
        super().__init__(column.memory, total)
        self.column, self.task = column, task
        (O, P), F, side = task.features.shape, task.distinct, int(task.places.max()) + 1
        self.lessons = O * P * exposures  # touches that teach
        self._touches, self._side = touches, side
        rng = np.random.default_rng(seed)
        self._taught = np.concatenate([[(o, p) for o in rng.permutation(O) for p in rng.permutation(P)] for _ in range(exposures)])
        left = max(0, total - self.lessons)
        rounds = -(-left // (O * touches))
        told = [e for n in range(max(rounds, 1)) for e in explorations(task, seed=seed + n, sensations=touches)]  # what cannot be is told now
        self._told = [told[i] for n in range(rounds) for i in n * O + rng.permutation(O)]
        self._ideal, self.explored, self.recognised, self.ideal = IdealObserver(task), [], [], []
        G, B, _ = column.grid
        tracks = (
            Classes(tuple(f"feature {f}" for f in range(F)), "Which feature it expects, and what it touches", weight=1.6),
            Line("living", "Living hypotheses: object and place of the first touch", (0.7, 2 * O * P), lines={"all hypotheses": O * P}, weight=1.1),
            Classes(O, "Which object it may be", name="object", probability="likely", came=None, weight=2.2),
        )
        blocks = (Block("Where on the object it may be", side, side, span=5),
                  *(Block("Grid modules" if n == 0 else "", B, B) for n in range(G)))
        self.spec = Spec(title, tracks, blocks, steps=120, time="touches", across=5)

    @property
    def phase(self):
        each = self.task.features.size
        return f"learning, round {self.done // each + 1} of {self.lessons // each}" if self.done < self.lessons else "recognising"

    def reset(self):
        """Nothing is lost of what was learned; the exploration at hand goes on."""

    def _learn(self, begin, end):
        rows = [self._teach(t) if t < self.lessons else self._explore(t - self.lessons) for t in range(begin, end)]
        return {name: np.array([row[name] for row in rows]) for name in rows[0]}

    def _teach(self, t):
        o, p = self._taught[t]
        place, feature = self.task.places[o, p], self.task.features[o, p]
        known = o in self.column.objects
        expected = self.column.expects(o, place) if known else np.full(self.task.distinct, 1 / self.task.distinct)
        self.column.learn(int(o), place[None], feature[None], exposures=1)
        self._picture(np.zeros((0, 2)), np.zeros(0), place, int(o), place)
        return self._row(expected, feature, 1, np.eye(len(self.task.places))[o])

    def _explore(self, t):
        told, k = self._told[t // self._touches], t % self._touches
        column, ideal, move = self.column, self._ideal, told.moves[k - 1] if k else None
        if k == 0:
            column.begin(), ideal.begin()
            self._right, expected = [], column.predict()
        else:
            expected = column.predict(move)
            column.move(move), ideal.move(move)
        found = column.sense(int(told.features[k]))
        ideal.sense(told.features[k])
        self._right.append((names_truth(found, self.task, told) and found.probability >= SURE, ideal.truth(told) >= SURE))
        if k == self._touches - 1:
            self.explored.append(told)
            self.recognised.append([r for r, _ in self._right])
            self.ideal.append([i for _, i in self._right])
        _, places, share = column.living()
        self._picture(places, share, self.task.places[told.object, told.points[k]], found.object, found.place)
        share = dict(zip(column.objects, found.posterior))
        likely = [share.get(o, 0) for o in range(len(self.task.places))]
        return self._row(expected, told.features[k], found.living, likely)

    def _row(self, expected, feature, living, likely):
        return {"probability": expected, "truth": [feature], "living": [living], "likely": likely}

    def _picture(self, places, share, here, object, place):
        """Blocks: where the finger may be and where it is; the grid cells of the likeliest object and place."""
        where = self.blocks[0]
        where[:] = 0
        x, y = np.round(self.column.known(object)).astype(int).T
        where[y, x] = 0.15  # the places of the object that it takes it for
        on = np.clip(np.round(places).astype(int), 0, self._side - 1)
        np.add.at(where, (on[:, 1], on[:, 0]), share)
        np.minimum(where, 1, out=where)
        x, y = np.round(here).astype(int)
        where[y, x] += MARK
        for block, bump in zip(self.blocks[1:], self.column.bumps(object, place)):
            block[:] = bump / bump.max()


def _check(column, task):
    if not isinstance(column, SensorimotorColumn) or not isinstance(task, Objects):
        raise UserError(f"A show of {shown(column)} and {shown(task)} was asked for; give a dh.SensorimotorColumn, and the objects that "
                        "data.objects.objects(...) returned.")
    if column.objects:
        raise UserError(f"A show was asked for of a column that knows {len(column.objects)} objects already; it shows how they are learned: give a "
                        "new column.")
    O, F = len(task.places), task.distinct
    if column.capacity < O or column.features != F:
        raise UserError(f"A show of {O} objects with {F} features was asked for; the column was made for {column.capacity} objects with "
                        f"{column.features} features: make it with objects={O}, features={F}.")
