"""A population: each of its models gives what a Model of that seed gives alone."""

import copy

import numpy as np
import pytest

import deephtm_gpu as dh
from deephtm_gpu.backends.side_by_side import SideBySide
from deephtm_gpu.backends.wgpu import backend as gpu_backend

DEVICES = ("numpy", "cpu", "gpu")
P, T = 5, 60


def chain(outputs=1, window=1):
    return dh.Sequential(
        dh.Linear(13),
        dh.ReLU(),
        dh.RunningNorm(),
        dh.SpatialPooler(31, 3),
        dh.TemporalMemory(3, window=window),
        dh.Linear(outputs),
    )


def graph():
    a, b = dh.Input((2,)), dh.Input((3,))
    cells = dh.TemporalMemory(2, window=3)(dh.SpatialPooler(19, 2)(dh.Linear(8)(dh.Concat()([a, b]))), context=[b])
    return dh.Network([a, b], [dh.Linear(2)(cells), dh.Linear(3)(cells)])


def series(steps=T, seed=0, size=1):
    return np.random.default_rng(seed).normal(size=(P, steps, size)).astype(np.float32)


def equal(a, b):
    return np.array_equal(a, b, equal_nan=True)


def assert_same(history, of_one, p):
    for what in ("loss", "prediction", "anomaly"):
        assert equal(getattr(history, what)[p], getattr(of_one, what)), f"{what} of model {p}"


# The optimisers, with rates for each model and of one model
OPTIMISERS = {
    "polyak": (dh.PolyakSGD, {}),
    "rates": (
        lambda lr=(0.01, 0.02, 0.03, 0.04, 0.05): dh.SGD(lr, momentum=0.5),
        {p: dict(lr=0.01 * (p + 1) if p != 2 else 0.03) for p in range(P)},
    ),
    "adam": (
        lambda lr=np.linspace(1e-3, 3e-3, P): dh.Adam(lr, schedule=dh.Cosine(100)),
        {p: dict(lr=float(np.linspace(1e-3, 3e-3, P)[p])) for p in range(P)},
    ),
    "scales": (
        lambda scale=[1, 0.5, 0.25, 1, 0.75]: dh.PolyakSGD(scale=scale, clip_norm=1.0),
        {p: dict(scale=s) for p, s in enumerate([1, 0.5, 0.25, 1, 0.75])},
    ),
}


@pytest.mark.parametrize(
    "device, optimiser", [*(("numpy", name) for name in OPTIMISERS), ("gpu", "rates"), ("gpu", "adam")]
)
def test_every_model_is_a_model_of_its_seed_alone_to_the_bit(adapter, device, optimiser):
    make, alone = OPTIMISERS[optimiser]
    window, ahead = (4, 3) if optimiser == "adam" else (1, 1)
    population = dh.Population(
        chain(window=window), models=P, input_shape=(1,), seed=7, optimizer=make(), device=device
    )
    x = series()
    first, second = (population.fit(x[:, cut], ahead=ahead) for cut in (slice(0, 41), slice(41, T)))
    for p in range(P):
        one = dh.Model(
            chain(window=window), input_shape=(1,), seed=7 + p, optimizer=make(**alone.get(p, {})), device=device
        )
        assert_same(first, one.fit(x[p, :41], ahead=ahead), p)
        assert_same(second, one.fit(x[p, 41:], ahead=ahead), p)
        weights, of_one = population.state_dict(), one.state_dict()
        for name in of_one:
            assert equal(weights[name][p], of_one[name]), name
        for layer, found in one.state().items():
            for what, value in found.items():
                assert equal(population.state()[layer][what][p], value), (layer, what)


@pytest.mark.parametrize("device", DEVICES)
def test_shapes_and_all_that_a_model_does(adapter, device):
    population, x = dh.Population(chain(), P, input_shape=(1,), device=device), series()
    assert len(population) == population.models == P
    history = population.fit(x)
    assert history.loss.shape == history.anomaly.shape == (P, T) and history.prediction.shape == (P, T, 1)
    assert np.isnan(history.loss[:, -1]).all() and np.isfinite(history.loss[:, :-1]).all()
    before = population.state_dict()
    assert population.predict(x[:, :9]).shape == (P, 9, 1) and population.rollout(6).shape == (P, 6, 1)
    assert all(equal(v, before[n]) for n, v in population.state_dict().items())
    result = population.step(x[:, 0])
    assert result.prediction.shape == (P, 1) and result.loss.shape == result.anomaly.shape == (P,)
    assert population.state()["3"]["winners"].shape == (P, 3)
    population.load_state_dict(before)
    population.reset()
    twin = dh.Population(chain(), P, input_shape=(1,), device=device)
    twin.load_state_dict(before)
    assert equal(twin.state_dict()["0.weight"], before["0.weight"])


