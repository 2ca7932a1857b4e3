"""Several streams that share the weights: each its own memory, and some that end early."""

import numpy as np
import pytest
from conftest import assert_close

import deephtm_gpu as dh


def model(streams, device="numpy", optimizer=None, loss="mse", outputs=2, **more):
    net = dh.Sequential(
        dh.Linear(16),
        dh.ReLU(),
        dh.RunningNorm(),
        dh.SpatialPooler(24, 3),
        dh.TemporalMemory(3, window=4),
        dh.Linear(8),
        dh.ReLU(),
        dh.Linear(outputs),
    )
    return dh.Model(net, (2,), loss=loss, optimizer=optimizer or dh.SGD(0.02), streams=streams, device=device, **more)


def noise(steps, streams, seed=0):
    return np.random.default_rng(seed).normal(size=(steps, streams, 2)).astype(np.float32)


def ending(steps, *ends):
    """(steps, S): stream s runs for ends[s] steps."""
    return np.arange(steps)[:, None] < np.array(ends)


DEVICES = pytest.mark.parametrize("device", ["numpy", "cpu", "gpu"])


@DEVICES
def test_each_stream_has_its_own_memory(adapter, device):
    """Without learning, streams beside each other are what each is alone."""
    series = noise(40, 3)
    together, alone = model(3, device, dh.SGD(1e-30)), [model(1, device, dh.SGD(1e-30)) for _ in range(3)]
    made = together.predict(series)
    for s, m in enumerate(alone):
        assert_close(f"stream {s}", made[:, s], m.predict(series[:, s]), 1e-5)


@DEVICES
@pytest.mark.parametrize("optimizer", [lambda: dh.SGD(0.02), lambda: dh.Adam(0.003), lambda: dh.PolyakSGD(0.5),
                                       lambda: dh.SGD(0.02, clip_norm=0.1), lambda: dh.SGD(0.02, momentum=0.5)],
                         ids=["SGD", "Adam", "Polyak", "clipped", "momentum"])
def test_an_ended_stream_is_as_if_it_were_not_there(adapter, device, optimizer):
    """Two streams learn what one learns alone, when the second never was: weights and predictions."""
    series = noise(50, 2)
    series[:, 1] = np.nan  # what stands there is not looked at
    one, two = model(1, device, optimizer()), model(2, device, optimizer())
    alone, beside = one.fit(series[:, 0]), two.fit(series, mask=ending(50, 50, 0))
    assert np.abs(alone.prediction - beside.prediction[:, 0]).max() <= 1e-3 * np.abs(alone.prediction).max()
    assert (
        np.isnan(beside.prediction[:, 1]).all()
        and np.isnan(beside.loss[:, 1]).all()
        and np.isnan(beside.anomaly[:, 1]).all()
    )
    for name, value in one.state_dict().items():
        if "predicted" not in name:  # random losers are drawn for each stream
            assert_close(name, two.state_dict()[name], value, 2e-3)


@DEVICES
def test_what_an_ended_stream_deferred_is_learned(adapter, device):
    """The distal weights of its last steps move after its end, and nothing else does."""
    m, cut = model(2, device), model(2, device)
    series, mask = noise(40, 2), ending(40, 40, 20)
    m.fit(series[:20], mask=mask[:20])
    cut.fit(series[:20], mask=mask[:20])
    for each in (m, cut):
        each.fit(series[20:24], mask=mask[20:24])
        each.reset()
    assert all(np.array_equal(v, cut.state_dict()[n]) for n, v in m.state_dict().items())
    lone = model(1, device)
    lone.fit(series[:10, 0])
    before = lone.state_dict()["4.distal_weight"]
    lone.reset()
    both = model(2, device)
    both.fit(series[:10, [0, 0]], mask=ending(10, 10, 10))
    ended = both.state_dict()["4.distal_weight"]
    both.fit(series[10:16, [0, 0]], mask=ending(6, 6, 0))
    assert not np.array_equal(before, lone.state_dict()["4.distal_weight"])
    assert not np.array_equal(ended, both.state_dict()["4.distal_weight"])


