"""Series that people do have and models must bear: constant ones, outliers, what a float32 merges, what is no number."""

from functools import cache

import numpy as np
import pytest

import deephtm_gpu as dh
from deephtm_gpu.anomaly import AnomalyLikelihood
from deephtm_gpu.bench.networks import post_model
from deephtm_gpu.data.sine import sine

DEVICES = ["numpy", "gpu"]


def small(inputs=1, device="numpy", **more):
    net = dh.Sequential(dh.Linear(24), dh.ReLU(), dh.RunningNorm(), dh.SpatialPooler(40, 4), dh.TemporalMemory(3), dh.Linear(inputs))
    return dh.Model(net, input_shape=(inputs,), device=device, seed=3, **more)


# Constant series

CONSTANT = {"a number": np.full((120, 1), 0.7), "zeros": np.zeros((120, 1)), "one symbol": np.tile(np.eye(5)[2], (120, 1)),
            "large": np.full((120, 2), 1e4)}


@pytest.mark.parametrize("device, kind", [("numpy", kind) for kind in CONSTANT] + [("gpu", "a number"), ("gpu", "one symbol")])
def test_a_constant_series_is_never_unexpected(adapter, device, kind):
    series = CONSTANT[kind]
    model = small(series.shape[1], device, loss="cross_entropy" if series.shape[1] == 5 else "mse")
    anomaly = model.fit(series).anomaly
    assert (anomaly == 0).all()
    assert (AnomalyLikelihood(learning=20, estimation=50).batch(anomaly) == 0.5).all()


@pytest.mark.parametrize("device", DEVICES)
def test_a_constant_beginning_does_not_hide_what_comes_later(adapter, device):
    """A likelihood that has seen nothing but ones takes all that follows for calm."""
    series = np.concatenate([np.full((400, 1), 0.7), sine(400)])
    anomaly = small(device=device).fit(series).anomaly
    likelihood = AnomalyLikelihood(learning=50, estimation=100).batch(anomaly)
    assert (anomaly[:400] == 0).all() and anomaly[400] > 0.5
    assert likelihood[400:410].max() > 0.999


@pytest.mark.parametrize("device", DEVICES)
def test_a_series_that_becomes_constant_is_expected_soon(adapter, device):
    series = sine(1500)
    series[500:] = series[499]
    history = small(device=device, optimizer=dh.PolyakSGD()).fit(series)
    assert history.anomaly[-100:].max() < 0.1
    assert np.abs(history.prediction[-100:] - series[-100:]).max() < 1e-3


@pytest.mark.parametrize("device", DEVICES)
def test_the_first_step_sends_no_gradient_through_a_running_norm(adapter, device):
    """The mean is then x itself, and the norm .01."""
    net = dh.Sequential(dh.Linear(24), dh.ReLU(), dh.RunningNorm(), dh.Linear(1))
    model = dh.Model(net, input_shape=(1,), optimizer=dh.SGD(0.01), device=device, seed=3)
    before = model.state_dict()
    model.fit(np.array([[0.3], [0.9]]))  # what the second step learns from is the first
    after = model.state_dict()
    moved = {name for name in before if not np.array_equal(before[name], after[name])}
    assert moved == {"2.mean", "2.count", "3.bias"}
    model.fit(np.array([[0.5]]))  # and now from the second
    assert not np.array_equal(after["0.weight"], model.state_dict()["0.weight"])


@pytest.mark.parametrize("device, seed", [("numpy", 0), ("gpu", 2)])
def test_a_faint_series_is_learned(adapter, device, seed):
    """Gradients a hundred times as long made the encoder jump about: the error was .26 and .52 of the amplitude."""
    series = np.float32(0.01) * sine(3000)
    prediction = post_model(10, seed=seed, device=device).fit(series).prediction
    assert np.sqrt(np.mean((prediction[-301:-1] - series[-300:]) ** 2)) < 0.15 * 0.01


# Outliers

