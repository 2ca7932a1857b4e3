"""The column that recognises objects by touch, its hypotheses and its parts."""

import numpy as np
import pytest
from test_objects import watch

import deephtm_gpu as dh
from deephtm_gpu.data.objects import QUARTERS, IdealObserver, explorations, objects
from deephtm_gpu.errors import UserError
from deephtm_gpu.ops.grid import grid_forward
from deephtm_gpu.sensorimotor import SensorimotorColumn
from deephtm_gpu.sensorimotor.hypotheses import Hypotheses
from deephtm_gpu.sensorimotor.parts import LOSERS, Parts

SURE = 0.9
DEVICES = pytest.mark.parametrize("device", ["numpy", "cpu", "gpu"])


def _taught(task, exposures=5, **options):
    column = SensorimotorColumn(task.distinct, len(task.places), **{"device": "numpy", **options})
    for o, (places, features) in enumerate(zip(task.places, task.features)):
        column.learn(o, places, features, exposures)
    return column


def _recognise(column, task, exploration, noise=0.0, angles=(0.0,)):
    """Two lists of bool, one entry for each sensation: whether the truth has a probability of .9, and whether something
    else has."""
    right, wrong = [], []
    column.begin(angles)
    for k, feature in enumerate(exploration.features):
        if k:
            column.move(exploration.moves[k - 1], noise)
        found = column.sense(feature)
        start = task.places[exploration.object, exploration.points[0]]
        true = (
            found.object == exploration.object
            and (found.start == start).all()
            and abs(found.angle - exploration.angle) < 1e-3
        )
        right.append(true and found.probability >= SURE)
        wrong.append(not true and found.probability >= SURE)
    return right, wrong


def _reached(column, task, explored, **options):
    """Shares of the explorations, (L,) each: right, wrong."""
    return np.mean([_recognise(column, task, e, **options) for e in explored], axis=0)


@pytest.mark.parametrize("seed", [11, 12, 13])
def test_a_column_recognises_as_the_ideal_observer_does(seed):
    task = objects(20, seed=seed)
    explored = explorations(task, seed, each=5, sensations=4)
    right, wrong = _reached(_taught(task, seed=seed), task, explored)
    best = np.mean([np.array(watch(_begun(IdealObserver(task)), e)) >= SURE for e in explored], axis=0)
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
    explored = explorations(task, 15, sensations=5, angles=QUARTERS)
    right, wrong = _reached(_taught(task), task, explored, angles=QUARTERS)
    best = np.mean([np.array(watch(IdealObserver(task, QUARTERS), e)) >= SURE for e in explored], axis=0)
    assert right[-1] >= best[-1] - 0.05 and (wrong <= 0.05).all()
    upright, _ = _reached(_taught(task), task, explored)
    assert upright[-1] < 0.5  # three of four are turned


def test_re_anchoring_helps_with_noisy_movements():
    task = objects(50, seed=16)
    column = _taught(task)
    explored = explorations(task, 16, each=2, sensations=5, movement_noise=0.3)
    anchored, _ = _reached(column, task, explored, noise=0.3)
    lost, _ = _reached(column, task, explored)
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


def test_features_given_as_vectors():
    codes = np.random.default_rng(18).standard_normal((10, 16))
    task = objects(20, seed=18)
    column = SensorimotorColumn(codes, 20, device="numpy")
    for o in range(20):
        column.learn(o, task.places[o], codes[task.features[o]])
    explored = explorations(task, 18, each=3, sensations=4, codes=codes, sensor_noise=0.2)
    right, wrong = _reached(column, task, explored)
    assert right[-1] >= 0.9 and wrong[-1] <= 0.02 and wrong.max() <= 0.1


def test_names_and_further_points():
    column = SensorimotorColumn(4, 2, device="numpy")
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
    assert found.object == "pen" and found.fit > 0.9
    column.move((7, 7))
    assert column.sense(1).fit < 0.2, "nothing is known there, so the fit is low"
    column.begin()
    column.sense(2)
    column.move((-0.5, -1.5))
    found = column.sense(3)
    assert found.object == "pen" and found.probability > SURE and found.posterior[1] > SURE and found.living < 5
    np.testing.assert_allclose(found.start, [0.5, 1.5])
    np.testing.assert_allclose(found.place, [0, 0], atol=1e-6)


