"""Networks: a chain of layers, or any graph of them."""

from collections.abc import Sequence

from deephtm_gpu.arguments import shown
from deephtm_gpu.errors import UserError
from deephtm_gpu.graph.forms import forms_of
from deephtm_gpu.graph.nodes import Input, Layer, Node, Previous, source_of
from deephtm_gpu.graph.summary import summary

OF_NODE = ("layer", "inputs", "contexts")  # what every node has


class Network:
    """A graph of layers, from inputs to outputs.

    Parameters
    ----------
    inputs : Node or sequence of Node
        What `dh.Input` returned, each once.
    outputs : Node or sequence of Node
        What layers returned. Without targets, output j learns to predict input j.

    Raises
    ------
    UserError
        Where these are no nodes, an input is missing, or the flow runs in a circle without `dh.previous`.

    Examples
    --------
    >>> import deephtm_gpu as dh
    >>> x = dh.Input((3,))
    >>> code = dh.SpatialPooler(columns=64, winners=4)(dh.Linear(16)(x))
    >>> net = dh.Network(x, dh.Linear(3)(dh.TemporalMemory(cells_per_column=4)(code)))
    >>> [net.names()[node] for node in net.nodes]
    ['input0', '0', '1', '2', '3']
    """

    def __init__(self, inputs: Node | Sequence[Node], outputs: Node | Sequence[Node]) -> None:
        self.inputs, self.outputs = _nodes(inputs, "inputs"), _nodes(outputs, "outputs")
        for n, node in enumerate(self.inputs):
            if not isinstance(node.layer, Input):
                raise UserError(f"Network's input {n} must be a node of dh.Input(shape), got that of {node.layer!r}.")
            if node in self.inputs[:n]:
                raise UserError(f"Network's inputs must differ, got input {n} twice; list each node of dh.Input once.")
        self.nodes = _in_order(self.inputs, self.outputs)

    def __getstate__(self) -> dict:
        """Its nodes by their numbers, for copy and pickle: these would follow a chain as deep as it is long."""
        number = {node: n for n, node in enumerate(self.nodes)}
        layers = {node.layer: None for node in self.nodes}
        place = {layer: n for n, layer in enumerate(layers)}
        nodes = [(place[n.layer], [number[b] for b in n.inputs], [number[c] for c in n.contexts],
                  {what: x for what, x in vars(n).items() if what not in OF_NODE}) for n in self.nodes]
        sources = {place[n.layer]: number[s] for n in self.nodes if (s := source_of(n)) is not None}
        kept = [(type(layer), {w: x for w, x in vars(layer).items() if w not in ("nodes", "source")})
                for layer in layers]
        more = {what: x for what, x in vars(self).items() if what not in ("inputs", "outputs", "nodes")}
        return more | {"layers": kept, "nodes": nodes, "sources": sources,
                       "ends": [[number[n] for n in ends] for ends in (self.inputs, self.outputs)]}

    def __setstate__(self, state: dict):
        state = dict(state)
        layers = []
        for kind, attributes in state.pop("layers"):
            layers.append(object.__new__(kind))
            vars(layers[-1]).update(attributes)
        described = state.pop("nodes")
        nodes = [layers[layer].add_node([]) for layer, *_ in described]
        for node, (_, inputs, contexts, more) in zip(nodes, described):
            node.inputs, node.contexts = [nodes[n] for n in inputs], [nodes[n] for n in contexts]
            vars(node).update(more)
        for layer, source in state.pop("sources").items():
            layers[layer].source = nodes[source]
        inputs, outputs = state.pop("ends")
        vars(self).update(state, nodes=nodes, inputs=[nodes[n] for n in inputs], outputs=[nodes[n] for n in outputs])

    def summary(self) -> str:
        """The network as a table: layers, shapes, rates, what reads what, and what the engine chose by itself.

        Returns
        -------
        str
            Lines of text, a layer each. What a loss decides is shown by `Model.summary`, which counts the parameters
            too.
        """
        return summary(self, forms_of(self), {})

    def __repr__(self) -> str:
        layers = ", ".join(repr(n.layer) for n in self.nodes if not isinstance(n.layer, (Input, Previous)))
        return f"Network({len(self.inputs)} inputs, {len(self.outputs)} outputs: {layers})"

    def owners(self) -> dict[Node, Node]:
        """Whose weights each node shares.

        Returns
        -------
        dict of Node to Node
            Each node's first of the same layer: under its name stand the weights.
        """
        first: dict = {}
        return {node: first.setdefault(node.layer, node) for node in self.nodes}

    def names(self) -> dict[Node, str]:
        """What each node is called.

        Returns
        -------
        dict of Node to str
            The number of its layer in the order of flow; "input0", ... for the inputs, "previous0", ... for
            `dh.previous`.
        """
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
    """Layers in a row, each reading the one before.

    Parameters
    ----------
    *layers : Layer
        One or more, or a list of them. The shape of the input is given to `dh.Model`.

    Raises
    ------
    UserError
        Where there is none, or something else than a layer.

    Examples
    --------
    >>> import deephtm_gpu as dh
    >>> net = dh.Sequential(dh.Linear(16), dh.ReLU(), dh.Linear(1))
    >>> model = dh.Model(net, input_shape=(1,), device="numpy")
    >>> [info.kind for info in model.layers()]
    ['Linear', 'ReLU', 'Linear']
    """

    def __init__(self, *layers: Layer | Sequence[Layer]) -> None:
        layers = layers[0] if len(layers) == 1 and isinstance(layers[0], (list, tuple)) else layers
        if not layers:
            raise UserError("Sequential must have a layer or more, got none; list one, as in "
                            "dh.Sequential(dh.Linear(1)).")
        for layer in layers:
            if not isinstance(layer, Layer):
                raise UserError(f"Sequential must be of layers, such as dh.Linear(256), got {shown(layer)}.")
        self.layers = list(layers)

    def __repr__(self) -> str:
        return "Sequential(\n" + "".join(f"    {layer!r},\n" for layer in self.layers) + ")"

    def network(self, input_shape: int | Sequence[int]) -> Network:
        """The same as a graph.

        Parameters
        ----------
        input_shape : int or sequence of int
            The shape of the input at one step, such as (1,).

        Returns
        -------
        Network
            A new one, with weights of its own in every model.
        """
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
            raise UserError(f"Network's {what} must be nodes (what dh.Input or a layer returns), got "
                            f"{type(node).__name__!r}.")
    if not nodes:
        raise UserError(f"Network's {what} must be one node or more, got none.")
    return nodes


