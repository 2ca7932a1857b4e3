"""The activity of columns and cells, step by step."""

import numpy as np
from matplotlib.figure import Figure

from deephtm_gpu.errors import UserError
from deephtm_gpu.view.style import BLUE, ORANGE, style


def raster_figure(history, layer: str | None = None, last: int = 300):
    """The winners of a pooler over the last steps; orange if the memory after it had not predicted them.

    Parameters
    ----------
    history : dh.History
        Of a model after `model.observe()`, or `model.trace(inputs)`; of one stream.
    layer : str, optional
        The pooler's name; None for the first pooler.
    last : int, default 300
        How many steps.

    Returns
    -------
    matplotlib.figure.Figure
        The figure: steps to the right, columns upward.

    Raises
    ------
    UserError
        If the history has no winners of this layer, or several streams.

    Examples
    --------
    >>> import numpy as np
    >>> import deephtm_gpu as dh
    >>> from deephtm_gpu import view
    >>> net = dh.Sequential(dh.SpatialPooler(columns=32, winners=4), dh.TemporalMemory(3), dh.Linear(2))
    >>> model = dh.Model(net, input_shape=(2,), device="numpy")
    >>> figure = view.raster_figure(model.trace(np.ones((20, 2), np.float32)))
    """
    pooler = pick_layer(history, layer, "winners", "a pooler's winners")
    winners = history.observed[pooler]["winners"][-last:]  # (T, K)
    surprise = _surprise(history, winners.shape, last)
    with style():
        figure = Figure(figsize=(10, 4), layout="constrained")
        axes = figure.add_subplot()
        steps = np.repeat(np.arange(1 - len(winners), 1), winners.shape[1])
        axes.scatter(steps, winners.reshape(-1), s=4, marker="s", linewidths=0, c=_mixed(surprise.reshape(-1)))
        axes.set(title=f"Winning columns of layer {pooler}: blue predicted, "
                       "orange not", xlabel="steps", ylabel="column")
        axes.margins(x=0.005)
    return figure


def cells_figure(history, layer: str | None = None, last: int = 120):
    """The cells of the winning columns over the last steps; orange if all cells of the column are equally active (a
    burst).

    Parameters
    ----------
    history : dh.History
        Of a model after `model.observe()`, or `model.trace(inputs)`; of one stream.
    layer : str, optional
        The memory's name; None for the first memory.
    last : int, default 120
        How many steps.

    Returns
    -------
    matplotlib.figure.Figure
        The figure: steps to the right; upward a line for each cell of each winner, in the order of the winners'
        numbers.

    Raises
    ------
    UserError
        If the history has no cells of this layer, or several streams.

    Examples
    --------
    >>> import numpy as np
    >>> import deephtm_gpu as dh
    >>> from deephtm_gpu import view
    >>> net = dh.Sequential(dh.SpatialPooler(columns=32, winners=4), dh.TemporalMemory(3), dh.Linear(2))
    >>> model = dh.Model(net, input_shape=(2,), device="numpy")
    >>> figure = view.cells_figure(model.trace(np.ones((20, 2), np.float32)))
    """
    memory = pick_layer(history, layer, "cells", "a memory's cells")
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
        axes.imshow(
            picture.reshape(T, K * M, 3).transpose(1, 0, 2),
            aspect="auto",
            interpolation="nearest",
            origin="lower",
            extent=(1 - T - 0.5, 0.5, 0, K),
        )
        axes.set(title=f"Cells of the winning columns of layer {memory}: orange where the column burst", xlabel="steps",
                 ylabel=f"winner ({M} cells each)", yticks=range(K + 1))
    return figure


def pick_layer(history, layer, what, description):
    """The name of the layer, or of the first layer with observed values `what`. Raises UserError."""
    names = [name for name, observed in history.observed.items() if what in observed]
    if not names:
        raise UserError(f"The history must hold {description}, got none; call model.observe() before fit, or give "
                        "model.trace(inputs).")
    name = names[0] if layer is None else str(layer)
    if name not in names:
        raise UserError(f"layer must be one with {description} in the history, {', '.join(map(repr, names))}, got "
                        f"{layer!r}.")
    if history.observed[name][what].ndim > (2 if what == "winners" else 3):
        raise UserError("The history must be of one stream of one model, got several; take a model out of a "
                        "population with population.model(p), or make a dh.History of one stream.")
    return name


def _surprise(history, shape, last) -> np.ndarray:
    """How unexpected each winner was, 0..1, for the first memory with as many winners."""
    for observed in history.observed.values():
        if "predicted" in observed and observed["predicted"][-last:].shape == shape:
            return 1 - observed["predicted"][-last:]
    return np.zeros(shape)


def _mixed(surprise):
    """(n,) -> (n, 3): colours from blue to orange."""
    return _rgb(BLUE) + surprise[:, None] * (_rgb(ORANGE) - _rgb(BLUE))


def _rgb(colour):
    return np.array([int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)])
