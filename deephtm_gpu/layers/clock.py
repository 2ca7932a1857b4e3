"""Parts of a network that step less often than the rest: the layers after `every` or `when`."""

from deephtm_gpu.arguments import check_count, is_number, one_of, shown
from deephtm_gpu.errors import UserError
from deephtm_gpu.graph.forms import Form
from deephtm_gpu.graph.nodes import Layer, Node, check_node

GATHERS = ("last", "sum")
MOST_STEPS = 1 << 24  # a float32 counts no further


class Hold(Layer):
    """Gives its node's value as of the last tick of a clock of its own; zeros before the first. See `every`. A subclass
    says when it ticks (`_tick`), and what two have in common that tick alike (`clock_key`)."""

    ticks = True

    def _check_gather(self, gather):
        if not one_of(gather, GATHERS):
            raise UserError(f"{type(self).__name__}'s gather must be 'last' or 'sum', got {shown(gather)}.")
        self.gather = gather

    def form(self, inputs):
        return Form(inputs[0].size, shape=inputs[0].shape)

    def lower(self, low, inputs):
        (x, to_sparse), D = low.to_dense(inputs[0]), inputs[0].size
        sites = self._sites(low, inputs)
        tick, has_ticked = (low.tape(name, (1,), sites=sites) for name in ("tick", "begun"))
        started = low.state("started", (1,), sites=sites)
        self._tick(low, inputs, tick, has_ticked, started)
        low.set_clock(tick, has_ticked)
        y = low.tape("y", (D,))
        low.forward("hold_forward", x=x.tensor, tick=tick, parent=low.parent_tick(), kept=low.state("kept", (D,)),
                    gathered=low.state("gathered", (D,)), y=y, gathers=GATHERS.index(self.gather), D=D)

        def backward(dy):
            """Within the step of a tick; what came in earlier steps is a constant, as with `previous`."""
            dx = low.scratch("dx", (D,))
            low.learn("times_forward", x=dy, by=tick, y=dx, D=D)
            return [to_sparse(dx)] + [None] * (len(inputs) - 1)

        return low.value(y), backward


    def _sites(self, low, inputs) -> int:
        """At how many positions of a map it has a clock of its own."""
        return low.parent_tick().sites


class Every(Hold):
    """The layer that `every` makes: it ticks every so many steps.

    Parameters
    ----------
    steps : int
        From tick to tick, 1 or more.
    gather : str, default "last"
        "last": the value at the tick; "sum": the sum of the values since the tick before.

    Raises
    ------
    UserError
        Where an argument is out of range.

    Examples
    --------
    >>> import deephtm_gpu as dh
    >>> dh.Every(3)(dh.Input((2,)))  # dh.every(dh.Input((2,)), 3) is the same
    <node of Every(steps=3, gather='last')>
    """

    def __init__(self, steps: int, gather: str = "last") -> None:
        self.steps = check_count("every's steps", steps)
        if self.steps > MOST_STEPS:
            raise UserError(f"every's steps must be at most {MOST_STEPS:,}, as they are counted in float32, got "
                            f"{shown(steps)}.")
        self._check_gather(gather)

    def _tick(self, low, inputs, tick, has_ticked, started):
        count = low.state("count", (1,), sites=tick.sites)
        low.forward(
            "every_forward",
            parent=low.parent_tick(),
            count=count,
            started=started,
            tick=tick,
            has_ticked=has_ticked,
            steps=self.steps,
        )

    def clock_key(self, node):
        return self.steps


class When(Hold):
    """The layer that `when` makes: it ticks where a gate is open. Make it with `dh.when`, which takes the gate.

    Parameters
    ----------
    gather : str, default "last"
        "last": the value at the tick; "sum": the sum of the values since the tick before.

    Raises
    ------
    UserError
        Where gather is none of these.

    Examples
    --------
    >>> import deephtm_gpu as dh
    >>> node = dh.when(dh.Input((1,)), dh.Input((2,)), gather="sum")
    >>> node
    <node of When(gather='sum')>
    """

    def __init__(self, gather: str = "last") -> None:
        self._check_gather(gather)

    def form(self, inputs):
        if inputs[1].size != 1:
            raise UserError(f"The gate of dh.when must be one number (open above 0.5), got {inputs[1].size} numbers.")
        return super().form(inputs)

    def check_maps(self, own, inputs, contexts):
        """The gate may be one for all positions."""
        super().check_maps(own, [inputs[0], *(m for m in inputs[1:] if m)], contexts)

    def _sites(self, low, inputs):
        return max(low.parent_tick().sites, inputs[1].sites)

    def clock_key(self, node):
        return node.inputs[1]

    def _tick(self, low, inputs, tick, has_ticked, started):
        gate, _ = low.to_dense(inputs[1])
        low.forward(
            "when_forward",
            gate=gate.tensor,
            parent=low.parent_tick(),
            started=started,
            tick=tick,
            has_ticked=has_ticked,
        )


