"""Memories whose cells see a sample of places: who sees what, what it costs, and that models learn with it as they
should."""

import numpy as np
import pytest
from conftest import assert_close
from hypothesis import given, settings
from hypothesis import strategies as st

import deephtm_gpu as dh
from deephtm_gpu.kernels.arenas import Layout
from deephtm_gpu.ops.sampled import SAMPLES, sampled_forward, visible
from deephtm_gpu.plan.lowering import lower


def network(synapses, cells=3, columns=40, window=1):
    return dh.Sequential(
        dh.Linear(24), dh.ReLU(), dh.RunningNorm(), dh.SpatialPooler(columns, 4),
        dh.TemporalMemory(cells, window=window, synapses=synapses), dh.Linear(7))


def model(synapses, device="numpy", seed=0, optimizer=None, window=1, **more):
    optimizer = optimizer or dh.SGD(0.05)
    return dh.Model(
        network(synapses, window=window),
        (7,),
        loss="cross_entropy",
        optimizer=optimizer,
        seed=seed,
        device=device,
        **more,
    )


def symbols(steps, streams=None, seed=0):
    chosen = np.random.default_rng(seed).integers(7, size=(steps, streams) if streams else steps)
    return np.eye(7, dtype=np.float32)[chosen]


# Who sees what