def test_dropped_hypotheses_are_not_judged_again():
    hypotheses, judged = Hypotheses(np.arange(4), np.zeros((4, 2))), []

    def judge(places, objects, winners, gradient):
        judged.append(len(objects))
        return np.float32([0, -1, -11, -13])[objects], None

    hypotheses.sense(judge, np.arange(5))
    assert len(hypotheses) == 3 and hypotheses.objects.tolist() == [0, 1, 2]
    hypotheses.sense(judge, np.arange(5))
    assert hypotheses.objects.tolist() == [0, 1] and judged == [4, 3]
    np.testing.assert_allclose(hypotheses.probabilities(), [1 / (1 + np.exp(-2)), 1 / (1 + np.exp(2))], rtol=1e-5)
    np.testing.assert_allclose(hypotheses.of_objects(3), [*hypotheses.probabilities(), 0])


def test_re_anchoring_weighs_evidence_against_the_size_of_the_correction():
    hypotheses = Hypotheses(np.array([0, 1, 2]), np.zeros((3, 2)))
    hypotheses.move((1, 0), noise=0.1)
    pull = np.float32([5, 400, 0])  # nats per unit of length to the right

    def judge(places, objects, winners, gradient=False):
        return pull[objects] * (places[:, 0] - 1) - 10 * (objects == 2), np.stack(
            [pull[objects], 0 * pull[objects]], axis=1
        )

    hypotheses.sense(judge, np.arange(5))
    assert hypotheses.objects.tolist() == [1]  # the others have far less evidence
    np.testing.assert_allclose(hypotheses.places, [[1.2, 0]], atol=1e-6)  # two steps of a standard deviation, no more
    np.testing.assert_allclose(hypotheses.evidence, [400 * 0.2 - 0.2**2 / (2 * 0.1**2)], rtol=1e-5)
    assert hypotheses.variance < 0.1**2

    weak = Hypotheses(np.array([0]), np.zeros((1, 2)))
    weak.move((1, 0), noise=0.1)
    weak.sense(judge, np.arange(5))
    # Where the gradients of evidence and cost cancel.
    np.testing.assert_allclose(weak.places, [[1 + 5 * 0.1**2, 0]], atol=1e-6)


# The parts, on the engine


def parts(device="numpy", seed=0):
    made = Parts(
        objects=3, inputs=6, columns=12, winners=3, cells=4, modules=4, side=5, epsilon=0.02, seed=seed, device=device
    )
    memory = made.memory.state_dict()
    made.memory.load_state_dict(memory | {"1.weight": 2 * memory["1.weight"]})  # so that sigmoid z is not 0 everywhere
    return made


def some(rng, count=9):
    return (
        rng.normal(size=(count, 2)).astype(np.float32),
        rng.integers(3, size=count),
        np.stack([rng.permutation(12)[:3] for _ in range(count)]),
    )


@DEVICES
def test_the_gradient_of_judge_against_central_differences(device):
    judge, (places, numbers, winners) = parts(device).judge, some(np.random.default_rng(1))
    _, gradient = judge(places, numbers, winners, gradient=True)
    step, numeric = np.float32(2**-7), np.empty((9, 2))
    for axis in range(2):
        by = np.eye(2, dtype=np.float32)[axis] * step
        numeric[:, axis] = (judge(places + by, numbers, winners)[0] - judge(places - by, numbers, winners)[0]) / (
            2 * step
        )
    assert np.abs(numeric).max() > 0.1
    np.testing.assert_allclose(gradient, numeric, atol=5e-3 * np.abs(numeric).max())


def test_judge_against_the_formula_in_float64():
    made, (places, numbers, winners) = parts(), some(np.random.default_rng(2))
    weights = {name: w.astype(np.float64) for name, w in made.memory.state_dict().items()}
    phase = made.anchors[numbers] + places @ weights["0.weight"].T
    code, _ = grid_forward(phase - np.floor(phase), 1.0, 4, 5)
    q = (code @ weights["1.weight"].T + weights["1.bias"]).reshape(9, 12, 4)
    z = np.log(np.exp(q).sum(axis=2))
    likely = 0.02 + 0.98 / (1 + np.exp(-np.take_along_axis(z, winners, axis=1)))
    np.testing.assert_allclose(made.judge(places, numbers, winners)[0], np.log(likely).sum(axis=1), rtol=1e-4)


