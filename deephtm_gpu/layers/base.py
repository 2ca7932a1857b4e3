"""What people compose: layers, and the nodes of a graph that calling them makes."""

import numbers
from dataclasses import dataclass, replace
from math import prod

from deephtm_gpu.errors import UserError


@dataclass(frozen=True)
class Form:
    """What a node gives at a step. size: how many numbers. length: how many (index, value) pairs they travel as, where
    most are 0 (None: all are written out). winners, cells: of a pooler or a memory; memory: whether it is one. shape: as the user sees
    it."""

    size: int
    length: int | None = None
    winners: int = 0
    cells: int = 1
    shape: tuple[int, ...] = ()
    memory: bool = False

    @property
    def sparse(self) -> bool:
        return self.length is not None


class Node:
    """A value in the graph: what `layer` makes of `inputs` (and, for a temporal memory, of further `contexts`)."""

    def __init__(self, layer, inputs, contexts=()):
        self.layer = layer
        self.inputs = list(inputs)
        self.contexts = list(contexts)

    def __repr__(self):
        return f"<node of {self.layer!r}>"

    @property
    def flow(self) -> list:
        """What the value comes from: the inputs, or where there are none the contexts."""
        return self.inputs or self.contexts

    def __add__(self, other):
        from deephtm_gpu.layers.combine import Add

        return Add()([self, other])

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


def check_count(what: str, value, least: int = 1) -> int:
    """value as an int, or a UserError that names argument and value."""
    try:
        whole = not isinstance(value, bool) and value.__index__() >= least
    except (AttributeError, TypeError):
        whole = False
    if not whole:
        raise UserError(f"{what} = {value!r} was asked for; it must be a whole number, {least} or more.")
    return value.__index__()


LARGEST = 3.4e38  # about what a float32 holds


def is_number(value) -> bool:
    """Python's and NumPy's real numbers that a float32 can hold, but not truth values."""
    return isinstance(value, numbers.Real) and not isinstance(value, bool) and -LARGEST <= value <= LARGEST


def check_scale(value) -> float | None:
    if value is not None and not (is_number(value) and value >= 0):
        raise UserError(f"lr_scale = {value!r} was asked for; it must be a number, 0 (frozen) or more.")
    return value


class Input(Layer):
    """The beginning of a flow: values of `shape` at every step. `dh.Input(shape)` is itself a node."""

    def __new__(cls, shape):
        layer = object.__new__(cls)
        shape = (shape,) if not isinstance(shape, (tuple, list)) else tuple(shape)
        layer.shape = tuple(check_count("A side of an input's shape", d) for d in shape)
        return layer.place([])

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
