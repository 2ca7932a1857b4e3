"""What the model must reach, on seeds that were not used for tuning (`deephtm bench learning` runs the whole table)."""

from pathlib import Path

import pytest

from deephtm_gpu.bench.learning import rows

TAXI = Path(__file__).parent.parent / "demos" / "data" / "nyc_taxi.csv"
ROWS = {r.name: r for r in rows(TAXI)}
# Among the long tests. By default each kind of task has one row.
SOAK = ("n = 50", "n = 20", "n = 10", "see a third", "distal frozen", "Reber", "period 47")
UNBOUNDED = ("n = 100", "noise classes")  # nothing to hold to
SEEDS = {"cpu": (2001,), "numpy": (2001,), "gpu": (2003,)}
ON_GPU = ("sine, K = 10", "letters, n = 5")


def cases():
    for device in SEEDS:
        for name in ROWS:
            if device != "gpu" and not any(s in name for s in UNBOUNDED) or name in ON_GPU:
                long = device != "cpu" and name != ON_GPU[0] or any(s in name for s in SOAK)
                yield pytest.param(device, name, marks=[pytest.mark.soak] if long else [])


@pytest.mark.parametrize("device, name", list(cases()))
def test_row(adapter, device, name):
    measured = [ROWS[name].measure(seed, device) for seed in SEEDS[device]]
    assert ROWS[name].bounds and ROWS[name].holds(measured), measured


def test_taxi_beats_what_is_trivial():
    figures = ROWS["taxi, 5 ahead, rows 5,000 on"].measure(2005, "cpu")
    assert figures["MAPE"] < figures["MAPE same slot last week"] < figures["MAPE persistence"]
