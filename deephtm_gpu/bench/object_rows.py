"""The rows of the flow table on objects that are touched (`data/objects.py`): the sensorimotor column beside the ideal observer."""

from functools import partial

import numpy as np

from deephtm_gpu.bench.rows import Bound, Figures, Row
from deephtm_gpu.data.objects import QUARTERS, SURE, IdealObserver, explorations, names_truth, objects
from deephtm_gpu.sensorimotor import SensorimotorColumn

EACH, MOST = 5, 300  # explorations of an object, and of all
CODE, NOISE = 16, 0.4  # numbers in a feature's code where it is sensed with noise, and the noise in each


def taught(task, exposures=5, **column):
    """A column that has learned the task's objects, in rounds: all objects once, then all once more in another order, ..."""
    made = SensorimotorColumn(objects=len(task.places), **column)
    rng = np.random.default_rng(made.memory.seed)
    for exposure in range(exposures):
        for o in rng.permutation(len(task.places)) if exposure else range(len(task.places)):
            made.learn(int(o), task.places[o], task.features[o], exposures=1)
    return made


def follow(column, task, told, noise=0.0, angles=(0.0,)):
    """Per sensation of an exploration, (L,) each: whether the truth has a probability of .9, and whether something else has."""
    right, wrong = [], []
    column.begin(angles)
    for k, feature in enumerate(told.features):
        if k:
            column.move(told.moves[k - 1], noise)
        found = column.sense(feature)
        true = names_truth(found, task, told)
        right.append(true and found.probability >= SURE)
        wrong.append(not true and found.probability >= SURE)
    return right, wrong


def watch(ideal, told):
    """Per sensation, whether the truth has a probability of .9 for the ideal observer."""
    right = []
    ideal.begin()
    for k, feature in enumerate(told.features):
        if k:
            ideal.move(told.moves[k - 1])
        ideal.sense(feature)
        right.append(ideal.truth(told) >= SURE)
    return right


def _chosen(told, seed):
    """At most MOST of the explorations, of all kinds of objects."""
    return [told[i] for i in np.random.default_rng(seed).permutation(len(told))[:MOST]]


def _recognised(seed, device, count=100, exposures=5, sensations=4, first=2, angles=(0.0,), movement_noise=0.0, anchored=True, noisy=False,
                **column) -> Figures:
    """Per cent of the explorations, after so many sensations."""
    task = objects(count, seed=seed)
    codes = np.random.default_rng([seed, 1]).standard_normal((task.distinct, CODE)) if noisy else None
    noise = {"movement_noise": movement_noise, "codes": codes, "sensor_noise": NOISE * noisy}
    made = taught(task, exposures, features=codes if noisy else task.distinct, seed=seed, device=device, **column)
    told = _chosen(explorations(task, seed=seed + 10_000, each=EACH, sensations=sensations, angles=angles, **noise), seed)
    ideal = IdealObserver(task, angles=angles, **noise)
    right, wrong = 100 * np.mean([follow(made, task, t, noise=movement_noise * anchored, angles=angles) for t in told], axis=0)
    best = 100 * np.mean([watch(ideal, t) for t in told], axis=0)
    figures = {}
    for k in range(first, sensations + 1):
        figures |= {f"right after {k}": right[k - 1], f"ideal after {k}": best[k - 1], f"short of the ideal after {k}": best[k - 1] - right[k - 1]}
    return {**figures, "wrong at any of these": wrong[first - 1:].max()}


def _next_feature(seed, device, **column) -> Figures:
    """Per cent of the features that were the likeliest before they were sensed, and of the ideal observer's likeliest."""
    task = objects(100, seed=seed)
    made, ideal, hits = taught(task, features=task.distinct, seed=seed, device=device, **column), IdealObserver(task), []
    for told in _chosen(explorations(task, seed=seed + 10_000, each=1, sensations=5), seed):
        made.begin(), ideal.begin()
        found = []
        for k, feature in enumerate(told.features):
            if k:
                move = told.moves[k - 1]
                found.append((made.predict(move).argmax() == feature, ideal.predict(move).argmax() == feature))
                made.move(move), ideal.move(move)
            made.sense(feature), ideal.sense(feature)
        hits.append(found)
    share = 100 * np.mean(hits, axis=0)  # (4, 2)
    return {f"{who} right before the {k}th": share[k - 2, n] for k in (3, 4, 5) for n, who in enumerate(("column", "ideal"))}


def _voted(seed, device, fingers, **column) -> Figures:
    """Several columns touch different points at once and know how they stand to each other; they share what they have learned, and add up
    their evidence."""
    task = objects(100, seed=seed)
    made, ideal = taught(task, features=task.distinct, seed=seed, device=device, **column), IdealObserver(task)
    rng, right, best = np.random.default_rng([seed, 2]), [], []
    for o in range(100):
        places, features = task.places[o], task.features[o]
        made.begin(), ideal.begin()
        now, first, told = None, None, []
        for _ in range(2):
            touched = rng.permutation(len(places))[:fingers]
            for point in touched:
                if now is not None:
                    made.move(places[point] - places[now]), ideal.move(places[point] - places[now])
                now, first = point, point if first is None else first
                found = made.sense(features[point])
                ideal.sense(features[point])
            true = found.object == o and (found.start == places[first]).all() and found.probability >= SURE
            told.append((true, ideal.posterior[o, 0, first] >= SURE))
        right.append([t for t, _ in told])
        best.append([i for _, i in told])
    right, best = 100 * np.mean(right, axis=0), 100 * np.mean(best, axis=0)
    return {f"{who} after {k} touch{'es' * (k > 1)}": share[k - 1] for k in (1, 2) for who, share in (("right", right), ("ideal", best))}


def _close(*points, first=2):
    """So many points short of the ideal, after 2, 3, 4 sensations at most."""
    return tuple(Bound(f"short of the ideal after {k}", each=p) for k, p in enumerate(points, start=first))


WRONG = Bound("wrong at any of these", each=1.0)

OBJECT_ROWS = (
    Row("100 objects, 5 exposures", _recognised, (*_close(2, 1, 1), WRONG)),
    Row("100 objects, 1 exposure", partial(_recognised, exposures=1), ()),
    Row("control: one cell per column", partial(_recognised, cells_per_column=1), (Bound("right after 3", each=20),)),
    Row("100 objects, sensor noise .4", partial(_recognised, noisy=True), (Bound("right after 4", least=95), WRONG)),
    Row("100 objects, movement noise .2", partial(_recognised, movement_noise=0.2), (Bound("right after 4", least=96),)),
    Row("control: the same, not re-anchored", partial(_recognised, movement_noise=0.2, anchored=False), ()),
    Row("next feature", _next_feature, (Bound("column right before the 4th", least=96), Bound("column right before the 5th", least=96))),
    Row("100 objects, turned by quarters", partial(_recognised, angles=QUARTERS, sensations=5), ()),
    Row("three columns vote", partial(_voted, fingers=3), ()),
    Row("control: one column, no vote", partial(_voted, fingers=1), ()),
    Row("500 objects, 64 cells", partial(_recognised, count=500, cells_per_column=64), (*_close(3, 3, 3), WRONG)),
    Row("1,000 objects, 128 cells", partial(_recognised, count=1000, cells_per_column=128, sensations=5, first=3), ()),
)