@pytest.mark.parametrize("device", DEVICES)
def test_a_model_taken_out_goes_on_as_it_would_have(adapter, device):
    population, x = (
        dh.Population(chain(window=3), P, input_shape=(1,), optimizer=dh.Adam([1e-3] * P), device=device),
        series(),
    )
    population.fit(x[:, :30])
    out = {p: population.model(p) for p in (0, 3, -1)}
    went_on = population.fit(x[:, 30:])
    for p, one in out.items():
        assert_same(went_on, one.fit(x[p, 30:]), p)
        assert equal(one.rollout(3), population.rollout(3)[p])


@pytest.mark.parametrize("device", DEVICES)
def test_saved_and_loaded_it_goes_on_to_the_bit(adapter, device, tmp_path):
    x = series()
    population = dh.Population(
        chain(window=3), P, input_shape=(1,), seed=[9, 4, 4, 0, 1], optimizer=dh.SGD([0.01] * 4 + [0.02]), device=device
    )
    population.fit(x[:, :30])
    population.save(tmp_path / "all")
    loaded = dh.load(tmp_path / "all", device=device)
    assert isinstance(loaded, dh.Population) and len(loaded) == P
    a, b = population.fit(x[:, 30:]), loaded.fit(x[:, 30:])
    assert all(equal(getattr(a, w), getattr(b, w)) for w in ("loss", "prediction", "anomaly"))


def test_several_inputs_and_classes_as_targets(adapter):
    a, b = series(size=2), np.eye(3, dtype=np.float32)[np.random.default_rng(1).integers(3, size=(P, T))]
    made = []
    for device in DEVICES:
        population = dh.Population(graph(), P, loss=["mse", "cross_entropy"], optimizer=dh.SGD(0.02), device=device)
        made.append(population.fit([a, b]).prediction)
    assert [p.shape for p in made[0]] == [(P, T, 2), (P, T, 3)]
    for one, other in [*zip(made[0], made[1]), *zip(made[0], made[2])]:
        assert np.allclose(one, other, atol=1e-4)
    classes = np.random.default_rng(2).integers(4, size=(P, T))
    population = dh.Population(
        chain(4), P, input_shape=(1,), loss="cross_entropy", optimizer=dh.SGD(0.02), device="numpy"
    )
    assert population.fit(series(), classes).prediction.shape == (P, T, 4)


@pytest.mark.parametrize("device", DEVICES)
def test_a_population_of_one(adapter, device):
    x = series()[:1]
    population, one = (
        dh.Population(chain(), 1, input_shape=(1,), device=device),
        dh.Model(chain(), input_shape=(1,), device=device),
    )
    assert_same(population.fit(x[..., 0]), one.fit(x[0]), 0)
    weights = population.state_dict()
    assert weights["0.weight"].shape == (1, 13, 1)
    population.load_state_dict(weights)


def test_models_that_have_no_room_in_one_arena_are_split(adapter, monkeypatch):
    """As on adapters that bind 128 MiB at most: the results are the same to the bit."""
    whole = dh.Population(chain(), P, input_shape=(1,), device="gpu")
    monkeypatch.setattr(gpu_backend.OnAdapter, "_has_room", lambda self, plan: plan.models <= 2)
    split = dh.Population(chain(), P, input_shape=(1,), device="gpu")
    assert isinstance(split.session.backend, SideBySide) and [
        b.plan.models for b in split.session.backend._backends
    ] == [2, 2, 1]
    assert_same(whole.fit(series()), split.fit(series()), slice(None))
    a, b = whole.state_dict(), split.state_dict()
    assert all(equal(a[n], b[n]) for n in a)
    split.load_state_dict(a)
    assert_same(whole.fit(series(seed=1)), split.fit(series(seed=1)), slice(None))
    assert equal(split.model(3).state_dict()["0.weight"], a["0.weight"][3]) is False  # it has learned since


