"""Objects to be touched, their ideal observer, and the column that recognises them."""

import numpy as np
import pytest

from deephtm_gpu.data.objects import QUARTERS, IdealObserver, Objects, explorations, objects
from deephtm_gpu.errors import UserError
from deephtm_gpu.sensorimotor import SensorimotorColumn
from deephtm_gpu.sensorimotor.hypotheses import Hypotheses
from deephtm_gpu.sensorimotor.numpy_parts import LOSERS, GridCells, NumpyParts

SURE = 0.9


def test_objects():
    task, again, other = objects(seed=3), objects(seed=3), objects(seed=4)
    assert task.places.shape == (100, 10, 2) and task.features.shape == (100, 10) and task.distinct == 10
    assert all(len(np.unique(places, axis=0)) == 10 for places in task.places)
    assert task.places.min() == 0 and task.places.max() == 3 and set(task.features.ravel()) == set(range(10))
    np.testing.assert_array_equal(task.places, again.places)
    assert (task.features != other.features).any()
    with pytest.raises(UserError, match="17 points.* 4 x 4"):
        objects(points=17)


def test_explorations():
    task = objects(20, seed=1)
    for e in explorations(task, seed=2, each=2, angles=QUARTERS):
        assert len(set(e.points)) == 10 and (e.features == task.features[e.object, e.points]).all()
        back = np.array([[np.cos(e.angle), np.sin(e.angle)], [-np.sin(e.angle), np.cos(e.angle)]])
        np.testing.assert_allclose(e.moves @ back.T, np.diff(task.places[e.object, e.points], axis=0), atol=1e-5)
    short, long = explorations(task, seed=2, sensations=1), explorations(task, seed=2, codes=np.eye(10), sensor_noise=0.1)
    assert short[0].points.tolist() == long[0].points[:1].tolist() and short[0].moves.shape == (0, 2)
    off = np.concatenate([e.features - np.eye(10)[task.features[e.object, e.points]] for e in long])
    assert 0.09 < off.std() < 0.11
    noisy = explorations(task, seed=2, movement_noise=0.2)
    off = np.concatenate([e.moves - np.diff(task.places[e.object, e.points], axis=0) for e in noisy])
    assert 0.17 < off.std() < 0.23
    for wrong in (dict(sensations=11), dict(sensor_noise=0.1)):
        with pytest.raises(UserError):
            explorations(task, **wrong)


def test_the_ideal_observer_by_hand():
    line = Objects(np.float32([[[0, 0], [1, 0], [2, 0]], [[0, 0], [1, 0], [0, 1]]]), np.array([[0, 1, 0], [0, 1, 1]]), 2)
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

    turned = IdealObserver(line, angles=QUARTERS)  # a movement up, from 0 to 1, is a movement right on an object turned by 90°
    turned.sense(0)
    turned.move((0, 1))
    turned.sense(1)
    found = turned.posterior
    assert found[0, 1, 0] > 0 and found[1, 0, 0] > 0 and found[0, 0].sum() == 0  # or one not turned, from 0 to 1 above
    np.testing.assert_allclose(found.sum(), 1)


def test_noise_costs_the_ideal_observer_little_where_it_is_small_and_all_where_it_is_large():
    task = objects(20, seed=5)

    def reached(**noise):
        told = [_watch(IdealObserver(task, **noise), e) for e in explorations(task, seed=6, sensations=4, **noise)]
        return np.mean([p[-1] >= SURE for p in told])

    codes = np.eye(10)
    assert reached() == reached(movement_noise=0.05) == reached(codes=codes, sensor_noise=0.05) >= 0.95
    assert reached(movement_noise=5.0) < 0.3 and reached(codes=codes, sensor_noise=10.0) < 0.3


def _watch(ideal, exploration):
    """(L,): the probability of the true object, angle and start after each sensation."""
    told = []
    for k, feature in enumerate(exploration.features):
        if k:
            ideal.move(exploration.moves[k - 1])
        ideal.sense(feature)
        turn = int(np.argmin(np.abs(np.array(ideal._angles) - exploration.angle)))
        told.append(ideal.posterior[exploration.object, turn, exploration.points[0]])
    return told