OUTLIERS = [(100, 1e3, 1), (1200, 1e2, 1), (1200, 1e6, 1), (1200, -1e3, 2)]
OPTIMISERS = {"PolyakSGD": dh.PolyakSGD, "SGD": lambda: dh.SGD(0.01), "momentum": lambda: dh.SGD(0.002, momentum=0.9),
              "Adam": lambda: dh.Adam(1e-3), "RMSprop": lambda: dh.RMSprop(1e-3)}


def late_error(model, series, clean, **how):
    prediction = model.fit(series, **how).prediction
    return np.sqrt(np.mean((prediction[-301:-1] - clean[-300:]) ** 2))


@cache
def undisturbed():
    return late_error(post_model(10, device="numpy"), sine(3000), sine(3000))


@pytest.mark.parametrize("at, value, count", OUTLIERS)
def test_a_model_comes_back_from_an_outlier(at, value, count):
    """Without a bound the error was 5 to 10,000 at the end."""
    clean = sine(3000)
    series = clean.copy()
    series[at:at + count] = value
    assert late_error(post_model(10, device="numpy"), series, clean) < 1.5 * undisturbed() < 0.01


@pytest.mark.parametrize("optimiser", OPTIMISERS.values(), ids=OPTIMISERS.keys())
@pytest.mark.parametrize("memory", [True, False])
def test_whatever_the_optimiser(memory, optimiser):
    """Also where nothing norms what comes in, so that the gradient of an outlier is its error times itself."""
    clean = sine(3000)
    series = clean.copy()
    series[1000] = 1e3
    plain = dh.Sequential(dh.Linear(32), dh.ReLU(), dh.Linear(32), dh.ReLU(), dh.Linear(1))
    errors = []
    for s in (clean, series):
        model = small() if memory else dh.Model(plain, input_shape=(1,), seed=3, device="numpy")
        errors.append(late_error(dh.Model(model._network, optimizer=optimiser(), seed=3, device="numpy"), s, clean))
    assert errors[0] < 0.3 and errors[1] < 1.5 * errors[0]


def test_gpu_bears_outliers_as_numpy_does(adapter):
    series = sine(700)
    series[[100, 300, 301, 500]] = np.array([[1e3], [-1e4], [1e2], [1e6]])
    made = [small(device=device, optimizer=dh.SGD(0.01)).fit(series).prediction for device in ("numpy", "gpu")]
    assert np.abs(made[0] - made[1]).max() < 1e-3 * np.abs(made[0]).max() and np.abs(made[0][550:]).max() < 3


@pytest.mark.parametrize("device", DEVICES)
def test_an_outlier_in_one_stream_or_model(adapter, device):
    clean = np.stack([sine(1500, phase=p) for p in (0, 1, 2)])  # (P, steps, 1)
    series = clean.copy()
    series[1, 700] = 1e3
    undisturbed, disturbed = (dh.Population(small()._network, 3, device=device).fit(s).prediction for s in (clean, series))
    assert np.array_equal(undisturbed[[0, 2]], disturbed[[0, 2]]), "one model's outlier is its own"
    assert np.sqrt(np.mean((disturbed[1, -301:-1] - clean[1, -300:]) ** 2)) < 0.3
    errors = [late_error(small(streams=3, device=device), np.moveaxis(s, 0, 1), np.moveaxis(clean, 0, 1)) for s in (clean, series)]
    assert errors[1] < 1.5 * errors[0]


def test_a_series_that_grows_for_good_is_learned():
    """Seven errors are taken for outliers, the eighth is not."""
    series = 1e3 * sine(3000)
    series[:500] *= 1e-3
    prediction = post_model(10, device="numpy").fit(series).prediction
    assert np.sqrt(np.mean((prediction[-301:-1] - series[-300:]) ** 2)) < 0.05 * 1e3


def test_a_series_without_outliers_is_learned_as_ever(monkeypatch):
    plain = post_model(10, device="numpy").fit(sine(600)).prediction
    monkeypatch.setattr("deephtm_gpu.ops.outlier.LIMIT", 1e30)
    assert np.array_equal(plain, post_model(10, device="numpy").fit(sine(600)).prediction)
