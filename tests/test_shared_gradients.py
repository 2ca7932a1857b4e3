"""Layers that are called several times: their weights make one step of the optimiser, along the sum of the calls'
gradients."""

from dataclasses import replace
from functools import partial

import numpy as np
import pytest
from conftest import assert_close, central_difference, one_row, put_on_numpy, some_entries
from test_gradients import loss_of
from test_optimisers import OPTIMISERS

import deephtm_gpu as dh
from deephtm_gpu.backends.batch import shares
from deephtm_gpu.plan.lowering import lower
from deephtm_gpu.plan.plan import Program
from deephtm_gpu.plan.tensors import GRADIENT

RNG = np.random.default_rng


# Networks in which a layer stands twice, or (share=False) two layers alike. All rates are 1, but where the test is
# about rates.


def pair(share, make):
    layer = make()
    return layer, layer if share else make()


def linears(share):
    x, z = dh.Input((3,)), dh.Input((3,))
    a, b = pair(share, lambda: dh.Linear(5))
    return dh.Network([x, z], dh.Linear(3)(dh.Concat()([dh.ReLU()(a(x)), dh.ReLU()(b(z))])))


def columns(share, **memory):
    """Two senses behind poolers, with a memory or without one each."""
    x, z = dh.Input((3,)), dh.Input((3,))
    a, b = pair(share == "pooler", lambda: dh.SpatialPooler(11, 3, lr_scale=1.0))
    cols = [p(dh.Linear(6, lr_scale=1.0)(sense)) for p, sense in ((a, x), (b, z))]
    if memory:
        window = memory.get("window", 1)
        a, b = pair(share == "memory", lambda: dh.TemporalMemory(2, **memory))
        # In a window, credit for contexts is not the exact gradient.
        beside = dh.Linear(4, lr_scale=1.0)(z) if window == 1 else z
        cols = [m(c, context=[dh.previous(c), beside]) for m, c in zip((a, b), cols)]
    a, b = pair(share == "reader", lambda: dh.Linear(4))
    return dh.Network([x, z], a(cols[0]) + b(cols[1]))


def expectations(share):
    """One looks at all columns, the other at the winners alone: rows of the same matrix."""
    x, z = dh.Input((3,)), dh.Input((4,))
    a, b = pair(share, lambda: dh.Expectation(7, 3, std=0.6, bias=-1.0, floor=0.0))
    winners = dh.SpatialPooler(7, 2)(x)
    evidence = dh.Evidence()(b(dh.Linear(5)(z), of=winners))
    return dh.Network([x, z], [a(dh.Linear(5)(z)), evidence])


def grids(share):
    x, z = dh.Input((2,)), dh.Input((2,))
    a, b = pair(share, lambda: dh.GridCells(2, 3, learn=True, lr_scale=1.0, init_std=0.3))
    return dh.Network([x, z], dh.Linear(3)(a(x)) + dh.Linear(3)(b(dh.Linear(2)(z))))


SHARED = {
    "linear": linears, "pooler": columns, "reader": columns, "sparse linear": partial(columns, slow=False),
    "memory": partial(columns, init_std=0.7), "quick memory": partial(columns, slow=False),
    "window": partial(columns, slow=False, window=4), "sample": partial(columns, slow=False, synapses=17),
    "sample, window": partial(columns, slow=False, synapses=17, window=3), "expectation": expectations,
    "grid cells": grids,
}
WHAT = {"sparse linear": "reader", **dict.fromkeys(("quick memory", "window", "sample", "sample, window"), "memory")}


def network(name, share=True):
    return SHARED[name](WHAT.get(name, name) if share else False)


def settled(net, optimizer, streams, steps=7):
    """A backend in which contexts have filled and all weights are drawn, the losses, and the function that draws a
    row."""
    rng, losses = RNG(5), ["mse"] * len(net.outputs)
    backend = put_on_numpy(net, losses, optimizer, streams)
    for t in backend.plan.tensors.values():
        if t.learned:
            value = backend.read(t.name)
            backend.write(t.name, value + 0.2 * rng.normal(size=value.shape))

    def row():
        tensors = (backend.plan.inputs, backend.plan.targets)
        return tuple([rng.normal(size=(streams, t.size)) for t in some] for some in tensors)

    for step in range(steps):
        backend.run(one_row(*row(), step, rate=0.0))
    return backend, losses, row


