"""river: its own checks pass; features come and go; a look changes nothing."""

import math
import pickle
import random

import numpy as np
import pytest

river = pytest.importorskip("river")
pytest.importorskip("sklearn")  # river's checks use it

from river import checks, datasets, evaluate, metrics, preprocessing  # noqa: E402

import deephtm_gpu as dh  # noqa: E402
from deephtm_gpu.adapters.river import DeepHTMDetector, DeepHTMForecaster, DeepHTMRegressor  # noqa: E402

NAMES = tuple("abcde")


def net(outputs=1):
    return dh.Sequential(dh.Linear(32), dh.ReLU(), dh.RunningNorm(), dh.SpatialPooler(16, winners=4),
                         dh.TemporalMemory(4), dh.Linear(outputs))


class Machine:
    """In place of river's CreditCard, which has to be downloaded: five sensors of a machine that turns, and a faulty
    row now and then."""

    def take(self, rows):
        chance = random.Random(0)
        for t in range(min(rows, 1500)):
            faulty = t > 500 and chance.random() < 0.02
            x = {n: math.sin(t * 2 * math.pi / 20 + i) + chance.gauss(0, 0.02) for i, n in enumerate(NAMES)}
            yield ({n: -v for n, v in x.items()} if faulty else x), int(faulty)


MODELS = {
    "regressor": DeepHTMRegressor(net(), device="numpy"),
    "forecaster": DeepHTMForecaster(net(), device="numpy"),
    "detector": DeepHTMDetector(net(len(NAMES)), features=NAMES, device="numpy"),
}


@pytest.mark.parametrize("model", MODELS.values(), ids=MODELS)
def test_rivers_own_checks_pass(model, monkeypatch):
    monkeypatch.setattr(datasets, "CreditCard", Machine)
    assert not model._unit_test_skips()
    checks.check_estimator(model)


def test_faulty_rows_score_higher():
    detector, auc = DeepHTMDetector(device="numpy", short=1), metrics.ROCAUC()
    for x, faulty in Machine().take(1000):
        auc.update(faulty, detector.score_one(x))
        detector.learn_one(x)
    assert auc.get() > 0.9


def after(model, rows=30):
    chance = random.Random(1)
    for _ in range(rows):
        x = {"a": chance.gauss(3, 2), "b": chance.gauss(0, 1)}
        model.learn_one(*((x["a"], {"b": x["b"]}) if isinstance(model, DeepHTMForecaster) else
                          (x,) if isinstance(model, DeepHTMDetector) else (x, x["a"] - x["b"])))
    return model


LOOKS = {
    "regressor": (DeepHTMRegressor, lambda m: m.predict_one({"a": 9.0, "b": 2})),
    "detector": (lambda device: DeepHTMDetector(learning=0, estimation=10, device=device),
                 lambda m: m.score_one({"a": 9, "b": 2})),
    "forecaster": (DeepHTMForecaster, lambda m: m.forecast(3, [{"b": 9}] * 3)),
}


@pytest.mark.parametrize("kind, look", LOOKS.values(), ids=LOOKS)
def test_a_look_changes_nothing_and_a_copy_goes_on_alike(kind, look):
    model = after(kind(device="numpy"))
    before = pickle.dumps(model)
    first = look(model)
    assert pickle.dumps(model) == before
    assert look(pickle.loads(before)) == first
    after(model, 5)
    assert look(model) != first


def test_features_are_known_by_name():
    model = after(DeepHTMRegressor(device="numpy"))
    whole = model.predict_one({"b": 2, "a": 9.0})
    assert model.predict_one({"a": 9.0, "b": np.float32(2), "new": 5}) == whole
    without = model.predict_one({"b": 2})
    assert without == model.predict_one({"b": 2, "a": None}) == model.predict_one({"b": 2, "a": math.nan}) != whole
    assert math.isclose(without, model.predict_one({"b": 2, "a": model._online._scales._scalers[0]._mean}),
                        rel_tol=1e-6), "what is missing counts as the mean"


def test_named_features_are_those_alone():
    some, all_of_it = (after(DeepHTMRegressor(features=f, device="numpy")) for f in (("a",), None))
    assert some.predict_one({"a": 1, "b": 5}) == some.predict_one({"a": 1})
    assert all_of_it.predict_one({"a": 1, "b": 5}) != all_of_it.predict_one({"a": 1})


def test_before_anything_is_learned():
    assert DeepHTMRegressor().predict_one({"a": 1}) == 0
    assert DeepHTMDetector().score_one({"a": 1}) == 0.5
    assert DeepHTMForecaster().forecast(2) == [0, 0]


WRONG = {
    "text": (lambda: DeepHTMRegressor().learn_one({"a": "red"}, 1), "Feature 'a' must be a number, got 'red'"),
    "infinity": (lambda: after(DeepHTMRegressor(device="numpy")).predict_one({"a": math.inf}), "must be finite"),
    "no target": (lambda: DeepHTMRegressor().learn_one({"a": 1}, math.nan), "y must be a finite number, got nan"),
    "no features": (lambda: DeepHTMRegressor().learn_one({}, 1), "must have a feature or more"),
    "no memory": (lambda: DeepHTMDetector(dh.Sequential(dh.Linear(1)), device="numpy").learn_one({"a": 1}),
                  "must have a TemporalMemory"),
    "too few rows": (lambda: DeepHTMForecaster().forecast(3, [{}]), "xs must have the features of 3 rows"),
}


@pytest.mark.parametrize("mistake, said", WRONG.values(), ids=WRONG)
def test_mistakes_are_named(mistake, said):
    with pytest.raises(dh.UserError, match=said):
        mistake()


def test_a_model_whose_first_row_was_refused_can_still_learn():
    model = DeepHTMRegressor(device="numpy")
    for x, y in (({"a": "red", "b": 1}, 1.0), ({"b": 1}, math.nan)):
        with pytest.raises(dh.UserError):
            model.learn_one(x, y)
    for c in (1, 2, 1, 3):
        model.learn_one({"c": c}, c)
    assert model.predict_one({"c": 1}) != model.predict_one({"c": 3}), "its features are those of the first it took"


def test_it_learns_what_depends_on_the_row_before_within_a_pipeline():
    chance, bits = random.Random(0), [0.0]
    bits += [float(chance.random() < 0.5) for _ in range(1500)]
    stream = [({"bit": now}, before) for before, now in zip(bits, bits[1:])]
    model = preprocessing.StandardScaler() | DeepHTMRegressor(device="numpy")
    evaluate.progressive_val_score(stream[:1200], model, metrics.MAE())
    error = evaluate.progressive_val_score(stream[1200:], model, metrics.MAE()).get()
    assert error < 0.25, "without memory it is 0.5"


def test_a_forecast_goes_by_the_features_of_its_rows():
    model, rows = DeepHTMForecaster(device="numpy"), random.Random(0)
    for _ in range(1500):
        load = float(rows.random() < 0.5)
        model.learn_one(10 + 5 * load, {"load": load})
    assert np.allclose(model.forecast(4, [{"load": v} for v in (0, 1, 1, 0)]), [10, 15, 15, 10], atol=1.5)
