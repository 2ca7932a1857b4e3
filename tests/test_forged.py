"""What nobody should give, in files and as arguments: each is refused in one sentence, or it works."""

import copy
import inspect
import math
import pickle
import zlib
from datetime import datetime, timedelta
from fractions import Fraction

import numpy as np
import pytest
from conftest import set_in

import deephtm_gpu as dh
from deephtm_gpu import learner as learners
from deephtm_gpu.learner import Learner
from deephtm_gpu.optimisers.base import Optimizer
from deephtm_gpu.optimisers.schedules import Schedule
from deephtm_gpu.saving.container import read_container, write_container
from deephtm_gpu.sensorimotor import SensorimotorColumn
from deephtm_gpu.sources import Row

STEPS = 5


def sentence(error):
    assert isinstance(error, (dh.UserError, dh.TrainingError)), repr(error)
    text = str(error)
    assert text.endswith(".") and "\n" not in text and len(text) < 700, text
    return text


def refused(act) -> str | None:
    """The sentence that it is refused with; None where it works."""
    try:
        act()
    except (dh.UserError, dh.TrainingError) as error:
        return sentence(error)


# Models to forge


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


CASES = {  # how to make it, the shape of a series, how many steps ahead
    "plain": (_plain, (STEPS, 1), 1),
    "deferred": (_plain, (STEPS, 1), 3),
    "image": (_image, (STEPS, 2, 4, 4), 1),
    "sampled": (_sampled, (STEPS, 2, 2), 2),
    "clocked": (_clocked, (STEPS, 3), 1),
    "population": (_population, (3, STEPS, 1), 1),
}


def series(case, seed=0):
    x = np.random.default_rng(seed).normal(size=CASES[case][1])
    return np.eye(3)[np.argmax(x, axis=1)] if case == "clocked" else x


def save(case, path):
    """Saves a model that has learned; returns what the file holds."""
    make, _, ahead = CASES[case]
    model = make()
    model.fit(series(case), ahead=ahead)
    model.save(path)
    return read_container(path)


def go_on(model, case):
    """Raises what no user should see."""
    x, then, ahead = series(case, 1), series(case, 2), CASES[case][2]
    for act in (model.state, lambda: model.fit(x, ahead=ahead), lambda: model.predict(x), lambda: model.rollout(2),
                model.state, model.reset, lambda: model.fit(then, ahead=ahead)):
        refused(act)


def attempt(path, case, description, arrays):
    """Loads such a file and goes on. Returns the model, or None where it is refused."""
    write_container(path, description, arrays)
    try:
        model = dh.load(path, "numpy")
    except dh.UserError as error:
        sentence(error)
        return None
    go_on(model, case)
    return model


# Arrays


