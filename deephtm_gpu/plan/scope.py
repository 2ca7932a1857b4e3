"""What a layer sees of the lowering, and what it leaves there: values, calls, updates."""

import zlib
from dataclasses import dataclass

import numpy as np

from deephtm_gpu.errors import UserError
from deephtm_gpu.graph.clocks import parent_of
from deephtm_gpu.graph.defaults import lr_scale
from deephtm_gpu.graph.nodes import Node
from deephtm_gpu.plan.gradients import Update
from deephtm_gpu.plan.plan import make_call
from deephtm_gpu.plan.tensors import GRADIENT, PARAM, PARAMETERS, SCRATCH, STATE, TAPE, Tensor


@dataclass(eq=False)
class Value:
    """What a node gives, as tensors: all numbers, dense, or (index, value) pairs of a vector of `size`; of a map,
    at each of its positions."""

    tensor: Tensor
    size: int
    index: Tensor | None = None
    winners: int = 0
    cells: int = 1
    ones: bool = False  # whether the last of its numbers is always 1
    grad: bool = False  # whether anything before it learns
    anomaly: Tensor | None = None  # of a memory

    @property
    def sparse(self):
        return self.index is not None

    @property
    def length(self):
        return self.tensor.size

    @property
    def sites(self):
        return self.tensor.sites