@pytest.mark.parametrize("device", DEVICES)
def test_removing_models_in_place_leaves_the_others_as_they_are(adapter, device):
    a, b = series(), series(seed=1)
    population = dh.Population(chain(), P, input_shape=(1,), optimizer=dh.SGD([0.01, 0.02, 0.03, 0.04, 0.05]),
                               device=device)
    whole = copy.deepcopy(population)
    whole.fit(a)
    population.fit(a)
    population.remove(-1)
    population.remove(1)
    kept = [0, 2, 3]
    assert (len(population), population.seed) == (3, kept)
    few, all_of_them = population.fit(b[kept]), whole.fit(b)
    assert equal(few.prediction, all_of_them.prediction[kept]) and equal(few.loss, all_of_them.loss[kept])
    assert equal(population.model(1).state_dict()["0.weight"], whole.model(2).state_dict()["0.weight"])


def test_removing_is_refused_within_a_fit_and_for_the_last_model():
    population = _small()
    with pytest.raises(dh.UserError, match="between two calls of fit"):
        population.fit(np.zeros((2, 9)), callback=lambda *_: population.remove(0))
    population.remove(0)
    with pytest.raises(dh.UserError, match="the last one"):
        population.remove(0)
    assert population.fit(np.zeros((1, 9))).prediction.shape == (1, 9, 1)


def test_a_step_costs_less_than_a_dispatch(adapter):
    """However many models there are."""
    counts = [dh.Population(chain(), n, input_shape=(1,), device="gpu").dispatches for n in (1, 3, 50)]
    assert counts[0] == counts[1] == counts[2] < 0.5


@pytest.mark.parametrize("make, reported", [
    (lambda: dh.Population(chain(), 0, input_shape=(1,)), ["models", "0"]),
    (lambda: dh.Population(chain(), 2, input_shape=(1,), seed=[1]), ["got 1", "2 models"]),
    (lambda: dh.Population(chain(), 2, input_shape=(1,), seed=-1), ["seed", "-1"]),
    (lambda: dh.Population(chain(), 2, input_shape=(1,), optimizer=dh.SGD([0.1] * 3)), ["got 3", "2 models"]),
    (lambda: dh.Model(chain(), input_shape=(1,), optimizer=dh.SGD([0.1] * 3), device="numpy"), ["got 3", "Population"]),
    (lambda: dh.SGD([0.1, -1]), ["lr[1]", "-1"]),
    (lambda: _small().fit(np.zeros((3, 9, 1))), ["(3, 9, 1)", "2 models"]),
    (lambda: _small().fit([[1.0, 2.0], [1.0]]), ["one length"]),
    (lambda: _small().fit(np.full((2, 9), np.nan)), ["nan", "step 0"]),
    (lambda: _small().step(1.0), ["one row for each of the 2"]),
    (lambda: _small().model(2), ["from 0 to 1", "got 2", "2 models"]),
    (lambda: _small().some(3), ["3", "list"]),
    (lambda: _small().remove(2), ["from 0 to 1", "got 2", "2 models"]),
    (lambda: _small().fit(np.zeros((2, 9)), mask=np.ones((9, 2))), ["mask", "step together"]),
    (lambda: dh.Population(graph(), 2, loss="mse", device="numpy").step(0.0), ["2 arrays"]),
    (lambda: dh.Population(graph(), 2, loss="mse", device="numpy").step([0.0, 1.0]), ["one row for each"]),
])
def test_mistakes_are_reported(make, reported):
    with pytest.raises(dh.UserError) as error:
        make()
    assert all(t in str(error.value) for t in reported), str(error.value)


def _small():
    return dh.Population(chain(), 2, input_shape=(1,), device="numpy")


@pytest.mark.parametrize("rates", [[0.1, 0.2], [0.2, 0.2], 0.2])
def test_a_rate_for_each_model_given_later_is_obeyed_on_every_device(adapter, rates):
    """Where there was one for all: the plan then holds where each model's comes from."""
    x = np.stack([np.sin(np.arange(9.0)), np.cos(np.arange(9.0))])
    trained = []
    for device in DEVICES:
        net = dh.Sequential(dh.Linear(3), dh.Linear(1))
        population = dh.Population(net, 2, (1,), optimizer=dh.SGD(0.1), device=device)
        population.fit(x)
        population.lr = rates
        trained.append((population.fit(x).prediction, population))
        population.lr = 0.05  # and back to one for all
        trained[-1] += (population.fit(x).prediction,)
    for n in (0, 2):
        assert all(np.abs(trained[0][n] - other[n]).max() <= 1e-5 for other in trained[1:])