def forgeries(array, rng):
    """Functions that give the array forged."""
    def one(value):
        forged = array.copy()
        if forged.size:
            forged.reshape(-1)[rng.integers(forged.size)] = value
        return forged

    def of(value):
        return [lambda: one(value), lambda: np.full_like(array, value)]

    yield from (lambda: array.astype(np.float64), lambda: array.reshape(-1, 1), lambda: array[:-1],
                lambda: np.concatenate([array, array[-1:]]), lambda: np.zeros_like(array),
                lambda: np.ascontiguousarray(array[..., ::-1]),
                lambda: np.roll(array.reshape(-1), 1).reshape(array.shape))
    if array.dtype == np.int64:
        for value in (-1, 1, 3, 17, 100, 2**31, 2**32 - 1, 2**32, 2**63 - 1, -(2**63)):
            yield from of(value)
        yield from (lambda: array + 1, lambda: array[array.argsort(axis=0)] if array.ndim == 1 else array - 1)
    else:
        for value in (np.nan, np.inf, -np.inf, -1.0, 0.5, 3.4e38, -3.4e38, 1e20, 1e-45):
            yield from of(value)
        yield lambda: -array


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("case", CASES)
def test_a_forged_array_is_refused_or_goes_on(case, tmp_path):
    description, arrays = save(case, tmp_path / "m")
    rng = np.random.default_rng(len(case))
    for name, array in arrays.items():
        ways = list(forgeries(array, rng))
        for way in rng.permutation(len(ways))[: 3 if array.dtype == np.int64 else rng.integers(2)]:
            attempt(tmp_path / "m", case, description, arrays | {name: ways[way]()})
    alike = {}
    for name, array in arrays.items():
        alike.setdefault((array.shape, array.dtype), []).append(name)
    for names in alike.values():  # what could stand in each other's place
        for a, b in rng.permuted(names).reshape(1, -1)[:, : len(names) // 2 * 2].reshape(-1, 2)[:2]:
            attempt(tmp_path / "m", case, description, arrays | {a: arrays[b], b: arrays[a]})
    some = rng.permutation(list(arrays))[:3]
    assert attempt(tmp_path / "m", case, description, {n: a for n, a in arrays.items() if n not in some}) is None
    assert attempt(tmp_path / "m", case, description, arrays | {"7.weight": np.zeros(3, np.float32)}) is None
    assert attempt(tmp_path / "m", case, description, arrays), "what is not forged goes on"


@pytest.mark.parametrize("case", ["plain", "image"])
def test_what_is_loaded_goes_on_on_a_gpu_too(case, adapter, tmp_path):
    """Where an index out of range would not raise, but read and write beside an array."""
    description, arrays = save(case, tmp_path / "m")
    on_gpu, rng, tried = dh.load(tmp_path / "m", "gpu"), np.random.default_rng(1), 0
    for name in rng.permutation([n for n in arrays if not n.startswith("model:")]):
        ways = list(forgeries(arrays[name], rng))
        write_container(tmp_path / "m", description, arrays | {name: ways[rng.integers(len(ways))]()})
        try:
            contents = dh.load(tmp_path / "m", "numpy").session.contents()
        except dh.UserError:
            continue
        on_gpu.session.restore(contents)
        refused(lambda: on_gpu.fit(series(case, 1), ahead=CASES[case][2]))
        on_gpu.reset()
        tried += 1
    assert tried > 9
    on_gpu.session.restore(_loaded(tmp_path / "m", description, arrays))
    assert np.isfinite(on_gpu.fit(series(case, 1), ahead=CASES[case][2]).anomaly).all()


def _loaded(path, description, arrays):
    write_container(path, description, arrays)
    return dh.load(path, "numpy").session.contents()


def _with(name, value, where=Ellipsis):
    def change(description, arrays):
        arrays[name] = arrays[name].copy()
        arrays[name][where] = value
    return change


def _shifted(description, arrays):
    """One entry of a list of sources goes from a context to the next."""
    lengths = arrays["lengths:3.context_value"]
    lengths[0] -= 1
    lengths[1] += 1


def _last_start(description, arrays):
    """As far behind as the whole room allows, and so behind the end of a shorter list."""
    arrays["1.start1"] = np.full_like(arrays["1.start1"], arrays["lengths:1.context"].max())


@pytest.mark.parametrize("case, change, said", [
    ("plain", _with("2.rows", 9), "'2.rows' must hold indices from 0 to 8, got numbers from 9 to 9"),
    ("plain", _with("3.cells", 18), "'3.cells' must hold indices from 0 to 17"),
    ("plain", _with("3.context", 27), "'3.context' must hold indices from 0 to 26"),
    ("plain", _with("3.ring_cells", 19), "'3.ring_cells' must hold indices from 0 to 18"),
    ("plain", _with("3.fast_list", 1), "'3.fast_list' must name each entry of its '3.fast' that is not 0 once"),
    ("plain", _with("3.fast", 0.5), "'3.fast_list' must name each entry"),
    ("plain", _with("3.fast", np.nan), "'3.fast' must hold numbers 0 or more, got numbers from nan"),
    ("plain", _with("1.count", -1), "'1.count' must hold numbers 0 or more, got numbers from -1"),
    ("plain", _with("2.weight.count", 1e20), "'2.weight.count' must hold numbers from 0 to 16777216"),
    ("plain", _with("3.distal_weight.power", -1), "'3.distal_weight.power' must hold numbers 0 or more"),
    ("plain", _shifted, "'3.context_value' must be as long as its '3.context'"),
    ("plain", _with("model:going", 1, slice(0, 0)), None),
    ("plain", lambda d, a: a.update({"model:going": np.ones(2, np.int64)}), "'model:going' must be int64"),
    ("plain", lambda d, a: a.pop("model:going"), "must hold 'model:going'"),
    ("plain", lambda d, a: a.pop("model:prediction0"), "must hold 'model:prediction0'"),
    ("plain", set_in("counts", "horizon", to=10**9), "counts must agree"),
    ("plain", set_in("counts", "steps", to=10**30), "count of steps must be a whole number from 0 to"),
    ("sampled", _with("1.distal_pool", 1e20), "'1.distal_pool' must hold numbers from 0 to 16777215"),
    ("sampled", _with("1.start0", 99), "'1.start0' must hold indices from 0 to"),
    ("sampled", _last_start, "'1.start1' must be where a list begins"),
    ("population", set_in("population", to=False), "must be one model, or a population"),
    ("image", set_in("network", "nodes", 3, "arguments", "neighbourhood", to=9), "neighbourhood must be at most 7"),
    ("image", set_in("network", "nodes", 3, "arguments", "dilation", to=2**63),
     "dilation must be a whole number from 1"),
])
def test_what_a_forged_file_lacks_is_said(case, change, said, tmp_path):
    description, arrays = save(case, tmp_path / "m")
    change(description, arrays)
    write_container(tmp_path / "m", description, arrays)
    why = refused(lambda: dh.load(tmp_path / "m", "numpy"))
    assert why is None if said is None else said in why


# What stands beside the arrays

ODD = [None, True, -1, 0, 1, 2, 1000, 2**53, 2**63, 10**30, 10**400, 0.5, -0.5, math.nan, math.inf, 1e300, "x", "", [],
       [1], [[0, 1, False]], {}, {"tree": {}}, {"array": "none"}, {"class": "Linear", "arguments": {"units": 1}}]


def places(tree, path=()):
    """The paths to all that a description holds."""
    for key in tree if isinstance(tree, dict) else range(len(tree)) if isinstance(tree, list) else ():
        yield (*path, key)
        yield from places(tree[key], (*path, key))


def forged_descriptions(description, rng, each=1, under=()):
    for path in list(places(description)):
        if path[: len(under)] != under:
            continue
        for choice in rng.permutation(len(ODD) + 1)[:each]:
            forged = copy.deepcopy(description)
            inner = forged
            for key in path[:-1]:
                inner = inner[key]
            if choice == len(ODD):
                inner.pop(path[-1])
            else:
                inner[path[-1]] = ODD[choice]
            yield forged


@pytest.mark.parametrize("case", ["deferred", "clocked", "image", "population"])
def test_a_forged_description_is_refused_or_goes_on(case, tmp_path):
    description, arrays = save(case, tmp_path / "m")
    for forged in forged_descriptions(description, np.random.default_rng(0)):
        attempt(tmp_path / "m", case, forged, arrays)


def _rows(begin, end):
    return [Row(math.sin(t / 5), "", datetime(2024, 1, 1) + timedelta(hours=t), "") for t in range(begin, end)]


def _small_network(timed, values_alone):
    inputs = [dh.Input((1,)), dh.Input((1,)), dh.Input((learners.FEATURES,))]
    cells = dh.TemporalMemory(2)(dh.SpatialPooler(9, 2)(dh.Concat()(inputs)))
    return dh.Network(inputs, dh.Linear(1)(cells))


def test_a_forged_learner_is_refused_or_goes_on(tmp_path, monkeypatch):
    monkeypatch.setattr(learners, "_network", _small_network)
    learner, path = Learner(2, True, device="numpy"), tmp_path / "l"
    learner.learn(_rows(0, 30))
    learner.save(path)
    (description, arrays), rng = read_container(path), np.random.default_rng(0)

    def go_on():
        loaded = Learner.load(path, "numpy")
        loaded.learn(_rows(30, 40))
        loaded.comparison.table()

    assert refused(go_on) is None
    for forged in forged_descriptions(description, rng, each=2, under=("beside",)):
        write_container(path, forged, arrays)
        refused(go_on)
    for name, array in arrays.items():
        if name.startswith("beside"):
            for forged in (array[:-1], array[:0], array[None], array.astype(np.int32), np.full_like(array, 2**40)):
                write_container(path, description, arrays | {name: forged})
                refused(go_on)


def test_a_forged_column_is_refused_or_goes_on(tmp_path):
    points, path = np.array([[0, 0], [1, 0], [0, 1]]), tmp_path / "c"
    column = SensorimotorColumn(4, 3, columns=16, winners=2, cells_per_column=3, modules=2, side=3, device="numpy")
    column.learn("a", points, [0, 1, 2], exposures=1)
    column.save(path)
    (description, arrays), rng = read_container(path), np.random.default_rng(0)

    def go_on():
        loaded = SensorimotorColumn.load(path, "numpy")
        loaded.begin()
        loaded.sense(0)
        loaded.learn("b", points, [1, 1, 2], exposures=1)

    assert refused(go_on) is None
    for forged in forged_descriptions(description, rng, under=("beside",)):
        write_container(path, forged, arrays)
        refused(go_on)
    for name in (n for n in arrays if n.startswith("beside")):
        for forged in (arrays[name][0], arrays[name][:0], arrays[name] * np.nan, arrays[name].astype(np.float64)):
            write_container(path, description, arrays | {name: forged})
            refused(go_on)
    other = dh.Model(dh.Sequential(dh.Linear(3)), input_shape=(3,), device="numpy")
    other.save(tmp_path / "o")
    of_other, its_arrays = read_container(tmp_path / "o")
    kept = {n: a for n, a in arrays.items() if n.startswith("beside")}
    write_container(path, of_other | {"beside": description["beside"]}, its_arrays | kept)
    assert "must hold the memory of such a column" in refused(go_on)


# Arguments

HUGE = [10**5000, 10**400, 10**30, 2**63, 2**31, np.uint64(2**64 - 1), Fraction(10**400), 1e300, np.float64(1e39)]
NO_SIZES = [*HUGE, True, np.True_, math.nan, -math.inf, np.float16("inf"), -1, -(10**400), 0, 0.5, np.float32(0.5),
            1e-300, Fraction(1, 10**400), "3", b"1", 1j, None, [], (1, 2), [10**400], np.zeros((2, 2)), np.array([3]),
            object()]
SIZES = [1, 2, np.int64(3), np.uint8(2), np.array(2)]

# The arguments that a class must have.
NEEDED = {
    "Conv2d": dict(channels=2, kernel=3), "ConvTranspose2d": dict(channels=2, kernel=4, stride=2),
    "Linear": dict(units=3), "SpatialPooler": dict(columns=8, winners=2), "TemporalMemory": dict(cells_per_column=2),
    "GridCells": dict(modules=2, side=3), "Expectation": dict(columns=8), "Every": dict(steps=2),
    "Input": dict(shape=(2,)), "Cosine": dict(steps=9), "InverseDecay": dict(steps=9), "SGD": dict(lr=0.1),
}
TAKES = [getattr(dh, name) for name in dh.__all__ if inspect.isclass(getattr(dh, name))]
TAKES = [kind for kind in TAKES if issubclass(kind, (dh.graph.nodes.Layer, Optimizer, Schedule))
         and kind not in (dh.Add, dh.Concat, dh.When) and inspect.signature(kind).parameters]


def some_of(values, name, most=14):
    """Others for every name: all of them in the end."""
    return [values[n] for n in np.random.default_rng(zlib.crc32(name.encode())).permutation(len(values))[:most]]


def _model_of(kind, made):
    """A model with this in it, and as many numbers as it takes."""
    if isinstance(made, Schedule):
        made = dh.SGD(0.1, schedule=made)
    if isinstance(made, Optimizer):
        net = dh.Sequential(dh.SpatialPooler(6, 2), dh.TemporalMemory(2), dh.Linear(2))
        return dh.Model(net, (2,), optimizer=made, device="numpy")
    if kind is dh.Input:
        return dh.Model(dh.Network(made, dh.Linear(1)(dh.Flatten()(made))), device="numpy")
    on_map = "Conv" in kind.__name__ or getattr(made, "neighbourhood", None) or getattr(made, "kernel", None)
    x = dh.Input((2, 4, 4) if on_map else (2,))
    before = dh.SpatialPooler(6, 2)(x) if kind is dh.TemporalMemory else x
    if kind is dh.Evidence:
        before = dh.Expectation(6)(x, of=dh.SpatialPooler(6, 2)(x))
    return dh.Model(dh.Network(x, dh.Linear(1)(made(before))), device="numpy")


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("kind", TAKES, ids=lambda kind: kind.__name__)
def test_every_argument_of_layers_and_optimisers_is_refused_or_works(kind):
    needed = NEEDED.get(kind.__name__, {})
    alike = [needed, needed | dict(slow=False, neighbourhood=3), needed | dict(synapses=3)]
    for given in alike if kind is dh.TemporalMemory else alike[:1]:
        for name in inspect.signature(kind).parameters:
            for value in some_of([*NO_SIZES, 2**31 - 1, *SIZES], name + kind.__name__):
                def build():
                    made = kind(**given | {name: value})
                    repr(made)
                    model = _model_of(kind, made)
                    (x,) = model.network.inputs
                    model.fit(np.zeros((2, *x.layer.shape)), targets=np.zeros((2, *model.predict(
                        np.zeros((1, *x.layer.shape))).shape[1:])))
                refused(build)


def _two(population):
    kind, more = (dh.Population, {"models": 2}) if population else (dh.Model, {})

    def make(**given):
        net = dh.Sequential(dh.SpatialPooler(6, 2), dh.TemporalMemory(2), dh.Linear(1))
        return kind(**{"net": net, "input_shape": (1,), "device": "numpy"} | more | given)

    return make


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("population", [False, True])
def test_every_argument_of_a_model_is_refused_or_works(population, tmp_path):
    make, x = _two(population), np.sin(np.arange(4.0))
    x, one = (np.stack([x, x]), np.zeros((2, 1))) if population else (x, 0.0)
    model = make()
    model.fit(x)
    weights = model.state_dict()

    def rate(value):
        made = make()
        made.lr = value
        made.fit(x)

    def layer(value, name):
        made = make()
        setattr(made.network.nodes[1].layer, name, value)
        made.fit(x)

    acts = [lambda v, n=n: make(**{n: v}) for n in inspect.signature(dh.Model).parameters if n != "streams"]
    acts += [lambda v: make(**{"models" if population else "streams": v})]
    of_fit = ("targets", "ahead", "callback", "mask", "learn", "progress")
    acts += [lambda v, n=n: make().fit(x, **{n: v}) for n in of_fit]
    acts += [lambda v: make().fit(v), lambda v: make().fit([v]), lambda v: make().fit(iter([v])),
             lambda v: make().step(v), lambda v: make().step(one, target=v), lambda v: make().step(one, learn=v),
             lambda v: model.predict(v), lambda v: model.predict(x, averaged=v), lambda v: model.rollout(v),
             lambda v: make().observe(v), lambda v: make().load_state_dict(v),
             lambda v: make().load_state_dict(weights | {"0.bias": v}),
             lambda v: make().load_state_dict(weights | {shown(v): 1}), rate, lambda v: layer(v, "lr_scale"),
             lambda v: layer(v, "columns"), lambda v: dh.load(v), lambda v: dh.SaveEvery(tmp_path / "m", v)]
    if population:
        acts += [model.model, model.some, lambda v: model.some([v]), lambda v: make(seed=[v, v]),
                 lambda v: make(optimizer=dh.SGD([v, v])).fit(x)]
    for n, act in enumerate(acts):
        for value in some_of([*NO_SIZES, *SIZES], str(n)):
            refused(lambda: act(value))


def shown(value):
    return value if isinstance(value, (int, float, str, bytes, Fraction)) else "else"


def test_every_argument_of_the_graph_is_refused_or_works():
    x = dh.Input((2,))
    for value in NO_SIZES:
        for act in (lambda: dh.Network(value, x), lambda: dh.Network(x, value), lambda: dh.Sequential(value),
                    lambda: dh.Linear(1)(value), lambda: dh.Concat()(value), lambda: dh.Add()([x, value]),
                    lambda: dh.TemporalMemory(2)(x, context=value), lambda: dh.previous(value),
                    lambda: dh.every(x, value), lambda: dh.when(value, x),
                    lambda: dh.Sequential(dh.ReLU()).network(value),
                    lambda: dh.GridCells(2, 3)(x, anchor=value), lambda: dh.Expectation(5)(x, of=value)):
            refused(act)


# Deep networks


def test_a_network_of_1200_layers(tmp_path):
    net = dh.Sequential([dh.ReLU() if n % 2 else dh.Linear(1) for n in range(1200)])
    model, x = dh.Model(net, input_shape=(1,), device="numpy"), np.zeros((2, 1))
    model.fit(x)
    model.save(tmp_path / "m")
    assert "1200 layers" in repr(model) and "Linear" in repr(net) and repr(model.network)
    assert len(model.network.summary().splitlines()) > 1200
    others = dh.load(tmp_path / "m", "numpy"), pickle.loads(pickle.dumps(model)), copy.deepcopy(model)
    want = model.fit(x).prediction
    assert all(np.array_equal(other.fit(x).prediction, want) for other in others)
    assert len(pickle.loads(pickle.dumps(net)).layers) == len(copy.deepcopy(net).layers) == 1200


def test_a_copied_network_keeps_what_shares_and_what_looks_back():
    x, memory, shared = dh.Input((2,)), dh.TemporalMemory(2), dh.Linear(3)
    cells = memory(dh.SpatialPooler(7, 2)(dh.Concat()([shared(x), dh.Linear(3)(dh.previous(memory))])),
                   context=[shared(dh.previous(x)), x])
    net = dh.Network(x, dh.Linear(2)(cells))
    for other in (copy.deepcopy(net), pickle.loads(pickle.dumps(net))):
        assert [repr(node) for node in other.nodes] == [repr(node) for node in net.nodes]
        assert list(other.names().values()) == list(net.names().values())
        number, own = ({node: n for n, node in enumerate(which.nodes)} for which in (other, net))
        assert [number[node] for node in other.owners().values()] == [own[node] for node in net.owners().values()]
        assert [[number[b] for b in node.sources + node.contexts] for node in other.nodes] == [
            [own[b] for b in node.sources + node.contexts] for node in net.nodes]
        assert not set(other.nodes) & set(net.nodes)
        series = np.random.default_rng(0).normal(size=(9, 2))
        made, want = (dh.Model(which, device="numpy").fit(series) for which in (other, net))
        assert np.array_equal(made.prediction, want.prediction)


def test_a_ring_of_previous_that_no_size_comes_from_is_refused():
    x = dh.Input((2,))
    relu = dh.ReLU()
    relu(dh.previous(relu))
    assert "must not depend on itself" in refused(lambda: dh.Model(dh.Network(x, relu.nodes[0]), device="numpy"))
    first, last = dh.Linear(2), dh.Linear(2)
    node = last(first(x))
    first.nodes[0].inputs = [node]
    assert "must have no cycle within a step, got Linear" in refused(lambda: dh.Network(x, node))


# The state of a memory that sees its neighbourhood


def test_the_state_of_a_memory_with_a_neighbourhood_is_what_the_next_step_expects():
    model = _image()
    frames = np.random.default_rng(0).normal(size=(9, 2, 4, 4))
    model.observe()
    model.fit(frames[:8])
    expected = model.state()["2"]["predicted"]  # (C, H, W)
    seen = model.trace(frames[8:]).observed
    winners, predicted = seen["1"]["winners"][0], seen["2"]["predicted"][0]  # (K, H, W)
    np.testing.assert_allclose(np.take_along_axis(expected, winners, axis=0), predicted, rtol=1e-5)


@pytest.mark.parametrize("name", ["Linear", "Adam", "TemporalMemory", "Input", "Concat"])
def test_an_argument_runs_no_constructor_but_a_schedules(tmp_path, monkeypatch, name):
    path = tmp_path / "m"
    description, arrays = save("plain", path)
    called = []
    monkeypatch.setattr(getattr(dh, name), "__init__", lambda *given, **named: called.append(name))
    for node in description["network"]["nodes"]:
        for argument in node["arguments"]:
            forged = copy.deepcopy(description)
            at = forged["network"]["nodes"][description["network"]["nodes"].index(node)]
            at["arguments"][argument] = {"class": name, "arguments": {}}
            write_container(path, forged, arrays)
            called.clear()
            with pytest.raises(dh.UserError):
                dh.load(path, "numpy")
            assert called.count(name) <= sum(n["class"] == name for n in description["network"]["nodes"])