def learned(backend):
    moved = dict.fromkeys(t for c in backend.plan.learn for t in c.written if t.learned)
    return {t.name: backend.read(t.name) for t in moved}


def gradients_of(plan):
    return plan.stored_in(GRADIENT)


# The gradient of a step


@pytest.mark.parametrize("streams", [1, 3])
@pytest.mark.parametrize("name", [n for n in SHARED if "window" not in n])
def test_a_step_goes_along_the_gradient_of_the_loss(name, streams):
    last = 0 if name == "grid cells" else 7  # their gradient is that of the whole path: of one step, here
    backend, losses, row = settled(network(name), dh.SGD(1.0), streams, last)
    assert gradients_of(backend.plan), "nothing is shared"
    inputs, targets = row()
    start, before = backend.snapshot(), learned(backend)
    backend.run(one_row(inputs, targets, last))
    changes = {n: value - before[n] for n, value in learned(backend).items()}

    def loss_with(parameter, value):
        backend.restore(start)
        backend.write(parameter, value)
        backend.run(one_row(inputs, targets, last, learn=False))
        return loss_of(backend, losses, targets, last)

    rng = RNG(0)
    for n, value in before.items():
        places = some_entries(rng, value, changes[n])
        gradient = central_difference(lambda: loss_with(n, value), value, places, h=1e-5)
        assert np.abs(gradient).max() > 1e-6, f"{n}: no gradient arrives"
        assert_close(n, changes[n].reshape(-1)[places], -gradient)


def twins(name, streams):
    """Backends of the network with one layer that is shared, and with two of the same weights; and for each name of a
    weight of the second, that of the first which it stands for."""
    one, _, row = settled(network(name), dh.SGD(1.0), streams, steps=0)
    two = put_on_numpy(network(name, share=False), ["mse"] * len(one.plan.targets), dh.SGD(1.0), streams)
    layers = [{t.name.split(".")[0] for t in b.plan.tensors.values() if t.parameter} for b in (one, two)]
    (second,), (shared,) = layers[1] - layers[0], {t.name.split(".")[0] for t in gradients_of(one.plan)}
    names = [t.name for t in two.plan.tensors.values() if t.parameter]
    of = {n: shared + n.removeprefix(second) if n.startswith(second + ".") else n for n in names}
    for n, first in of.items():
        two.write(n, one.read(first))
    return one, two, of, row


def changes_of(backend, row):
    before = learned(backend)
    backend.run(row)
    return {n: value - before[n] for n, value in learned(backend).items()}


@pytest.mark.parametrize("streams", [1, 3])
@pytest.mark.parametrize("name", [n for n in SHARED if n != "memory"])  # its head's part is in its surprise
def test_a_shared_weight_changes_by_the_sum_of_what_two_of_their_own_would(name, streams):
    """Also by what a window defers, which is not the gradient of one step's loss, and in the turns in which its ring
    runs empty."""
    one, two, of, row = twins(name, streams)
    last, T = 8, one.plan.window
    for step in range(last + T):
        rate = float(step >= last)
        now = one_row(*row(), step, rate=rate)
        if step > last:
            now = replace(now, program=Program(teach=True, flush=True), inputs=[], targets=None)
        got, own = (changes_of(backend, now) for backend in (one, two))
        want = dict.fromkeys(got, 0.0)
        for n, change in own.items():
            want[of[n]] = want[of[n]] + change
        for n in got if rate else ():
            assert_close(f"{n} in step {step}", got[n], want[n], 1e-9)
            if step == last or "distal" in n:
                assert got[n].any(), f"{n} does not move in step {step}"



# The step of the optimiser


