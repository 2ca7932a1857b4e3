"""A network as a table, as people know it from Keras, with what the engine chose by itself."""

import inspect
from textwrap import wrap

from deephtm_gpu.graph.clocks import clocks_of
from deephtm_gpu.graph.defaults import BY_LOSS, lr_scale, settings_of
from deephtm_gpu.graph.nodes import Input, Previous, source_of

HEAD = ("layer", "output", "parameters", "lr", "std", "reads", "notes")
ALIGNED = "<>>>><<"
WIDEST = (40, None, None, None, None, 32, None)  # where a cell is wrapped: a chain of layers fits 100 characters
LEGEND = {
    "slow": "slow: a pooler, or before one; a code that moves fast cannot be read",
    BY_LOSS: f"{BY_LOSS}: chosen when dh.Model is given its losses; a cross-entropy among them decides",
}


def summary(network, forms, parameters, device=None, surprises=None) -> str:
    """Lines of text: a layer each with its output's shape, its parameters, what multiplies its learning rate, the
    standard deviation of its first weights where the engine chose it (`graph/defaults.py` has the rules), what it
    reads, and notes: "slow", where it learns slower as a pooler, or before one; "clock", whose surprise clocks a
    memory's slow context; "ticks", the layer by whose ticks it goes. parameters: layer's name -> how many it learns.
    surprises: whether an output's loss gives a surprise; None: no loss was chosen yet."""
    names, owners = network.names(), network.owners()
    settings, clocks = settings_of(network, forms, surprises), clocks_of(network.nodes)
    rows = []
    for node, name in names.items():
        count, choices = parameters.get(name, 0), node.layer.choices(settings[node])
        weights = f"{count:,}" if count else "-" if owners[node] is node else f"those of {names[owners[node]]}"
        notes = _notes(node.layer, settings[node], choices, names[clocks[node]] if clocks[node] else None)
        rows.append((f"{name}  {_shown(node.layer)}", _shape(forms[node]), weights, _rate(node.layer, settings[node]),
                     choices.get("std", ""), _reads(node, names), notes))
    outputs = ", ".join(names[n] for n in network.outputs)
    end = f"{sum(parameters.values()):,} learned parameters; output: {outputs}" + (f"; on {device}" if device else "")
    legend = [line for mark, line in LEGEND.items() if any(mark in row[4] + row[6] for row in rows)]
    return "\n".join([*_table(rows), end, *legend])


def _table(rows) -> list[str]:
    cells = [[_wrapped(text, limit, "   " if j == 0 else "") for j, (text, limit) in enumerate(zip(row, WIDEST))]
             for row in (HEAD, *rows)]
    widths = [max(len(line) for row in cells for line in row[j]) for j in range(len(HEAD))]
    line = "─" * (sum(widths) + 2 * (len(widths) - 1))
    head, *body = [list(_lines(row, widths)) for row in cells]
    return [*head, line, *(text for row in body for text in row), line]


def _wrapped(text, limit, indent) -> list[str]:
    if limit is None or len(text) <= limit:
        return text.split("\n")
    return wrap(text, limit, break_long_words=False, break_on_hyphens=False, subsequent_indent=indent)


def _lines(row, widths):
    """One row of the table, as many lines as its longest cell."""
    for n in range(max(map(len, row))):
        texts = [cell[n] if n < len(cell) else "" for cell in row]
        yield "  ".join(f"{text:{side}{width}}" for text, side, width in zip(texts, ALIGNED, widths)).rstrip()


def _shown(layer) -> str:
    """The layer as a user would type it: only the arguments that differ from their defaults."""
    if isinstance(layer, (Input, Previous)):
        return type(layer).__name__
    given = {n: (getattr(layer, n, None), p.default) for n, p in inspect.signature(type(layer)).parameters.items()}
    shown = ", ".join(f"{n}={value!r}" for n, (value, default) in given.items() if value != default)
    return f"{type(layer).__name__}({shown})"


def _shape(form) -> str:
    return " × ".join(map(str, form.whole_shape or (form.size,)))


def _rate(layer, setting) -> str:
    return f"×{lr_scale(layer.lr_scale, setting.slow):g}" if layer.learned else ""


def _reads(node, names) -> str:
    if isinstance(node.layer, Previous):
        return f"{names[source_of(node)]}, one step ago"
    read = ", ".join(names[n] for n in node.inputs)
    return read + (f" (context: {', '.join(names[n] for n in node.contexts)})" if node.contexts else "")


def _notes(layer, setting, choices, clock) -> str:
    found = [f"{what}: {value}" for what, value in choices.items() if what != "std"]
    if layer.learned and lr_scale(layer.lr_scale, setting.slow) == 0:
        found = ["frozen", *found]
    elif layer.learned and layer.lr_scale is None and setting.slow:
        found = ["slow", *found]
    if clock:
        found.append(f"ticks: {clock}")
    return "\n".join(found)