def _taught(task, exposures=5, **options):
    column = SensorimotorColumn(task.distinct, len(task.places), **options)
    for o, (places, features) in enumerate(zip(task.places, task.features)):
        column.learn(o, places, features, exposures)
    return column


def _recognise(column, task, exploration, noise=0.0, angles=(0.0,)):
    """Whether after each sensation the truth has a probability of .9, and whether something else has. Two lists of bool."""
    right, wrong = [], []
    column.begin(angles)
    for k, feature in enumerate(exploration.features):
        if k:
            column.move(exploration.moves[k - 1], noise)
        found = column.sense(feature)
        start = task.places[exploration.object, exploration.points[0]]
        true = found.object == exploration.object and (found.start == start).all() and abs(found.angle - exploration.angle) < 1e-3
        right.append(true and found.probability >= SURE)
        wrong.append(not true and found.probability >= SURE)
    return right, wrong


def _reached(column, task, told, **options):
    """Shares of the explorations, (L,) each: right, wrong."""
    return np.mean([_recognise(column, task, e, **options) for e in told], axis=0)


@pytest.mark.parametrize("seed", [11, 12, 13])
def test_a_column_recognises_as_the_ideal_observer_does(seed):
    task = objects(20, seed=seed)
    told = explorations(task, seed, each=5, sensations=4)
    right, wrong = _reached(_taught(task, seed=seed), task, told)
    best = np.mean([np.array(_watch(_begun(IdealObserver(task)), e)) >= SURE for e in told], axis=0)
    assert (np.abs(right - best) <= 0.03).all() and (wrong <= 0.01).all() and best[-1] >= 0.95


def _begun(ideal):
    ideal.begin()
    return ideal


def test_one_cell_per_column_is_not_enough():
    task = objects(100, seed=14)
    right, _ = _reached(_taught(task, cells_per_column=1), task, explorations(task, 14, sensations=3))
    assert right[-1] <= 0.2


def test_turned_objects():
    task = objects(20, seed=15)
    told = explorations(task, 15, sensations=5, angles=QUARTERS)
    right, wrong = _reached(_taught(task), task, told, angles=QUARTERS)
    best = np.mean([np.array(_watch(IdealObserver(task, QUARTERS), e)) >= SURE for e in told], axis=0)
    assert right[-1] >= best[-1] - 0.05 and (wrong <= 0.05).all()
    upright, _ = _reached(_taught(task), task, told)
    assert upright[-1] < 0.5  # three of four are turned


def test_re_anchoring_helps_where_movements_are_noisy():
    task = objects(50, seed=16)
    column = _taught(task)
    told = explorations(task, 16, each=2, sensations=5, movement_noise=0.3)
    anchored, _ = _reached(column, task, told, noise=0.3)
    lost, _ = _reached(column, task, told)
    assert anchored[3:].mean() >= lost[3:].mean() + 0.03 and anchored[-1] >= 0.9


def test_the_next_feature_is_predicted():
    task, hits = objects(20, seed=17), []
    column = _taught(task)
    for e in explorations(task, 17, each=2, sensations=5):
        column.begin()
        assert column.predict().max() < 0.3  # it may be anywhere
        for k, feature in enumerate(e.features):
            if k == 4:
                expected = column.predict(e.moves[3])
                assert expected.shape == (10,) and abs(expected.sum() - 1) < 1e-5
                hits.append(expected.argmax() == feature)
            if k:
                column.move(e.moves[k - 1])
            column.sense(feature)
        assert column.predict().argmax() == feature
    assert np.mean(hits) >= 0.96


def test_features_told_as_vectors():
    codes = np.random.default_rng(18).standard_normal((10, 16))
    task = objects(20, seed=18)
    column = SensorimotorColumn(codes, 20)
    for o in range(20):
        column.learn(o, task.places[o], codes[task.features[o]])
    told = explorations(task, 18, each=3, sensations=4, codes=codes, sensor_noise=0.2)
    right, wrong = _reached(column, task, told)
    assert right[-1] >= 0.9 and (wrong <= 0.02).all()