def by_hand(name, weight, bias, inputs, targets, clip=None):
    """y = W x + b + W z + b, taught in float64 by the formulas of the papers along the gradient of W and b."""
    theta = np.concatenate([weight, bias[:, None]], axis=1).astype(float)  # (2, 4)
    m, v = np.zeros_like(theta), np.zeros_like(theta)
    lr = {"SGD": 0.05, "momentum": 0.02, "RMSprop": 0.003, "Adam": 0.003, "AdamW": 0.003, "PolyakSGD": 0.5}[name]
    for k, (x, z, y) in enumerate(zip(*inputs.astype(float), targets.astype(float))):
        both = np.append(x + z, 2)
        error = theta @ both - y
        g = np.outer(error, both)
        kappa = error @ error / ((g * g).sum() + 1e-12) if name == "PolyakSGD" else 1.0
        g *= kappa * min(1, clip / np.linalg.norm(g)) if clip else kappa
        if name == "AdamW":
            theta -= lr * 0.1 * theta
        if name in ("SGD", "PolyakSGD"):
            step = g
        elif name == "momentum":
            step = m = 0.9 * m + g
        elif name == "RMSprop":
            v = 0.99 * v + 0.01 * g * g
            step = g / (np.sqrt(v) + 1e-8)
        else:
            m, v = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g * g
            step = m / (1 - 0.9 ** (k + 1)) / (np.sqrt(v / (1 - 0.999 ** (k + 1))) + 1e-8)
        theta -= lr * step
    return theta


def twice(optimizer, device="numpy", **more):
    x, z, layer = dh.Input((3,)), dh.Input((3,)), dh.Linear(2)
    return dh.Model(dh.Network([x, z], layer(x) + layer(z)), optimizer=optimizer, device=device, **more)


def noise(*shape, seed=0):
    return RNG(seed).normal(size=shape).astype(np.float32)


@pytest.mark.parametrize("device", ["numpy", "cpu", "gpu"])
@pytest.mark.parametrize("clip", [None, 0.7])
@pytest.mark.parametrize("name", OPTIMISERS)
def test_a_layer_that_is_called_twice_learns_as_the_papers_say(adapter, name, clip, device):
    model = twice(OPTIMISERS[name](clip_norm=clip), device)
    inputs, targets, start = noise(2, 30, 3), noise(30, 2, seed=1), model.state_dict()
    model.fit(list(inputs), targets)
    now = model.state_dict()
    want = by_hand(name, start["0.weight"], start["0.bias"], inputs, targets, clip)
    assert_close("weight and bias", np.concatenate([now["0.weight"], now["0.bias"][:, None]], axis=1), want, 2e-4)


@pytest.mark.parametrize("device", ["numpy", "cpu", "gpu"])
def test_the_first_step_of_adam_is_as_long_as_its_rate(adapter, device):
    """Of what a step touches, however often: here rows and synapses are sparse."""
    x, z, reader = dh.Input((3,)), dh.Input((3,)), dh.Linear(4)
    pooler, memory = dh.SpatialPooler(17, 3, lr_scale=1.0), dh.TemporalMemory(2)
    net = dh.Network([x, z], reader(memory(pooler(x), context=z)) + reader(memory(pooler(z), context=x)))
    model = dh.Model(net, optimizer=dh.Adam(0.01), device=device)
    start = model.state_dict()
    model.fit(list(noise(2, 1, 3, seed=1)), noise(1, 4, seed=2))
    for name, value in model.state_dict().items():
        if "predicted" not in name:
            moved = np.abs(value - start[name])
            assert 0 < np.count_nonzero(moved)
            assert_close(name, moved[moved != 0], np.full(np.count_nonzero(moved), 0.01), 2e-2)


