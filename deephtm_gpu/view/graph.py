"""Any network as a graph: boxes from left to right in the order of flow, context dashed, values of the step before
dotted."""

import textwrap

from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch

from deephtm_gpu.graph.nodes import Previous, source_of
from deephtm_gpu.view.style import BLUE, GREEN, GREY, INK, ORANGE, PURPLE, style

WIDTH, HEIGHT = 0.74, 0.62  # of a box; the centres of boxes are at whole numbers
COLOURS = {"SpatialPooler": ORANGE, "TemporalMemory": GREEN, "Input": GREY, "Previous": PURPLE}  # all others blue


def network_figure(model):
    """The network of a model, with every layer's name, kind, output shape and number of parameters.

    Parameters
    ----------
    model : dh.Model or dh.Population
        The model.

    Returns
    -------
    matplotlib.figure.Figure
        The figure.

    Examples
    --------
    >>> import deephtm_gpu as dh
    >>> from deephtm_gpu import view
    >>> model = dh.Model(dh.Sequential(dh.Linear(4), dh.ReLU()), input_shape=(2,), device="numpy")
    >>> figure = view.network_figure(model)
    """
    network = model.network
    positions = _positions(network)
    across, down = (1 + max(p[axis] for p in positions.values()) for axis in (0, 1))
    with style():
        figure = Figure(figsize=(max(4, 1.55 * across), max(1.8, 1.25 * down + 0.4 * across)), layout="constrained")
        axes = figure.add_subplot()
        margin = 0.16 * across  # for arrows around the boxes
        axes.set(xlim=(-0.5, across - 0.5), ylim=(down - 0.5 + margin, -0.5 - margin))
        axes.set_axis_off()
        _draw_boxes(axes, model, positions)
        _draw_arrows(axes, network, positions)
        axes.set_title("dashed: context; dotted: one step ago", fontsize=8, color=GREY, loc="right")
    return figure


def _positions(network):
    """Node -> (x, y): x is one more than the largest x of its sources; a `previous` has no source and is at the
    left."""
    depth, taken, positions = {}, {}, {}
    for node in network.nodes:
        depth[node] = 1 + max((depth[b] for b in node.inputs + node.contexts), default=-1)
        positions[node] = (depth[node], taken.get(depth[node], 0))
        taken[depth[node]] = positions[node][1] + 1
    return positions


def _draw_boxes(axes, model, positions):
    network, forms = model.network, model.session.forms
    names, owners = network.names(), network.owners()
    parameters = {info.name: info.parameters for info in model.layers()}
    for node in network.nodes:
        owner = names[owners[node]]
        count = parameters.get(owner, 0)
        weights = "" if not count else f"{count:,} weights" if owner == names[node] else f"weights of {owner}"
        _draw_box(axes, positions[node], node, names[node], forms[node], weights, node in network.outputs)


def _draw_box(axes, position, node, name, form, weights, is_output):
    (x, y), kind = position, type(node.layer).__name__
    colour = COLOURS.get(kind, BLUE)
    axes.add_patch(
        FancyBboxPatch(
            (x - WIDTH / 2, y - HEIGHT / 2),
            WIDTH,
            HEIGHT,
            boxstyle="round,pad=0,rounding_size=0.06",
            facecolor=_pale(colour),
            edgecolor=colour,
            linewidth=2.2 if is_output else 1.2,
            zorder=2,
        )
    )
    title = name if name.startswith(("input", "previous")) else f"{name}: {kind}"
    shape = " × ".join(map(str, form.shape or (form.size,)))
    below = weights or ("output" if is_output else "")
    lines = (-0.19, textwrap.shorten(title, 22), 7.5, INK), (0.01, shape, 9, INK), (0.20, below, 7, GREY)
    for dy, text, size, ink in lines:
        axes.text(x, y + dy, text, ha="center", va="center", size=size, color=ink, zorder=3)


def _draw_arrows(axes, network, positions):
    for node in network.nodes:
        for source in node.inputs:
            _draw_arrow(axes, positions[source], positions[node], INK, "-")
        for source in node.contexts:
            _draw_arrow(axes, positions[source], positions[node], GREEN, "--")
        if isinstance(node.layer, Previous):
            _draw_arrow(axes, positions[source_of(node)], positions[node], PURPLE, ":")


def _draw_arrow(axes, start, end, colour, line):
    (a, b), (c, d) = start, end
    if c <= a:  # backward, below the boxes
        begin, finish, bend = (a, b + HEIGHT / 2), (c, d + HEIGHT / 2), "arc3,rad=-0.3"
    elif c > a + 1 and b == d:  # past other boxes, above them
        begin, finish, bend = (a, b - HEIGHT / 2), (c, d - HEIGHT / 2), "arc3,rad=-0.3"
    else:
        begin, finish, bend = (a + WIDTH / 2, b), (c - WIDTH / 2, d), "arc3,rad=0"
    axes.add_patch(
        FancyArrowPatch(
            begin,
            finish,
            arrowstyle="-|>",
            mutation_scale=9,
            color=colour,
            linewidth=1.1,
            linestyle=line,
            connectionstyle=bend,
            shrinkA=1,
            shrinkB=1,
            zorder=1,
        )
    )


def _pale(colour):
    """Nearly white, and opaque, so that it hides the arrows behind it."""
    parts = (int(colour[i : i + 2], 16) for i in (1, 3, 5))
    return "#" + "".join(f"{255 - (255 - part) // 10:02X}" for part in parts)
