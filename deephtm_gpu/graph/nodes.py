"""The nodes of a graph, the base of all layers, and the two layers that every graph may have: Input and Previous."""

from collections.abc import Callable
from dataclasses import replace
from math import prod

from deephtm_gpu.arguments import check_count
from deephtm_gpu.errors import UserError
from deephtm_gpu.graph.forms import Form


class Node:
    """A value in the graph: what `layer` makes of `inputs` (and, for a temporal memory, of further `contexts`)."""

    def __init__(self, layer, inputs, contexts=()):
        self.layer = layer
        self.inputs = list(inputs)
        self.contexts = list(contexts)

    sum_of: Callable  # from nodes to the node of their sum; layers/combine.py sets it, for the graph knows no layers

    def __repr__(self):
        return f"<node of {self.layer!r}>"

    @property
    def sources(self) -> list:
        """What its form comes from: of a `previous` the node that it looks back at, else the inputs."""
        source = source_of(self)
        return [source] if source else self.inputs

    @property
    def flow(self) -> list:
        """What the value comes from: the inputs, or where there are none the contexts."""
        return self.inputs or self.contexts

    def __add__(self, other):
        return self.sum_of([self, other])

    def __radd__(self, other):
        if isinstance(other, int) and other == 0:  # as sum() begins
            return self
        return self + other


class Layer:
    """A step of the flow. Call it on a node to get the next node; called on several nodes it stands at several places with the
    same weights (and at each with a temporal state of its own). Each place makes a step of the optimiser by its own gradient, one after the
    other: with plain SGD that is the step along their sum, with momentum, RMSprop or Adam a longer one.

    A subclass says what form it gives (`form`) and which ops it is (`lower`). lr_scale: multiplies the learning rate of
    its parameters; None: 0.01 up to and in the last spatial pooler (a moving code cannot be read), 1 behind it; 0 freezes.
    """

    lr_scale: float | None = None
    sizes_itself = False  # whether its form is known without its inputs'
    ticks = False  # whether what stands behind it goes by a clock of its own (see `graph/clocks.py`)
    first_alone = False  # whether it steps when its first input does, and only looks at the others

    def __call__(self, node):
        return self.place([check_node(node, self)])

    def place(self, inputs, contexts=()) -> Node:
        """A new place in the flow."""
        node = Node(self, inputs, contexts)
        self.nodes = [*getattr(self, "nodes", ()), node]
        return node

    def form(self, inputs: list[Form]) -> Form:
        raise NotImplementedError

    def check(self, node: Node, inputs: list[Form]):
        """Raises UserError where a place in the flow does not fit, beyond what `form` sees."""

    def lower(self, low, inputs):
        """low: a `plan.scope.Scope`; inputs: its values. Returns the value, and the function that emits the backward
        calls: from the gradient of the value to one gradient (or None) per input and context."""
        raise NotImplementedError

    def __repr__(self):
        shown = ", ".join(f"{k}={v!r}" for k, v in vars(self).items() if k != "nodes" and k[0] != "_" and v is not None)
        return f"{type(self).__name__}({shown})"


def check_node(node, layer) -> Node:
    if not isinstance(node, Node):
        raise UserError(
            f"{layer!r} was called on {type(node).__name__!r}; layers are called on nodes: begin with dh.Input(shape) and "
            "call the layers on what comes out, or list them in dh.Sequential."
        )
    return node


class Input(Layer):
    """The beginning of a flow: values of `shape` at every step. `dh.Input(shape)` is itself a node."""

    def __new__(cls, shape):
        layer = object.__new__(cls)
        shape = (shape,) if not isinstance(shape, (tuple, list)) else tuple(shape)
        layer.shape = tuple(check_count("A side of an input's shape", d) for d in shape)
        return layer.place([])

    def __reduce__(self):  # for copy and pickle: `__new__` gives a node
        return object.__new__, (type(self),), vars(self)

    def form(self, inputs):
        return Form(prod(self.shape), shape=self.shape)

    def lower(self, low, inputs):
        x = low.tape("x", (low.form.size,))
        low.forward("copy_forward", x=low.input(), y=x, D=x.size)
        return low.value(x), lambda dx: []


class Previous(Layer):
    """The value a node had one step ago; zeros at the start and after reset(). A constant in backward."""

    def __init__(self, source):
        self.source = source
        self.place([])

    def form(self, inputs):
        return replace(inputs[0], memory=False)

    def __repr__(self):
        source = self.source.layer if isinstance(self.source, Node) else self.source
        return f"Previous({type(source).__name__})"

    def lower(self, low, inputs):
        def held(name, **kind):
            size = (low.form.length or low.form.size,)
            return low.state("kept_" + name, size, **kind), low.tape(name, size, **kind)

        kept, now = held("value")
        low.forward("copy_forward", x=kept, y=now, D=now.size)
        keep = [("keep_update", "x", kept, "kept")]
        index = None
        if low.form.sparse:
            # Different places, so that writing the pairs out never meets one place twice.
            kept_index, index = held("index", index=True, start=range(kept.size))
            low.forward("copy_index", places=kept_index, y=index, D=index.size)
            keep.append(("keep_index", "places", kept_index, "kept_places"))

        def at_the_end(source):
            for name, read, state, changed in keep:
                moved = source.index if name == "keep_index" else source.tensor
                low.forward(name, **{read: moved, changed: state}, D=state.size)

        low.finish(at_the_end)
        return low.value(now, index), lambda dx: []


def previous(node):
    """The value that `node` had one step ago (zeros at the start and after reset()), as a node: for feedback.

    Give a layer instead of a node where the node does not exist yet (feedback from a layer further on).
    """
    if not isinstance(node, (Node, Layer)):
        raise UserError(f"dh.previous was given {type(node).__name__!r}; it takes a node (what a layer returns) or a layer.")
    return Previous(node).nodes[0]


def source_of(node) -> Node | None:
    """The node that a `previous` looks back at; None for other nodes."""
    if not isinstance(node.layer, Previous):
        return None
    source = node.layer.source
    if isinstance(source, Node):
        return source
    places = getattr(source, "nodes", ())
    if not places:
        raise UserError(f"dh.previous({source!r}) looks back at a layer that stands nowhere in the flow; call the layer on a node.")
    if len(places) > 1:
        raise UserError(
            f"dh.previous({source!r}) looks back at a layer that stands at {len(places)} places of the flow; give it the node "
            "that the call of that place returned."
        )
    return places[0]