def gradients_by_stream(name, streams):
    """What each stream's gradient is, by the step that plain descent makes while the others teach nothing; each
    stream's squared error; and the row."""
    gradients = []
    for s in range(streams):
        backend, _, row = settled(network(name), dh.SGD(1.0), streams)
        inputs, targets = row()
        now = one_row(inputs, targets, 7)
        if streams > 1:
            now.share = shares(np.arange(streams)[None] == s)
        gradients.append({n: -change for n, change in changes_of(backend, now).items()})
    said = [backend.read(f"prediction{j}", 7 % backend.plan.slots) for j in range(len(targets))]
    errors = sum(((y - target) ** 2).sum(axis=1) for y, target in zip(said, targets))
    return gradients, errors, one_row(inputs, targets, 7)


@pytest.mark.parametrize("streams", [1, 3])
@pytest.mark.parametrize("name", [n for n in SHARED if "window" not in n])
def test_polyak_and_clipping_know_the_norm_of_the_summed_gradient(name, streams):
    gradients, errors, row = gradients_by_stream(name, streams)
    norms = np.sqrt([sum((g**2).sum() for g in of_stream.values()) for of_stream in gradients])
    longest = norms.mean() * (1.0 if streams > 1 else 0.5)
    for optimizer, factors in ((dh.PolyakSGD(), errors / (norms**2 + 1e-12) / streams),
                               (dh.SGD(1.0, clip_norm=longest), np.minimum(1, longest / norms))):
        backend, *_ = settled(network(name), optimizer, streams)
        for n, change in changes_of(backend, row).items():
            want = -sum(f * of_stream[n] for f, of_stream in zip(factors, gradients))
            assert_close(f"{n} under {type(optimizer).__name__}", change, want)


@pytest.mark.parametrize("name", ["SGD", "momentum", "Adam", "PolyakSGD"])
def test_copies_of_a_stream_learn_what_one_does(name):
    S, series = 3, noise(2, 30, 3)
    rates = {"SGD": lambda n: dh.SGD(0.03 / n), "momentum": lambda n: dh.SGD(0.03 / n, momentum=0.5),
             "Adam": lambda n: dh.Adam(0.003), "PolyakSGD": lambda n: dh.PolyakSGD(0.2)}[name]
    one = dh.Model(everything(), optimizer=rates(1), device="numpy")
    three = dh.Model(everything(), optimizer=rates(S), device="numpy", streams=S)
    a = one.fit(list(series)).prediction
    b = three.fit(list(np.repeat(series[:, :, None], S, axis=2))).prediction
    for first, copies in zip(a, b):
        assert np.array_equal(copies[:, 0], copies[:, 1]) and np.array_equal(copies[:, 0], copies[:, 2])
        assert np.abs(first - copies[:, 0]).max() <= 1e-3 * np.abs(first).max()


def everything():
    """An encoder, a pooler, a memory with a window and a reader, each called twice."""
    x, z = dh.Input((3,)), dh.Input((3,))
    encoder, pooler, reader = dh.Linear(9), dh.SpatialPooler(23, 3), dh.Linear(3)
    memory = dh.TemporalMemory(3, window=3)
    cells = [memory(pooler(dh.RunningNorm()(encoder(sense)))) for sense in (x, z)]
    return dh.Network([x, z], [reader(cell) for cell in cells])


# Where no gradient is materialised, and what stands where one is


def steps(net, optimizer=None, streams=1):
    """The calls that make and step along gradients, in their order."""
    plan, _ = lower(net, ["mse"] * len(net.outputs), optimizer or dh.SGD(0.1), streams, 0, 1)
    passes = ("_update", "_step", "_gradient", "_square")
    return [c.name for c in plan.learn if c.name.endswith(passes) and not c.name.startswith("keep")], plan


def test_a_layer_that_is_called_once_costs_what_it_did():
    """One pass for each weight, which steps at once, in the order of the flow; and no tensor more."""
    net = dh.Sequential(dh.Linear(9), dh.ReLU(), dh.SpatialPooler(11, 3), dh.TemporalMemory(2), dh.Linear(3))
    names, plan = steps(net.network((3,)), dh.PolyakSGD())
    assert names == ["vector_square", "outer_square", "ragged_square", "outer_square", "outer_square",
                     "vector_update", "outer_update", "entries_update", "rows_update", "synapse_update",
                     "vector_update", "rows_update"]
    assert not gradients_of(plan)


