"""The sensorimotor memory: its gradients, that a few exposures teach it, and that looking at winners alone changes
nothing."""

import numpy as np
import pytest
from conftest import assert_close, central_difference, one_row, put_on_numpy, some_entries

import deephtm_gpu as dh

SMALL = dict(std=0.3, bias=-1.0, floor=0.0)  # so that every cell learns something


def of_all(columns=11, cells=7, size=5, **kind):
    """Columns expected at a place, whose code is learned too."""
    place = dh.Input((size,))
    return dh.Network(place, dh.Expectation(columns, cells, **kind)(dh.Linear(9)(place)))


def of_winners(columns=11, cells=7, size=5, evidence=True, **kind):
    """How well what is felt fits the place."""
    feature, place = dh.Input((4,)), dh.Input((size,))
    z = dh.Expectation(columns, cells, **kind)(dh.Linear(9)(place), of=dh.SpatialPooler(columns, 3)(feature))
    return dh.Network([feature, place], dh.Evidence()(z) if evidence else z)


def unit(rng, *shape):
    u = rng.normal(size=shape)
    return (u / np.linalg.norm(u, axis=-1, keepdims=True)).astype(np.float32)


# Gradients


def bce(p, t):
    return -(t * np.log(p) + (1 - t) * np.log(1 - p)).sum()


def squared(y, t):
    return 0.5 * ((y - t) ** 2).sum()


CASES = {"all columns": (of_all, "bce", bce), "winners": (of_winners, "mse", squared)}


@pytest.mark.parametrize("streams", [1, 2])
@pytest.mark.parametrize("name", CASES)
def test_a_step_goes_along_the_gradient(name, streams):
    """At the whole rate: neither layer stands before a pooler. The pooler itself learns nothing, and nor do the
    biases."""
    make, loss, reported = CASES[name]
    rng, net = np.random.default_rng(4), make(**SMALL)
    backend = put_on_numpy(net, [loss], dh.SGD(1.0), streams)
    plan = backend.plan
    inputs = [rng.normal(size=(streams, t.size)) for t in plan.inputs]
    targets = [rng.integers(2, size=(streams, t.size)).astype(float) for t in plan.targets]
    start = backend.snapshot()
    before = {t.name: backend.read(t.name) for t in plan.stored_in("matrix", "param")}
    backend.run(one_row(inputs, targets, 0))
    changes = {n: backend.read(n) - b for n, b in before.items()}

    def loss_with(parameter, value):
        backend.restore(start)
        backend.write(parameter, value)
        backend.run(one_row(inputs, targets, 0, learn=False))
        return reported(backend.read("prediction0"), targets[0])

    kinds = {n: type(node.layer) for node, n in net.names().items()}
    for n, value in before.items():
        kind = kinds[n.split(".")[0]]
        if kind is dh.SpatialPooler or n.endswith("bias") and kind is dh.Expectation:
            assert not changes[n].any(), f"{n} moved"
            continue
        places = some_entries(rng, value, changes[n])
        gradient = central_difference(lambda: loss_with(n, value), value, places)
        assert np.abs(gradient).max() > 1e-6, f"{n}: no gradient arrives"
        assert_close(n, changes[n].reshape(-1)[places], -gradient)


def test_a_clipped_step_is_as_long_as_allowed():
    """The length counts the weights alone: the biases are fixed."""
    rng, x = np.random.default_rng(0), dh.Input((6,))
    backend = put_on_numpy(dh.Network(x, dh.Expectation(5, 3, **SMALL)(x)), ["bce"], dh.SGD(1.0, clip_norm=0.5))
    before = backend.read("0.weight")
    backend.run(one_row([3 * unit(rng, 1, 6)], [np.eye(5)[:1]], 0))
    assert np.linalg.norm(backend.read("0.weight") - before) == pytest.approx(0.5, rel=1e-9)


def test_the_floor_leaves_the_rest_as_it_is():
    """Cells that are blamed for less than the floor stand still, to the bit; all others move as without one."""
    u, target, floor = unit(np.random.default_rng(1), 1, 20), np.eye(16, dtype=np.float32)[:1], 1e-3
    starts, ends = [], []
    for least in (0.0, floor):
        x = dh.Input((20,))
        m = dh.Model(
            dh.Network(x, dh.Expectation(16, 32, bias=-5.0, floor=least)(x)),
            loss="bce",
            optimizer=dh.SGD(20.0),
            device="numpy",
        )
        starts.append(m.state_dict()["0.weight"])
        m.fit(u, target)
        ends.append(m.state_dict()["0.weight"])
    assert np.array_equal(*starts)
    exact, floored = (end - starts[0] for end in ends)
    moved = floored.any(axis=1)
    assert 0 < moved.sum() < len(moved) / 2
    assert np.array_equal(exact[moved], floored[moved])
    length = np.linalg.norm(exact, axis=1)  # 20 times the blame: u has unit length
    assert length[moved].min() >= 20 * floor * 0.999 and length[~moved].max() <= 20 * floor * 1.001


# Learning


def test_three_exposures_are_enough():
    """40 places with 5 of 128 columns each, learned online: what came is expected there, and hardly anything else
    is."""
    rng, x = np.random.default_rng(7), dh.Input((250,))
    places, targets = unit(rng, 40, 250), np.zeros((40, 128), np.float32)
    for row in targets:
        row[rng.permutation(128)[:5]] = 1
    m = dh.Model(dh.Network(x, dh.Expectation(128, 32)(x)), loss="bce", optimizer=dh.SGD(20.0), seed=7, device="numpy")
    assert m.predict(places)[targets == 1].mean() < 0.1, "what comes is not expected before it came"
    for _ in range(3):
        order = rng.permutation(40)
        m.fit(places[order], targets[order])
        m.reset()
    likely = m.predict(places)
    assert likely[targets == 1].min() > 0.9
    assert likely[targets == 0].mean() < 0.02
    assert m.predict(unit(rng, 40, 250)).mean() < 0.02, "nor at places that never were"


