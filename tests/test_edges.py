"""Series that people do have and models must bear: constant ones, outliers, what a float32 merges, what is no number."""

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


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("series", CONSTANT.values(), ids=CONSTANT.keys())
def test_a_constant_series_is_never_unexpected(adapter, device, series):
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