def every(node: Node, steps: int, gather: str = "last") -> Node:
    """A node's value as of each `steps`-th step, held in between; zeros before the first.

    Parameters
    ----------
    node : Node
        Whose value.
    steps : int
        From tick to tick, 1 or more.
    gather : str, default "last"
        "last": the value at the tick; "sum": the sum of the values since the tick before.

    Returns
    -------
    Node
        Of the same size, dense.

    Raises
    ------
    UserError
        Where an argument is out of range.

    Notes
    -----
    All layers behind it tick with it: they look at what is held, and their memories and traces step once per tick. A
    layer that reads nodes of several clocks goes by the one that these have in common, at last the network's own;
    contexts are only looked at. Two `every` of the same steps, or two `when` of one gate, are one clock. An `every`
    behind an `every` counts the first one's ticks. Gradients go through it in the step of a tick. `summary()` shows by
    whose ticks a layer goes.

    Examples
    --------
    >>> import deephtm_gpu as dh
    >>> x = dh.Input((2,))
    >>> cells = dh.TemporalMemory(4)(dh.SpatialPooler(32, 3)(x))
    >>> words = dh.SpatialPooler(32, 3)(dh.every(cells, steps=4, gather="sum"))  # a level that steps once in four steps
    >>> net = dh.Network(x, dh.Linear(2)(dh.TemporalMemory(4)(words)))
    """
    layer = Every(steps, gather)
    return layer.add_node([check_node(node, layer)])


def when(gate: Node, node: Node, gather: str = "last") -> Node:
    """A node's value as of the last step in which a gate was open, held in between, as with `every`: the end of a word,
    a surprise.

    Parameters
    ----------
    gate : Node
        Of one number, open above 0.5. Where `node` itself goes by a clock, the gate counts in that clock's ticks alone.
        Of maps each position goes by its own gate, where the gate is a map (1, height, width).
    node : Node
        Whose value.
    gather : str, default "last"
        "last": the value at the tick; "sum": the sum of the values since the tick before.

    Returns
    -------
    Node
        Of the same size, dense.

    Raises
    ------
    UserError
        Where an argument is out of range. When a network is made of it: where the gate is of more than one number.

    Examples
    --------
    >>> import deephtm_gpu as dh
    >>> x = dh.Input((2,))
    >>> cells = dh.TemporalMemory(4)(dh.SpatialPooler(32, 3)(x))
    >>> surprised = dh.when(dh.Surprise()(cells), cells)
    >>> net = dh.Network(x, dh.Linear(2)(surprised))
    """
    layer = When(gather)
    return layer.add_node([check_node(node, layer), check_node(gate, layer)])


class Trace(Layer):
    """A leaky sum of what came: y(t) = decay · y(t−1) + x(t); zeros at the start and after reset().

    Behind a clock it steps at ticks. What came earlier is a constant in backward.

    Parameters
    ----------
    decay : float, default 0.97
        How much is left after a step, 0 or more and below 1.

    Raises
    ------
    UserError
        Where it is out of range.

    Examples
    --------
    >>> import numpy as np, deephtm_gpu as dh
    >>> model = dh.Model(dh.Sequential(dh.Trace(0.5)), input_shape=(1,), device="numpy")
    >>> model.predict(np.ones((3, 1), np.float32))[:, 0].tolist()
    [1.0, 1.5, 1.75]
    """

    def __init__(self, decay: float = 0.97) -> None:
        if not (is_number(decay) and 0 <= float(decay) < 1):
            raise UserError(f"Trace's decay must be 0 <= decay < 1, got {shown(decay)}.")
        self.decay = float(decay)

    def form(self, inputs):
        return Form(inputs[0].size, shape=inputs[0].shape)

    def lower(self, low, inputs):
        x, to_sparse = low.to_dense(inputs[0])
        y = low.tape("y", (x.size,))
        low.forward(
            "trace_forward",
            x=x.tensor,
            tick=low.tick or low.always(),
            kept=low.state("kept", (x.size,)),
            y=y,
            decay=self.decay,
            D=x.size,
        )

        def backward(dy):
            # Between ticks it is constant, whatever the input.
            return [to_sparse(low.times("dx", dy, low.tick, learns=True) if low.tick else dy)]

        return low.value(y), backward


class Surprise(Layer):
    """How unexpected the winning columns of a temporal memory are in its context: one number from 0 to 1, its anomaly
    score.

    Called on the memory's node. A constant in backward.

    Examples
    --------
    >>> import deephtm_gpu as dh
    >>> x = dh.Input((2,))
    >>> cells = dh.TemporalMemory(4)(dh.SpatialPooler(32, 3)(x))
    >>> surprised = dh.when(dh.Surprise()(cells), cells)  # the cells as of the last step that surprised
    >>> net = dh.Network(x, dh.Linear(2)(surprised))
    """

    def form(self, inputs):
        if not inputs[0].memory:
            raise UserError("Surprise must be called on the node of a TemporalMemory, got a node without expectations.")
        return Form(1, shape=(1,))

    def lower(self, low, inputs):
        y = low.tape("y", (1,))
        low.forward("copy_forward", x=inputs[0].anomaly, y=y, D=1)
        return low.value(y), lambda dy: [None]
