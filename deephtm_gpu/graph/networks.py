"""Networks: a chain of layers, or any graph of them."""

from deephtm_gpu.errors import UserError
from deephtm_gpu.graph.forms import forms_of
from deephtm_gpu.graph.nodes import Input, Layer, Node, Previous, source_of
from deephtm_gpu.graph.summary import summary


class Network:
    """A graph from `inputs` (nodes of dh.Input) to `outputs` (nodes), each one node or a list of them.

    Without targets, output j learns to predict input j.
    """

    def __init__(self, inputs, outputs):
        self.inputs, self.outputs = _nodes(inputs, "inputs"), _nodes(outputs, "outputs")
        for n, node in enumerate(self.inputs):
            if not isinstance(node.layer, Input):
                raise UserError(f"Network's input {n} is the node of {node.layer!r}; inputs are the nodes of dh.Input(shape).")
            if node in self.inputs[:n]:
                raise UserError(f"Network's input {n} is listed twice; list each node of dh.Input once.")
        self.nodes = _in_order(self.inputs, self.outputs)

    def summary(self) -> str:
        """The network as a table: layers, shapes, and what reads what."""
        return summary(self, forms_of(self), {})

    def __repr__(self):
        layers = ", ".join(repr(n.layer) for n in self.nodes if not isinstance(n.layer, (Input, Previous)))
        return f"Network({len(self.inputs)} inputs, {len(self.outputs)} outputs: {layers})"

    def owners(self) -> dict[Node, Node]:
        """Each node's first of the same layer: under its name stand the weights that they share."""
        first: dict = {}
        return {node: first.setdefault(node.layer, node) for node in self.nodes}

    def names(self) -> dict[Node, str]:
        """Each node's name: the number of its layer in the order of flow; "input0", ... for the inputs, "previous0", ..."""
        names, layers, delays = {}, 0, 0
        for node in self.nodes:
            if isinstance(node.layer, Input):
                names[node] = f"input{self.inputs.index(node)}"
            elif isinstance(node.layer, Previous):
                names[node], delays = f"previous{delays}", delays + 1
            else:
                names[node], layers = str(layers), layers + 1
        return names


class Sequential:
    """Layers in a row. The shape of its input is given to dh.Model."""

    def __init__(self, *layers):
        layers = layers[0] if len(layers) == 1 and isinstance(layers[0], (list, tuple)) else layers
        if not layers:
            raise UserError("A Sequential of no layers was asked for; list at least one, as in dh.Sequential(dh.Linear(1)).")
        for layer in layers:
            if not isinstance(layer, Layer):
                raise UserError(f"Sequential was given {layer!r}; it takes layers, such as dh.Linear(256).")
        self.layers = list(layers)

    def __repr__(self):
        return "Sequential(\n" + "".join(f"    {layer!r},\n" for layer in self.layers) + ")"

    def network(self, input_shape) -> Network:
        """The same as a graph over an input of that shape."""
        x = node = Input(input_shape)
        for layer in self.layers:
            layer.nodes = []  # a Sequential may be made a model of more than once, each with weights of its own
        for layer in self.layers:
            node = layer(node)
        return Network(x, node)


def as_network(net, input_shape) -> Network:
    """net: a Network, or a Sequential over an input of that shape."""
    if isinstance(net, Network):
        return net
    if not isinstance(net, Sequential):
        raise UserError(f"Model's net must be a dh.Sequential or a dh.Network, got {type(net).__name__!r}.")
    if input_shape is None:
        raise UserError("A Model of a Sequential must be given its input_shape, such as input_shape=(1,).")
    return net.network(input_shape)


def _nodes(given, what) -> list[Node]:
    nodes = list(given) if isinstance(given, (list, tuple)) else [given]
    for node in nodes:
        if not isinstance(node, Node):
            raise UserError(f"Network's {what} hold {type(node).__name__!r}; they are nodes: what dh.Input or a layer returns.")
    if not nodes:
        raise UserError(f"A Network without {what} was asked for; give one node or more.")
    return nodes


def _in_order(inputs, outputs) -> list[Node]:
    """All nodes that count, each behind what it reads (`previous` reads an earlier step: no order). Inputs come first."""
    order, open_nodes = list(inputs), []

    def visit(node):
        if node in order:
            return
        if node in open_nodes:
            circle = " -> ".join(repr(n.layer) for n in reversed([*open_nodes[open_nodes.index(node):], node]))
            raise UserError(
                f"The flow runs in a circle: {circle}; a value cannot be its own cause within a step: put "
                "dh.previous(...) where the circle closes."
            )
        if isinstance(node.layer, Input):
            raise UserError(f"The network reads an Input of shape {node.layer.shape} that is not among its inputs; add it to inputs=[...].")
        open_nodes.append(node)
        for before in node.inputs + node.contexts:
            visit(before)
        open_nodes.pop()
        order.append(node)

    for node in outputs:
        visit(node)
    # What `previous` looks back at must be computed too, even where nothing else reads it.
    while True:
        missing = [s for s in map(source_of, order) if s is not None and s not in order]
        if not missing:
            return order
        for node in missing:
            visit(node)
