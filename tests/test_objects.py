"""Objects to be touched, how they are explored, and their ideal observer."""

import numpy as np
import pytest

from deephtm_gpu.data.objects import QUARTERS, IdealObserver, Objects, explorations, objects
from deephtm_gpu.errors import UserError

SURE = 0.9


def test_objects():
    task, again, other = objects(seed=3), objects(seed=3), objects(seed=4)
    assert task.places.shape == (100, 10, 2) and task.features.shape == (100, 10) and task.distinct == 10
    assert all(len(np.unique(places, axis=0)) == 10 for places in task.places)
    assert task.places.min() == 0 and task.places.max() == 3 and set(task.features.ravel()) == set(range(10))
    np.testing.assert_array_equal(task.places, again.places)
    assert (task.features != other.features).any()
    with pytest.raises(UserError, match="points must be at most 16, .* 4 x 4, got 17"):
        objects(points=17)


def test_explorations():
    task = objects(20, seed=1)
    for e in explorations(task, seed=2, each=2, angles=QUARTERS):
        assert len(set(e.points)) == 10 and (e.features == task.features[e.object, e.points]).all()
        back = np.array([[np.cos(e.angle), np.sin(e.angle)], [-np.sin(e.angle), np.cos(e.angle)]])
        np.testing.assert_allclose(e.moves @ back.T, np.diff(task.places[e.object, e.points], axis=0), atol=1e-5)
    short, long = (
        explorations(task, seed=2, sensations=1),
        explorations(task, seed=2, codes=np.eye(10), sensor_noise=0.1),
    )
    assert short[0].points.tolist() == long[0].points[:1].tolist() and short[0].moves.shape == (0, 2)
    off = np.concatenate([e.features - np.eye(10)[task.features[e.object, e.points]] for e in long])
    assert 0.09 < off.std() < 0.11
    noisy = explorations(task, seed=2, movement_noise=0.2)
    off = np.concatenate([e.moves - np.diff(task.places[e.object, e.points], axis=0) for e in noisy])
    assert 0.17 < off.std() < 0.23


@pytest.mark.parametrize(
    "wrong, says",
    [
        (dict(count=2.5), "count must be .*got 2.5"),
        (dict(features="a"), "features must be .*got 'a'"),
        (dict(points=0), "points must be .*got 0"),
        (dict(side=None), "side must be .*got None"),
        (dict(seed=-1), "seed must be .*got -1"),
        (dict(seed="a"), "seed must be .*got 'a'"),
    ],
)
def test_objects_that_cannot_be(wrong, says):
    with pytest.raises(UserError, match=says):
        objects(**wrong)


NOISES = [
    ({noise: value}, f"{noise} must be a number.* got {value!r}")
    for noise in ("movement_noise", "sensor_noise")
    for value in (-1, np.nan, np.inf, "a", None)
]
WRONG = [
    (dict(angles=()), "angles"),
    (dict(angles=0.0), "angles"),
    (dict(angles="a"), "angles"),
    (dict(angles=[np.nan]), "nan"),
    (dict(sensor_noise=0.1), "give codes"),
    (dict(codes=np.eye(9)), r"\(9, 9\)"),
    (dict(codes=[["a"]] * 10), "codes"),
    *NOISES,
]


@pytest.mark.parametrize("wrong, says", WRONG)
def test_what_neither_an_exploration_nor_its_observer_takes(wrong, says):
    task = objects(2)
    for call in (explorations, IdealObserver):
        with pytest.raises(UserError, match=says):
            call(task, **wrong)


@pytest.mark.parametrize(
    "wrong, says",
    [
        (dict(sensations=11), "sensations of an exploration must be at most 10, .*got 11"),
        (dict(sensations=2.5), "got 2.5"),
        (dict(sensations="a"), "got 'a'"),
        (dict(each=0), "got 0"),
        (dict(each=1.5), "got 1.5"),
        (dict(seed=-1), "seed must be .*got -1"),
        (dict(seed="a"), "seed must be .*got 'a'"),
    ],
)
def test_explorations_that_cannot_be(wrong, says):
    with pytest.raises(UserError, match=says):
        explorations(objects(2), **wrong)


@pytest.mark.parametrize(
    "call, says",
    [
        (lambda: IdealObserver("task"), "'task'"),
        (lambda: explorations(None), "None"),
        (lambda: IdealObserver(objects(2)).sense(10), "feature's number must be from 0 to 9, got 10"),
        (lambda: IdealObserver(objects(2)).sense("a"), "'a'"),
        (lambda: IdealObserver(objects(2), codes=np.eye(10)).sense(3), "code"),
        (lambda: IdealObserver(objects(2)).move((1, "a")), "displacement"),
    ],
)
def test_what_an_observer_does_not_understand(call, says):
    with pytest.raises(UserError, match=says):
        call()


def test_the_ideal_observer_by_hand():
    line = Objects(
        np.float32([[[0, 0], [1, 0], [2, 0]], [[0, 0], [1, 0], [0, 1]]]), np.array([[0, 1, 0], [0, 1, 1]]), 2
    )
    ideal = IdealObserver(line)
    ideal.sense(0)
    np.testing.assert_allclose(ideal.posterior[:, 0], [[1 / 3, 0, 1 / 3], [1 / 3, 0, 0]])
    np.testing.assert_allclose(ideal.predict((1, 0)), [0, 1])
    ideal.move((1, 0))
    ideal.sense(1)
    np.testing.assert_allclose(ideal.posterior[:, 0], [[1 / 2, 0, 0], [1 / 2, 0, 0]])
    ideal.move((1, 0))
    ideal.sense(0)
    np.testing.assert_allclose(ideal.posterior[:, 0], [[1, 0, 0], [0, 0, 0]])

    # A movement up, from 0 to 1, is a movement right on an object turned by 90°.
    turned = IdealObserver(line, angles=QUARTERS)
    turned.sense(0)
    turned.move((0, 1))
    turned.sense(1)
    found = turned.posterior
    assert found[0, 1, 0] > 0 and found[1, 0, 0] > 0 and found[0, 0].sum() == 0  # or one not turned, from 0 to 1 above
    np.testing.assert_allclose(found.sum(), 1)


def test_noise_costs_the_ideal_observer_little_where_it_is_small_and_all_where_it_is_large():
    task = objects(20, seed=5)

    def reached(**noise):
        right = [watch(IdealObserver(task, **noise), e) for e in explorations(task, seed=6, sensations=4, **noise)]
        return np.mean([p[-1] >= SURE for p in right])

    codes = np.eye(10)
    assert reached() == reached(movement_noise=0.05) == reached(codes=codes, sensor_noise=0.05) >= 0.95
    assert reached(movement_noise=5.0) < 0.3 and reached(codes=codes, sensor_noise=10.0) < 0.3


def watch(ideal, exploration):
    """(L,): the probability of the true object, angle and start after each sensation."""
    probabilities = []
    for k, feature in enumerate(exploration.features):
        if k:
            ideal.move(exploration.moves[k - 1])
        ideal.sense(feature)
        turn = int(np.argmin(np.abs(np.array(ideal.angles) - exploration.angle)))
        probabilities.append(ideal.posterior[exploration.object, turn, exploration.points[0]])
    return probabilities