def _in_order(inputs, outputs) -> list[Node]:
    """All nodes that count, each behind what it reads (`previous` reads an earlier step: no order). Inputs come
    first."""
    order = dict.fromkeys(inputs)

    def visit(last):
        opened = {}  # node -> what it reads and is still to be visited; each reads the next
        ahead = last
        while ahead is not None or opened:
            if ahead is not None and ahead not in order:
                _check_opened(ahead, opened)
                opened[ahead] = iter(ahead.inputs + ahead.contexts)
            node = next(reversed(opened), None)
            if node is None:
                return
            ahead = next(opened[node], None)
            if ahead is None:
                del opened[node]
                order[node] = None

    for node in outputs:
        visit(node)
    # What `previous` looks back at must be computed too, even where nothing else reads it.
    while missing := [s for s in map(source_of, order) if s is not None and s not in order]:
        for node in missing:
            visit(node)
    return list(order)


def _check_opened(node, opened):
    """Raises UserError where the node may not be read by the last of those that are opened."""
    if node in opened:
        path = list(opened)
        circle = " -> ".join(repr(n.layer) for n in reversed([*path[path.index(node):], node]))
        raise UserError(
            f"A network must have no cycle within a step, got {circle}; put "
            "dh.previous(...) where the cycle closes."
        )
    if isinstance(node.layer, Input):
        raise UserError("Network's inputs must hold every Input that it reads, got none of shape "
                        f"{node.layer.shape}; add it to inputs=[...].")