@DEVICES
@pytest.mark.parametrize("ahead", [1, 3])
def test_pieces_equal_the_whole(adapter, device, ahead):
    series, mask = noise(60, 3), ending(60, 60, 31, 12)
    whole, pieces = model(3, device), model(3, device)
    at_once = whole.fit(series, ahead=ahead, mask=mask)
    parts = [pieces.fit(series[a:b], ahead=ahead, mask=mask[a:b]) for a, b in ((0, 12), (12, 13), (13, 40), (40, 60))]
    assert np.array_equal(at_once.prediction, np.concatenate([p.prediction for p in parts]), equal_nan=True)
    for name, value in whole.state_dict().items():
        assert np.array_equal(value, pieces.state_dict()[name]), name
    assert np.isnan(at_once.loss[31 - ahead:, 1]).all() and np.isfinite(at_once.loss[:31 - ahead, 1]).all()


@pytest.mark.parametrize("ahead", [1, 2])
def test_an_ended_stream_stays_ended_until_reset(ahead):
    m = model(2)
    m.fit(noise(20, 2), mask=ending(20, 20, 5), ahead=ahead)
    history = m.fit(noise(10, 2), ahead=ahead)  # no mask: those that run
    assert np.isnan(history.prediction[:, 1]).all() and np.isfinite(history.prediction[:, 0]).all()
    with pytest.raises(dh.UserError, match="stream 1 go on at step 0"):
        m.fit(noise(10, 2), mask=ending(10, 10, 10), ahead=ahead)
    m.reset()
    assert np.isfinite(m.fit(noise(10, 2), ahead=ahead).prediction).all()


def test_when_all_have_ended_nothing_runs():
    m, twin = model(2), model(2)
    history = m.fit(noise(30, 2), mask=ending(30, 10, 7))
    twin.fit(noise(30, 2)[:10], mask=ending(10, 10, 7))
    assert history.prediction.shape == (30, 2, 2) and np.isnan(history.prediction[10:]).all()
    assert all(np.array_equal(v, twin.state_dict()[n]) for n, v in m.state_dict().items())
    assert np.isnan(m.fit(noise(5, 2)).prediction).all()


def test_classes_of_ended_streams_are_not_looked_at():
    m = model(2, loss="cross_entropy", outputs=4)
    targets = np.random.default_rng(0).integers(4, size=(20, 2))
    targets[8:, 1] = 99
    history = m.fit(noise(20, 2), targets, mask=ending(20, 20, 8))
    assert (
        np.isfinite(history.loss[:8]).all()
        and np.isnan(history.loss[8:, 1]).all()
        and np.isfinite(history.loss[8:, 0]).all()
    )


@pytest.mark.parametrize(
    "streams, mask, match",
    [
        (1, np.ones((5, 1)), "one stream"),
        (2, np.ones((5, 3)), "shape"),
        (2, np.ones(5), "shape"),
        (2, np.full((5, 2), 0.5), "truth values"),
        (2, np.ones((4, 2)), "got 4 and 5"),
        (2, [[1, 1], [0, 1], [1, 1], [1, 1], [1, 1]], "stream 0 go on at step 2"),
    ],
)
def test_a_wrong_mask_is_a_sentence(streams, mask, match):
    with pytest.raises(dh.UserError, match=match):
        model(streams).fit(noise(5, streams)[:, 0] if streams == 1 else noise(5, streams), mask=mask)


def test_three_hundred_streams(adapter):
    """More streams than invocations, on both backends."""
    series, mask = noise(12, 300), ending(12, *([12] * 150 + [6] * 150))
    models = [model(300, d, dh.Adam(0.003)) for d in ("gpu", "numpy")]
    a, b = (m.fit(series, mask=mask).prediction for m in models)
    assert np.nanmax(np.abs(a - b)) <= 1e-3
