"""The rows of the flow table on objects (`data/objects.py`): the sensorimotor column, compared with the ideal
observer."""

from functools import partial

import numpy as np

from deephtm_gpu.bench.rows import Bound, Figures, Row
from deephtm_gpu.data.objects import QUARTERS, SURE, IdealObserver, explorations, names_truth, objects
from deephtm_gpu.sensorimotor import SensorimotorColumn

EACH, MAX_EXPLORATIONS = 5, 300  # explorations of an object; the most of all objects
CODE, NOISE = 16, 0.4  # with sensor noise: the size of a feature's code, and the noise in each number


def taught(task, exposures=5, **column):
    """A column that has learned the task's objects in rounds: all objects once, then all again in another order, and so
    on."""
    learned = SensorimotorColumn(objects=len(task.places), **column)
    rng = np.random.default_rng(learned.memory.seed)
    for exposure in range(exposures):
        for o in rng.permutation(len(task.places)) if exposure else range(len(task.places)):
            learned.learn(int(o), task.places[o], task.features[o], exposures=1)
    return learned


def follow(column, task, exploration, noise=0.0, angles=(0.0,)):
    """For each sensation of an exploration: whether the truth has a probability of .9, and whether something else has,
    (L,) each."""
    right, wrong = [], []
    column.begin(angles)
    for k, feature in enumerate(exploration.features):
        if k:
            column.move(exploration.moves[k - 1], noise)
        found = column.sense(feature)
        true = names_truth(found, task, exploration)
        right.append(true and found.probability >= SURE)
        wrong.append(not true and found.probability >= SURE)
    return right, wrong


def watch(ideal, exploration):
    """For each sensation, whether the truth has a probability of .9 for the ideal observer."""
    right = []
    ideal.begin()
    for k, feature in enumerate(exploration.features):
        if k:
            ideal.move(exploration.moves[k - 1])
        ideal.sense(feature)
        right.append(ideal.truth(exploration) >= SURE)
    return right


def _sample(explored, seed):
    """At most MAX_EXPLORATIONS of the explorations, drawn at random."""
    return [explored[i] for i in np.random.default_rng(seed).permutation(len(explored))[:MAX_EXPLORATIONS]]


def _recognised(
    seed,
    device,
    count=100,
    exposures=5,
    sensations=4,
    first=2,
    angles=(0.0,),
    movement_noise=0.0,
    anchored=True,
    noisy=False,
    **column,
) -> Figures:
    """Per cent of the explorations that are recognised after each sensation, from the `first` on."""
    task = objects(count, seed=seed)
    codes = np.random.default_rng([seed, 1]).standard_normal((task.distinct, CODE)) if noisy else None
    noise = {"movement_noise": movement_noise, "codes": codes, "sensor_noise": NOISE * noisy}
    learned = taught(task, exposures, features=codes if noisy else task.distinct, seed=seed, device=device, **column)
    explored = _sample(
        explorations(task, seed=seed + 10_000, each=EACH, sensations=sensations, angles=angles, **noise), seed
    )
    ideal = IdealObserver(task, angles=angles, **noise)
    right, wrong = 100 * np.mean(
        [follow(learned, task, e, noise=movement_noise * anchored, angles=angles) for e in explored], axis=0
    )
    best = 100 * np.mean([watch(ideal, e) for e in explored], axis=0)
    figures = {}
    for k in range(first, sensations + 1):
        figures |= {f"right after {k}": right[k - 1], f"ideal after {k}": best[k - 1],
                    f"short of the ideal after {k}": best[k - 1] - right[k - 1]}
    return {**figures, "wrong at any of these": wrong[first - 1:].max()}


def _next_feature(seed, device, **column) -> Figures:
    """Per cent of the features that were the likeliest before they were sensed, for the column and for the ideal
    observer."""
    task = objects(100, seed=seed)
    learned, ideal, hits = (
        taught(task, features=task.distinct, seed=seed, device=device, **column),
        IdealObserver(task),
        [],
    )
    for exploration in _sample(explorations(task, seed=seed + 10_000, each=1, sensations=5), seed):
        learned.begin(), ideal.begin()
        found = []
        for k, feature in enumerate(exploration.features):
            if k:
                move = exploration.moves[k - 1]
                found.append((learned.predict(move).argmax() == feature, ideal.predict(move).argmax() == feature))
                learned.move(move), ideal.move(move)
            learned.sense(feature), ideal.sense(feature)
        hits.append(found)
    share = 100 * np.mean(hits, axis=0)  # (4, 2)
    return {
        f"{who} right before the {k}th": share[k - 2, n] for k in (3, 4, 5) for n, who in enumerate(("column", "ideal"))
    }


def _voted(seed, device, fingers, **column) -> Figures:
    """Several columns touch different points at once and know their relative positions. They share their weights, and
    their evidence is added."""
    task = objects(100, seed=seed)
    learned, ideal = taught(task, features=task.distinct, seed=seed, device=device, **column), IdealObserver(task)
    rng, right, best = np.random.default_rng([seed, 2]), [], []
    for o in range(100):
        places, features = task.places[o], task.features[o]
        learned.begin(), ideal.begin()
        now, first, known = None, None, []
        for _ in range(2):
            touched = rng.permutation(len(places))[:fingers]
            for point in touched:
                if now is not None:
                    learned.move(places[point] - places[now]), ideal.move(places[point] - places[now])
                now, first = point, point if first is None else first
                found = learned.sense(features[point])
                ideal.sense(features[point])
            true = found.object == o and (found.start == places[first]).all() and found.probability >= SURE
            known.append((true, ideal.posterior[o, 0, first] >= SURE))
        right.append([column for column, _ in known])
        best.append([observer for _, observer in known])
    right, best = 100 * np.mean(right, axis=0), 100 * np.mean(best, axis=0)
    return {f"{who} after {k} touch{'es' * (k > 1)}": share[k - 1]
            for k in (1, 2) for who, share in (("right", right), ("ideal", best))}


def _close(*points, first=2):
    """Bounds: at most so many points below the ideal observer after 2, 3, 4 sensations."""
    return tuple(Bound(f"short of the ideal after {k}", each=p) for k, p in enumerate(points, start=first))


WRONG = Bound("wrong at any of these", each=1.0)

OBJECT_ROWS = (
    Row("100 objects, 5 exposures", _recognised, (*_close(2, 1, 1), WRONG)),
    Row("100 objects, 1 exposure", partial(_recognised, exposures=1), ()),
    Row("control: one cell per column", partial(_recognised, cells_per_column=1), (Bound("right after 3", each=20),)),
    Row("100 objects, sensor noise .4", partial(_recognised, noisy=True), (Bound("right after 4", above=95), WRONG)),
    Row(
        "100 objects, movement noise .2", partial(_recognised, movement_noise=0.2), (Bound("right after 4", above=96),)
    ),
    Row("control: the same, not re-anchored", partial(_recognised, movement_noise=0.2, anchored=False), ()),
    Row(
        "next feature",
        _next_feature,
        (Bound("column right before the 4th", above=96), Bound("column right before the 5th", above=96)),
    ),
    Row("100 objects, turned by quarters", partial(_recognised, angles=QUARTERS, sensations=5), ()),
    Row("three columns vote", partial(_voted, fingers=3), ()),
    Row("control: one column, no vote", partial(_voted, fingers=1), ()),
    Row("500 objects, 64 cells", partial(_recognised, count=500, cells_per_column=64), (*_close(3, 3, 3), WRONG)),
    Row("1,000 objects, 128 cells", partial(_recognised, count=1000, cells_per_column=128, sensations=5, first=3), ()),
)