def test_winners_alone_are_what_they_are_among_all():
    """The same z, and the same step, where the loss is about the winners."""
    rng = np.random.default_rng(3)
    place, feature = unit(rng, 1, 5), rng.normal(size=(1, 4)).astype(np.float32)
    every = dh.Model(of_all(), loss="mse", optimizer=dh.SGD(0.5), device="numpy")
    some = dh.Model(of_winners(evidence=False), loss="mse", optimizer=dh.SGD(0.5), device="numpy")
    kinds = {info.kind: info.name for info in some.layers()}
    theirs = {"0": kinds["Linear"], "1": kinds["Expectation"]}  # where the layers of `every` stand in `some`
    some.load_state_dict(some.state_dict() | {theirs[n[0]] + n[1:]: w for n, w in every.state_dict().items()})
    z_every, z_some = every.predict(place)[0], some.predict([feature, place])[0]
    winners = np.flatnonzero(z_some)
    assert len(winners) == 3
    assert_close("z", z_some[winners], z_every[winners], 1e-6)
    wanted = np.zeros(11, np.float32)
    wanted[winners] = [1.0, -2.0, 0.5]
    before = every.state_dict()["1.weight"]
    every.fit(place, (z_every + wanted)[None])
    some.fit([feature, place], (z_some + wanted)[None])
    for n, weight in every.state_dict().items():
        assert_close(n, some.state_dict()[theirs[n[0]] + n[1:]], weight, 1e-6)
    assert np.abs(every.state_dict()["1.weight"] - before).max() > 0.01


def test_evidence_is_between_all_and_none_expected():
    rng, places = np.random.default_rng(0), unit(np.random.default_rng(1), 9, 5)
    features = rng.normal(size=(9, 4)).astype(np.float32)
    for bias, want in ((-300.0, 3 * np.log(0.02)), (300.0, 0.0)):
        m = dh.Model(of_winners(std=1.0, bias=bias), loss="mse", device="numpy")
        assert m.predict([features, places]) == pytest.approx(want, abs=1e-4)


# As models


@pytest.mark.parametrize("name", CASES)
def test_a_model_comes_back_and_goes_on(name, tmp_path):
    make, loss, _ = CASES[name]
    rng = np.random.default_rng(0)
    m = dh.Model(make(**SMALL), loss=loss, optimizer=dh.Adam(0.01), device="numpy")

    def series(steps):
        inputs = [rng.normal(size=(steps, n)).astype(np.float32) for n in ((5,) if name == "all columns" else (4, 5))]
        targets = rng.integers(2, size=(steps, 11 if loss == "bce" else 1)).astype(np.float32)
        return inputs if len(inputs) > 1 else inputs[0], targets

    m.fit(*series(10))
    m.save(tmp_path / "kept.model")
    again = dh.load(tmp_path / "kept.model", device="numpy")
    more = series(10)
    assert np.array_equal(m.fit(*more).prediction, again.fit(*more).prediction)
    for n, weight in m.state_dict().items():
        assert np.array_equal(weight, again.state_dict()[n]), n


def test_feedback_may_run_through_it():
    """Its size is known without its context's."""
    x, expected = dh.Input((3,)), dh.Expectation(4, 2, **SMALL)
    z = expected(dh.Concat()([x, dh.previous(expected)]))
    m = dh.Model(dh.Network(x, z), loss="bce", optimizer=dh.SGD(0.1), device="numpy")
    assert m.predict(np.ones((5, 3), np.float32)).shape == (5, 4) and m.state_dict()["1.weight"].shape == (8, 7)


PLACE, FEATURE = dh.Input((5,)), dh.Input((4,))


@pytest.mark.parametrize(
    "wrong, said",
    [
        (lambda: dh.Expectation(0), "columns must be .*got 0"),
        (lambda: dh.Expectation(8, 1.5), "cells_per_column must be .*got 1.5"),
        (lambda: dh.Expectation(8, std=-1), "std must be .*got -1"),
        (lambda: dh.Expectation(8, floor=-1e-3), "floor must be .*got -0.001"),
        (lambda: dh.Expectation(8, bias="low"), "bias must be .*got 'low'"),
        (lambda: dh.Expectation(8, lr_scale=-1), "lr_scale must be .*got -1"),
        (lambda: dh.Expectation(8)(3), "'int'"),
        (lambda: dh.Expectation(8)(PLACE, of=3), "'int'"),
        (lambda: net(dh.Expectation(8)(PLACE, of=FEATURE)), "a node of 4 numbers"),
        (lambda: net(dh.Expectation(8)(PLACE, of=dh.SpatialPooler(9, 2)(FEATURE))), r"SpatialPooler\(8"),
        (
            lambda: net(dh.Expectation(24)(PLACE, of=dh.TemporalMemory(3)(dh.SpatialPooler(8, 2)(FEATURE)))),
            r"SpatialPooler\(24",
        ),
        (lambda: dh.Evidence(0), "epsilon must be .*got 0"),
        (lambda: dh.Evidence(1.0), "epsilon must be .*got 1.0"),
        (lambda: net(dh.Evidence()(dh.Expectation(8)(PLACE))), r"of=cols"),
    ],
)
def test_what_is_wrong_is_said_in_a_sentence(wrong, said):
    with pytest.raises(dh.UserError, match=said) as error:
        wrong()
    assert str(error.value).endswith(".") and "\n" not in str(error.value)


def net(node):
    return dh.Model(dh.Network([PLACE, FEATURE], node), loss="mse", device="numpy")
