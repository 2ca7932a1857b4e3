"""Series that people do have and models must bear: constant ones, outliers, what float32 merges, what is no number."""

from dataclasses import replace
from functools import cache

import numpy as np
import pandas as pd
import pytest

import deephtm_gpu as dh
from deephtm_gpu.anomaly import AnomalyLikelihood
from deephtm_gpu.bench.networks import post_model
from deephtm_gpu.data.sine import sine

DEVICES = ["numpy", "cpu", "gpu"]


def small(inputs=1, device="numpy", **more):
    net = dh.Sequential(dh.Linear(24), dh.ReLU(), dh.RunningNorm(), dh.SpatialPooler(40, 4), dh.TemporalMemory(3),
                        dh.Linear(inputs))
    return dh.Model(net, input_shape=(inputs,), device=device, seed=3, **more)


# Constant series

CONSTANT = {"a number": np.full((120, 1), 0.7), "zeros": np.zeros((120, 1)),
            "one symbol": np.tile(np.eye(5)[2], (120, 1)), "large": np.full((120, 2), 1e4)}


@pytest.mark.parametrize("device, kind", [*(("numpy", kind) for kind in CONSTANT), ("gpu", "a number"),
                                          ("gpu", "one symbol")])
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
        errors.append(late_error(dh.Model(model.network, optimizer=optimiser(), seed=3, device="numpy"), s, clean))
    assert errors[0] < 0.3 and errors[1] < 1.5 * errors[0]


def test_an_outlier_among_many_features_that_nothing_norms():
    """Its error counts as bound^4 / error^3: the input that multiplies the first layer's gradient is as large."""
    clean = np.sin(np.arange(800)[:, None] / 5 + np.arange(18))
    series = clean.copy()
    series[400, 5] = 1e4
    net = dh.Sequential(dh.Linear(32), dh.ReLU(), dh.Linear(32), dh.ReLU(), dh.Linear(18))
    errors = [late_error(dh.Model(net, input_shape=(18,), optimizer=dh.SGD(0.01), device="numpy"), s, clean)
              for s in (clean, series)]
    assert errors[1] < 1.1 * errors[0] < 0.5


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
    undisturbed, disturbed = (dh.Population(small().network, 3, device=device).fit(s).prediction
                              for s in (clean, series))
    assert np.array_equal(undisturbed[[0, 2]], disturbed[[0, 2]]), "one model's outlier is its own"
    assert np.sqrt(np.mean((disturbed[1, -301:-1] - clean[1, -300:]) ** 2)) < 0.3
    beside = np.moveaxis(clean, 0, 1)  # (steps, S, 1)
    errors = [late_error(small(streams=3, device=device), s, beside) for s in (beside, np.moveaxis(series, 0, 1))]
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


# What is no number


def population(models=5):
    return dh.Population(small().network, models, device="numpy")


def holed(array, index):
    array = np.array(array, float)
    array[index] = np.nan
    return array


