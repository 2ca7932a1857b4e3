"""The alarm and its parts against their formulas."""

import math

import numpy as np
import pytest

from deephtm_gpu.alarm import Alarm, Rarity, Rest
from deephtm_gpu.errors import UserError

SMALL = dict(window=50, learning=20, estimation=10)


def test_rarity():
    xs = np.random.default_rng(0).integers(0, 100, 300).astype(float)  # with equals
    rarity = Rarity(**SMALL)
    for t, x in enumerate(xs):
        before = xs[20:t][-50:]
        expected = -math.log10((1 + np.sum(before >= x)) / (1 + len(before))) if len(before) >= 10 else 0
        assert rarity.update(x) == pytest.approx(expected, abs=1e-12)


def test_rest():
    xs = np.random.default_rng(1).integers(0, 50, 500)
    for rows in (0, 1, 7):
        rest = Rest(rows)
        scores = [rest.update(x) for x in xs]
        assert scores == [x if all(xs[max(0, t - rows):t] < x) else 0 for t, x in enumerate(xs)]


def test_alarm_adds_up():
    rows = np.random.default_rng(2).random((400, 3))
    alarm, parts = Alarm(rest=0, **SMALL), [Rarity(**SMALL) for _ in range(3)]
    for row in rows:
        assert alarm.update(*row) == pytest.approx(sum(p.update(x) for p, x in zip(parts, row)))


def test_a_disturbance_alarms_once():
    rng = np.random.default_rng(3)
    rows = rng.random((2000, 3))
    rows[1500:1520] += 5
    alarm = Alarm(rest=100, **SMALL | {"window": 1000})
    scores = np.array([alarm.update(*row) for row in rows])
    assert np.flatnonzero(scores > 6).tolist() == [1500]


def test_without_a_prediction():
    alarm = Alarm(**SMALL)
    assert alarm.update(0.5, None, 1.0) == 0


@pytest.mark.parametrize("make, said", [
    (lambda: Rarity(window=5, estimation=6), "estimation <= window"),
    (lambda: Rarity(learning=-1), "learning >= 0"),
    (lambda: Rest(-1), "0 rows or more, got -1"),
    (lambda: Alarm(rest=-1), "0 rows or more, got -1"),
    (lambda: Rarity().update(float("nan")), "finite, got nan"),
])
def test_refused(make, said):
    with pytest.raises(UserError, match=said):
        make()