@given(st.integers(1, 300), st.integers(1, 300), st.integers(0, SAMPLES - 1), st.integers(1, 9))
@settings(max_examples=60)
def test_a_row_sees_one_place_of_each_stretch(P, F, sample, L):
    F = min(F, P)
    rows = np.arange(L) * 7919
    l, a, synapse = visible(rows, np.arange(P), np.array([float(sample)]), F, P)
    assert np.array_equal(synapse, (rows[:, None] * F + np.arange(F)).reshape(-1)), (
        "every synapse of a row sees one place"
    )
    assert np.array_equal(l, np.repeat(np.arange(L), F))
    f = synapse % F
    assert (f * P // F <= a).all() and (a < (f + 1) * P // F).all(), "and that one lies in its stretch"


def test_an_empty_context_is_seen_by_nobody():
    for rows, places in (
        (np.arange(3), np.zeros(0, int)),
        (np.zeros(0, int), np.arange(5)),
        (np.zeros(0, int), np.zeros(0, int)),
    ):
        assert [len(x) for x in visible(rows, places, np.array([5.0]), 2, 5)] == [0, 0, 0]


def test_places_are_seen_alike_often():
    """Each by a tenth of the rows, give or take five standard deviations; and what two rows have in common is by
    chance."""
    N, F, P = 4000, 50, 500
    l, a, _ = visible(np.arange(N), np.arange(P), np.array([123.0]), F, P)
    often = np.bincount(a, minlength=P)
    assert np.abs(often - N / 10).max() < 5 * np.sqrt(N * 0.1 * 0.9)
    sees = np.zeros((N, P))
    sees[l, a] = 1
    common = (sees[:-1] * sees[1:]).sum(axis=1)  # neighbours: cells of a column
    assert abs(common.mean() - F / 10) < 5 * np.sqrt(F * 0.1 * 0.9 / N)


def test_samples_differ():
    def seen(sample):
        _, a, _ = visible(np.arange(100), np.arange(500), np.array([sample]), 50, 500)
        return a.reshape(100, 50)

    first, second = seen(1.0), seen(2.0)
    rows = {tuple(r) for r in first} | {tuple(r) for r in second}
    assert len(rows) == 200, "no row of one is a row of the other"
    numbers = {
        n: {m.state_dict()[n][0] for m in (model(9, seed=1), model(9, seed=2))}
        for n in ("4.distal_pool", "4.predicted_pool")
    }
    assert len(set.union(*numbers.values())) == 4 and all(
        0 <= x < SAMPLES and x == int(x) for s in numbers.values() for x in s
    )


def test_what_is_seen_counts_for_what_is_not():
    """A context depolarises cells that see a hundredth of it as much, on average, as cells that see all of it."""
    rng, N, P, A = np.random.default_rng(0), 4000, 2000, 700
    index, value = [rng.permutation(P)[:A]], [np.full(A, A**-0.5)]  # a context has unit norm

    def spread(F):
        weight, rows = rng.normal(size=(N, F)), np.arange(N)[None]
        return sampled_forward(rows, index, value, weight, np.zeros(N), np.array([1.0]), F, P).std()

    assert spread(20) == pytest.approx(1, abs=0.05) and spread(P) == pytest.approx(1, abs=0.05)


# Models


@pytest.mark.parametrize("optimizer, streams, window", [
    (dh.PolyakSGD(clip_norm=1.0), 1, 1), (dh.Adam(0.01), 1, 4), (dh.SGD(0.05, momentum=0.9, clip_norm=0.5), 3, 2)])
def test_all_places_seen_is_the_dense_memory(optimizer, streams, window):
    N, C = 120, 40
    dense, sample = (model(F, optimizer=optimizer, streams=streams, window=window) for F in (None, N + C))
    series = symbols(60, streams if streams > 1 else None)
    reported, ours = dense.fit(series), sample.fit(series)
    assert_close("prediction", ours.prediction, reported.prediction, 1e-4)
    assert_close("anomaly", ours.anomaly, reported.anomaly, 1e-4)
    for name, weight in dense.state_dict().items():
        assert_close(name, sample.state_dict()[name], weight, 1e-3)
    for name, value in dense.state()["4"].items():
        assert_close(name, sample.state()["4"][name], value, 1e-3)


def test_names_shapes_and_start():
    weights = model(40).state_dict()  # 120 cells, 40 columns
    distal = weights["4.distal_weight"]
    assert distal.shape == (120, 40) and weights["4.predicted_weight"].shape == (40, 40)
    assert (distal[:, 30:] == 0).all(), "what sees columns starts at 0"
    assert (distal[:, :30] != 0).all() and (weights["4.predicted_weight"] == 0).all()
    again, other = model(40).state_dict(), model(40, seed=1).state_dict()
    assert np.array_equal(distal, again["4.distal_weight"]) and not np.array_equal(distal, other["4.distal_weight"])


def test_weights_take_their_sample_along():
    """In a model of another seed, whose own samples are others, they mean the same."""
    first, second = model(40), model(40, seed=1)
    first.fit(symbols(40))
    first.reset()
    second.load_state_dict(first.state_dict())
    assert np.array_equal(first.predict(symbols(20, seed=1)), second.predict(symbols(20, seed=1)))


def test_what_no_cell_sees_teaches_nothing():
    """A step moves a synapse only if its place is in the context."""
    m = model(13, optimizer=dh.AdamW(0.1, 0.1))
    m.fit(symbols(1))
    before = m.state_dict()["4.distal_weight"]
    m.fit(symbols(30, seed=2))
    moved = m.state_dict()["4.distal_weight"] != before
    assert 0 < moved.mean() < 1
    # From cells, and from columns.
    assert (moved.sum(axis=1) <= 13).all() and moved[:, :9].any() and moved[:, 11:].any()


def test_streams_of_copies_learn_as_one():
    one, three = (model(40, optimizer=dh.PolyakSGD(), streams=s) for s in (1, 3))
    series = symbols(40)
    reported, ours = one.fit(series), three.fit(np.repeat(series[:, None], 3, axis=1))
    for s in range(3):
        assert_close(f"stream {s}", ours.prediction[:, s], reported.prediction, 1e-3)


@pytest.mark.parametrize("streams, window, optimizer", [
    (1, 8, dh.Adam(0.01)), (2, 1, dh.PolyakSGD(clip_norm=1.0))], ids=["window", "streams"])
def test_gpu_and_numpy_agree(adapter, streams, window, optimizer):
    gpu, numpy = (model(37, d, optimizer=optimizer, streams=streams, window=window) for d in ("gpu", "numpy"))
    series = symbols(40, streams if streams > 1 else None)
    reported, ours = numpy.fit(series), gpu.fit(series)
    assert_close("prediction", ours.prediction, reported.prediction, 1e-3)
    for name, weight in numpy.state_dict().items():
        assert_close(name, gpu.state_dict()[name], weight, 1e-3)
    for name, value in numpy.state()["4"].items():
        assert_close(name, gpu.state()["4"][name], value, 1e-3)


# Large ones


def large(synapses):
    return dh.Sequential(
        dh.Linear(256), dh.ReLU(), dh.RunningNorm(), dh.SpatialPooler(2048, 40),
        dh.TemporalMemory(32, window=16, synapses=synapses), dh.Linear(256), dh.ReLU(), dh.Linear(16)).network((16,))


def bytes_of(synapses, optimizer):
    plan, _ = lower(large(synapses), ["cross_entropy"], optimizer, streams=1, seeds=0, ahead=1)
    return 4 * sum(Layout(plan, steps=64).sizes.values())


def test_a_large_memory_fits_into_a_gibibyte():
    """65,536 cells of 1,024 synapses, with all that a step needs, and two moments for every weight. Nothing is
    allocated here."""
    assert bytes_of(1024, dh.SGD(0.01)) < 0.34 * 2**30
    assert bytes_of(1024, dh.Adam(0.001)) < 2**30
    assert bytes_of(None, dh.SGD(0.01)) > 17e9
