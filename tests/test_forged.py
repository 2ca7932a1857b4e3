"""Files that somebody changed: a load refuses them in one sentence, or what it gives runs on."""

import copy
import pickle
import warnings

import numpy as np
import pytest

import deephtm_gpu as dh
from deephtm_gpu.saving.container import read_container, write_container

STEPS = 7


def _plain():
    net = dh.Sequential(dh.Linear(5), dh.RunningNorm(), dh.SpatialPooler(9, 2), dh.TemporalMemory(2, window=2),
                        dh.Linear(1))
    return dh.Model(net, input_shape=(1,), optimizer=dh.Adam(0.01, average=0.1), device="numpy")


def _image():
    x = dh.Input((2, 4, 4))
    code = dh.SpatialPooler(6, 2)(dh.Conv2d(3, kernel=3)(x))
    cells = dh.TemporalMemory(2, slow=False, neighbourhood=3)(code)
    return dh.Model(dh.Network(x, dh.Conv2d(2, kernel=3)(cells)), device="numpy")


def _sampled():
    x = dh.Input((2,))
    memory = dh.TemporalMemory(2, synapses=5, window=2)
    cells = memory(dh.SpatialPooler(7, 2)(x), context=[dh.previous(memory), x])
    return dh.Model(dh.Network(x, dh.Linear(2)(cells)), streams=2, optimizer=dh.SGD(0.01, momentum=0.5),
                    device="numpy")


def _clocked():
    x = dh.Input((3,))
    cells = dh.TemporalMemory(2)(dh.SpatialPooler(7, 2)(x))
    held = dh.every(cells, 2)
    above = dh.TemporalMemory(2)(dh.SpatialPooler(5, 2)(held), context=[dh.previous(cells)])
    return dh.Model(dh.Network(x, dh.Linear(3)(above)), loss="cross_entropy", device="numpy")


def _population():
    net = dh.Sequential(dh.SpatialPooler(7, 2), dh.TemporalMemory(2), dh.Linear(1))
    return dh.Population(net, 3, input_shape=(1,), device="numpy")


CASES = {  # how to make it, the shape of a series, how to fit it
    "plain": (_plain, (1,), dict(ahead=1)),
    "deferred": (_plain, (1,), dict(ahead=3)),
    "image": (_image, (2, 4, 4), dict(ahead=1)),
    "sampled": (_sampled, (2, 2), dict(ahead=2)),
    "clocked": (_clocked, (3,), dict(ahead=1)),
    "population": (_population, (1,), dict(ahead=1)),
}


def series(case, begin=0):
    _, shape, _ = CASES[case]
    x = np.random.default_rng(begin).normal(size=(STEPS, *shape))
    if case == "clocked":
        return np.eye(3)[np.argmax(x, axis=1)]
    return np.moveaxis(np.random.default_rng(begin).normal(size=(STEPS, 3, 1)), 1, 0) if case == "population" else x


def forgeries(name, array, rng):
    """(what is done, the forged array)"""
    def at_one(value):
        forged = array.copy()
        if forged.size:
            forged.reshape(-1)[rng.integers(forged.size)] = value
        return forged

    yield "missing", None
    yield "float64", array.astype(np.float64)
    yield "int32", array.astype(np.int32)
    yield "flat", array.reshape(-1, 1)
    yield "shorter", array[:-1]
    yield "longer", np.concatenate([array, array[-1:]])
    if array.dtype == np.int64:
        for value in (-1, 1, 3, 17, 100, 10**6, 2**31, 2**32 - 1, 2**32, 2**63 - 1, -(2**63)):
            yield f"one {value}", at_one(value)
            if value >= 0:
                yield f"all {value}", np.full_like(array, value)
        yield "all 0", np.zeros_like(array)
        yield "one more", array + 1
        yield "reversed", np.ascontiguousarray(array[..., ::-1])
        yield "rolled", np.roll(array, 1, axis=-1)
        yield "doubled", np.repeat(array.reshape(-1)[:1], array.size).reshape(array.shape)
    else:
        for value in (np.nan, np.inf, -np.inf, -1.0, 0.5, 3.4e38, -3.4e38, 1e20, 1e-45):
            yield f"one {value}", at_one(value)
            yield f"all {value}", np.full_like(array, value)
        yield "all 0", np.zeros_like(array)
        yield "rolled", np.roll(array.reshape(-1), 1).reshape(array.shape)
        yield "negated", -array