class Scope:
    """What a layer sees of the lowering: makes tensors under the layer's name and emits calls for it. Where the layer
    gives a map, its tensors, parameters aside, stand at each position, unless it says sites=1: one for the stream."""

    def __init__(self, lowering, node: Node, name: str | None = None):
        self._lowering, self._node, self._written = lowering, node, -1
        self.name = name or lowering.names[node]
        self._owner = lowering.names[lowering.owners[node]]  # the prefix of its parameters' names
        self.learns = False  # whether the layer has parameters that are learned
        self.form = lowering.forms[node]
        self.sites = self.form.sites
        self.setting = lowering.settings[node]
        self.clock, self.scored, self.share_of_streams = lowering.clock, lowering.scored, lowering.share_of_streams

        self._read = [lowering.forms[n] for n in node.inputs]

    def read_map(self) -> tuple[int, int]:
        """(H, W) of the map that the first input is."""
        return self._read[0].positions

    # Tensors

    def param(self, name, shape, storage, std=0.0, start=0.0, std_columns=None, transposed=False, learned=False,
              moment=False, averaged=None, **more) -> Tensor:
        """A parameter: normal with `std` (only in the first `std_columns` columns), or `start` everywhere: a number, or
        a function that makes the array with the given random generator. A layer that is used several times has it
        once."""
        full = f"{self._owner}.{name}"
        self.learns |= learned

        def draw(seed):
            rng = np.random.default_rng([seed, zlib.crc32(full.encode())])
            values = np.full(shape, start(rng) if callable(start) else start, np.float32)
            if std:
                columns = std_columns or shape[-1]
                with np.errstate(over="ignore"):
                    values[..., :columns] += np.float32(std) * rng.standard_normal((*shape[:-1], columns), np.float32)
            return values

        return self._shared(full, shape, storage, start=draw, transposed=transposed, learned=learned, moment=moment,
                            averaged=learned if averaged is None else averaged, **more)

    def state(self, name, shape, **kind) -> Tensor:
        return self._add(f"{self.name}.{name}", shape, STATE, **kind)

    def tape(self, name, shape, **kind) -> Tensor:
        return self._add(f"{self.name}.{name}", shape, TAPE, **kind)

    def number(self, name, below) -> Tensor:
        """A parameter that is one whole number, drawn once and for ever; with the weights, for these mean nothing
        without it."""
        full = f"{self._owner}.{name}"
        return self._shared(full, (1,), PARAM, start=lambda seed: zlib.crc32(f"{seed} {full}".encode()) % below,
                            within=(0, below - 1))

    def noise_seed(self) -> Tensor:
        """Where the layer's random draws begin: the same for all streams and positions."""
        return self.state("noise_seed", (1,), index=True, within=(0, 2**32 - 1), sites=1,
                          start=lambda seed: zlib.crc32(f"{seed} {self.name} noise".encode()))

    def scratch(self, name, shape, **kind) -> Tensor:
        return self._add(f"{self.name}.{name}", shape, SCRATCH, **kind)

    def gradient(self, name, shape) -> Tensor:
        """To which all positions add."""
        return self._add(f"{self.name}.{name}", shape, GRADIENT, sites=1)

    def input(self) -> Tensor:
        """The IO tensor of an Input's node."""
        tensor = self._lowering._io(self.name, self.form.total)
        self._lowering.plan.inputs.append(tensor)
        return tensor

    def keep_window(self, steps):
        """Keeps the tape of so many past steps after their target has come."""
        plan = self._lowering.plan
        plan.window = max(plan.window, steps)
        plan.windows.add(steps)

    # Clocks

    def set_clock(self, tick, has_ticked):
        """Of a `Hold`: what stands behind it goes by these."""
        clock = self._lowering.clocks[self._node]
        self._lowering.ticks.setdefault(clock, (tick, has_ticked))

    @property
    def tick(self) -> Tensor | None:
        """1 in the steps in which the layer steps, (1,); None: in all."""
        return self._lowering.ticks.get(self._lowering.clocks[self._node], (None, None))[0]

    @property
    def has_ticked(self) -> Tensor | None:
        """1 from its first tick on, (1,)."""
        return self._lowering.ticks.get(self._lowering.clocks[self._node], (None, None))[1]

    def parent_tick(self) -> Tensor:
        """Of a `Hold`: the tick that its clock counts."""
        parent = parent_of(self._node, self._lowering.clocks)
        return self._lowering.ticks[parent][0] if parent else self.always()

    def always(self) -> Tensor:
        """1 in every step, where a tick is needed."""
        plan = self._lowering.plan
        return plan.tensors.get("always") or plan.add(Tensor("always", (1,), STATE, start=1.0))

    def times(self, name, x: Tensor, by: Tensor, learns=False, storage=SCRATCH) -> Tensor:
        """x times a number of the stream, as a new tensor. learns: on the way back."""
        y = self._add(f"{self.name}.{name}", x.shape, storage, sites=max(x.sites, by.sites))
        (self.learn if learns else self.forward)("times_forward", x=x, by=by, y=y, D=x.size)
        return y

    def share_of_sites(self) -> Tensor:
        """What a stream counts for at each of the layer's positions, where a layer learns by itself: all together as
        much as a vector."""
        if self.sites == 1:
            return self.share_of_streams
        share = self.scratch("share_of_sites", (1,), sites=1)
        self.forward("scale_forward", x=self.share_of_streams, y=share, by=1 / self.sites, D=1, learning=True)
        return share

    def holds_credit(self, *state: Tensor):
        """These hold what is put off, as of consecutive steps."""
        self._lowering.plan.credit.extend(state)

    def anomaly(self) -> Tensor:
        """Where the anomaly score goes: that of the first memory is the model's, others stay beside it."""
        plan = self._lowering.plan
        if plan.anomaly is None and self.sites == 1:
            plan.anomaly = self._lowering._io("anomaly", 1)
            return plan.anomaly
        return self.scratch("anomaly", (1,))

    def report_anomaly(self, anomaly: Tensor):
        """Of a map, the model's score is the mean over its positions."""
        if self._lowering.plan.anomaly is None:
            self._lowering.plan.anomaly = self._lowering._io("anomaly", 1)
            self.forward("sites_forward", x=anomaly, y=self._lowering.plan.anomaly, by=1 / self.sites, D=1,
                         X=self.sites)

    def surprise_here(self) -> Tensor:
        """Of a network that classifies: how unexpected what arrived was, at each position where the output is a map of
        the same height and width, else in all."""
        surprise, positions = self._lowering.surprise, self._lowering.surprised
        if surprise.sites == 1 or positions == self.form.positions:
            return surprise
        mean = self.scratch("surprise_mean", (1,), sites=1)
        self.forward("sites_forward", x=surprise, y=mean, by=1 / surprise.sites, D=1, X=surprise.sites)
        return mean

    def value(self, tensor, index=None) -> Value:
        return Value(tensor, self.form.size, index, self.form.winners, self.form.cells, self.form.ones)

    def to_dense(self, x: Value):
        """x as a dense vector, and the function that brings a gradient back to x's pairs."""
        if not x.sparse:
            return x, lambda dx: dx
        n = self._written = self._written + 1
        y = self.tape(f"written_out{n}", (x.size,), sites=x.sites)
        self.forward("dense_forward", index=x.index, value=x.tensor, y=y, D=x.size, L=x.length)

        def to_sparse(dx):
            if dx is None:
                return None
            d = self.scratch(f"dpairs{n}", (x.length,), sites=dx.sites)
            self.learn("dense_backward", dy=dx, index=x.index, dvalue=d, L=x.length)
            return d

        return Value(y, x.size, grad=x.grad), to_sparse

    def flattened(self, x: Value):
        """x as one vector, in the order (channels, height, width), and the function that brings a gradient back."""
        x, to_sparse = self.to_dense(x)
        if x.sites == 1:
            return x, to_sparse
        size = dict(D=x.size, X=x.sites)
        y = self.tape("flat", (x.size * x.sites,), sites=1)
        self.forward("flat_forward", x=x.tensor, flat=y, **size)

        def to_map(dy):
            dx = self.scratch("dmap", (x.size,), sites=x.sites)
            self.learn("map_forward", flat=dy, x=dx, **size)
            return to_sparse(dx)

        return Value(y, y.size, grad=x.grad), to_map

    def at_sites(self, x: Value):
        """x at each of the layer's positions, where it stands at one."""
        if x.sites == self.sites:
            return x
        y = self.tape("everywhere", x.tensor.shape)
        self.forward("copy_forward", x=x.tensor, y=y, D=y.size)
        return Value(y, x.size, grad=x.grad)

    def _shared(self, name, shape, storage, **more):
        there = self._lowering.plan.tensors.get(name)
        if there is None:
            return self._add(name, shape, storage, **more)
        if (there.shape, there.storage, there.transposed) != (tuple(shape), storage, more.get("transposed", False)):
            raise UserError(
                f"{self._node.layer!r}, which is used several times, must have weights of one shape, got "
                f"{there.name!r} {there.shape} at the first use and {tuple(shape)} at another; make a second layer, or "
                "give it nodes of one size and kind."
            )
        return there

    def _add(self, name, shape, storage, **more):
        if storage not in PARAMETERS:
            more.setdefault("sites", self.sites)
        return self._lowering.plan.add(Tensor(name, tuple(shape), storage, **more))

    # Calls

    def forward(self, name, learning=False, **arguments):
        self._lowering.plan.forward.append(make_call(name, arguments, self.name, None, learning))

    def learn(self, name, lag=0, learning=True, **arguments):
        self._lowering.plan.learn.append(make_call(name, arguments, self.name, lag, learning, leaving=lag > 0))

    def finish(self, ending):
        """Calls ending(value of the node that a `previous` looks back at) when all nodes are lowered."""
        self._lowering.endings.append((self._node, ending))

    # Uses of a parameter, of a weight and its bias: the factors of their gradients (see `plan/gradients.py`)

    def update_dense(self, weight, bias, dy, x):
        """All rows of weight (O, I)."""
        O, I = dy.size, x.size
        self._update("outer_update", dict(left=dy, right=x, weight=weight), dict(O=O, I=I),
                     [("outer_square", dict(left=dy, right=x), dict(D=O, I=I))])
        self.update_bias(bias, dy)

    def update_conv(self, weight, coarse, fine, window):
        """Of weight (O, side * side * I), by what a coarse map's positions (O,) and the windows of a fine one's (I,)
        are. window: the constants of `ops/conv.py`."""
        self._update("conv_gradient", dict(coarse=coarse, fine=fine, weight=weight), window)

    def update_painted(self, weight, index, value, dy, numbers):
        """Of weight (N, side * side * I): what the active cells (index, value) paint onto a fine map."""
        self._update("sparse_transposed_gradient", dict(index=index, value=value, dy=dy, weight=weight),
                     dict(N=weight.shape[0], **numbers))

    def update_bias(self, bias, dy):
        self._update("vector_update", dict(left=dy, bias=bias), dict(D=bias.size))

    def update_product(self, weight, left, right):
        """All rows of weight (O, I), which no bias goes with, by the gradient left (O,) times right (I,)."""
        O, I = left.size, right.size
        self._update("outer_update", dict(left=left, right=right, weight=weight), dict(O=O, I=I),
                     [("product_square", dict(left=left, right=right), dict(D=O, I=I))])

    def update_lazily(self, weight, dy, x):
        """Of weight (O, I), whose bias is fixed: the rows with dy != 0."""
        O, I = weight.shape
        self._update("lazy_update", dict(left=dy, right=x, weight=weight), dict(O=O, I=I),
                     [("product_square", dict(left=dy, right=x), dict(D=O, I=I))])

    def update_inputs(self, weight, bias, dy, index, value):
        """Of a weight held (N, O): the rows of the inputs that are active."""
        L, O = value.size, dy.size
        self._update(
            "rows_update",
            dict(rows=index, left=value, right=dy, weight=weight),
            dict(L=L, N=weight.shape[0], I=O),
            [("outer_square", dict(left=dy, right=value), dict(D=O, I=L))],
        )
        self.update_bias(bias, dy)

    def update_outputs(self, weight, bias, rows, dy, x):
        """Of weight (O, I): the rows of the outputs that were used. bias: None where it is fixed."""
        L, I = dy.size, x.size
        square = "product_square" if bias is None else "outer_square"
        self._update("rows_update", dict(rows=rows, left=dy, right=x, weight=weight), dict(L=L, N=weight.shape[0], I=I),
                     [(square, dict(left=dy, right=x), dict(D=L, I=I))])
        if bias is None:
            return
        self._update("entries_update", dict(rows=rows, left=dy, bias=bias), dict(L=L, N=bias.size))

    def update_synapses(self, op, weight, bias, rows, dy, index, value, visibility, lag=0):
        """Of weight (N, P) or (N, F): the entries of these rows at the sources of the context, by the gradient of the
        step `lag` before. op: "synapse" for synapses to all sources, or "sampled" for sampled synapses; visibility:
        further arguments of its passes."""
        L = dy.size
        square = ("ragged_square", dict(left=dy, index=index, value=value), dict(D=L))
        if op == "sampled":
            square = ("sampled_square", dict(left=dy, rows=rows, index=index, value=value), dict(L=L, **visibility))
        self._update(f"{op}_update", dict(rows=rows, left=dy, index=index, value=value, weight=weight, bias=bias),
                     dict(L=L, N=bias.size, **visibility), [square], lag)

    def _update(self, name, tensors, consts, squares=(), lag=0):
        scale = lr_scale(self._node.layer.lr_scale, self.setting.slow)
        if scale:
            sites = max(t.sites for t in tensors.values())
            self._lowering.updates.append(Update(name, tensors, consts, scale, list(squares), self.name, lag, sites))
