"""What was learned: what columns answer to, and whom a cell listens to."""

import numpy as np
from matplotlib.figure import Figure

from deephtm_gpu.arguments import real, shown
from deephtm_gpu.errors import UserError
from deephtm_gpu.ops.pool import visible
from deephtm_gpu.view.rasters import _pick
from deephtm_gpu.view.style import BLUE, GREY, style

MOST = 24  # columns in a picture


def receptive_fields_figure(model, inputs, layer=None, columns=None):
    """What made columns win: of single numbers how the inputs were spread at which each won (in grey: all inputs), of more the mean
    input at which it won, as a picture where the input is one.

    inputs: a series (T, *shape) that the model is shown, without learning and without a trace left. columns: their numbers
    (those that won most often). Raises UserError.
    """
    _check_alone(model)
    if (count := len(model.network.inputs)) > 1:
        raise UserError(f"The figure shows what in its input made columns win; the model has {count} inputs: give a model with one.")
    history = model.trace(inputs)
    pooler = _pick(history, layer, "winners", "a pooler's winners")
    winners = history.observed[pooler]["winners"]  # (T, K)
    shown = np.asarray(inputs, np.float32).reshape(len(winners), -1)  # (T, D)
    number, times = np.unique(winners, return_counts=True)
    if columns is None:
        columns = np.sort(number[np.argsort(-times, kind="stable")][:MOST])
    if missing := sorted(set(map(int, columns)) - set(number.tolist())):
        raise UserError(f"The columns {missing} were asked for; they never won in this series: give others, or leave columns out.")
    won = [(winners == c).any(axis=1) for c in columns]  # each (T,)
    across = min(6, len(columns))
    down = -(-len(columns) // across)
    with style():
        figure = Figure(figsize=(1.9 * across, 1.5 * down + 0.5), layout="constrained")
        for n, (c, at) in enumerate(zip(columns, won)):
            axes = figure.add_subplot(down, across, n + 1)
            _field(axes, shown, at, np.shape(inputs)[1:])
            axes.set_title(f"column {c}", fontsize=8.5)
            axes.tick_params(labelsize=7)
        figure.suptitle(f"What the columns of layer {pooler} answer to")
    return figure


def _field(axes, shown, at, shape):
    if shown.shape[1] == 1:
        edges = np.linspace(shown.min(), shown.max() + 1e-9, 33)
        axes.hist(shown[:, 0], edges, density=True, color=GREY, alpha=0.25)
        axes.hist(shown[at, 0], edges, density=True, color=BLUE, alpha=0.9)
        axes.set_yticks([])
    elif len(shape) == 2:
        axes.imshow(shown[at].mean(axis=0).reshape(shape), cmap="viridis")
        axes.set_axis_off()
    else:
        axes.plot(shown.mean(axis=0), color=GREY, linewidth=1, alpha=0.6)
        axes.plot(shown[at].mean(axis=0), color=BLUE, linewidth=1.2)


def distal_figure(model, cell, layer=None):
    """The distal weights of a cell: to all cells (columns across, cells of a column upward), and to the columns below.

    cell: (column, number in the column). layer: the memory's name (the first). Raises UserError.
    """
    _check_alone(model)
    memories = {info.name: info for info in model.layers() if info.kind == "TemporalMemory"}
    if not memories:
        raise UserError("The model has no TemporalMemory, so there are no distal weights to show.")
    name = next(iter(memories)) if layer is None else str(layer)
    if name not in memories:
        raise UserError(f"Layer {layer!r} was asked for; the model's memories are {', '.join(map(repr, memories))}.")
    C, M = memories[name].output_shape
    chosen = real(cell)
    if chosen is None or chosen.shape != (2,) or chosen.dtype.kind not in "iu" or not ((chosen >= 0) & (chosen < (C, M))).all():
        raise UserError(f"Cell {shown(cell)} was asked for; a cell is a pair of whole numbers, (column, number in the column), and "
                        f"layer {name} has columns 0 to {C - 1} of cells 0 to {M - 1}.")
    column, number = map(int, chosen)
    weights = _written_out(model, name, column * M + number)  # (P,)
    with style():
        figure = Figure(figsize=(10, 3.6), layout="constrained")
        upper, lower = figure.subplots(2, 1, height_ratios=(M, 1), sharex=True)
        most = np.abs(weights).max() or 1.0
        kind = dict(aspect="auto", cmap="RdBu", vmin=-most, vmax=most, interpolation="nearest", origin="lower")
        picture = upper.imshow(weights[: C * M].reshape(C, M).T, **kind)
        lower.imshow(weights[None, C * M : C * M + C], **kind)
        upper.set(title=f"Whom cell {number} of column {column} of layer {name} listens to", ylabel="cell", yticks=range(M))
        lower.set(xlabel="column", yticks=[0], yticklabels=["column"])
        figure.colorbar(picture, ax=[upper, lower], label="weight", pad=0.01)
    return figure


def _check_alone(model):
    if model.is_population:
        raise UserError("The figure shows one model, and was given a population; take one out with population.model(p).")


def _written_out(model, name, row):
    """The row's weights by place (P,); NaN where it sees none."""
    own, names, owners = model.state_dict(), model.network.names(), model.network.owners()
    owner = next(names[owners[node]] for node in names if names[node] == name)  # where the layer stands first
    weights = own[f"{owner}.distal_weight"][row]
    if f"{owner}.distal_pool" not in own:
        return weights
    P = next(call.consts["P"] for call in model.session.plan.forward if call.layer == name and call.name == "pool_forward")
    places = np.arange(P)
    _, seen, synapse = visible(np.array([row]), places, own[f"{owner}.distal_pool"], len(weights), P)
    full = np.full(P, np.nan, np.float32)
    full[places[seen]] = weights[synapse - row * len(weights)]
    return full
