"""Maps: layers at every position of (channels, height, width), where a position is like a stream that shares its
weights."""

import numpy as np
import pytest
import test_gradients
from conftest import assert_close, put_on_numpy

import deephtm_gpu as dh
from deephtm_gpu.backends.batch import Batch
from deephtm_gpu.plan.plan import GIVEN
from deephtm_gpu.saving.container import read_container, write_container

DEVICES = pytest.mark.parametrize("device", ["numpy", "cpu", "gpu"])
RATE = 0.01
FEW = dict(decay=0.8, init_std=0.5)


def chain(outputs=2, window=4, synapses=None, hidden=16):
    return dh.Sequential(dh.Linear(hidden), dh.ReLU(), dh.RunningNorm(), dh.SpatialPooler(24, 3),
                         dh.TemporalMemory(3, window=window, synapses=synapses),
                         dh.Linear(8), dh.ReLU(), dh.Linear(outputs))


def noise(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def same(a, b):
    assert np.array_equal(a, b, equal_nan=True)


# A map of one position is the plain network


@DEVICES
@pytest.mark.parametrize("how", [
    dict(optimizer=lambda: dh.PolyakSGD(), loss="mse"),
    dict(optimizer=lambda: dh.SGD(0.02, momentum=0.5, clip_norm=0.5), loss="mse", streams=3, window=8),
    dict(optimizer=lambda: dh.Adam(0.003), loss="cross_entropy", targets=True, synapses=31),
    dict(optimizer=lambda: dh.RMSprop(0.003), loss="bce", targets=True, window=2),
    dict(optimizer=lambda: dh.AdamW(0.003, 0.01), loss="mse", ahead=3, streams=2, window=1),
], ids=["Polyak", "clipped, streams", "Adam, symbols, synapses", "RMSprop, bce", "AdamW, 3 ahead"])
def test_one_position_equals_the_plain_network_to_the_bit(adapter, device, how):
    how = dict(how)
    streams, ahead, given, loss = how.pop("streams", 1), how.pop("ahead", 1), how.pop("targets", False), how.pop("loss")
    optimizer, net = how.pop("optimizer"), {"window": how.pop("window", 4), **how}
    x = noise(40, *([streams] if streams > 1 else []), 2)
    symbols, bits = np.arange(40) % 5, np.arange(40)[:, None] // [1, 3, 7, 9, 11] % 2
    y = {"cross_entropy": symbols, "bce": bits}[loss] if given else None
    outputs = 5 if given else 2
    plain, one = (dh.Model(chain(outputs, **net), shape, loss=loss, optimizer=optimizer(), streams=streams,
                           device=device, seed=3)
                  for shape in [(2,), (2, 1, 1)])
    a = plain.fit(x, y, ahead=ahead)
    shown = y if y is None else y.reshape(*y.shape, *[1] * 2)
    b = one.fit(x[..., None, None], shown, ahead=ahead)
    assert b.prediction.shape == (*a.prediction.shape, 1, 1)
    same(a.prediction, b.prediction[..., 0, 0])
    same(a.loss, b.loss)
    same(a.anomaly, b.anomaly)
    weights = one.state_dict()
    for name, value in plain.state_dict().items():
        same(value, weights[name])
    assert plain.dispatches == one.dispatches


def test_one_position_costs_no_call_more():
    plain, one = (
        dh.Model(chain(), shape, device="numpy", optimizer=dh.SGD(0.1)).session.plan for shape in [(2,), (2, 1, 1)]
    )
    assert [c.name for c in plain.forward + plain.learn] == [c.name for c in one.forward + one.learn]
    shapes = [[(t.name, t.shape, t.storage) for t in plan.tensors.values()] for plan in (plain, one)]
    assert shapes[0] == shapes[1]


# A map of X positions is X streams whose gradients add up


def expected(context, columns):
    """A network that expects the columns, which a pooler of the first input gives, in the context of the second."""
    expectation = dh.Expectation(11, 5, std=0.5, bias=-2.0, floor=0.0)
    return dh.Network([columns, context], expectation(dh.RunningNorm()(dh.Linear(9)(context))))


def evident(context, columns):
    z = dh.Expectation(13, 3, std=1.0, bias=-1.0)(dh.Linear(7)(context), of=dh.SpatialPooler(13, 4)(columns))
    return dh.Network([columns, context], dh.Evidence()(z))


def fed_back(context, columns):
    """Feedback, sums, things side by side, further contexts, traces and a clock."""
    top = dh.TemporalMemory(2, **FEW)
    seen = dh.Add()([dh.ReLU()(dh.Linear(6)(columns)), dh.Linear(6)(dh.previous(top))])
    cells = dh.TemporalMemory(2, **FEW)(dh.SpatialPooler(13, 3)(seen),
                                        context=[dh.previous(top), dh.Linear(4)(context), seen])
    held = dh.every(dh.Concat()([dh.Trace(0.8)(cells), context]), 3, gather="sum")
    above = top(dh.SpatialPooler(11, 2)(dh.RunningNorm()(held)))
    return dh.Network([columns, context], dh.Linear(3)(above) + dh.Linear(3)(cells))


def gated(context, columns):
    """Each position goes by a clock of its own."""
    gate = dh.Linear(1, init_std=1.0)(context)
    word = dh.when(gate, dh.Linear(8)(columns))
    cells = dh.TemporalMemory(2, **FEW)(dh.SpatialPooler(11, 3)(word))
    return dh.Network([columns, context], dh.Linear(3)(dh.when(dh.Surprise()(cells), cells)) + dh.Linear(3)(columns))


def two_in(build):
    """build(context, columns) -> a function of the positions' shape, () or (H, W)."""
    def make(positions):
        columns, context = dh.Input((3, *positions)), dh.Input((4, *positions))
        return build(context, columns)
    return make


def memory(outputs, window, synapses=None):
    def make(positions):
        x = node = dh.Input((3, *positions))
        for layer in chain(outputs, window, synapses).layers:
            node = layer(node)
        return dh.Network(x, node)
    return make


ALIKE = {
    "memory": (memory(3, 1), "mse", lambda: dh.SGD(RATE)),
    "memory, window 4": (memory(3, 4), "mse", lambda: dh.Adam(RATE)),
    "memory, window 3, symbols": (memory(5, 3), "cross_entropy", lambda: dh.SGD(RATE, momentum=0.5)),
    "memory, synapses, RMSprop": (memory(3, 2, 23), "bce", lambda: dh.RMSprop(RATE)),
    "Expectation": (two_in(expected), "bce", lambda: dh.SGD(RATE)),
    "Expectation, Adam": (two_in(expected), "bce", lambda: dh.Adam(RATE)),
    "Evidence": (two_in(evident), "mse", lambda: dh.SGD(RATE)),
    "feedback": (two_in(fed_back), "mse", lambda: dh.SGD(RATE)),
    "feedback, Adam": (two_in(fed_back), "mse", lambda: dh.AdamW(RATE, 0.01)),
    "a clock each": (two_in(gated), "mse", lambda: dh.SGD(RATE)),
}


def rows_of(plan, rng, steps, streams, positions, loss):
    """The same rows for maps (T, S, D*X), and for streams (T, S*X, D)."""
    X = int(np.prod(positions))

    def series(total, target):
        D = total // X
        x = rng.normal(size=(steps, streams, X, D))
        if target and loss == "cross_entropy":
            x = np.eye(D)[rng.integers(D, size=(steps, streams, X))]
        elif target and loss == "bce":
            x = rng.random(size=(steps, streams, X, D))
        return np.swapaxes(x, 2, 3).reshape(steps, streams, -1), x.reshape(steps, streams * X, D)

    inputs, targets = [series(t.size, False) for t in plan.inputs], [series(t.size, True) for t in plan.targets]
    return [_batch([x[k] for x in inputs], [y[k] for y in targets]) for k in (0, 1)]


def _batch(inputs, targets):
    steps, streams = inputs[0].shape[:2]
    share = np.full((steps, streams, 1), 1 / streams) if streams > 1 else None  # `shares` rounds to float32
    return Batch(GIVEN, inputs, targets, np.full(steps, RATE), np.arange(steps), first=0, share=share)


@pytest.mark.parametrize("streams", [1, 2])
@pytest.mark.parametrize("name", ALIKE)
def test_positions_equal_streams(name, streams):
    """In float64, with all that positions have of their own: winners, contexts, rings, clocks, surprise."""
    make, loss, optimizer = ALIKE[name]
    steps, H, W = 20, 2, 3
    maps = put_on_numpy(make((H, W)), [loss], optimizer(), streams, seed=1)
    wide = put_on_numpy(make(()), [loss], optimizer(), streams * H * W, seed=1)
    rows = rows_of(maps.plan, np.random.default_rng(2), steps, streams, (H, W), loss)
    a, b = maps.run(rows[0]), wide.run(rows[1])
    made = np.swapaxes(a.predictions[0].reshape(steps, streams, -1, H * W), 2, 3).reshape(b.predictions[0].shape)
    assert_close("prediction", made, b.predictions[0], 1e-5)  # what is reported is float32
    assert_close("loss", a.losses[0], b.losses[0].reshape(steps, streams, -1).sum(axis=2), 1e-5)
    if maps.plan.anomaly:
        assert_close("anomaly", a.anomaly, b.anomaly.reshape(steps, streams, -1).mean(axis=2), 1e-5)
    for t in maps.plan.tensors.values():
        if t.parameter:
            assert_close(t.name, maps.read(t.name), wide.read(t.name), 1e-9)


@pytest.mark.parametrize("name", ["memory, window 4", "memory, window 3, symbols"])
def test_positions_equal_streams_on_the_gpu(adapter, name):
    from deephtm_gpu.backends.wgpu.backend import GpuBackend
    from deephtm_gpu.plan.lowering import lower

    make, loss, optimizer = ALIKE[name]
    plans = [lower(make(positions), [loss], optimizer(), streams, 1, 0)[0]
             for positions, streams in [((2, 3), 1), ((), 6)]]
    rows = rows_of(plans[0], np.random.default_rng(2), 15, 1, (2, 3), loss)
    maps, wide = (GpuBackend(plan, adapter) for plan in plans)
    a, b = maps.run(rows[0]), wide.run(rows[1])
    assert_close("prediction", np.swapaxes(a.predictions[0].reshape(15, -1, 6), 1, 2), b.predictions[0], 1e-4)
    for t in plans[0].tensors.values():
        if t.parameter:
            assert_close(t.name, maps.read(t.name), wide.read(t.name), 1e-3)


@pytest.mark.parametrize("positions", [(1, 5), (7, 1), (2, 2), (3, 5), (1, 257)])
def test_awkward_shapes(adapter, positions):
    """The GPU gives what the reference gives, in one dispatch and in several with workgroups for each position."""
    from deephtm_gpu.backends.wgpu.backend import GpuBackend
    from deephtm_gpu.plan.lowering import lower

    plan, _ = lower(memory(3, 2)(positions), ["mse"], dh.Adam(RATE), 1, 1, 0)
    oracle = put_on_numpy(memory(3, 2)(positions), ["mse"], dh.Adam(RATE), seed=1)
    steps = 4 if positions == (1, 257) else 12
    rows, _ = rows_of(plan, np.random.default_rng(2), steps, 1, positions, "mse")
    want = oracle.run(rows)
    for persistent in (False, True) if positions in ((3, 5), (1, 257)) else (False,):
        got = GpuBackend(plan, adapter, persistent=persistent).run(rows)
        assert_close("prediction", got.predictions[0], want.predictions[0], 1e-4)
        assert_close("anomaly", got.anomaly, want.anomaly, 1e-4)


# Gradients, against central differences


def maps_and_vectors():
    """A map becomes a vector; a vector is seen at all positions; layers stand at many positions, and twice; feedback of
    a map."""
    x, z = dh.Input((3, 2, 3)), dh.Input((4,))
    encoder, pooler, again, seer = dh.Linear(5), dh.SpatialPooler(9, 3), dh.Linear(4), dh.Linear(6)
    hidden = dh.RunningNorm()(dh.ReLU()(encoder(x)))
    columns = pooler(hidden)
    cells = dh.TemporalMemory(2)(columns, context=[seer(z), again(hidden), dh.previous(columns)])
    both = dh.Concat()([dh.ReLU()(again(dh.Linear(5)(cells))), hidden])
    expected = dh.Expectation(9, 3, std=0.5, bias=-1.0, floor=0.0, lr_scale=1.0)(seer(z), of=columns)
    vector = dh.Concat()([dh.Linear(3)(dh.Flatten()(both)), dh.Linear(2)(dh.Flatten()(dh.Evidence()(expected)))])
    y = dh.Linear(2)(both) + dh.Linear(2)(dh.Trace(0.5)(cells))
    return dh.Network([x, z], [vector, y]), ["mse", "mse"], [encoder, pooler]


def clocks_of_positions():
    x, gate = dh.Input((3, 2, 2)), dh.Input((1, 2, 2))
    encoder, pooler = dh.Linear(5), dh.SpatialPooler(9, 3)
    word = dh.when(gate, encoder(x), gather="sum")
    cells = dh.TemporalMemory(2, synapses=11)(pooler(word))
    return dh.Network([x, gate], dh.Linear(2)(dh.every(cells, 2)) + dh.Linear(2)(cells)), ["mse"], [encoder, pooler]


@pytest.mark.parametrize("streams", [1, 2])
@pytest.mark.parametrize("network", [maps_and_vectors, clocks_of_positions])
def test_weights_that_stand_at_many_positions(monkeypatch, network, streams):
    monkeypatch.setitem(test_gradients.NETWORKS, "maps", network)
    test_gradients.test_network("maps", streams)


@DEVICES
def test_a_polyak_step_is_by_the_gradient_of_all_positions(adapter, device):
    """kappa = |dy|^2 / |gradient summed over positions|^2."""
    model = dh.Model(dh.Sequential(dh.Linear(2, lr_scale=1.0)), (3, 2, 2), optimizer=dh.PolyakSGD(0.5), device=device)
    x, y = noise(1, 3, 2, 2), noise(1, 2, 2, 2, seed=1)
    before = model.state_dict()
    made = model.fit(x, y).prediction
    dy = (made - y).reshape(2, 4)
    gradient, bias = dy @ x.reshape(3, 4).T, dy.sum(axis=1)
    kappa = 0.5 * (dy ** 2).sum() / ((gradient ** 2).sum() + (bias ** 2).sum())
    assert_close("weight", model.state_dict()["0.weight"], before["0.weight"] - kappa * gradient)
    assert_close("bias", model.state_dict()["0.bias"], before["0.bias"] - kappa * bias)


# What users see


@DEVICES
def test_state_and_observe_have_the_positions_last(adapter, device):
    model = dh.Model(chain(), (2, 3, 4), optimizer=dh.SGD(0.02), device=device)
    model.observe()
    history = model.fit(noise(5, 2, 3, 4, seed=1))
    assert history.prediction.shape == (5, 2, 3, 4) and history.anomaly.shape == (5,) and history.loss.shape == (5,)
    state, seen = model.state(), history.observed
    shapes = {layer: {what: array.shape for what, array in found.items()} for layer, found in state.items()}
    assert shapes == {"3": {"winners": (3, 3, 4), "activity": (24, 3, 4)},
                      "4": {"cells": (24, 3, 3, 4), "predictive": (24, 3, 3, 4), "predicted": (24, 3, 4)}}
    assert seen["3"]["winners"].shape == (5, 3, 3, 4)
    assert seen["4"]["cells"].shape == (5, 3, 3, 3, 4) and seen["4"]["predicted"].shape == (5, 3, 3, 4)
    same(seen["3"]["winners"][-1], state["3"]["winners"])
    there = np.take_along_axis(state["4"]["cells"], state["3"]["winners"][:, None], axis=0)  # (K, M, H, W)
    same(there, seen["4"]["cells"][-1])
    assert model.layers()[4].output_shape == (24, 3, 3, 4) and "24 × 3 × 4" in model.summary()


@DEVICES
def test_reset_begins_anew_at_every_position(adapter, device):
    model = dh.Model(chain(), (2, 2, 3), optimizer=dh.SGD(1e-30), device=device)
    series, mean = noise(12, 2, 2, 3), model.state_dict()
    first = model.predict(series)
    model.fit(noise(7, 2, 2, 3, seed=1))
    model.load_state_dict(mean)  # of the norm, which moves
    assert not np.array_equal(model.predict(series), first)
    model.reset()
    same(model.predict(series), first)


def test_streams_stand_in_front():
    model = dh.Model(chain(), (2, 3, 4), optimizer=dh.SGD(0.02), device="numpy", streams=2)
    series = noise(10, 2, 2, 3, 4)
    history = model.fit(series, mask=np.arange(10)[:, None] < [10, 6])
    assert history.prediction.shape == (10, 2, 2, 3, 4) and np.isnan(history.prediction[6:, 1]).all()
    assert model.state()["3"]["winners"].shape == (2, 3, 3, 4)


@DEVICES
def test_saved_in_the_middle_of_a_window_it_goes_on_to_the_bit(adapter, device, tmp_path):
    model = dh.Model(chain(window=5), (2, 2, 3), optimizer=dh.Adam(0.003), device=device, streams=2)
    series = noise(30, 2, 2, 2, 3)
    model.fit(series[:13])
    model.save(tmp_path / "m")
    loaded = dh.load(tmp_path / "m", device=device)
    a, b = model.fit(series[13:]), loaded.fit(series[13:])
    same(a.prediction, b.prediction)
    same(a.anomaly, b.anomaly)
    for name, value in model.state_dict().items():
        same(value, loaded.state_dict()[name])


def test_a_file_goes_from_one_device_to_another(adapter, tmp_path):
    model = dh.Model(chain(window=3), (2, 2, 3), optimizer=dh.SGD(0.02), device="gpu")
    series = noise(30, 2, 2, 3)
    model.fit(series[:13])
    model.save(tmp_path / "m")
    assert_close("prediction", dh.load(tmp_path / "m", device="numpy").fit(series[13:]).prediction,
                 model.fit(series[13:]).prediction, 1e-3)


def test_in_a_file_of_before_maps_three_dimensions_are_a_vector(tmp_path):
    vector = dh.Model(chain(12, hidden=8), (12,), optimizer=dh.SGD(0.02), device="numpy")
    vector.save(tmp_path / "vector")
    description, arrays = read_container(tmp_path / "vector")
    node = description["network"]["nodes"][0]
    del node["map"]
    node["arguments"]["shape"] = [3, 2, 2]
    write_container(tmp_path / "old", description, arrays)
    old = dh.load(tmp_path / "old", device="numpy")
    series = noise(20, 12)
    made = old.fit(series.reshape(20, 3, 2, 2))
    same(made.prediction.reshape(20, 12), vector.fit(series).prediction)
    old.save(tmp_path / "again")
    assert dh.load(tmp_path / "again", device="numpy").state_dict()["0.weight"].shape == (8, 12)


@DEVICES
def test_a_population_of_maps_is_single_models(adapter, device):
    series = noise(3, 20, 2, 2, 3)
    many = dh.Population(chain(window=3), 3, (2, 2, 3), optimizer=dh.Adam(0.003), device=device, seed=5)
    made = many.fit(series)
    for p in range(3):
        one = dh.Model(chain(window=3), (2, 2, 3), optimizer=dh.Adam(0.003), device=device, seed=5 + p)
        same(one.fit(series[p]).prediction, made.prediction[p])
        same(one.state_dict()["4.distal_weight"], many.state_dict()["4.distal_weight"][p])
        same(one.state()["4"]["cells"], many.state()["4"]["cells"][p])
    alone, rest = many.model(1), noise(8, 2, 2, 3, seed=2)
    same(alone.fit(rest).prediction, many.fit(np.stack([rest] * 3)).prediction[1])


def test_flatten_gives_channels_height_width_in_order():
    x = dh.Input((2, 2, 3))
    model = dh.Model(dh.Network(x, dh.Flatten()(x)), device="numpy", optimizer=dh.SGD(0.1))
    series = np.arange(12, dtype=np.float32).reshape(1, 2, 2, 3)
    same(model.predict(series).reshape(-1), np.arange(12))
    assert model.layers()[0].output_shape == (12,)
    model = dh.Model(dh.Sequential(dh.Linear(4), dh.ReLU(), dh.Flatten(), dh.Linear(5)), (2, 2, 3), device="numpy",
                     optimizer=dh.SGD(0.1))
    assert model.state_dict()["3.weight"].shape == (5, 24)
    plain = dh.Model(dh.Sequential(dh.Flatten(), dh.Linear(3)), (3,), device="numpy", optimizer=dh.SGD(0.1))
    assert plain.fit(noise(4, 3)).prediction.shape == (4, 3)


def test_a_vector_may_predict_a_map():
    model = dh.Model(dh.Sequential(dh.Linear(4), dh.Flatten(), dh.Linear(12)), (2, 2, 3), device="numpy",
                     optimizer=dh.SGD(0.05))
    history = model.fit(np.repeat(noise(1, 2, 2, 3), 300, axis=0))
    assert history.prediction.shape == (300, 2, 2, 3) and history.loss[-2] < 1e-3 * history.loss[0]
    assert model.rollout(3).shape == (3, 2, 2, 3)


def test_classes_of_positions():
    model = dh.Model(chain(4), (2, 2, 3), loss="cross_entropy", optimizer=dh.SGD(0.05), device="numpy")
    twin = dh.Model(chain(4), (2, 2, 3), loss="cross_entropy", optimizer=dh.SGD(0.05), device="numpy")
    classes = np.random.default_rng(0).integers(4, size=(10, 2, 3))
    one_hot = np.moveaxis(np.eye(4)[classes], -1, 1)
    a, b = model.fit(noise(10, 2, 2, 3), classes), twin.fit(noise(10, 2, 2, 3), one_hot)
    same(a.prediction, b.prediction)
    assert_close("sum over classes", a.prediction.sum(axis=1), np.ones((10, 2, 3)))
    with pytest.raises(dh.UserError, match="no distribution"):
        model.fit(noise(10, 2, 2, 3), one_hot * [[1, 1, 1], [1, 1, 0]])


@pytest.mark.parametrize("outputs", [((2, 3), (3, 2)), ((2, 3), ())], ids=["another map", "a vector"])
def test_a_memory_elsewhere_reads_the_mean_surprise(outputs):
    """By the positions of the first output that classifies."""
    first, other = outputs
    x, z = dh.Input((4, *first)), dh.Input((3, *other))
    cells = dh.TemporalMemory(2)(dh.SpatialPooler(11, 3)(z))
    model = dh.Model(dh.Network([x, z], [dh.Linear(4)(x), dh.Linear(3)(cells)]), loss=["cross_entropy", "mse"],
                     optimizer=dh.SGD(0.1), device="numpy")
    classes = np.random.default_rng(0).integers(4, size=(9, *first))
    model.fit([np.moveaxis(np.eye(4)[classes], -1, 1), noise(9, 3, *other)])
    surprise = model.session.backend.read("surprise")
    assert surprise.shape == (6, 1)
    (slow,) = (n for n in model.session.plan.tensors if n.endswith(".slow"))
    (mean,) = (n for n in model.session.plan.tensors if n.endswith(".surprise_mean"))
    assert model.session.backend.read(slow).any()
    kept = model.session.backend.read(mean, (9 - 1) % model.session.plan.slots)
    assert_close("mean surprise", kept, surprise.mean(axis=0, keepdims=True))


# What does not fit


@pytest.mark.parametrize("build, words", [
    (lambda: dh.Concat()([dh.Input((2, 3, 4)), dh.Input((5,))]), ["Concat", "a map of 3×4", "a vector", "Flatten"]),
    (lambda: dh.Input((2, 3, 4)) + dh.Input((2, 4, 3)), ["Add", "3×4", "4×3"]),
    (lambda: dh.Input((2, 1, 1)) + dh.Input((2,)), ["Add", "a map of 1×1", "a vector"]),
    (lambda: dh.Linear(2)(dh.Linear(3)(dh.Input((2, 3, 4))) + dh.Linear(3)(dh.Input((2, 4, 4)))), ["3×4", "4×4"]),
    (lambda: dh.TemporalMemory(2)(dh.SpatialPooler(5, 2)(dh.Input((2, 3, 4))), context=dh.Input((2, 3, 3))),
     ["TemporalMemory", "3×4", "3×3"]),
    (lambda: dh.TemporalMemory(2)(dh.SpatialPooler(5, 2)(dh.Input((2,))), context=dh.Input((2, 3, 3))),
     ["a vector", "3×3", "Flatten"]),
    (lambda: dh.TemporalMemory(2)(dh.Linear(4)(dh.Input((2, 3, 4)))), ["SpatialPooler", "4 at 3×4 positions"]),
    (lambda: dh.SpatialPooler(5, 5)(dh.Input((2, 3, 4))), ["SpatialPooler", "winners"]),
    (lambda: dh.when(dh.Input((1, 3, 4)), dh.Input((5,))), ["When", "3×4", "a vector"]),
    (lambda: dh.when(dh.Input((2, 3, 4)), dh.Input((5, 3, 4))), ["gate", "2 numbers"]),
    (lambda: dh.Flatten()(dh.when(dh.Input((1, 3, 4)), dh.Input((5, 3, 4)))), ["Flatten", "clock", "12 positions"]),
])
def test_what_does_not_fit_is_refused(build, words):
    def inputs_of(node, found):
        for before in node.inputs + node.contexts:
            inputs_of(before, found)
        if type(node.layer).__name__ == "Input" and node not in found:
            found.append(node)
        return found

    with pytest.raises(dh.UserError) as error:
        node = build()
        net = dh.Network(inputs_of(node, []), node)
        dh.Model(net, optimizer=dh.SGD(0.1), device="numpy")
    assert all(word in str(error.value) for word in words), str(error.value)


def test_the_order_of_a_series_is_named():
    model = dh.Model(chain(), (2, 3, 4), optimizer=dh.SGD(0.1), device="numpy")
    with pytest.raises(dh.UserError, match=r"\(steps, 2, 3, 4\): channels come first; np.moveaxis\(inputs, -1, 1\)"):
        model.fit(noise(10, 3, 4, 2))
    with pytest.raises(dh.UserError, match=r"\(steps, 2, 3, 4\)\."):
        model.fit(noise(10, 24))


def test_an_output_must_be_the_map_it_predicts():
    x = dh.Input((2, 2, 3))
    z = dh.Input((2, 3, 2))
    with pytest.raises(dh.UserError, match=r"\(2, 2, 3\).*\(2, 3, 2\)"):
        dh.Model(dh.Network([x, z], dh.Linear(2)(z)), optimizer=dh.SGD(0.1), device="numpy").fit(
            [noise(4, 2, 2, 3), noise(4, 2, 3, 2)])
