"""Images in and out: a whole network of maps, on every backend, through every way of keeping it."""

import copy
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import deephtm_gpu as dh
from deephtm_gpu.bench.networks import pictures, pictures_model
from deephtm_gpu.data.balls import Balls

ROOT = Path(__file__).resolve().parents[1]
SIDE = 12


def model(device, side=SIDE, **network):
    return pictures_model(side=side, columns=8, winners=2, cells=2, seed=3, device=device, **network)


def series(T=100, seed=1, side=SIDE):
    """Two frames in (T, 2, side, side), and the next (T, 1, side, side)."""
    frames = Balls(seed, side=side).take(T + 2)
    return np.concatenate([frames[:-2], frames[1:-1]], axis=1), frames[2:]


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_backends_agree_over_100_frames(seed):
    """Where no two columns tie within rounding: then it is for rounding to choose, and what is learned parts."""
    x, y = series(seed=seed)
    on_numpy, on_gpu = (model(device).fit(x, targets=y) for device in ("numpy", "gpu"))
    assert np.abs(on_numpy.prediction - on_gpu.prediction).max() <= 1e-4
    assert on_gpu.loss == pytest.approx(on_numpy.loss, abs=1e-2)
    assert on_gpu.anomaly == pytest.approx(on_numpy.anomaly, abs=1e-3)


@pytest.mark.parametrize("device", ["numpy", "cpu", "gpu"])
def test_two_runs_are_equal_to_the_bit(device):
    x, y = series(40)
    first, second = model(device), model(device)
    whole = first.fit(x, targets=y).prediction
    parts = [second.fit(x[a:b], targets=y[a:b]).prediction for a, b in ((0, 1), (1, 18), (18, 40))]
    assert np.array_equal(whole, np.concatenate(parts))
    assert np.array_equal(first.predict(x, averaged=True), second.predict(x, averaged=True))


@pytest.mark.parametrize("device", ["numpy", "cpu", "gpu"])
def test_kept_in_any_way_it_goes_on_to_the_bit(device, tmp_path):
    x, y = series(50)
    whole = model(device)
    whole.fit(x[:30], targets=y[:30])
    whole.save(tmp_path / "images")
    others = [dh.load(tmp_path / "images", device), copy.deepcopy(whole), pickle.loads(pickle.dumps(whole))]
    wanted = whole.fit(x[30:], targets=y[30:])
    for other in others:
        history = other.fit(x[30:], targets=y[30:])
        assert np.array_equal(history.prediction, wanted.prediction) and np.array_equal(history.loss, wanted.loss)
        assert np.array_equal(other.predict(x[:5], averaged=True), whole.predict(x[:5], averaged=True))


def test_what_numpy_saved_the_gpu_continues(tmp_path):
    x, y = series(40)
    whole = model("numpy")
    whole.fit(x[:30], targets=y[:30])
    whole.save(tmp_path / "images")
    made = dh.load(tmp_path / "images", "gpu").fit(x[30:], targets=y[30:]).prediction
    assert np.abs(made - whole.fit(x[30:], targets=y[30:]).prediction).max() <= 1e-4


@pytest.mark.parametrize("device", ["numpy", "cpu", "gpu"])
def test_a_population_is_its_models(device):
    data = [series(12, seed) for seed in (1, 2, 3)]
    x, y = (np.stack([d[n] for d in data]) for n in (0, 1))
    network = {"side": SIDE, "columns": 8, "winners": 2, "cells": 2}
    many = dh.Population(pictures(**network), models=3, loss="bce", optimizer=dh.Adam(1e-3, average=0.1),
                         seed=[3, 4, 5], device=device)
    made = many.fit(x, targets=y).prediction
    for n, seed in enumerate((3, 4, 5)):
        alone = pictures_model(seed=seed, device=device, **network).fit(x[n], targets=y[n]).prediction
        assert np.abs(made[n] - alone).max() <= (0 if device == "gpu" else 1e-6)


@pytest.mark.parametrize("device", ["numpy", "cpu", "gpu"])
def test_alike_streams_are_one_stream(device):
    """Two streams that see the same have the gradient of one. A norm of a whole map has sums over streams: rounding."""
    x, y = series(20)
    one, two = model(device), model(device, streams=2)
    wanted = one.fit(x, targets=y).prediction
    made = two.fit(np.stack([x, x], axis=1), targets=np.stack([y, y], axis=1)).prediction
    assert np.array_equal(made[:, 0], made[:, 1])
    assert np.abs(made[:, 0] - wanted).max() <= 1e-3


