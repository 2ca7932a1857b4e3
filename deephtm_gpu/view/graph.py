"""Any network as a graph: boxes from left to right as the numbers flow, context dashed, what comes from the step before dotted."""

import textwrap

from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch

from deephtm_gpu.graph.nodes import Previous, source_of
from deephtm_gpu.view.style import BLUE, GREEN, GREY, INK, ORANGE, PURPLE, style

WIDTH, HEIGHT = 0.74, 0.62  # of a box; boxes stand at whole numbers
COLOURS = {"SpatialPooler": ORANGE, "TemporalMemory": GREEN, "Input": GREY, "Previous": PURPLE}  # all others blue


def network_figure(model):
    """model: a Model or Population. A matplotlib Figure with every layer's name, kind, output shape and parameters."""
    network, forms = model.network, model.session.forms
    names, owners, parameters = network.names(), network.owners(), {info.name: info.parameters for info in model.layers()}
    places = _places(network)
    across, down = (1 + max(p[axis] for p in places.values()) for axis in (0, 1))
    with style():
        figure = Figure(figsize=(max(4, 1.55 * across), max(1.8, 1.25 * down + 0.4 * across)), layout="constrained")
        axes = figure.add_subplot()
        room = 0.16 * across  # for what goes round the boxes
        axes.set(xlim=(-0.5, across - 0.5), ylim=(down - 0.5 + room, -0.5 - room))
        axes.set_axis_off()
        for node in network.nodes:
            owner = names[owners[node]]
            count = parameters.get(owner, 0)
            weights = "" if not count else f"{count:,} weights" if owner == names[node] else f"weights of {owner}"
            _draw_box(axes, places[node], node, names[node], forms[node], weights, node in network.outputs)
        for node in network.nodes:
            for before in node.inputs:
                _draw_arrow(axes, places[before], places[node], INK, "-")
            for before in node.contexts:
                _draw_arrow(axes, places[before], places[node], GREEN, "--")
            if isinstance(node.layer, Previous):
                _draw_arrow(axes, places[source_of(node)], places[node], PURPLE, ":")
        axes.set_title("dashed: context; dotted: one step ago", fontsize=8, color=GREY, loc="right")
    return figure


def _places(network):
    """Node -> (x, y): x is one more than the most of what it reads; what `previous` gives stands at the left."""
    depth, taken, places = {}, {}, {}
    for node in network.nodes:
        depth[node] = 1 + max((depth[b] for b in node.inputs + node.contexts), default=-1)
        places[node] = (depth[node], taken.get(depth[node], 0))
        taken[depth[node]] = places[node][1] + 1
    return places


def _draw_box(axes, place, node, name, form, weights, is_output):
    (x, y), kind = place, type(node.layer).__name__
    colour = COLOURS.get(kind, BLUE)
    axes.add_patch(FancyBboxPatch((x - WIDTH / 2, y - HEIGHT / 2), WIDTH, HEIGHT, boxstyle="round,pad=0,rounding_size=0.06",
                                  facecolor=_pale(colour), edgecolor=colour, linewidth=2.2 if is_output else 1.2, zorder=2))
    shape = " × ".join(map(str, form.whole_shape or (form.size,)))
    below = weights or ("output" if is_output else "")
    for dy, text, size, ink in ((-0.19, textwrap.shorten(f"{name}: {kind}" if not name.startswith(("input", "previous")) else name, 22), 7.5, INK),
                                (0.01, shape, 9, INK), (0.20, below, 7, GREY)):
        axes.text(x, y + dy, text, ha="center", va="center", size=size, color=ink, zorder=3)


def _draw_arrow(axes, start, end, colour, line):
    (a, b), (c, d) = start, end
    if c <= a:  # back, below the boxes
        begin, finish, bend = (a, b + HEIGHT / 2), (c, d + HEIGHT / 2), "arc3,rad=-0.3"
    elif c > a + 1 and b == d:  # past others, above them
        begin, finish, bend = (a, b - HEIGHT / 2), (c, d - HEIGHT / 2), "arc3,rad=-0.3"
    else:
        begin, finish, bend = (a + WIDTH / 2, b), (c - WIDTH / 2, d), "arc3,rad=0"
    axes.add_patch(FancyArrowPatch(begin, finish, arrowstyle="-|>", mutation_scale=9, color=colour, linewidth=1.1, linestyle=line,
                                   connectionstyle=bend, shrinkA=1, shrinkB=1, zorder=1))


def _pale(colour):
    """Nearly white, and not to be seen through: arrows pass behind."""
    parts = (int(colour[i : i + 2], 16) for i in (1, 3, 5))
    return "#" + "".join(f"{255 - (255 - part) // 10:02X}" for part in parts)
