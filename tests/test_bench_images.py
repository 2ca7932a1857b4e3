"""What a frame costs, and the rivals of the image table."""

import numpy as np
import pytest

from deephtm_gpu.bench.image_cost import cost_of_frame
from deephtm_gpu.bench.image_rivals import ConvGRU, DensePictures, frames_per_second
from deephtm_gpu.bench.networks import pictures_model
from deephtm_gpu.data.balls import Balls
from deephtm_gpu.data.digits import MovingDigits


@pytest.fixture(scope="module")
def costs():
    return {name: cost_of_frame(**network) for name, network in
            {"as it is": {}, "128 columns": {"columns": 128}, "8 cells": {"cells": 8}}.items()}


def test_convolutions_cost_what_their_windows_hold(costs):
    side, half = 30 * 30, 15 * 15
    encoder = side * 9 * 3 * 16 + half * (25 * 16 * 32 + 9 * 32 * 32)
    rest = half * 9 * 32 * 32 + side * (9 * 8 + 25 * 3)
    assert costs["as it is"]["convolutions"] == pytest.approx((encoder + rest) / 1e6)


def test_memory_and_decoder_are_sparse(costs):
    """In input and output: winners' cells times what their neighbourhood holds; only active cells paint."""
    cost = costs["as it is"]
    assert cost["memory"] < cost["memory, dense"] / 50
    assert cost["decoder"] < cost["decoder, dense"] / 5
    assert cost["megabytes"] < 8


def test_the_memory_s_cost_does_not_grow_with_its_columns(costs):
    one, many = costs["as it is"], costs["128 columns"]
    assert many["memory, dense"] == pytest.approx(16 * one["memory, dense"])
    for part in ("memory", "decoder"):
        assert many[part] < 1.3 * one[part]
    assert costs["8 cells"]["memory"] < 3 * one["memory"]  # two times the cells of a winner


def test_the_dense_form_is_the_same_network():
    """With the same weights it predicts the same. Later they part: here, entries without a gradient stand still."""
    pytest.importorskip("torch", reason="a rival, and no part of the package")
    model = pictures_model(side=30, seed=1, device="numpy")
    dense = DensePictures(model)
    assert sum(w.numel() for w in dense.w.values()) == 216_381
    frames = Balls(1).take(5)
    x, y = np.concatenate([frames[:-2], frames[1:-1]], axis=1), frames[2:]
    assert np.abs(model.fit(x, targets=y).prediction - dense.fit(x, y)).max() <= 1e-5


def test_rivals_learn_and_are_timed():
    pytest.importorskip("torch", reason="a rival, and no part of the package")
    rival = ConvGRU(24, seed=0)
    sequences = [np.stack([MovingDigits([n, s]).take(11) for s in range(4)], axis=1) for n in range(20)]
    before = rival.errors(sequences[0]).mean()
    for sequence in sequences:
        rival.learn(sequence)
    assert rival.errors(sequences[0]).mean() < before
    rates = frames_per_second("numpy")
    assert rates["ratio"] == pytest.approx(rates["ours"] / rates["torch"]) and rates["torch"] > 0