def go_on(model, case):
    """All that a user may do with it."""
    _, _, how = CASES[case]
    for act in (lambda: model.state(), lambda: model.predict(series(case)[:3] if case != "population"
                                                            else series(case)[:, :3]),
                lambda: model.rollout(2), lambda: model.fit(series(case, 1), **how), lambda: model.state(),
                lambda: model.reset(), lambda: model.fit(series(case, 2), **how)):
        try:
            act()
        except (dh.UserError, dh.TrainingError) as error:
            assert "\n" not in str(error)


def attempt(path, case, device="numpy"):
    try:
        model = dh.load(path, device)
    except dh.UserError as error:
        assert str(error).endswith(".") and "\n" not in str(error), error
        return str(error)
    go_on(model, case)
    return None


def saved(case, path):
    make, _, how = CASES[case]
    model = make()
    model.fit(series(case), **how)
    model.save(path)
    return read_container(path)


SINCE = ("loss0.extent",)  # files of before had none


@pytest.mark.parametrize("trials", [2, pytest.param(20, marks=pytest.mark.soak)])  # of each array
@pytest.mark.parametrize("case", CASES)
def test_a_forged_file_is_refused_or_runs(case, trials, tmp_path):
    path, rng, loaded = tmp_path / "model", np.random.default_rng(1), 0
    description, arrays = saved(case, path)
    for name, array in arrays.items():
        every = list(forgeries(name, array, rng))
        for n in rng.permutation(len(every))[:trials]:
            what, forged = every[n]
            changed = {k: v for k, v in arrays.items() if k != name} | ({} if forged is None else {name: forged})
            write_container(path, description, changed)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # huge numbers overflow
                said = attempt(path, case)
            assert said or what not in ("missing", "float64", "int32") or name in SINCE, (name, what)
            loaded += said is None
    assert loaded  # weights of other values are no forgery that could be seen


@pytest.mark.parametrize("case", ["image", "sampled"])
def test_no_index_of_a_forged_file_reaches_a_shader(adapter, case, tmp_path):
    path, rng = tmp_path / "model", np.random.default_rng(2)
    description, arrays = saved(case, path)
    for name, array in arrays.items():
        if array.dtype == np.int64 and array.size:
            for value in (10**6, 2**32 - 1):
                forged = array.copy()
                forged.reshape(-1)[rng.integers(array.size)] = value
                write_container(path, description, arrays | {name: forged})
                attempt(path, case, adapter.name)


@pytest.mark.parametrize("size", [10**400, 10**30, 2**63, -(2**63), True, 1.5, float("nan"), "3", None, [3]])
@pytest.mark.parametrize("make", [
    lambda n: dh.Linear(n), lambda n: dh.SpatialPooler(n, 2), lambda n: dh.SpatialPooler(8, n),
    lambda n: dh.TemporalMemory(n), lambda n: dh.Conv2d(n, 3), lambda n: dh.Conv2d(4, n),
    lambda n: dh.ConvTranspose2d(4, 3, stride=n), lambda n: dh.Input((n,)), lambda n: dh.GridCells(modules=n),
    lambda n: dh.Adam(n), lambda n: dh.every(dh.Input((1,)), n),
    lambda n: dh.Model(dh.Sequential(dh.Linear(1)), input_shape=(1,), streams=n, device="numpy"),
])
def test_no_size_ends_in_a_traceback(make, size):
    try:
        make(size)
    except dh.UserError as error:
        assert "\n" not in str(error) and len(str(error)) < 500


def test_a_thousand_layers_in_a_row():
    """Walks through the graph keep a list of their own, not Python's stack."""
    net = dh.Sequential(*[dh.ReLU() for _ in range(1200)], dh.Linear(1))
    model = dh.Model(net, input_shape=(1,), device="numpy")
    model.fit(np.ones((3, 1)))
    again = pickle.loads(pickle.dumps(model))
    assert np.array_equal(copy.deepcopy(model).predict(np.ones((2, 1))), again.predict(np.ones((2, 1))))
    assert len(model.layers()) >= 1201
    assert repr(model) and model.summary()
