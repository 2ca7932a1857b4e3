"""The anomaly likelihood against its formula."""

from statistics import NormalDist

import numpy as np
import pytest

from deephtm_gpu.anomaly import AnomalyLikelihood, log_likelihood
from deephtm_gpu.errors import UserError

SMALL = dict(window=50, short=5, learning=20, estimation=10, floor=0.01)


def _by_formula(scores, t, window, short, learning, estimation, floor):
    gathered = scores[learning: t + 1]
    if len(gathered) < estimation:
        return 0.5
    long = gathered[-window:]
    z = (gathered[-short:].mean() - long.mean()) / max(floor, long.std())
    return NormalDist().cdf(z)


@pytest.mark.parametrize(
    "change", [{}, {"short": 1}, {"short": 10, "estimation": 10, "window": 10}, {"learning": 0}, {"floor": 0.5}]
)
def test_formula(change):
    settings = SMALL | change
    scores = np.random.default_rng(0).beta(0.5, 3, 400)
    likelihood = AnomalyLikelihood(**settings).batch(scores)
    expected = [_by_formula(scores, t, **settings) for t in range(len(scores))]
    np.testing.assert_allclose(likelihood, expected, rtol=1e-9, atol=1e-12)


def test_batch_equals_updates():
    scores = np.random.default_rng(1).random(300)
    one, many = AnomalyLikelihood(**SMALL), AnomalyLikelihood(**SMALL)
    np.testing.assert_array_equal([one.update(s) for s in scores],
                                  np.concatenate([many.batch(scores[:7]), many.batch(scores[7:])]))


def test_a_quiet_stream_that_turns_loud():
    scores = np.concatenate([np.ones(288), np.full(1000, 0.05), np.ones(10)])
    likelihood = AnomalyLikelihood().batch(scores)
    assert (likelihood[:387] == 0.5).all()
    np.testing.assert_allclose(likelihood[387:1288], 0.5, atol=1e-6)  # the scores of the learning period are left out
    assert likelihood[-1] > 0.9999


def test_a_loud_stream_is_no_anomaly():
    scores = np.random.default_rng(2).integers(0, 2, 3000).astype(float)
    assert np.mean(AnomalyLikelihood().batch(scores) > 0.99) < 0.01


def test_no_drift_on_a_long_stream():
    scores = np.full(200_000, 0.1) + 0.1 * (np.arange(200_000) % 3)
    assert AnomalyLikelihood(**SMALL).batch(scores)[-1] == pytest.approx(
        _by_formula(scores, len(scores) - 1, **SMALL), abs=1e-12
    )


def test_log_likelihood():
    np.testing.assert_allclose(log_likelihood([0, 0.5, 0.99999, 1]), [0, 0.0301, 0.5, 1], atol=1e-4)


@pytest.mark.parametrize(
    "change", [{"short": 0}, {"short": 11}, {"window": 9}, {"learning": -1}, {"floor": 0}, {"floor": float("nan")}]
)
def test_bad_settings(change):
    with pytest.raises(UserError, match="AnomalyLikelihood must have"):
        AnomalyLikelihood(**(SMALL | change))


@pytest.mark.parametrize("score", [float("nan"), float("inf")])
def test_bad_scores(score):
    with pytest.raises(UserError, match="must be finite"):
        AnomalyLikelihood().update(score)