MASKED = np.ma.masked_array(np.arange(20.0), mask=np.arange(20) == 17)
BAD = {
    "masked": (lambda: small().fit(MASKED),
               "inputs must be an array of numbers without a mask, got 1 masked, the first at index (17,); fill"),
    "masked in a list": (lambda: small().fit([1.0, np.ma.masked]), "without a mask"),
    "masked targets": (lambda: small().fit(np.zeros(20), targets=MASKED),
                       "targets must be an array of numbers without a mask"),
    "masked step": (lambda: small(3).step(np.ma.masked_less([1.0, 2.0, 0.0], 1)),
                    "x must be an array of numbers without a mask"),
    "masked target of a step": (lambda: small().step([1.0], np.ma.masked_array([1.0], True)),
                                "target must be an array"),
    "masked mask": (lambda: small(streams=2).fit(np.zeros((20, 2)), mask=np.ma.stack([MASKED == MASKED] * 2, 1)),
                    "mask must be an array of numbers without a mask"),
    "masked to predict": (lambda: small().predict(MASKED), "without a mask"),
    "masked population": (lambda: population(2).fit(np.ma.stack([MASKED, MASKED])),
                          "got 2 masked, the first at index (0, 17)"),
    "masked step of a population": (lambda: population(2).step(MASKED[16:18]),
                                    "without a mask, got 1 masked, the first at index (1,)"),
    "None": (lambda: small().fit([1.0, None, 2.0]), "got Python objects, None (NoneType) at index (1,); fill it in"),
    "NA": (lambda: small().fit(pd.Series([1.0, None], dtype="Int64").to_numpy(object)), "<NA> (NAType) at index (1,)"),
    "objects": (lambda: small().fit(np.array([1, 2], object)),
                "got Python objects; convert them, such as by array.astype(float)"),
    "complex": (lambda: small().fit(np.arange(5) * 1j), "got complex numbers; give their real and imaginary parts"),
    "text": (lambda: small().fit(["1.5", "2"]), "got text; convert it"),
    "bytes": (lambda: small().fit([b"1.5", b"2"]), "got bytes; convert them"),
    "dates": (lambda: small().fit(np.arange(5).astype("datetime64[h]")), "got dates; give numbers made of them"),
    "durations": (lambda: small().fit(np.arange(5).astype("timedelta64[h]")), "got time differences; give numbers"),
    "records": (lambda: small().fit(np.zeros(5, [("a", float)])), "got records"),
    "uneven": (lambda: small(2).fit([[1.0, 2.0], [1.0]]), "give rows of one length"),
    "NaN": (lambda: small().fit(holed(np.zeros(20), 17)), "inputs holds nan at step 17; fill it in"),
    "infinity": (lambda: small().fit([1.0, 1e300]), "inputs holds 1e+300 at step 1"),
    "NaN of a feature": (lambda: small(3).fit(holed(np.zeros((20, 3)), (17, 2))),
                         "inputs: feature 2 holds nan at step 17"),
    "NaN of a stream": (lambda: small(streams=4).fit(holed(np.zeros((20, 4)), (17, 3))),
                        "inputs: stream 3 holds nan at step 17"),
    "NaN of a model": (lambda: population().fit(holed(np.zeros((5, 20)), (3, 17))),
                       "inputs: model 3 holds nan at step 17"),
    "NaN of a model's target": (lambda: population().fit(np.zeros((5, 20)), holed(np.zeros((5, 20)), (3, 17))),
                                "targets: model 3 holds nan at step 17"),
    "NaN in a step": (lambda: small(3).step([0.0, np.nan, 0.0]), "inputs: feature 1 holds nan; fill"),
    "NaN in a step of a population": (lambda: population().step([0.0, 0.0, 0.0, np.nan, 0.0]),
                                      "inputs: model 3 holds nan; fill"),
}


@pytest.mark.parametrize("mistake, said", BAD.values(), ids=BAD.keys())
def test_what_is_no_number_is_named(mistake, said):
    with pytest.raises(dh.UserError) as caught:
        mistake()
    assert said in str(caught.value)


def test_a_mask_that_masks_nothing_is_no_mask():
    series = np.arange(9.0)
    plain, wrapped = (small().fit(s).prediction for s in (series, np.ma.masked_array(series, mask=False)))
    assert np.array_equal(plain, wrapped)


@pytest.mark.parametrize("kind", ["float64", "Float64", "Int64", "boolean"])
def test_pandas_series_without_holes_are_taken(kind):
    plain, series = (small().fit(s).prediction for s in (np.array([1.0, 0.0, 1.0]), pd.Series([1, 0, 1]).astype(kind)))
    assert np.array_equal(plain, series)


# What float32 merges

TIME = 1.7e9 + np.arange(500)
REFUSED = {"an offset": 1e9 + sine(500).astype(float), "seconds": TIME, "whole numbers": TIME.astype(np.int64),
           "beside a good one": np.stack([sine(500)[:, 0], TIME], axis=1)}
WARNED = {"a smaller offset": 1e6 + sine(500).astype(float), "whole numbers": 2**25 + 10 * (np.arange(500) % 50)}
STEPS = np.arange(500)
TAKEN = {"whole numbers up to 2^24": 2**24 - STEPS, "steps of 128": 2.0**30 + 128 * STEPS,
         "float64": sine(500).astype(float) * np.pi, "already float32": (1e9 + sine(500)).astype(np.float32),
         "constant": np.full(500, 1e9 + 0.1), "large jumps": 1e9 + 1e8 * sine(500).astype(float),
         "jitter": 0.7 + 1e-9 * (STEPS % 7), "settling": 20 + np.exp(-STEPS / 3.0), "trues": STEPS % 2 == 0}


@pytest.mark.parametrize("series", REFUSED.values(), ids=REFUSED.keys())
def test_a_series_that_float32_flattens_is_refused(series):
    with pytest.raises(dh.UserError, match="^inputs.*must not lose its changes in float32.*subtract an offset"):
        small(1 if series.ndim == 1 or series.shape[1] == 1 else 2).fit(series)


