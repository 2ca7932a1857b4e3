"""The structure of a network as a row of boxes, from left to right in the order of flow."""

import re
import textwrap

from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch

from deephtm_gpu.view.style import BLUE, GREEN, GREY, INK, ORANGE, style

_WIDTH, _HEIGHT = 0.80, 1.0  # of a box; the next box begins at the next whole number
_FULL_SIZE = 8  # boxes; with more of them the text is smaller
_COLOURS = {"SpatialPooler": ORANGE, "TemporalMemory": GREEN}  # all others BLUE, the input GREY


def structure_rows(layers, input_shape: tuple[int, ...]) -> list[tuple]:
    """The rows of `structure_figure`.

    Parameters
    ----------
    layers : list
        `model.layers()`.
    input_shape : tuple of int
        The shape of the input.

    Returns
    -------
    list of (name, shape as text, parameters, kind)
        For the input and for each layer, in the order of flow.

    Examples
    --------
    >>> import deephtm_gpu as dh
    >>> from deephtm_gpu import view
    >>> model = dh.Model(dh.Sequential(dh.Linear(4), dh.ReLU()), input_shape=(2,), device="numpy")
    >>> view.structure_rows(model.layers(), (2,))
    [('input', '2', 0, 'Input'), ('0', '4', 12, 'Linear'), ('1', '4', 0, 'ReLU')]
    """
    return [("input", _shape_text(input_shape), 0, "Input")] + [
        (layer.name, _layer_text(layer), layer.parameters, layer.kind) for layer in layers]


def structure_figure(rows):
    """A matplotlib Figure of the structure alone. rows: from structure_rows()."""
    with style():
        figure = Figure(figsize=(1.75 * len(_boxes(rows)), 1.9), layout="constrained")
        draw_structure(figure.add_subplot(), rows)
    return figure


def draw_structure(axes, rows):
    """Draws rows [(name, shape text, parameters, kind), ...] into axes.

    A layer without parameters (an activation, a normalisation) shares the box of the layer before it.
    """
    boxes = _boxes(rows)
    scale = min(1.0, _FULL_SIZE / len(boxes))
    axes.set(xlim=(-0.02, len(boxes) - 1 + _WIDTH + 0.02), ylim=(-0.08, 1.42))
    axes.set_axis_off()
    for i, (text, kinds, parameters) in enumerate(boxes):
        colour = GREY if kinds[0] == "Input" else _COLOURS.get(kinds[0], BLUE)
        axes.add_patch(FancyBboxPatch((i, 0), _WIDTH, _HEIGHT, boxstyle="round,pad=0,rounding_size=0.06",
                                      facecolor=colour + "1A", edgecolor=colour, linewidth=1.4))
        middle = i + _WIDTH / 2
        _write(axes, middle, 0.74, text, 10.5 * scale, INK, weight="bold")
        _write(axes, middle, 0.38, textwrap.fill(" + ".join(kinds), 15, break_long_words=False), 8.5 * scale, INK)
        if parameters:
            _write(axes, middle, 0.10, f"{parameters:,} weights", 8 * scale, GREY)
        if i:
            axes.add_patch(_arrow((i - 1 + _WIDTH, 0.5), (i, 0.5)))
        if kinds[0] == "TemporalMemory":
            axes.add_patch(_arrow((i + 0.62, _HEIGHT), (i + 0.18, _HEIGHT), connectionstyle="arc3,rad=0.65"))
            _write(axes, middle, 1.33, "its own past", 8 * scale, GREY)


def _boxes(rows):
    """rows -> [(shape text, [kinds], parameters), ...]"""
    boxes = []
    for _, text, parameters, kind in rows:
        if boxes and not parameters:
            boxes[-1][1].append(kind)
        else:
            boxes.append((text, [kind], parameters))
    return boxes


def _layer_text(layer):
    """The main sizes of a layer, as in the forum post: columns and winners, cells per column, or the output's shape."""
    if layer.kind == "SpatialPooler":
        winners = re.search(r"winners=(\d+)", layer.repr)[1]  # layers() reports its settings only as a repr
        return f"{layer.output_shape[0]} columns\n{winners} winners"
    if layer.kind == "TemporalMemory":
        return f"{layer.output_shape[1]} cells\nper column"
    return _shape_text(layer.output_shape)


def _shape_text(shape):
    return " × ".join(map(str, shape))


def _write(axes, x, y, text, size, colour, weight="normal"):
    axes.text(x, y, text, ha="center", va="center", size=size, color=colour, weight=weight, linespacing=1.15)


def _arrow(start, end, **kind):
    return FancyArrowPatch(start, end, arrowstyle="-|>", mutation_scale=11, color=GREY, linewidth=1.2,
                           shrinkA=1, shrinkB=1, **kind)
