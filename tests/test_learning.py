"""What the model must reach, on seeds that were not used for tuning (`deephtm bench learning` runs the whole table)."""

from pathlib import Path

import numpy as np
import pytest

from deephtm_gpu.bench.learning import ROWS, TAXI_MOST, holds, phase_jump, sine_rmse, taxi

SEEDS = {"numpy": (2001, 2002), "gpu": (2003,)}


@pytest.mark.parametrize("device", SEEDS)
@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_sine(adapter, row, device):
    errors = [sine_rmse(row, seed, device) for seed in SEEDS[device]]
    assert np.isfinite(errors).all() and holds(row, errors), errors


@pytest.mark.parametrize("device", SEEDS)
def test_anomaly_at_a_phase_jump(adapter, device):
    jump = phase_jump(2004, device)
    assert jump.holds(), jump


@pytest.mark.parametrize("device", SEEDS)
def test_taxi(adapter, device):
    path = Path(__file__).parent.parent / "demos" / "data" / "nyc_taxi.csv"
    late = taxi(str(path), 2005, device).late
    assert late["model"].rows == 5320 and late["model"].percent <= TAXI_MOST
    assert late["model"].percent < late["same slot last week"].percent < late["persistence"].percent
