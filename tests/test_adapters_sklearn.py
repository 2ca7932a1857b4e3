"""scikit-learn: its own checks pass, but for those that take rows for a set; pieces are learned as the whole."""

import pickle

import numpy as np
import pytest

pytest.importorskip("sklearn")

from sklearn.base import clone  # noqa: E402
from sklearn.model_selection import GridSearchCV, TimeSeriesSplit  # noqa: E402
from sklearn.pipeline import make_pipeline  # noqa: E402
from sklearn.preprocessing import StandardScaler  # noqa: E402
from sklearn.utils.estimator_checks import parametrize_with_checks  # noqa: E402

import deephtm_gpu as dh  # noqa: E402
from deephtm_gpu.adapters.sklearn import DeepHTMRegressor  # noqa: E402

SEQUENCE = "the rows are a sequence: what is predicted for one depends on those before it"
CANNOT_HOLD = {
    "check_methods_sample_order_invariance": SEQUENCE,
    "check_methods_subset_invariance": SEQUENCE,
}


@parametrize_with_checks([DeepHTMRegressor(device="numpy")], expected_failed_checks=lambda _: CANNOT_HOLD,
                         xfail_strict=True)
def test_scikit_learns_own_checks_pass(estimator, check):
    check(estimator)


def net():
    return dh.Sequential(dh.Linear(32), dh.ReLU(), dh.RunningNorm(), dh.SpatialPooler(16, winners=4),
                         dh.TemporalMemory(4), dh.Linear(1))


def rows(steps=200):
    chance = np.random.default_rng(0)
    X = chance.normal(5, 3, (steps, 2))
    return X, X @ [2, -1] + 7


def test_pieces_are_learned_as_the_whole():
    X, y = rows()
    whole = DeepHTMRegressor(net(), random_state=1, device="numpy").fit(X[:150], y[:150])
    pieces = DeepHTMRegressor(net(), random_state=1, device="numpy")
    for t in range(0, 150, 10):
        pieces.partial_fit(X[t:t + 10], y[t:t + 10])
    assert np.array_equal(whole.predict(X[150:]), pieces.predict(X[150:]))
    assert not np.array_equal(whole.predict(X[150:]), whole.partial_fit(X[:9], y[:9]).predict(X[150:]))


def test_random_state_decides_the_weights():
    X, y = rows()
    one, same, other, drawn = (DeepHTMRegressor(net(), random_state=s, device="numpy").fit(X, y).predict(X)
                               for s in (1, 1, 2, np.random.RandomState(1)))
    assert np.array_equal(one, same) and np.array_equal(one, drawn) and not np.array_equal(one, other)


def test_a_clone_is_new_and_a_pickle_goes_on():
    X, y = rows()
    fitted = DeepHTMRegressor(net(), optimizer=dh.SGD(0.01), random_state=0, device="numpy").fit(X, y)
    new, again = clone(fitted), pickle.loads(pickle.dumps(fitted))
    assert not hasattr(new, "model_") and new.optimizer.lr == 0.01
    for each in (fitted, again):
        each.partial_fit(X[:20], y[:20])
    assert np.array_equal(fitted.predict(X), again.predict(X))
    assert np.array_equal(new.fit(X, y).partial_fit(X[:20], y[:20]).predict(X), fitted.predict(X))


def test_it_learns_what_depends_on_the_rows_before():
    t = np.arange(2000)
    X, y = np.sin(t / 5)[:, None], 100 + 10 * np.cos(t / 5)  # the cosine of a sine is one of two
    regressor = DeepHTMRegressor(random_state=0, device="numpy").fit(X[:1700], y[:1700])
    assert regressor.score(X[1700:], y[1700:]) > 0.9, "without memory it is 0"


def test_pipelines_and_searches_take_it():
    X, y = rows(120)
    pipeline = make_pipeline(StandardScaler(), DeepHTMRegressor(net(), random_state=0, device="numpy"))
    search = GridSearchCV(pipeline, {"deephtmregressor__optimizer": [dh.SGD(0.001), dh.SGD(0.03)]},
                          cv=TimeSeriesSplit(2), error_score="raise").fit(X, y)
    assert len(set(search.cv_results_["mean_test_score"])) == 2


def test_a_net_that_does_not_fit_is_named():
    X, y = rows()
    with pytest.raises(dh.UserError, match="targets"):
        DeepHTMRegressor(dh.Sequential(dh.Linear(2)), device="numpy").fit(X, y)