@pytest.mark.parametrize("series", WARNED.values(), ids=WARNED.keys())
def test_a_series_that_float32_coarsens_is_warned_about_once(series):
    model = small()
    with pytest.warns(UserWarning, match="inputs loses some of its changes.*subtract an offset") as caught:
        for _ in range(3):
            model.fit(series)
    assert {w.filename for w in caught} == {__file__}
    assert len({str(w.message) for w in caught}) == 1, "Python shows the same text of the same line once"


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("series", TAKEN.values(), ids=TAKEN.keys())
def test_other_series_are_taken(series):
    small().fit(series)


def test_merging_is_named_by_model_and_stream():
    good, bad = sine(300).astype(float), 1e9 + sine(300).astype(float)
    with pytest.raises(dh.UserError, match="inputs: model 1 must not lose"):
        population(3).fit(np.stack([good, bad, good]))
    with pytest.raises(dh.UserError, match="targets: stream 2 must not lose"):
        small(streams=3).fit(np.stack([good] * 3, 1), np.stack([good, good, bad], 1))
    active = np.arange(300)[:, None] < [300, 200, 250]
    with pytest.raises(dh.UserError, match="inputs: stream 1 must not lose"):
        small(streams=3).fit(np.stack([good, bad, good], 1), mask=active)
    with pytest.warns(UserWarning, match="inputs loses"):
        small().step(2**24 + 1)


def test_run_learns_a_series_with_a_large_offset(tmp_path, capsys):
    """It scales in float64, before float32 could merge anything."""
    from deephtm_gpu.cli.main import main

    tables = []
    for offset in (0.0, 1e9):
        file = tmp_path / f"{offset}.csv"
        file.write_text("v\n" + "".join(f"{offset + x:.9f}\n" for x in sine(300)[:, 0].astype(float)))
        assert main(["run", str(file), "--column", "v", "--device", "numpy", "--out", str(tmp_path / "out.csv")]) == 0
        rows = (tmp_path / "out.csv").read_text().splitlines()[-100:]
        tables.append(np.array([row.split(",")[2] for row in rows], float) - offset)
    assert np.abs(tables[0] - tables[1]).max() < 0.05


# Counters that overflow


def placed_at(steps, device, optimizer=None, updates=None, window=3):
    """A model that has run for so long."""
    net = dh.Sequential(dh.Linear(12), dh.ReLU(), dh.RunningNorm(), dh.SpatialPooler(20, 3),
                        dh.TemporalMemory(3, window=window), dh.Linear(1))
    model = dh.Model(net, input_shape=(1,), optimizer=optimizer or dh.SGD(0.05), seed=1, device=device)
    session, updates = model.session, steps if updates is None else updates
    session._committed = replace(session.position, steps=steps, began=steps, updates=updates), 0
    return model


@pytest.mark.parametrize("steps", [2**n - 20 for n in (24, 31, 32, 33)], ids=["2^24", "2^31", "2^32", "2^33"])
def test_gpu_and_numpy_agree_where_a_step_counter_overflows(adapter, steps):
    """The ring of a window of 3 has its places by the step's number modulo 3, which 2^32 is no multiple of."""
    series = np.random.default_rng(0).normal(size=(40, 1))
    for window in (1, 3):
        models = [placed_at(steps, device, window=window) for device in DEVICES]
        numpy, *others = (model.fit(series, ahead=2) for model in models)
        for model, other in zip(models[1:], others):
            assert np.abs(numpy.prediction - other.prediction).max() < 1e-4
            for name, weight in models[0].state_dict().items():
                assert np.abs(weight - model.state_dict()[name]).max() < 1e-4, name


def test_a_model_does_not_notice_that_its_step_counter_overflows():
    """All but which losers the head draws goes by the number of the step in the ring, whatever the number."""
    series = np.random.default_rng(0).normal(size=(40, 1))
    early, late = (placed_at(steps, "numpy", updates=0).fit(series).prediction for steps in (0, 3 * 2**32))
    assert np.array_equal(early, late)


@pytest.mark.parametrize("schedule", [dh.Constant(), dh.InverseDecay(1000, floor=0)], ids=str)
def test_gpu_and_numpy_agree_where_a_float32_counts_no_further(adapter, schedule):
    series = np.random.default_rng(0).normal(size=(40, 1))
    models = []
    for device in DEVICES:
        model = placed_at(2**24 - 20, device, dh.Adam(0.01, schedule=schedule))
        for tensor in model.session.plan.stored_in("param"):
            if tensor.name.endswith(".count") and tensor.moment:
                model.session.backend.write(tensor.name, np.full(tensor.shape, 2.0**24 - 10, np.float32))
        models.append((model, model.fit(series).prediction))
    (_, numpy), *others = models
    assert np.isfinite(numpy).all() and all(np.abs(numpy - other).max() < 1e-4 for _, other in others)
