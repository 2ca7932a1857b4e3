"""What the columns and cells did, step by step."""

import numpy as np
from matplotlib.figure import Figure

from deephtm_gpu.errors import UserError
from deephtm_gpu.view.style import BLUE, ORANGE, style


def raster_figure(history, layer=None, last=300):
    """The winners of a pooler over the last steps, columns upward; orange where the memory behind it had not predicted them.

    history: of a model that observes (`model.observe()`), or `model.trace(inputs)`. layer: the pooler's name (the first).
    Raises UserError where there is nothing to see.
    """
    pooler = _pick(history, layer, "winners", "a pooler's winners")
    winners = history.observed[pooler]["winners"][-last:]  # (T, K)
    surprise = _surprise(history, winners.shape, last)
    with style():
        figure = Figure(figsize=(10, 4), layout="constrained")
        axes = figure.add_subplot()
        steps = np.repeat(np.arange(1 - len(winners), 1), winners.shape[1])
        axes.scatter(steps, winners.reshape(-1), s=4, marker="s", linewidths=0, c=_mixed(surprise.reshape(-1)))
        axes.set(title=f"Winning columns of layer {pooler}: blue predicted, orange not", xlabel="steps", ylabel="column")
        axes.margins(x=0.005)
    return figure


def cells_figure(history, layer=None, last=120):
    """The cells of the winning columns over the last steps: a row for each cell of each winner, in order of the winners' numbers; dark
    where a cell is active. A column all of whose cells are alike has burst, and is orange. layer: the memory's name (the first)."""
    memory = _pick(history, layer, "cells", "a memory's cells")
    cells = history.observed[memory]["cells"][-last:]  # (T, K, M)
    strongest = cells.max(axis=2, keepdims=True)
    share = cells / np.maximum(strongest, 1e-12)  # (T, K, M)
    burst = (share.min(axis=2, keepdims=True) > 0.9) & (cells.shape[2] > 1)  # (T, K, 1)
    T, K, M = cells.shape
    blue, orange = _rgb(BLUE), _rgb(ORANGE)
    colour = np.where(burst[..., None], orange, blue)  # (T, K, 1, 3)
    picture = 1 - share[..., None] * (1 - colour)  # (T, K, M, 3)
    with style():
        figure = Figure(figsize=(10, 4.5), layout="constrained")
        axes = figure.add_subplot()
        axes.imshow(picture.reshape(T, K * M, 3).transpose(1, 0, 2), aspect="auto", interpolation="nearest", origin="lower",
                    extent=(1 - T - 0.5, 0.5, 0, K))
        axes.set(title=f"Cells of the winning columns of layer {memory}: orange where the column burst", xlabel="steps",
                 ylabel=f"winner ({M} cells each)", yticks=range(K + 1))
    return figure


def _pick(history, layer, what, called):
    there = [name for name, found in history.observed.items() if what in found]
    if not there:
        raise UserError(f"The history holds no {called}; call model.observe() before fit, or give model.trace(inputs).")
    name = there[0] if layer is None else str(layer)
    if name not in there:
        raise UserError(f"Layer {layer!r} was asked for; the history holds {called} of {', '.join(map(repr, there))}.")
    if history.observed[name][what].ndim > (2 if what == "winners" else 3):
        raise UserError("The history is of several streams or models, and the figure of one; take a model out of a population with "
                        "population.model(p), or make a dh.History of one stream.")
    return name


def _surprise(history, shape, last) -> np.ndarray:
    """How little each winner was expected, 0..1, by the first memory with as many winners."""
    for found in history.observed.values():
        if "predicted" in found and found["predicted"][-last:].shape == shape:
            return 1 - found["predicted"][-last:]
    return np.zeros(shape)


def _mixed(surprise):
    """(n,) -> (n, 3): from blue to orange."""
    return _rgb(BLUE) + surprise[:, None] * (_rgb(ORANGE) - _rgb(BLUE))


def _rgb(colour):
    return np.array([int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)])
