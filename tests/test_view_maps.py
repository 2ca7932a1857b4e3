"""Figures of networks of images: the pictures are what units really see and paint."""

import numpy as np
import pytest

import deephtm_gpu as dh
from deephtm_gpu import view
from deephtm_gpu.bench.networks import pictures_model
from deephtm_gpu.data.balls import Balls
from deephtm_gpu.view.maps import _fields, _painted, _weights


@pytest.fixture(scope="module")
def images():
    return pictures_model(side=12, columns=8, winners=2, cells=2, seed=3, device="numpy")


def panels(figure):
    return [axes.images[0].get_array() for axes in figure.axes if axes.images]


def test_a_field_is_what_a_unit_answers_to():
    """Of linear layers: the answer of a unit is the product of its field and the image under it."""
    first, second = dh.Conv2d(4, 5, stride=2), dh.Conv2d(3, 3)
    model = dh.Model(dh.Sequential(first, second), input_shape=(2, 16, 16), device="numpy")
    image = np.random.default_rng(0).normal(size=(1, 2, 16, 16)).astype(np.float32)
    answer = model.predict(image)[0]  # (3, 8, 8)
    node = next(node for node, name in model.network.names().items() if name == "1")
    fields = _fields(model, node)  # (3, 9, 9, 2)
    assert fields.shape == (3, 9, 9, 2)
    for unit in range(3):
        for row, column in ((3, 3), (4, 5)):
            top, left = 2 * (row - 1) - 2, 2 * (column - 1) - 2
            patch = image[0, :, top : top + 9, left : left + 9]
            assert (fields[unit].transpose(2, 0, 1) * patch).sum() == pytest.approx(answer[unit, row, column], abs=1e-4)


def test_an_atom_is_what_a_cell_adds(images):
    """A single pixel of a dense transposed convolution, and the convolution behind it."""
    model = dh.Model(dh.Sequential(dh.ConvTranspose2d(5, 6, stride=2), dh.Conv2d(1, 3)), input_shape=(3, 7, 7),
                     device="numpy")
    names = {name: node for node, name in model.network.names().items()}
    one = np.zeros((1, 3, 7, 7), np.float32)
    one[0, 1, 3, 3] = 1
    added = model.predict(one)[0, 0] - model.predict(0 * one)[0, 0]  # (14, 14)
    atom = _painted(_weights(model, names["0"])[1], _weights(model, names["1"]))[:, :, 0]  # (8, 8)
    assert added[3:11, 3:11] == pytest.approx(atom, abs=1e-5)
    assert np.count_nonzero(added) == np.count_nonzero(added[3:11, 3:11])


def test_figures_have_a_panel_for_each(images):
    assert len(panels(view.kernels_figure(images))) == 8
    kernels = panels(view.kernels_figure(images, layer="1", units=(3, 0)))
    assert len(kernels) == 2 and kernels[0].shape == (3, 7)  # two frames beside each other, without the ones
    assert len(panels(view.atoms_figure(images))) == 16
    assert panels(view.atoms_figure(images, cells=(2,)))[0].shape == (8, 8)


def test_a_strip_shows_frames_predictions_and_a_dream(images):
    frames = Balls(1, side=12).take(15)
    before = images.predict(np.concatenate([frames[:1], frames[1:2]], axis=1))
    shown = panels(view.strip_figure(images, frames, dreamt=4, shown=3))
    assert np.array_equal(images.predict(np.concatenate([frames[:1], frames[1:2]], axis=1)), before)
    assert len(shown) == 3 + 3 + 4
    assert np.array_equal(shown[0], frames[12, 0]) and np.array_equal(shown[2], frames[14, 0])


@pytest.mark.parametrize("make, words", [
    (lambda m: view.kernels_figure(m, layer="2"), ["'2'", "Conv2d"]),
    (lambda m: view.kernels_figure(m, units=(8,)), ["0 to 7", "8"]),
    (lambda m: view.kernels_figure(m, units=(-1,)), ["-1"]),
    (lambda m: view.atoms_figure(m, layer="1"), ["ConvTranspose2d", "'1'"]),
    (lambda m: view.atoms_figure(m, cells=(16,)), ["0 to 15", "16"]),
    (lambda m: view.strip_figure(m, np.zeros((5, 12, 12))), ["(T, 1, 12, 12)", "(5, 12, 12)"]),
    (lambda m: view.strip_figure(m, np.zeros((1, 1, 12, 12))), ["two or more"]),
    (lambda m: view.strip_figure(m, np.zeros((5, 1, 12, 12)), dreamt=0), ["dreamt", "0"]),
    (lambda m: view.kernels_figure(_vector()), ["Conv2d", "without"]),
    (lambda m: view.atoms_figure(_vector()), ["ConvTranspose2d", "without"]),
    (lambda m: view.strip_figure(_vector(), np.zeros((5, 1, 12, 12))), ["(C, H, W)"]),
    (lambda m: view.strip_figure(pictures_model(side=8, streams=2, device="numpy"), np.zeros((5, 1, 8, 8))),
     ["one stream", "2"]),
])
def test_what_does_not_fit_is_one_sentence(images, make, words):
    with pytest.raises(dh.UserError) as error:
        make(images)
    assert all(word in str(error.value) for word in words), str(error.value)


def _vector():
    return dh.Model(dh.Sequential(dh.Linear(2)), input_shape=(2,), device="numpy")