def test_a_call_that_no_gradient_reaches_is_no_use():
    """The second call is looked at one step later, where it is a constant."""
    x, z, layer = dh.Input((3,)), dh.Input((3,)), dh.Linear(3)
    names, plan = steps(dh.Network([x, z], layer(x) + dh.previous(layer(z))))
    assert names == ["vector_update", "outer_update"] and not gradients_of(plan)


def test_a_layer_that_is_called_twice_is_stepped_once():
    names, plan = steps(everything(), dh.PolyakSGD())
    assert sorted(n for n in names if n.endswith("_step")) == sorted(
        ["matrix_step", "vector_step", "rows_step", "entries_step", "synapse_step", "rows_step", "vector_step"])
    assert not any(n.endswith("_update") for n in names)
    assert sorted(t.name for t in gradients_of(plan) if not t.name.endswith("touched")) == sorted(
        t.name + ".gradient" for t in plan.tensors.values() if t.learned)


def test_gradients_are_0_after_every_step():
    """And where the window's ring has run empty. (On a GPU: `deephtm validate` looks.)"""
    model = dh.Model(everything(), optimizer=dh.Adam(0.01, clip_norm=1.0), streams=2, device="numpy")
    for part in (slice(0, 5), slice(5, 9)):
        model.fit(list(noise(2, 9, 2, 3)[:, part]))
        written = {t.name: model.session.backend.read(t.name) for t in gradients_of(model.session.plan)}
        assert len(written) == 11 and not any(value.any() for value in written.values())
    model.reset()
    assert not any(model.session.backend.read(n).any() for n in written)


def test_a_stream_that_has_ended_moves_nothing():
    """Two streams of which the second never ran, as one stream alone."""
    two, _, row = settled(everything(), dh.Adam(0.01), 2, steps=0)
    one, *_ = settled(everything(), dh.Adam(0.01), 1, steps=0)
    for step in range(8):
        inputs, targets = row()
        alone = one_row(inputs, targets, step, rate=0.01)
        alone.share = shares(np.array([[True, False]]))
        two.run(alone)
        one.run(one_row([x[:1] for x in inputs], [y[:1] for y in targets], step, rate=0.01))
    for n, value in learned(one).items():
        assert_close(n, two.read(n), value, 1e-9)
        if n + ".count" in one.plan.tensors:
            assert np.array_equal(two.read(n + ".count"), one.read(n + ".count")) and one.read(n + ".count").max() > 1


def test_calls_before_and_behind_the_pooler_move_slowly():
    """One parameter has one rate: that of the slowest of its calls."""
    x, layer = dh.Input((4,)), dh.Linear(4)
    net = dh.Network(x, layer(dh.Linear(4)(dh.SpatialPooler(9, 3)(layer(x)))))
    backend, losses, row = settled(net, dh.SGD(1.0), 1)
    inputs, targets = row()
    start, weight = backend.snapshot(), backend.read("0.weight")
    change = changes_of(backend, one_row(inputs, targets, 7))["0.weight"].reshape(-1)

    def loss():
        backend.restore(start)
        backend.write("0.weight", weight)
        backend.run(one_row(inputs, targets, 7, learn=False))
        return loss_of(backend, losses, targets, 7)

    assert_close("weight", change, -0.01 * central_difference(loss, weight, range(weight.size), h=1e-5))


@pytest.mark.parametrize("device", ["numpy", "cpu", "gpu"])
def test_each_model_of_a_population_adds_up_its_own(adapter, device):
    def net():
        layer = dh.Linear(3)
        return dh.Sequential(layer, dh.ReLU(), layer).network((3,))

    series = noise(3, 12, 3)  # (models, steps, D)
    reported = dh.Population(net(), 3, optimizer=dh.Adam(0.01), device=device).fit(series).prediction
    for p in range(3):
        alone = dh.Model(net(), optimizer=dh.Adam(0.01), seed=p, device=device)
        assert np.array_equal(reported[p], alone.fit(series[p]).prediction)
