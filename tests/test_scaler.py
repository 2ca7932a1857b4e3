"""A number and its time, standardised, beside what trivial forecasters say."""

from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from deephtm_gpu.data.baselines import Comparison, Persistence, SameSlotLastWeek
from deephtm_gpu.data.scaler import HORIZON, LIMIT, OnlineScaler
from deephtm_gpu.data.time_features import time_features
from deephtm_gpu.sources import open_source

TAXI = Path(__file__).parents[1] / "demos" / "data" / "nyc_taxi.csv"


# Time


def test_time_features():
    # Monday, Sunday, Wednesday.
    x = time_features([datetime(2024, 1, 1), datetime(2024, 1, 7, 6), datetime(2024, 1, 3, 15)])
    assert x.shape == (3, 11) and x.dtype == np.float32
    np.testing.assert_allclose(x[:2, :4], [[0, 1, 0, 1], [1, 0, 0, -1]], atol=1e-6)
    np.testing.assert_allclose(x[2, :4], [-np.sqrt(0.5), -np.sqrt(0.5), 1, 0], atol=1e-6)
    assert x[:, 4:].argmax(axis=1).tolist() == [0, 6, 2] and x[:, 4:].sum() == 3


# Scale


def _standardise(values):
    return OnlineScaler().standardise(np.array(values, np.float64))


def test_scaler_is_the_mean_and_deviation_so_far():
    values = np.random.default_rng(0).normal(5, 3, 500)
    z, mean, deviation = _standardise(values)
    for t in (1, 17, 499):
        np.testing.assert_allclose([mean[t], deviation[t]], [values[: t + 1].mean(), values[: t + 1].std()], rtol=1e-12)
    np.testing.assert_allclose(mean + deviation * z, values, atol=1e-5)
    assert z[0] == 0 and abs(z[1]) == 1


def test_scaler_takes_nothing_from_the_future():
    values = np.random.default_rng(1).normal(size=300)
    changed = values.copy()
    changed[200:] = 1e9
    scaler = OnlineScaler()
    parts = [scaler.standardise(values[:7]), scaler.standardise(values[7:200])]
    for i, whole in enumerate(_standardise(changed)):
        np.testing.assert_array_equal(np.concatenate([p[i] for p in parts]), whole[:200])


@pytest.mark.parametrize("unit", [1e-30, 1e30, 1e-100, 1e100])
def test_scaler_does_not_mind_the_unit(unit):
    values = np.sin(np.arange(300) / 5)
    np.testing.assert_allclose(_standardise(values * unit)[0], _standardise(values)[0], rtol=1e-4, atol=1e-6)


def test_scaler_of_a_constant():
    z, mean, _ = _standardise([0.1] * 1000)
    assert not z.any() and (mean == 0.1).all()


def test_scaler_survives_a_spike_and_follows_a_step():
    wave = np.sin(np.arange(4000) / 5)
    spike = wave.copy()
    spike[2000] = 1e12
    assert _standardise(spike)[0].max() == LIMIT
    assert _standardise(spike)[2][-1] < 2 * wave.std()
    step = wave.copy()
    step[2000:] += 1000
    z, _, deviation = _standardise(step)
    assert z.max() == LIMIT and abs(z[2500:]).max() < LIMIT  # in bounds again within 500 rows
    assert deviation[-1] > 100


def test_scaler_forgets():
    _, mean, _ = _standardise(np.concatenate([np.tile([0.0, 1.0], HORIZON), np.tile([10.0, 11.0], 5 * HORIZON)]))
    assert abs(mean[-1] - 10.5) < 0.02


# Trivial forecasts


def test_persistence():
    persistence = Persistence(ahead=2)
    assert [persistence.update(v, None) for v in (1, 2, 3, 4)] == [None, None, 1, 2]


def _weeks(period, rows):
    return [datetime(2024, 1, 1) + i * timedelta(seconds=period) for i in range(rows)]


def test_same_slot_last_week_goes_by_the_clock():
    slots = 7 * 24
    times = _weeks(3600, 2 * slots)
    missing = slots + 5
    forecasts = {}
    last_week = SameSlotLastWeek(ahead=3)
    for i, when in enumerate(times):
        if i != missing:
            forecasts[i] = last_week.update(float(i), when)
    assert all(forecasts[i] is None for i in range(slots))
    assert all(forecasts[i] == i - slots for i in range(slots, 2 * slots) if i != missing)


@pytest.mark.parametrize("period, ahead", [(3601, 1), (0, 1), (-3600, 1), (86400, 8), (14 * 86400, 1)])
def test_same_slot_last_week_without_slots(period, ahead):
    last_week = SameSlotLastWeek(ahead)
    assert {last_week.update(1.0, when) for when in _weeks(period, 400)} == {None}


def test_comparison_on_the_taxi_series():
    comparison = Comparison(ahead=5, timed=True, later=5000)
    with open_source(TAXI, "value", "timestamp") as stream:
        for row in [row for rows in stream.chunks() for row in rows]:
            comparison.update(row.value, row.when, row.value, 2 * row.value)
    late = {name: mape.percent for name, mape in comparison.late.items()}
    want = {"mixture": 0, "network": 100, "persistence": 32.5, "same slot last week": 12.4}
    assert late == pytest.approx(want, abs=0.1)
    assert comparison.whole["same slot last week"].rows == 10_320 - 336
    assert "100 % (5,320 rows)" in comparison.table()


def test_comparison_of_zeros_and_of_few_rows():
    comparison = Comparison(ahead=1, timed=False, later=5000)
    assert "no forecast" in comparison.table()
    for _ in range(3):
        comparison.update(0.0, None, 0.0, 0.0)
    assert "all values are 0 (2 rows)" in comparison.table() and "last week" not in comparison.table()
