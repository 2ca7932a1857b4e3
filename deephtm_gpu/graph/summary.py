"""A network as a table, as people know it from Keras."""

from deephtm_gpu.graph.nodes import Input, Previous, source_of


def summary(network, forms, parameters, device=None) -> str:
    """Lines of text: a layer each with its output's shape, its parameters and what it reads. parameters: layer's name -> how many
    it learns."""
    names, owners = network.names(), network.owners()
    rows = [("layer", "output", "parameters", "reads")]
    for node, name in names.items():
        shape = " × ".join(map(str, forms[node].whole_shape or (forms[node].size,)))
        if forms[node].sparse and not forms[node].shape:
            shape = f"{forms[node].length} of {forms[node].size}"
        count = parameters.get(name, 0)
        weights = f"{count:,}" if count else "-" if owners[node] is node else f"those of {names[owners[node]]}"
        rows.append((f"{name}  {node.layer!r}" if not isinstance(node.layer, (Input, Previous)) else f"{name}  {type(node.layer).__name__}",
                     shape, weights, _reads(node, names)))
    widths = [max(len(row[j]) for row in rows) for j in range(4)]
    line = "─" * (sum(widths) + 6)
    table = [f"{a:<{widths[0]}}  {b:>{widths[1]}}  {c:>{widths[2]}}  {d}".rstrip() for a, b, c, d in rows]
    outputs = ", ".join(names[n] for n in network.outputs)
    end = f"{sum(parameters.values()):,} learned parameters; output: {outputs}" + (f"; on {device}" if device else "")
    return "\n".join([table[0], line, *table[1:], line, end])


def _reads(node, names) -> str:
    if isinstance(node.layer, Previous):
        return f"{names[source_of(node)]}, one step ago"
    told = ", ".join(names[n] for n in node.inputs)
    return told + (f" (context: {', '.join(names[n] for n in node.contexts)})" if node.contexts else "")