def test_thousands_of_hypotheses_on_numpy_and_gpu():
    """More than fit into one step; each has the evidence that it has alone."""
    rng = np.random.default_rng(3)
    places, numbers, winners = (
        rng.normal(size=(5000, 2)).astype(np.float32),
        rng.integers(3, size=5000),
        np.array([2, 5, 11]),
    )
    numpy, gpu = (parts(device).judge(places, numbers, winners)[0] for device in ("numpy", "gpu"))
    np.testing.assert_allclose(gpu, numpy, atol=1e-3)
    alone = parts().judge(places[4321:4322], numbers[4321:4322], winners)[0]
    np.testing.assert_allclose(alone, numpy[4321:4322], atol=1e-4)


def test_learning_goes_down_the_gradient_and_losers_by_half():
    made, C, M = parts(seed=4), 12, 4
    place, number, winners = np.float32([[0.3, 0.7]]), np.array([1]), np.array([[1, 4, 7]])
    before = made.memory.state_dict()["1.weight"].astype(np.float64)
    metric = made.memory.state_dict()["0.weight"].astype(np.float64)
    phase = made.anchors[number] + place @ metric.T
    code = grid_forward(phase - np.floor(phase), 1.0, 4, 5)[0][0]
    before += np.repeat([0, 0, 20, 15] * 3, M)[:, None] * code  # some columns expect to win
    made.memory.load_state_dict(made.memory.state_dict() | {"1.weight": before.astype(np.float32)})
    made.learn(place, number, winners, lr=0.1)
    moved = made.memory.state_dict()["1.weight"] - before.astype(np.float32)

    def loss(weight):
        z = np.log(np.exp((weight @ code - 18.0).reshape(C, M)).sum(axis=1))
        wins = np.isin(np.arange(C), winners)
        return (np.where(wins, 1, LOSERS) * (np.logaddexp(0, z) - z * wins)).sum()

    rows = np.flatnonzero(np.abs(moved).sum(axis=1) > 1e-3)
    assert {bool(np.isin(row // M, winners)) for row in rows} == {True, False}
    for row in rows:
        by = np.zeros_like(before)
        by[row] = moved[row]
        decay_rate = (loss(before + 1e-4 * by) - loss(before - 1e-4 * by)) / 2e-4
        np.testing.assert_allclose(decay_rate, -np.square(moved[row]).sum() / 0.1, rtol=2e-2)


def test_a_column_comes_back_from_a_file(tmp_path):
    task = objects(6, seed=9)
    column = _taught(task, seed=9)
    column.save(tmp_path / "column")
    again = SensorimotorColumn.load(tmp_path / "column", device="numpy")
    assert again.objects == column.objects
    for one in (column, again):
        one.learn(3, task.places[0], task.features[1], exposures=1)
        one.begin()
    np.testing.assert_array_equal(column.sense(3).posterior, again.sense(3).posterior)
    dh.Model(dh.Sequential(dh.Linear(1)), input_shape=(1,), device="numpy").save(tmp_path / "model")
    with pytest.raises(UserError, match="must be a file of a sensorimotor column"):
        SensorimotorColumn.load(tmp_path / "model", device="numpy")
    column = SensorimotorColumn(10, 1, device="numpy")
    column.learn((1, 2), task.places[0], task.features[0])
    with pytest.raises(UserError, match=r"\(1, 2\)"):
        column.save(tmp_path / "column")


def test_names_that_are_numbers_of_numpy_come_back_as_numbers(tmp_path):
    column = SensorimotorColumn(
        np.int64(4), np.int8(3), columns=np.int64(128), epsilon=np.float32(0.05), device="numpy"
    )
    for name in (np.int64(7), "x", True):
        column.learn(name, [[0, 0]], [0], exposures=np.int64(1))
    column.save(tmp_path / "column")
    assert SensorimotorColumn.load(tmp_path / "column", device="numpy").objects == column.objects == (7, "x", True)
    for call in (column.save, SensorimotorColumn.load):
        with pytest.raises(UserError, match="path must be the name of a file, got 3"):
            call(3)


def refused(says, call, *args, **options):
    with pytest.raises(UserError, match=says):
        call(*args, **options)


@pytest.mark.parametrize(
    "options, says",
    [
        (dict(features=0), "features must be .*got 0"),
        (dict(features="x"), "features must be .*got 'x'"),
        (dict(winners=2.5), "winners must be .*got 2.5"),
        (dict(features=np.zeros(3)), r"shape \(3,\)"),
        (dict(features=[[1], [1, 2]]), r"features must be .*got \[\[1\], \[1, 2\]\]"),
        (dict(features=None), "features must be .*got None"),
        (dict(features=[["a"]]), r"features must be .*got \[\['a'\]\]"),
        (dict(features=np.full((2, 2), np.nan)), "nan"),
        (dict(features=10**9), "at most 10,000"),
        (dict(features=10**5000), "a huge int"),
        (dict(objects=0), "objects must be .*got 0"),
        (dict(objects=10**9), "objects must be at most 1,000,000, got 1000000000"),
        (dict(columns=5), "5 winners of 5 columns"),
        (dict(columns=10**400), "columns must be a whole number from 1 to 2,147,483,647"),
        (dict(side=10**9), "must be at most 1,000,000,000"),
        (dict(epsilon=0.0), "epsilon must be .*got 0.0"),
        (dict(epsilon=1e-60), "epsilon must be .*got 1e-60"),
        (dict(epsilon="a"), "epsilon must be .*got 'a'"),
        (dict(epsilon=None), "epsilon must be .*got None"),
        (dict(epsilon=[0.1]), r"epsilon must be .*got \[0.1\]"),
        (dict(epsilon=np.nan), "epsilon must be .*got nan"),
        (dict(side=1), "1 x 1"),
        (dict(seed=-1), "seed must be .*got -1"),
        (dict(seed="a"), "seed must be .*got 'a'"),
    ],
)
def test_wrong_columns(options, says):
    refused(says, SensorimotorColumn, **{"features": 4, "objects": 2, **options})


@pytest.fixture(scope="module")
def touched():
    """A column that knows one object. No invalid input changes that."""
    column = SensorimotorColumn(4, 2, device="numpy")
    column.learn("a", [[0, 0], [1, 0]], [0, 1])
    column.begin()
    yield column
    assert column.objects == ("a",) and len(column.known("a")) == 2
    assert column.sense(1).object == "a"


@pytest.mark.parametrize(
    "place",
    [
        "ab",
        (1, "a"),
        {},
        (10**400, 0),
        (1e7, 0),
        (3e38, 0),
        (np.inf, 0),
        (np.nan, 0),
        (1, 2, 3),
        (1, 2j),
        [1, [2]],
        None,
        5,
    ],
    ids=lambda place: str(place)[:9],
)
def test_wrong_places(touched, place):
    refused("A displacement", touched.move, place)
    refused("A displacement", touched.predict, place)
    refused("A place", touched.expects, "a", place)
    refused("A place", touched.bumps, "a", place)
    refused("A list of places", touched.learn, "a", [place], [0])


@pytest.mark.parametrize(
    "noise", [-1.0, np.nan, np.inf, 1e200, 10**400, "a", None, [0.1]], ids=lambda noise: str(noise)[:9]
)
def test_wrong_noise(touched, noise):
    refused("noise", touched.move, (1, 0), noise=noise)


@pytest.mark.parametrize(
    "feature, says",
    [
        (-1, "number must be from 0 to 3, got -1"),
        (4, "number must be from 0 to 3, got 4"),
        (np.zeros(3), r"shape \(3,\)"),
        (np.full(4, np.nan), "finite"),
        (np.full(4, 3e38), "3e"),
        ([None] * 4, "None"),
        (["a"] * 4, "'a'"),
        ([[1], [1, 2]], "finite"),
        (1.5, "numbers from 0 to 3"),
        (True, "numbers from 0 to 3"),
        ("a", "'a'"),
        ({}, "{}"),
        (10**400, "1000"),
    ],
    ids=lambda x: str(x)[:9],
)
def test_wrong_features(touched, feature, says):
    refused(says, touched.sense, feature)
    refused("(?i)feature", touched.learn, "b", [[0, 0]], [feature])


@pytest.mark.parametrize("exposures", [0, 1.5, np.nan, "a", None, True, 10**12], ids=str)
def test_wrong_exposures(touched, exposures):
    refused("exposures must be", touched.learn, "b", [[0, 0]], [0], exposures=exposures)


@pytest.mark.parametrize("name", [[1], {}, np.zeros(2)], ids=str)
def test_names_that_cannot_be_looked_up(touched, name):
    refused("must be hashable", touched.learn, name, [[0, 0]], [0])
    refused("must be hashable", touched.known, name)
    refused("must be hashable", touched.expects, name, (0, 0))


@pytest.mark.parametrize(
    "angles", ["a", ["a"], [10**400], [], 0.0, [np.inf], None, [[0.0]]], ids=lambda angles: str(angles)[:9]
)
def test_wrong_angles(touched, angles):
    refused("angles, in radians", touched.begin, angles)


def test_calls_that_come_too_early_or_ask_too_much():
    column = SensorimotorColumn(4, 1, device="numpy")
    refused("must come after learn.*knows no object", column.begin)
    refused("must come after begin", column.sense, 0)
    refused("must come after begin", column.move, (0, 0))
    column.learn("a", [[0, 0], [1, 0]], [0, 1])
    refused("can learn 1 objects", column.learn, "b", [[0, 0]], [0])
    refused("1 features at 2 places", column.learn, "a", [[0, 0], [1, 0]], [0])
    refused("must be one of the 1 that the column knows, got 'b'", column.known, "b")
    for wrong in ([0, 0], "abc", [], [[1, 2], [1]]):
        refused("A list of places", column.learn, "a", wrong, [0])


def test_the_sum_of_movements_is_bounded():
    column = SensorimotorColumn(4, 1, device="numpy")
    column.learn("a", [[0, 0]], [0])
    column.begin()
    column.move((-9e5, 0))
    refused("must stay within 1,000,000", column.move, (-9e5, 0))
    refused("must stay within 1,000,000", column.predict, (-9e5, 0))
    column.move((9e5, 0), noise=1e6)
    found = column.sense(0)
    assert found.living == 1 and np.isfinite(found.probability) and np.isfinite(found.place).all()


def test_an_object_whose_learning_fails_is_not_known(monkeypatch):
    task = objects(2, seed=8)
    column, same = (SensorimotorColumn(10, 2, device="numpy") for _ in range(2))
    for one in (column, same):
        one.learn("a", task.places[0], task.features[0])
    with monkeypatch.context() as broken:
        broken.setattr(column.memory, "fit", lambda *_, **__: 1 / 0)
        for name, places in (("a", task.places[0] + 9), ("b", task.places[1])):
            with pytest.raises(ZeroDivisionError):
                column.learn(name, places, task.features[1])
    assert column.objects == ("a",) and len(column.known("a")) == 10
    for one in (column, same):
        one.learn("b", task.places[1], task.features[1])
        one.begin()
    np.testing.assert_array_equal(column.sense(3).posterior, same.sense(3).posterior)


@pytest.mark.parametrize("evidence, active", [
    ([0, np.nan, -1], [0, 2]), ([np.nan] * 3, [0, 1, 2]), ([-np.inf, -5, -np.inf], [1]), ([-np.inf] * 3, [0, 1, 2]),
])
def test_one_hypothesis_stays_active_whatever_the_evidence(evidence, active):
    hypotheses = Hypotheses(np.arange(3), np.zeros((3, 2)))
    hypotheses.sense(lambda places, objects, winners, gradient: (np.float32(evidence), None), np.arange(5))
    assert hypotheses.objects.tolist() == active and np.isclose(hypotheses.probabilities().sum(), 1)


def test_a_column_on_the_gpu_does_what_one_on_numpy_does():
    task, results = objects(6, seed=21), []
    for device in ("numpy", "gpu"):
        column = _taught(task, exposures=2, seed=21, device=device)
        column.begin()
        posteriors = []
        for k, feature in enumerate(explorations(task, 22, sensations=3)[4].features):
            if k:
                column.move(explorations(task, 22, sensations=3)[4].moves[k - 1], noise=0.1)
            posteriors.append(column.sense(int(feature)).posterior)
        results.append(np.array([*posteriors, column.predict((1, 0))[:6]]))
    np.testing.assert_allclose(results[1], results[0], atol=2e-3)
