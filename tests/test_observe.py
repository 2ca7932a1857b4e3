"""What a row reports when someone looks on: the same as `state()` step by step, and nothing of the learning changes."""

import numpy as np
import pytest

import deephtm_gpu as dh
from deephtm_gpu.data.sine import sine

K, M, C = 4, 3, 40


def model(device, streams=1, seed=1):
    net = dh.Sequential(
        dh.Linear(24),
        dh.ReLU(),
        dh.RunningNorm(),
        dh.SpatialPooler(C, K),
        dh.TemporalMemory(M),
        dh.Linear(16),
        dh.ReLU(),
        dh.Linear(1),
    )
    return dh.Model(net, (1,), optimizer=dh.PolyakSGD(), streams=streams, seed=seed, device=device)


@pytest.mark.parametrize("device", ["numpy", "cpu", "gpu"])
def test_every_row_is_what_state_tells_after_its_step(device, adapter):
    looked_at, asked = model(device), model(device)
    looked_at.observe()
    series = sine(30, period=11)
    observed = looked_at.fit(series).observed
    names = {name: sorted(reported) for name, reported in observed.items()}
    assert names == {"3": ["winners"], "4": ["cells", "predicted"]}
    winners, cells, predicted = observed["3"]["winners"], observed["4"]["cells"], observed["4"]["predicted"]
    assert winners.shape == (30, K) and cells.shape == (30, K, M) and predicted.shape == (30, K)
    for t, x in enumerate(series):
        before = asked.state()["4"]["predicted"]  # (C,), in the context that the step meets
        asked.step(x)
        state = asked.state()
        assert np.array_equal(winners[t], state["3"]["winners"])
        assert np.array_equal(cells[t], state["4"]["cells"][winners[t]])
        if t:
            assert predicted[t] == pytest.approx(before[winners[t]], rel=1e-4, abs=1e-6)


@pytest.mark.parametrize("device", ["numpy", "cpu", "gpu"])
def test_looking_on_changes_nothing(device, adapter):
    series = sine(40, period=11)
    plain, looked_at = model(device), model(device)
    looked_at.observe()
    a, b = plain.fit(series), looked_at.fit(series)
    assert np.array_equal(a.prediction, b.prediction) and np.array_equal(a.anomaly, b.anomaly) and not a.observed
    looked_at.observe(False)
    assert not looked_at.fit(series).observed
    assert all(np.isfinite(w).all() for w in looked_at.state_dict().values())


def test_streams_stand_behind_the_steps():
    several = model("numpy", streams=2)
    several.observe()
    observed = several.fit(np.stack([sine(9, period=11)] * 2, axis=1)).observed
    assert observed["3"]["winners"].shape == (9, 2, K) and observed["4"]["cells"].shape == (9, 2, K, M)
    assert np.array_equal(observed["4"]["cells"][:, 0], observed["4"]["cells"][:, 1])
