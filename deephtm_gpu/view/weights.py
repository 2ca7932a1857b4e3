"""Learned weights: the inputs that make columns win, and the distal weights of a cell."""

import numpy as np
from matplotlib.figure import Figure

from deephtm_gpu.arguments import real, shown
from deephtm_gpu.errors import UserError
from deephtm_gpu.ops.sampled import visible
from deephtm_gpu.view.rasters import pick_layer
from deephtm_gpu.view.style import BLUE, GREY, style

MAX_COLUMNS = 24  # in a figure


def receptive_fields_figure(model, inputs, layer: str | None = None, columns=None):
    """The inputs at which columns win.

    For single numbers: the distribution of the inputs at which each column won, with that of all inputs in grey. For
    arrays: the mean input at which it won.

    Parameters
    ----------
    model : dh.Model
        With one input. Its state is unchanged.
    inputs : array (T, *shape)
        The series to show to the model.
    layer : str, optional
        The pooler's name; None for the first pooler.
    columns : sequence of int, optional
        The columns' numbers; None for those that win most often.

    Returns
    -------
    matplotlib.figure.Figure
        The figure.

    Raises
    ------
    UserError
        If there is no such layer, or a column never won.

    Examples
    --------
    >>> import deephtm_gpu as dh
    >>> from deephtm_gpu import view
    >>> from deephtm_gpu.data.sine import sine
    >>> net = dh.Sequential(dh.SpatialPooler(columns=16, winners=3), dh.Linear(1))
    >>> model = dh.Model(net, input_shape=(1,), device="numpy")
    >>> figure = view.receptive_fields_figure(model, sine(100))
    """
    check_alone(model)
    if (count := len(model.network.inputs)) > 1:
        raise UserError(f"The figure must be of a model with one input, got one that has {count} inputs.")
    history = model.trace(inputs)
    pooler = pick_layer(history, layer, "winners", "a pooler's winners")
    winners = history.observed[pooler]["winners"]  # (T, K)
    flat = np.asarray(inputs, np.float32).reshape(len(winners), -1)  # (T, D)
    number, times = np.unique(winners, return_counts=True)
    if columns is None:
        columns = np.sort(number[np.argsort(-times, kind="stable")][:MAX_COLUMNS])
    if missing := sorted(set(map(int, columns)) - set(number.tolist())):
        raise UserError(f"columns must have won in this series, got {missing}, which never won; give others, or leave "
                        "columns out.")
    won = [(winners == c).any(axis=1) for c in columns]  # each (T,)
    across = min(6, len(columns))
    down = -(-len(columns) // across)
    with style():
        figure = Figure(figsize=(1.9 * across, 1.5 * down + 0.5), layout="constrained")
        for n, (c, at) in enumerate(zip(columns, won)):
            axes = figure.add_subplot(down, across, n + 1)
            _draw_field(axes, flat, at, np.shape(inputs)[1:])
            axes.set_title(f"column {c}", fontsize=8.5)
            axes.tick_params(labelsize=7)
        figure.suptitle(f"The inputs at which columns of layer {pooler} win")
    return figure


def _draw_field(axes, inputs, at, shape):
    """inputs (T, D); at (T,) bool, the steps at which the column won; shape: of an input."""
    if inputs.shape[1] == 1:
        edges = np.linspace(inputs.min(), inputs.max() + 1e-9, 33)
        axes.hist(inputs[:, 0], edges, density=True, color=GREY, alpha=0.25)
        axes.hist(inputs[at, 0], edges, density=True, color=BLUE, alpha=0.9)
        axes.set_yticks([])
    elif len(shape) == 2:
        axes.imshow(inputs[at].mean(axis=0).reshape(shape), cmap="viridis")
        axes.set_axis_off()
    else:
        axes.plot(inputs.mean(axis=0), color=GREY, linewidth=1, alpha=0.6)
        axes.plot(inputs[at].mean(axis=0), color=BLUE, linewidth=1.2)


def distal_figure(model, cell: tuple[int, int], layer: str | None = None):
    """The distal weights of a cell: above from all cells, below from all columns.

    Parameters
    ----------
    model : dh.Model
        With a TemporalMemory.
    cell : (int, int)
        The column, and the number of the cell in the column.
    layer : str, optional
        The memory's name; None for the first memory.

    Returns
    -------
    matplotlib.figure.Figure
        The figure: columns to the right, the cells of a column upward.

    Raises
    ------
    UserError
        If there is no such layer or cell.

    Examples
    --------
    >>> import deephtm_gpu as dh
    >>> from deephtm_gpu import view
    >>> net = dh.Sequential(dh.SpatialPooler(columns=16, winners=3), dh.TemporalMemory(4), dh.Linear(1))
    >>> figure = view.distal_figure(dh.Model(net, input_shape=(1,), device="numpy"), cell=(5, 0))
    """
    check_alone(model)
    memories = {info.name: info for info in model.layers() if info.kind == "TemporalMemory"}
    if not memories:
        raise UserError("The model must have a TemporalMemory, got one without distal weights; give another model.")
    name = next(iter(memories)) if layer is None else str(layer)
    if name not in memories:
        raise UserError(f"layer must be one of the model's memories, {', '.join(map(repr, memories))}, got {layer!r}.")
    C, M = memories[name].output_shape
    chosen = real(cell)
    if (
        chosen is None
        or chosen.shape != (2,)
        or chosen.dtype.kind not in "iu"
        or not ((chosen >= 0) & (chosen < (C, M))).all()
    ):
        raise UserError(f"cell must be (column, number in the column), from (0, 0) to ({C - 1}, {M - 1}) in layer "
                        f"{name}, got {shown(cell)}.")
    column, number = map(int, chosen)
    weights = _dense_weights(model, name, column * M + number)  # (P,)
    with style():
        figure = Figure(figsize=(10, 3.6), layout="constrained")
        upper, lower = figure.subplots(2, 1, height_ratios=(M, 1), sharex=True)
        most = np.abs(weights).max() or 1.0
        kind = dict(aspect="auto", cmap="RdBu", vmin=-most, vmax=most, interpolation="nearest", origin="lower")
        picture = upper.imshow(weights[: C * M].reshape(C, M).T, **kind)
        lower.imshow(weights[None, C * M : C * M + C], **kind)
        upper.set(title=f"Distal weights of cell {number} of column {column} of "
                        f"layer {name}", ylabel="cell", yticks=range(M))
        lower.set(xlabel="column", yticks=[0], yticklabels=["column"])
        figure.colorbar(picture, ax=[upper, lower], label="weight", pad=0.01)
    return figure


def check_alone(model):
    """Raises UserError where there is more than one model."""
    if model.is_population:
        raise UserError("The figure must be of one model, got a population; take one out with population.model(p).")


def _dense_weights(model, name, row):
    """The weights of a cell by the number of the source (P,); NaN where it has no synapse."""
    own, names, owners = model.state_dict(), model.network.names(), model.network.owners()
    owner = next(names[owners[node]] for node in names if names[node] == name)  # the first use of the layer
    weights = own[f"{owner}.distal_weight"][row]
    if f"{owner}.distal_pool" not in own:
        return weights
    P = next(
        call.consts["P"] for call in model.session.plan.forward if call.layer == name and call.name == "sampled_forward"
    )
    sources = np.arange(P)
    _, seen, synapse = visible(np.array([row]), sources, own[f"{owner}.distal_pool"], len(weights), P)
    dense = np.full(P, np.nan, np.float32)
    dense[sources[seen]] = weights[synapse - row * len(weights)]
    return dense
