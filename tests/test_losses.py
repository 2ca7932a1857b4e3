"""Losses as objects: a string and its class are the same, and nothing outside `losses/` asks which loss it is."""

import re
from pathlib import Path

import numpy as np
import pytest

import deephtm_gpu as dh
from deephtm_gpu.losses.base import Loss
from deephtm_gpu.losses.mse import MSE
from deephtm_gpu.losses.table import LOSSES

PACKAGE = Path(dh.__file__).parent
OBJECTS = {"mse": dh.MSE, "cross_entropy": dh.CrossEntropy, "bce": dh.BCE}


def model(loss, **more):
    net = dh.Sequential(dh.Linear(9), dh.SpatialPooler(17, 3), dh.TemporalMemory(2), dh.Linear(5))
    return dh.Model(net, (5,), loss=loss, optimizer=dh.SGD(0.1), seed=2, device="numpy", **more)


def letters(steps=40):
    return np.eye(5, dtype=np.float32)[np.arange(steps) % 5]


def test_the_table_is_what_users_find():
    assert LOSSES == OBJECTS and all(kind.name == name and repr(kind()) == f"{kind.__name__}()"
                                     for name, kind in LOSSES.items())


@pytest.mark.parametrize("name", LOSSES)
def test_a_string_and_its_object_are_the_same_to_the_bit_and_in_a_file(name, tmp_path):
    string, thing = model(name), model(OBJECTS[name]())
    a, b = string.fit(letters()), thing.fit(letters())
    assert np.array_equal(a.prediction, b.prediction) and np.array_equal(a.loss, b.loss, equal_nan=True)
    thing.save(tmp_path / "model")
    again = dh.load(tmp_path / "model", device="numpy")
    assert np.array_equal(again.fit(letters()).prediction, string.fit(letters()).prediction)


def test_a_list_may_mix_names_and_objects():
    x = dh.Input((3,))
    net = dh.Network(x, [dh.Linear(3)(x), dh.Linear(3)(x)])

    def made(loss):
        return dh.Model(net, loss=loss, optimizer=dh.SGD(0.1), device="numpy")

    targets = [np.ones((6, 3), np.float32), np.eye(3, dtype=np.float32)[[0, 1, 2, 0, 1, 2]]]
    xs = np.ones((6, 3), np.float32)
    a, b = (made(loss).fit(xs, targets) for loss in (["mse", "cross_entropy"], [dh.MSE(), "cross_entropy"]))
    assert all(np.array_equal(p, q) for p, q in zip(a.losses, b.losses))


@pytest.mark.parametrize("loss", ["huber", dh.MSE, None, 3, ["mse", "huber"]])
def test_what_is_no_loss_is_refused_with_what_there_is(loss):
    with pytest.raises(dh.UserError) as error:
        model(loss)
    assert "loss" in str(error.value)
    if not isinstance(loss, list):
        assert all(word in str(error.value) for word in ("'mse'", "dh.CrossEntropy()"))


class Doubled(MSE):
    """Twice the squared error's gradient: a loss that a user wrote."""

    name = "doubled"

    def backward(self, low, prediction, target, dy):
        once = low.scratch("once", dy.shape)
        super().backward(low, prediction, target, once)
        low.learn("scale_forward", x=once, y=dy, by=2.0, D=dy.size)


def test_a_loss_of_ones_own_is_one_class():
    """It takes part in learning with no other file changed; a file cannot hold its code, and says so."""
    own, weighted = model(Doubled()), model("mse", loss_weights=[2.0])
    assert np.array_equal(own.fit(letters()).prediction, weighted.fit(letters()).prediction)
    with pytest.raises(dh.UserError, match=r"Doubled\(\) cannot be saved"):
        own.save("nowhere")


def test_only_the_losses_know_which_loss_it_is():
    found = []
    for path in PACKAGE.rglob("*.py"):
        if path.parent.name not in ("losses", "bench", "validate"):
            for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
                if re.search(r"loss(es)?\b[^,]*(==|\bin\b) *\(?[\"']", line):
                    found.append(f"{path.name}:{number}: {line.strip()}")
    assert not found, found
    assert not re.search("cross_entropy|bce|mse", (PACKAGE / "plan" / "lowering.py").read_text(encoding="utf-8"))


def test_every_loss_of_the_package_stands_in_the_table():
    assert set(Loss.__subclasses__()) >= set(LOSSES.values())
    held = {kind for kind in Loss.__subclasses__() if kind.__module__.startswith("deephtm_gpu.")}
    assert held == set(LOSSES.values())
