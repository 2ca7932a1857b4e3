"""The nodes of a graph, the base of all layers, and the two layers that every graph may have: Input and Previous."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from math import prod

from deephtm_gpu.arguments import check_count
from deephtm_gpu.errors import UserError
from deephtm_gpu.graph.defaults import Setting
from deephtm_gpu.graph.forms import Form


class Node:
    """A value in the graph: what `layer` makes of `inputs` (and, for a temporal memory, of further `contexts`)."""

    def __init__(self, layer, inputs, contexts=()):
        self.layer = layer
        self.inputs = list(inputs)
        self.contexts = list(contexts)

    sum_of: Callable  # from nodes to the node of their sum; layers/combine.py sets it, for the graph knows no layers

    def __repr__(self) -> str:
        return f"<node of {self.layer!r}>"

    def __setstate__(self, state: dict):
        """For copy and pickle: its layer knows it again."""
        vars(self).update(state)
        self.layer.nodes = [*getattr(self.layer, "nodes", ()), self]

    @property
    def sources(self) -> list:
        """What its form comes from: of a `previous` the node that it looks back at, else the inputs."""
        source = source_of(self)
        return [source] if source else self.inputs

    @property
    def flow(self) -> list:
        """What the value comes from: the inputs, or where there are none the contexts."""
        return self.inputs or self.contexts

    def __add__(self, other: "Node") -> "Node":
        return self.sum_of([self, other])

    def __radd__(self, other: "Node | int") -> "Node":
        if isinstance(other, int) and other == 0:  # as sum() begins
            return self
        return self + other


class Layer:
    """A step of the flow. Call it on a node to get the next node. A layer that is called on several nodes has one set
    of weights, and a temporal state for each call. In every step its weights make one step of the optimiser, along the
    sum of the gradients of all its calls. The head of a temporal memory, which learns by itself to predict columns, is
    no part of that: each call updates it at once, one after the other in the order of the flow.

    A subclass says what form it gives (`form`) and which ops it is (`lower`). lr_scale: multiplies the learning rate of
    its parameters; None: 0.01 up to and in the last spatial pooler (a moving code cannot be read), 1 behind it, and
    0.01 for a layer with calls on both sides; 0 freezes.
    """

    lr_scale: float | None = None
    sizes_itself = False  # whether its form is known without its inputs'
    ticks = False  # whether the layers after it have a clock of their own (see `graph/clocks.py`)
    first_alone = False  # whether it steps when its first input does, and only looks at the others
    couples_positions = False  # whether a position of a map sees others
    slows_what_it_reads = False  # whether it reads a code, which must move slowly (see `graph/defaults.py`)

    def __call__(self, node: Node) -> Node:
        """Puts the layer into the flow.

        Parameters
        ----------
        node : Node
            What it reads: what `dh.Input` or a layer returned.

        Returns
        -------
        Node
            What it gives.
        """
        return self.add_node([check_node(node, self)])

    def __getstate__(self) -> dict:
        """For copy and pickle: without its nodes, which would drag along all that they read."""
        return {name: value for name, value in vars(self).items() if name != "nodes"}

    def add_node(self, inputs: list[Node], contexts: Sequence[Node] = ()) -> Node:
        """A new node of the layer."""
        node = Node(self, inputs, contexts)
        self.nodes = [*getattr(self, "nodes", ()), node]
        return node

    def form(self, inputs: list[Form]) -> Form:
        raise NotImplementedError

    @property
    def learned(self) -> bool:
        """Whether it has weights that the optimiser moves: every such layer takes lr_scale."""
        return "lr_scale" in vars(self)

    def choices(self, setting: Setting) -> dict[str, str]:
        """What it chose by the rules of `graph/defaults.py`, for `summary`: what -> as text. "std": of its weights at
        the start."""
        return {}

    def check(self, node: Node, inputs: list[Form]):
        """Raises UserError where a node does not fit, beyond what `form` sees."""

    def positions(self, inputs) -> tuple[int, int] | None:
        """The (H, W) of the map that it gives; None: none. inputs: those of its inputs. `form` is of one position."""
        return next((m for m in inputs if m), None)

    def check_maps(self, own, inputs, contexts):
        """Raises UserError where its inputs' maps, (H, W) or None each, do not fit together. Contexts may be vectors,
        which all positions see."""
        for given in (*inputs, *(c for c in contexts if c)):
            if given != own:
                raise UserError(
                    f"{self!r} must read maps of one height and width, got {_map_name(own)} and {_map_name(given)}; "
                    "bring them to one, or make vectors of them with dh.Flatten()."
                )

    def lower(self, low, inputs):
        """low: a `plan.scope.Scope`; inputs: its values. Returns the value, and the function that emits the backward
        calls: from the gradient of the value to one gradient (or None) per input and context."""
        raise NotImplementedError

    def __repr__(self) -> str:
        shown = ", ".join(f"{k}={v!r}" for k, v in vars(self).items() if k != "nodes" and k[0] != "_" and v is not None)
        return f"{type(self).__name__}({shown})"


def check_node(node, layer) -> Node:
    if not isinstance(node, Node):
        raise UserError(
            f"{layer!r} must be called on a node, got {type(node).__name__!r}; begin with dh.Input(shape) and "
            "call the layers on what it returns, or list them in dh.Sequential."
        )
    return node


def _map_name(positions) -> str:
    return f"a map of {positions[0]}×{positions[1]}" if positions else "a vector"


class Input(Layer):
    """The beginning of a flow. `dh.Input(shape)` is itself a node.

    A shape (channels, height, width) is a map: the layers behind it work at each of its height · width positions, with
    the same weights and a state of its own at each, as if every position were a stream, until `dh.Flatten()` makes a
    vector of them. Shapes of one or two dimensions are vectors.

    Parameters
    ----------
    shape : int or sequence of int
        The shape of the values that come at every step, such as (1,).

    Returns
    -------
    Node
        To be given to layers, and to `dh.Network` as an input.

    Raises
    ------
    UserError
        Where a side is no whole number, 1 or more.

    Examples
    --------
    >>> import deephtm_gpu as dh
    >>> x = dh.Input((2,))
    >>> dh.Network(x, dh.Linear(2)(dh.ReLU()(dh.Linear(8)(x))))
    Network(1 inputs, 1 outputs: Linear(units=8), ReLU(), Linear(units=2))
    """

    shape: tuple[int, ...]

    def __new__(cls, shape: int | Sequence[int]) -> Node:  # type: ignore[misc]  # a node, as users want it
        layer = object.__new__(cls)
        shape = (shape,) if not isinstance(shape, (tuple, list)) else tuple(shape)
        layer.shape = tuple(check_count("A side of an input's shape", d) for d in shape)
        layer.is_map = len(layer.shape) == 3  # a file of before maps may say that it is none
        return layer.add_node([])

    def __reduce__(self):  # for copy and pickle: `__new__` gives a node
        return object.__new__, (type(self),), self.__getstate__()

    def form(self, inputs):
        shape = self.shape[:1] if self.is_map else self.shape
        return Form(prod(shape), shape=shape)

    def positions(self, inputs):
        return self.shape[1:] if self.is_map else None

    def check_maps(self, own, inputs, contexts):
        pass

    def __repr__(self):
        return f"Input(shape={self.shape!r})"

    def lower(self, low, inputs):
        x = low.tape("x", (low.form.size,))
        if x.sites > 1:
            low.forward("map_forward", flat=low.input(), x=x, D=x.size, X=x.sites)
        else:
            low.forward("copy_forward", x=low.input(), y=x, D=x.size)
        return low.value(x), lambda dx: []


class Previous(Layer):
    """The value a node had one step ago; zeros at the start and after reset(). A constant in backward."""

    def __init__(self, source):
        self.source = source
        self.add_node([])

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
            # Different indices, so that no index comes twice in the dense vector.
            kept_index, index = held("index", index=True, within=(0, low.form.size - 1), start=range(kept.size))
            low.forward("copy_index", index=kept_index, y=index, D=index.size)
            keep.append(("keep_index", "index", kept_index, "kept_index"))

        def at_the_end(source):
            for name, read, state, changed in keep:
                moved = source.index if name == "keep_index" else source.tensor
                low.forward(name, **{read: moved, changed: state}, D=state.size)

        low.finish(at_the_end)
        return low.value(now, index), lambda dx: []


def previous(node: Node | Layer) -> Node:
    """The value that a node had one step ago, for feedback: zeros at the start and after reset(), and a constant in
    backward.

    Parameters
    ----------
    node : Node or Layer
        Whose value; a layer where its node does not exist yet, as in feedback from a layer further on.

    Returns
    -------
    Node
        Of the same size and kind.

    Raises
    ------
    UserError
        Where it is neither.

    Examples
    --------
    >>> import deephtm_gpu as dh
    >>> x, memory = dh.Input((2,)), dh.TemporalMemory(cells_per_column=4)
    >>> code = dh.SpatialPooler(columns=32, winners=3)(x)
    >>> net = dh.Network(x, dh.Linear(2)(memory(code, context=dh.previous(memory))))
    """
    if not isinstance(node, (Node, Layer)):
        raise UserError(f"dh.previous must get a node (what a layer returns) or a layer, got {type(node).__name__!r}.")
    return Previous(node).nodes[0]


def source_of(node) -> Node | None:
    """The node that a `previous` looks back at; None for other nodes."""
    if not isinstance(node.layer, Previous):
        return None
    source = node.layer.source
    if isinstance(source, Node):
        return source
    nodes = getattr(source, "nodes", ())
    if not nodes:
        raise UserError(f"dh.previous({source!r}) must be of a layer in the network, got one that is never called; "
                        "call it on a node.")
    if len(nodes) > 1:
        raise UserError(
            f"dh.previous({source!r}) must be of a layer that is called once, got one called {len(nodes)} times; give "
            "it the node that one of the calls returned."
        )
    return nodes[0]
