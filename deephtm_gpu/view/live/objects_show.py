"""A show of a sensorimotor column that learns objects by touch and recognises them."""

import numpy as np

from deephtm_gpu.arguments import check_count, check_seed, shown
from deephtm_gpu.data.objects import SURE, IdealObserver, Objects, explorations, names_truth
from deephtm_gpu.errors import UserError
from deephtm_gpu.sensorimotor import SensorimotorColumn
from deephtm_gpu.view.live.block import MARK, Block
from deephtm_gpu.view.live.show import Show
from deephtm_gpu.view.live.spec import Spec
from deephtm_gpu.view.live.tracks import Classes, Line


class ObjectsShow(Show):
    """A column that learns all objects in rounds, one touch a step, and then recognises one object after the other.

    Parameters
    ----------
    column : dh.SensorimotorColumn
        One that knows no object yet.
    task : Objects
        From `data.objects.objects`.
    title : str
        Of the picture.
    total : int
        How many touches.
    exposures : int, default 3
        Rounds of learning.
    touches : int, default 6
        Touches of each object that is recognised.
    seed : int, default 0
        Of the order of touches.

    Attributes
    ----------
    explored : list of Exploration
        The explorations that are complete.
    recognised, ideal : list of list of bool
        Of each of them, whether the truth had a probability of .9 after each touch, for the column and for an ideal
        observer.

    Raises
    ------
    UserError
        If column and task do not fit, or a number is out of range.

    Examples
    --------
    >>> import deephtm_gpu as dh
    >>> from deephtm_gpu import view
    >>> from deephtm_gpu.data.objects import objects
    >>> task = objects(count=2, points=4)
    >>> column = dh.SensorimotorColumn(features=task.distinct, objects=2, device="numpy")
    >>> show = view.ObjectsShow(column, task, "Two objects", total=36, exposures=3, touches=4)
    >>> show.advance(36, show.ring()), len(show.recognised)
    (36, 3)
    """

    def __init__(self, column, task, title, total, exposures=3, touches=6, seed=0):
        _check(column, task)
        sizes = {"total": total, "exposures": exposures, "touches": touches}
        total, exposures, touches = (check_count(f"ObjectsShow's {name}", value) for name, value in sizes.items())
        seed = check_seed("ObjectsShow's seed", seed)
        super().__init__(column.memory, total)
        self.column, self.task = column, task
        O, P = task.features.shape
        self.lessons = O * P * exposures  # touches of the learning phase
        self._touches, self._side = touches, int(task.places.max()) + 1
        rng = np.random.default_rng(seed)
        lessons = [[(o, p) for o in rng.permutation(O) for p in rng.permutation(P)] for _ in range(exposures)]
        self._lessons = np.concatenate(lessons)  # (lessons, 2): object and point
        remaining = max(0, total - self.lessons)
        rounds = -(-remaining // (O * touches))
        # One round at least, so that an error in the arguments is raised here.
        drawn = [e for n in range(max(rounds, 1)) for e in explorations(task, seed=seed + n, sensations=touches)]
        self._explorations = [drawn[i] for n in range(rounds) for i in n * O + rng.permutation(O)]
        self._ideal, self.explored, self.recognised, self.ideal = IdealObserver(task), [], [], []
        self.spec = self._spec(title)

    def _spec(self, title):
        (O, P), (G, B, _), side = self.task.features.shape, self.column.grid, self._side
        names = tuple(f"feature {f}" for f in range(self.task.distinct))
        tracks = (
            Classes(names, "Which feature it expects, and what it touches", weight=1.6),
            Line("active", "Active hypotheses about object and "
                           "location", (0.7, 2 * O * P), lines={"all hypotheses": O * P},
                 weight=1.1),
            Classes(O, "Which object it can be", name="object", probability="likely", came=None, weight=2.2),
        )
        blocks = (Block("Where on the object it can be", side, side, span=5),
                  *(Block("Grid modules" if n == 0 else "", B, B) for n in range(G)))
        return Spec(title, tracks, blocks, steps=120, time="touches", across=5)

    @property
    def phase(self):
        each = self.task.features.size
        return (
            f"learning, round {self.done // each + 1} of {self.lessons // each}"
            if self.done < self.lessons
            else "recognising"
        )

    def reset(self):
        """Does nothing: the column has no temporal state between explorations, and the present exploration
        continues."""

    def _learn(self, begin, end):
        steps = [self._teach(t) if t < self.lessons else self._explore(t - self.lessons) for t in range(begin, end)]
        return {name: np.array([step[name] for step in steps]) for name in steps[0]}

    def _teach(self, t):
        o, p = self._lessons[t]
        place, feature = self.task.places[o, p], self.task.features[o, p]
        known = o in self.column.objects
        expected = self.column.expects(o, place) if known else np.full(self.task.distinct, 1 / self.task.distinct)
        self.column.learn(int(o), place[None], feature[None], exposures=1)
        self._fill_blocks(np.zeros((0, 2)), np.zeros(0), place, int(o), place)
        return self._fields(expected, feature, 1, np.eye(len(self.task.places))[o])

    def _explore(self, t):
        exploration, k = self._explorations[t // self._touches], t % self._touches
        column, ideal, move = self.column, self._ideal, exploration.moves[k - 1] if k else None
        if k == 0:
            column.begin(), ideal.begin()
            self._right, expected = [], column.predict()
        else:
            expected = column.predict(move)
            column.move(move), ideal.move(move)
        found = column.sense(int(exploration.features[k]))
        ideal.sense(exploration.features[k])
        recognised = names_truth(found, self.task, exploration) and found.probability >= SURE
        self._right.append((recognised, ideal.truth(exploration) >= SURE))
        if k == self._touches - 1:
            self.explored.append(exploration)
            self.recognised.append([column for column, _ in self._right])
            self.ideal.append([observer for _, observer in self._right])
        _, places, share = column.living()
        here = self.task.places[exploration.object, exploration.points[k]]
        self._fill_blocks(places, share, here, found.object, found.place)
        share = dict(zip(column.objects, found.posterior))
        likely = [share.get(o, 0) for o in range(len(self.task.places))]
        return self._fields(expected, exploration.features[k], found.living, likely)

    def _fields(self, expected, feature, active, likely):
        return {"probability": expected, "truth": [feature], "active": [active], "likely": likely}

    def _fill_blocks(self, places, share, here, object, place):
        """The probability of each location, with the true one marked; the grid cells of the likeliest object and
        location."""
        where = self.blocks[0]
        where[:] = 0
        x, y = np.round(self.column.known(object)).astype(int).T
        where[y, x] = 0.15  # the points of the likeliest object
        on = np.clip(np.round(places).astype(int), 0, self._side - 1)
        np.add.at(where, (on[:, 1], on[:, 0]), share)
        np.minimum(where, 1, out=where)
        x, y = np.round(here).astype(int)
        where[y, x] += MARK
        for block, bump in zip(self.blocks[1:], self.column.bumps(object, place)):
            block[:] = bump / bump.max()


def _check(column, task):
    if not isinstance(column, SensorimotorColumn) or not isinstance(task, Objects):
        raise UserError("ObjectsShow's column and task must be a dh.SensorimotorColumn and Objects of "
                        f"data.objects.objects(...), got {shown(column)} and {shown(task)}.")
    if column.objects:
        raise UserError(f"ObjectsShow's column must know no object, got one that knows {len(column.objects)}; give a "
                        "new column.")
    O, F = len(task.places), task.distinct
    if column.capacity < O or column.features != F:
        raise UserError(f"ObjectsShow's column must be for {O} objects with {F} features, got one for "
                        f"{column.capacity} objects with {column.features} features; make it with objects={O}, "
                        f"features={F}.")