def test_learning_lowers_the_error_below_copying():
    x, y = series(400, side=20)
    made = pictures_model(side=20, seed=0, device="numpy").fit(x, targets=y).prediction
    error, copied = (((image - y) ** 2).sum(axis=(1, 2, 3))[-100:].mean() for image in (made, x[:, 1:]))
    assert error < 0.9 * copied


BIG = """
import resource, sys
import numpy as np
from deephtm_gpu.bench.networks import pictures_model
model = pictures_model(side=128, channels=3, device=sys.argv[1])
x = np.random.default_rng(0).random((2, 6, 128, 128), np.float32)
made = model.fit(x, targets=x[:, 3:]).prediction
assert made.shape == (2, 3, 128, 128) and np.isfinite(made).all()
if sys.platform == "linux":  # getrusage also counts what the parent had when it forked
    (peak,) = [int(line.split()[1]) * 1024 for line in open("/proc/self/status") if line.startswith("VmHWM")]
else:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print(peak)
"""


@pytest.mark.parametrize("device", ["numpy", pytest.param("gpu", marks=pytest.mark.soak)])
def test_large_colour_frames_run_within_a_gigabyte(device):
    """128×128 in colour, a map of 64×64 positions."""
    pytest.importorskip("resource", reason="Windows does not say how much memory a process took")
    done = subprocess.run([sys.executable, "-c", BIG, device], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout.split()[-1]) < 2**30


@pytest.mark.parametrize("device, side, words", [
    ("numpy", 2**14, ["MiB", "positions", "this computer's memory"]),
    ("gpu", 2**13, ["MiB", "one buffer"]),
])
def test_too_large_a_frame_is_refused_with_numbers(device, side, words):
    with pytest.raises(dh.DeviceError) as error:
        pictures_model(side=side, channels=3, device=device).predict(np.zeros((1, 6, 1, 1)))
    assert all(word in str(error.value) for word in words), str(error.value)


def _fit(x, y=None, **network):
    def make():
        side = network.setdefault("side", SIDE)
        model("numpy", **network).fit(x, targets=np.zeros((len(x), 1, side, side)) if y is None else y)

    return make


@pytest.mark.parametrize("make, words", [
    (_fit(np.zeros((4, SIDE, SIDE, 2))),
     ["(steps, 2, 12, 12)", "(4, 12, 12, 2)", "channels come first", "np.moveaxis"]),
    (_fit(np.zeros((4, 2, SIDE, SIDE + 1))), ["(steps, 2, 12, 12)", "(4, 2, 12, 13)"]),
    (_fit(np.zeros((4, 1, SIDE, SIDE))), ["(steps, 2, 12, 12)", "(4, 1, 12, 12)"]),
    (_fit(np.zeros((4, 2, SIDE, SIDE)), np.zeros((4, SIDE, SIDE))), ["(steps, 1, 12, 12)", "(4, 12, 12)"]),
    (_fit(np.zeros((4, 2, SIDE, SIDE)), np.full((4, 1, SIDE, SIDE), 200, np.uint8)),
     ["targets", "0 to 1", "uint8", "200", "255"]),
    (_fit(np.full((4, 2, SIDE, SIDE), 200, np.uint8)), ["inputs", "0 to 1", "uint8", "200", "divide", "255"]),
    (lambda: dh.Model(dh.Sequential(dh.Conv2d(4, 3)), input_shape=(5,), device="numpy"), ["map", "vector"]),
    (lambda: dh.Model(dh.Sequential(dh.ConvTranspose2d(4, 3, stride=2)), input_shape=(5,), device="numpy"),
     ["map", "vector"]),
    (lambda: dh.Conv2d(0, 3), ["channels", "0"]),
    (lambda: dh.Conv2d(4, 0), ["kernel", "0"]),
    (lambda: dh.Conv2d(4, 3, stride=0), ["stride", "0"]),
    (lambda: dh.Conv2d(4, 3, start="zero"), ["start", "'zero'"]),
    (lambda: dh.SpatialPooler(8, winners=2, kernel=0), ["kernel", "0"]),
    (lambda: dh.TemporalMemory(2, neighbourhood=2), ["neighbourhood", "2"]),
    (lambda: dh.TemporalMemory(2, neighbourhood=3, dilation=0), ["dilation", "0"]),
    (lambda: dh.TemporalMemory(2, write=-1), ["write", "-1"]),
    (lambda: dh.Adam(1e-3, average=2), ["average", "2"]),
    (lambda: dh.Model(dh.Sequential(dh.Linear(1)), input_shape=(1,), device="numpy").predict(
        np.zeros((3, 1)), averaged=True), ["average"]),
])
def test_a_mistake_is_one_helpful_sentence(make, words):
    with pytest.raises(dh.UserError) as error:
        make()
    assert all(word in str(error.value) for word in words), str(error.value)
