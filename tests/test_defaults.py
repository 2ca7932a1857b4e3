"""What the engine chooses by itself: one rule each, shown in `summary()`, and the user's own word where there is
one."""

from math import sqrt

import numpy as np
import pytest

import deephtm_gpu as dh
from deephtm_gpu.graph.defaults import settings_of
from deephtm_gpu.graph.forms import forms_of
from deephtm_gpu.plan.lowering import _Lowering
from deephtm_gpu.saving.objects import describe, make


def chain(clock=None, outputs=4):
    return dh.Sequential(dh.Linear(8), dh.ReLU(), dh.SpatialPooler(23, 3), dh.TemporalMemory(3, clock=clock),
                         dh.Linear(6),
                         dh.Linear(outputs))


def model(loss="mse", clock=None, **more):
    return dh.Model(chain(clock), (4,), loss=loss, optimizer=dh.SGD(0.1), seed=1, device="numpy", **more)


def letters(steps=120):
    return np.eye(4, dtype=np.float32)[np.random.default_rng(3).integers(4, size=steps)]


def row(text, layer):
    return next(line for line in text.splitlines() if line.startswith(f"{layer}  "))


def test_a_summary_shows_rates_clocks_and_first_weights():
    text = model("cross_entropy").summary()
    assert "×0.01" in row(text, 0) and "slow" in row(text, 0) and f"{sqrt(2 / 4):.3g}" in row(text, 0)
    assert "×0.01" in row(text, 2) and "slow" in row(text, 2) and f"{sqrt(2 / 8):.3g}" in row(text, 2)
    assert "×1" in row(text, 3) and "clock: outputs" in row(text, 3)
    assert "×1" in row(text, 4) and f"{0.5 / sqrt(3):.3g}" in row(text, 4)
    assert f"{0.5 * sqrt(2 / 6):.3g}" in row(text, 5)
    assert "×" not in row(text, 1) and max(map(len, text.splitlines())) <= 100
    text = model("mse").summary()
    assert "clock: columns" in row(text, 3) and f"{0.25 / sqrt(3):.3g}" in row(text, 4)


def test_a_network_without_a_loss_says_what_the_loss_will_decide():
    network = chain().network((4,))
    text = network.summary()
    assert "clock: by loss" in row(text, 3) and "by loss" in row(text, 4) and "dh.Model" in text.splitlines()[-1]
    assert "clock: columns" in row(chain("columns").network((4,)).summary(), 3)


def test_a_summary_shows_what_is_frozen_and_what_ticks():
    x = dh.Input((4,))
    cells = dh.TemporalMemory(2)(dh.SpatialPooler(11, 2, lr_scale=0)(x))
    above = dh.TemporalMemory(2)(dh.SpatialPooler(9, 2)(dh.every(cells, 3)))
    text = dh.Model(dh.Network(x, dh.Linear(4)(above)), loss="cross_entropy", device="numpy").summary()
    lines = text.splitlines()
    assert "×0" in row(text, 0) and "frozen" in row(text, 0) and "clock: outputs" in row(text, 1)
    assert "clock: columns" in row(text, 4) and "ticks: 2" in lines[lines.index(row(text, 4)) + 1]


def test_the_rates_shown_are_those_that_are_learned_by():
    network = chain().network((4,))
    lowering = _Lowering(network, ["mse"], None, dh.SGD(0.1), 1, (0,), 1, (), False)
    scales = {update.layer: update.scale for update in lowering.updates}
    assert scales == {"0": 0.01, "2": 0.01, "3": 1.0, "4": 1.0, "5": 1.0}
    text = network.summary()
    assert all(f"×{scale:g} " in row(text, layer) for layer, scale in scales.items())


@pytest.mark.parametrize("loss, automatic, other", [("cross_entropy", "outputs", "columns"), ("mse", "columns", None)])
def test_the_automatic_clock_is_the_one_that_is_shown(loss, automatic, other):
    made = model(loss).fit(letters()).prediction
    assert np.array_equal(made, model(loss, automatic).fit(letters()).prediction)
    if other:
        assert not np.array_equal(made, model(loss, other).fit(letters()).prediction)


def test_a_clock_by_columns_on_the_gpu():
    a, b = (dh.Model(chain("columns"), (4,), loss="cross_entropy", optimizer=dh.SGD(0.1), seed=1, device=d)
            for d in ("gpu", "numpy"))
    assert np.allclose(a.fit(letters(40)).prediction, b.fit(letters(40)).prediction, atol=1e-4)


def test_clocks_that_cannot_be_are_refused():
    with pytest.raises(dh.UserError, match="no output has a cross-entropy"):
        model("mse", "outputs")
    with pytest.raises(dh.UserError, match="'outputs', 'columns', or None, got 'steps'"):
        dh.TemporalMemory(2, clock="steps")
    x = dh.Input((4,))
    ticking = dh.TemporalMemory(2, clock="outputs")(dh.SpatialPooler(9, 2)(dh.every(x, 3)))
    with pytest.raises(dh.UserError, match="behind dh.every"):
        dh.Model(dh.Network(x, dh.Linear(4)(ticking)), loss="cross_entropy", device="numpy")


def test_clocks_are_saved_and_files_without_them_load(tmp_path):
    saved = model("cross_entropy", "columns")
    saved.fit(letters())
    saved.save(tmp_path / "model")
    again = dh.load(tmp_path / "model", device="numpy")
    assert "clock: columns" in again.summary()
    assert np.array_equal(again.fit(letters()).prediction, saved.fit(letters()).prediction)
    old = describe(dh.TemporalMemory(3))
    del old["arguments"]["clock"]  # as files were before there was one
    assert make(old, dh.TemporalMemory).clock is None


def test_settings_see_what_stands_after_a_layer():
    x = dh.Input((4,))
    encoder, reader = dh.Linear(5)(x), dh.Linear(4)
    network = dh.Network(x, reader(dh.SpatialPooler(9, 2)(encoder)) + dh.Linear(4)(encoder))
    settings = settings_of(network, forms_of(network), surprises=False)
    slow = {network.names()[node] for node, setting in settings.items() if setting.slow}
    assert slow == {"input0", "0", "1"}
