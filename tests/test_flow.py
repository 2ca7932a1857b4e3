"""How the information flows: several outputs, each with its weight; layers at several places; clocks and gates."""

import re
from pathlib import Path

import numpy as np
import pytest
from conftest import assert_close
from test_graph import refuses

import deephtm_gpu as dh

RNG = np.random.default_rng


def two_outputs():
    x = dh.Input((3,))
    trunk = dh.ReLU()(dh.Linear(6)(x))
    return dh.Network(x, [dh.Linear(2)(trunk), dh.Linear(4)(trunk)])


def learned(device="numpy", steps=1, optimizer=None, **more):
    """What so many steps change of every weight, and the History."""
    model = dh.Model(
        two_outputs(), loss=["mse", "cross_entropy"], optimizer=optimizer or dh.SGD(0.1), seed=1, device=device, **more
    )
    before, rng = model.state_dict(), RNG(0)
    x, a, b = rng.normal(size=(steps, 3)), rng.normal(size=(steps, 2)), rng.integers(4, size=steps)
    history = model.fit(x.astype(np.float32), targets=[a.astype(np.float32), b])
    return {name: after - before[name] for name, after in model.state_dict().items()}, history


# Weights of the losses


def test_each_output_moves_the_weights_by_its_loss_times_its_weight():
    first, second = learned(loss_weights=[1, 0])[0], learned(loss_weights=[0, 1])[0]
    both, history = learned(loss_weights=[2, 0.5])
    for name, change in both.items():
        assert_close(name, change, 2 * first[name] + 0.5 * second[name], 1e-4)
    assert np.allclose(history.loss, 2 * history.losses[0] + 0.5 * history.losses[1])


def test_an_output_of_weight_0_is_told_and_teaches_nothing():
    changes, history = learned(loss_weights=[1, 0], steps=5)
    assert not changes["3.weight"].any() and changes["2.weight"].any()
    assert np.isfinite(history.losses[1]).all() and np.array_equal(history.loss, history.losses[0])


def test_the_weight_of_a_loss_does_not_change_a_polyak_step_of_one_output():
    def step(weight):
        model = dh.Model(dh.Sequential(dh.Linear(2)), input_shape=(3,), seed=1, device="numpy", loss_weights=[weight])
        model.fit(RNG(0).normal(size=(1, 3)), targets=RNG(1).normal(size=(1, 2)))
        return model.state_dict()["0.weight"]

    assert_close("weight", step(7.0), step(1.0), 1e-4)


def test_weights_of_losses_on_the_gpu_and_in_a_file(tmp_path):
    assert_close(
        "gpu",
        learned("gpu", 4, loss_weights=[2, 0.5])[0]["0.weight"],
        learned(steps=4, loss_weights=[2, 0.5])[0]["0.weight"],
        1e-4,
    )
    model = dh.Model(two_outputs(), loss="mse", seed=1, device="numpy", loss_weights=[2, 0.5], optimizer=dh.SGD(0.1))
    model.save(tmp_path / "model")
    again = dh.load(tmp_path / "model", device="numpy")
    series = RNG(0).normal(size=(4, 3)), [RNG(1).normal(size=(4, 2)), RNG(2).normal(size=(4, 4))]
    assert np.array_equal(model.fit(*series).loss, again.fit(*series).loss)


@pytest.mark.parametrize(
    "weights, words",
    [
        ([1], ["loss_weights", "list of 2"]),
        (2.0, ["loss_weights", "2.0"]),
        ([1, -1], ["loss_weights[1]", "-1"]),
        ([1, float("nan")], ["loss_weights[1]", "nan"]),
        ([0, 0], ["must hold a number above 0"]),
        ([1, "a"], ["loss_weights[1]", "'a'"]),
    ],
)
def test_wrong_weights_of_losses(weights, words):
    refuses(lambda: dh.Model(two_outputs(), device="numpy", loss_weights=weights), *words)


# Layers at several places


def twins(share, streams=1, device="numpy", optimizer=None):
    """Two senses through one encoder, pooler and memory, or through two of each."""
    x, z = dh.Input((3,)), dh.Input((3,))
    made = [(dh.Linear(12), dh.SpatialPooler(31, 4), dh.TemporalMemory(3)) for _ in range(2)]
    left, right = made[0], made[0] if share else made[1]
    cells = [
        memory(pooler(dh.RunningNorm()(encoder(sense)))) for sense, (encoder, pooler, memory) in ((x, left), (z, right))
    ]
    net = dh.Network([x, z], [dh.Linear(3)(cell) for cell in cells])
    return dh.Model(net, optimizer=optimizer or dh.SGD(0.02), seed=2, streams=streams, device=device)


def test_a_layer_at_two_places_has_one_set_of_weights_and_two_memories():
    one, two = twins(True), twins(False)
    shared = {name.split(".")[0] for name in two.state_dict()} - {name.split(".")[0] for name in one.state_dict()}
    assert len(shared) == 3, "encoder, pooler and memory of the second sense"
    rng = RNG(3)
    a, b = rng.normal(size=(2, 30, 3)).astype(np.float32)
    one.fit([a, b])
    state = one.state()
    poolers = [name for name, reported in state.items() if "winners" in reported]
    memories = [name for name, reported in state.items() if "cells" in reported]
    assert len(poolers) == len(memories) == 2
    assert not np.array_equal(state[poolers[0]]["winners"], state[poolers[1]]["winners"])


@pytest.mark.parametrize(
    "optimizer",
    [dh.SGD(0.02, momentum=0.9), dh.Adam(0.01), dh.PolyakSGD(clip_norm=1.0)],
    ids=["momentum", "adam", "polyak"],
)
def test_shared_layers_learn_alike_on_numpy_and_gpu(optimizer):
    rng = RNG(4)
    series = list(rng.normal(size=(2, 12, 2, 3)).astype(np.float32))
    models = [twins(True, 2, device, optimizer) for device in ("numpy", "gpu")]
    loss = [model.fit(series).loss for model in models]
    assert_close("loss", loss[1][:-1], loss[0][:-1], 1e-3)


def test_shared_layers_come_back_from_a_file(tmp_path):
    rng = RNG(5)
    first, then = [list(rng.normal(size=(2, 20, 3)).astype(np.float32)) for _ in range(2)]
    model = twins(True)
    model.fit(first)
    model.save(tmp_path / "twins")
    again = dh.load(tmp_path / "twins", device="numpy")
    assert again.state_dict().keys() == model.state_dict().keys()
    assert np.array_equal(again.fit(then).prediction, model.fit(then).prediction)


def test_a_chain_may_hold_a_layer_twice():
    layer = dh.Linear(3)
    model = dh.Model(dh.Sequential(layer, dh.ReLU(), layer), input_shape=(3,), seed=0, device="numpy")
    assert sorted(model.state_dict()) == ["0.bias", "0.weight"]
    assert "those of 0" in model.summary()


# The page of examples


def test_the_examples_of_the_page_run_and_learn(capsys):
    page = (Path(__file__).parents[1] / "demos" / "flow.md").read_text(encoding="utf-8")
    examples = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    assert len(examples) == 3
    names = {}
    for example in examples:
        exec(compile(example, "flow.md", "exec"), names)
    came, others = re.findall(r"winning columns: (\S+) of the others: (\S+)", capsys.readouterr().out)[0]
    assert float(came) > 0.9 and float(others) < 0.05
    assert all(hasattr(dh, name) for name in re.findall(r"\bdh\.(\w+)", page))