def test_names_and_further_points():
    column = SensorimotorColumn(4, 2)
    cup, pen = np.float32([[0, 0], [1, 0], [0, 1]]), np.float32([[0, 0], [0.5, 1.5]])
    column.learn("cup", cup, [0, 1, 2])
    column.learn("pen", pen[:1], [3])
    column.learn("pen", pen[1:], [2])
    assert column.objects == ("cup", "pen")
    column.begin()
    first = column.sense(2)
    np.testing.assert_allclose(first.posterior, [0.5, 0.5], atol=0.05)
    column.move((-0.5, -1.5))
    found = column.sense(3)
    assert found.object == "pen" and found.probability > SURE and found.posterior[1] > SURE and found.living < 5
    np.testing.assert_allclose(found.start, [0.5, 1.5])
    np.testing.assert_allclose(found.place, [0, 0], atol=1e-6)


def test_hypotheses_die_and_are_no_more_asked():
    told, asked = Hypotheses(np.arange(4), np.zeros((4, 2))), []

    def judge(places, objects, winners, gradient):
        asked.append(len(objects))
        return np.float32([0, -1, -14, -16])[objects], None

    told.sense(judge, np.arange(5))
    assert len(told) == 3 and told.objects.tolist() == [0, 1, 2]
    told.sense(judge, np.arange(5))
    assert told.objects.tolist() == [0, 1] and asked == [4, 3]
    np.testing.assert_allclose(told.probabilities(), [1 / (1 + np.exp(-2)), 1 / (1 + np.exp(2))], rtol=1e-5)
    np.testing.assert_allclose(told.of_objects(3), [*told.probabilities(), 0])


def test_re_anchoring_weighs_what_is_sensed_against_how_far_it_must_have_slipped():
    told = Hypotheses(np.array([0, 1, 2]), np.zeros((3, 2)))
    told.move((1, 0), noise=0.1)
    pull = np.float32([5, 400, 0])  # nats per unit of length to the right

    def judge(places, objects, winners, gradient=False):
        return pull[objects] * (places[:, 0] - 1) - 10 * (objects == 2), np.stack([pull[objects], 0 * pull[objects]], axis=1)

    told.sense(judge, np.arange(5))
    assert told.objects.tolist() == [1]  # the others are far behind
    np.testing.assert_allclose(told.places, [[1.2, 0]], atol=1e-6)  # two steps of a standard deviation, no more
    np.testing.assert_allclose(told.evidence, [400 * 0.2 - 0.2**2 / (2 * 0.1**2)], rtol=1e-5)
    assert told.variance < 0.1**2

    weak = Hypotheses(np.array([0]), np.zeros((1, 2)))
    weak.move((1, 0), noise=0.1)
    weak.sense(judge, np.arange(5))
    np.testing.assert_allclose(weak.places, [[1 + 5 * 0.1**2, 0]], atol=1e-6)  # where the slope of l is that of the cost


def _parts(seed=0, cells=4):
    return NumpyParts(np.random.default_rng(seed), 3, 6, columns=12, winners=3, cells=cells, modules=4, side=5, epsilon=0.02)


def test_the_gradient_of_judge_against_central_differences():
    parts = _parts()
    for name in ("anchors", "distal"):
        setattr(parts, name, getattr(parts, name).astype(np.float64))
    parts.distal *= 2  # so that sigmoid z is not 0 everywhere
    parts.grid.metric = parts.grid.metric.astype(np.float64)
    rng = np.random.default_rng(1)
    places, numbers, winners = rng.normal(size=(9, 2)).astype(np.float32), rng.integers(3, size=9), np.array([2, 5, 11])
    _, slope = parts.judge(places, numbers, winners, gradient=True)
    step, numeric = np.float32(2**-9), np.empty((9, 2))
    for axis in range(2):
        by = np.eye(2, dtype=np.float32)[axis] * step
        numeric[:, axis] = (parts.judge(places + by, numbers, winners)[0] - parts.judge(places - by, numbers, winners)[0]) / (2 * step)
    assert np.abs(numeric).max() > 0.1
    np.testing.assert_allclose(slope, numeric, atol=2e-3 * np.abs(numeric).max())


def test_many_samples_at_once_are_learned_as_one_after_the_other():
    at_once, in_turn = _parts(2), _parts(2)
    rng = np.random.default_rng(3)
    places, numbers = rng.normal(size=(20, 2)), rng.integers(3, size=20)
    winners = np.stack([rng.permutation(12)[:3] for _ in range(20)])
    at_once.learn(places, numbers, winners, rate=20.0)
    for b in range(20):
        in_turn.learn(places[b:b + 1], numbers[b:b + 1], winners[b:b + 1], rate=20.0)
    assert np.abs(at_once.distal - _parts(2).distal).max() > 2
    np.testing.assert_allclose(at_once.distal, in_turn.distal, atol=1e-2)


def test_learning_goes_down_the_gradient():
    parts, C, M = _parts(4), 12, 4
    place, number, winners = np.float32([[0.3, 0.7]]), np.array([1]), np.array([[1, 4, 7]])
    code = parts.grid.forward(parts._phase(place, number))[0][0]
    parts.distal += np.repeat(np.float32([0, 0, 20, 15]), 3)[:, None].repeat(M, axis=0) * code  # some columns expect to win
    kind = np.where(np.isin(np.arange(C), winners), 1, LOSERS)

    def loss(distal):
        z = np.log(np.exp((distal @ code - 18.0).reshape(C, M).astype(float)).sum(axis=1))
        return (kind * (np.logaddexp(0, z) - z * np.isin(np.arange(C), winners))).sum()

    before = parts.distal.copy()
    parts.learn(place, number, winners, rate=20.0)
    moved = (parts.distal - before).astype(float)
    most = np.argsort(-np.abs(moved).sum(axis=1))[:6]
    assert {kind[row // M] for row in most} == {1, LOSERS}
    for row in most:
        by = np.zeros_like(moved)
        by[row] = 1e-4 * moved[row]
        slope = (loss(before + by) - loss(before - by)) / 2e-4
        np.testing.assert_allclose(slope, -np.square(moved[row]).sum() / 20, rtol=1e-2)
    assert loss(parts.distal) < loss(before)


def test_grid_cells_tell_places_apart_and_turn_round():
    grid = GridCells(10, 5)
    rng = np.random.default_rng(5)
    code, _ = grid.forward(rng.random((200, 10, 2)).astype(np.float32))
    assert code.shape == (200, 250)
    np.testing.assert_allclose(np.square(code).sum(axis=1), 1, rtol=1e-5)
    assert np.abs(code @ code.T - np.eye(200)).max() < 0.8
    phase = rng.random((3, 10, 2)).astype(np.float32)
    np.testing.assert_allclose(grid.forward(phase)[0], grid.forward(phase + np.float32(1))[0], atol=1e-5)


@pytest.mark.parametrize("options, says", [
    (dict(features=0), "0 features"), (dict(features=np.zeros(3)), r"shape \(3,\)"), (dict(objects=0), "objects=0"),
    (dict(columns=5), "5 winners of 5 columns"), (dict(epsilon=0.0), "epsilon=0.0"), (dict(side=1), "1 x 1"),
])
def test_wrong_columns(options, says):
    with pytest.raises(UserError, match=says):
        SensorimotorColumn(**{"features": 4, "objects": 2, **options})


def test_wrong_input():
    column = SensorimotorColumn(4, 1)

    def refused(says, call, *args, **options):
        with pytest.raises(UserError, match=says):
            call(*args, **options)

    refused("knows no object", column.begin)
    refused("has not begun", column.sense, 0)
    column.learn("a", [[0, 0], [1, 0]], [0, 1])
    refused("made for 1 objects", column.learn, "b", [[0, 0]], [0])
    refused("1 features at 2 places", column.learn, "a", [[0, 0], [1, 0]], [0])
    refused("0 exposures", column.learn, "a", [[0, 0]], [0], exposures=0)
    refused(r"Places of shape \(2,\)", column.learn, "a", [0, 0], [0])
    refused("Feature 4", column.learn, "a", [[0, 0]], [4])
    refused("at least one, in radians", column.begin, [])
    column.begin()
    refused("Feature -1", column.sense, -1)
    refused(r"shape \(3,\)", column.sense, np.zeros(3))
    refused("finite", column.sense, np.full(4, np.nan))
    refused("displacement", column.move, (1, 2, 3))
    refused("noise -1", column.move, (1, 2), noise=-1.0)
    refused("displacement", column.predict, (np.inf, 0))
    assert column.sense(1).object == "a"
