"""The sensorimotor memory: which columns a dense context expects, and how well what came fits that (FLOW: Sensorimotor
column)."""

from deephtm_gpu.arguments import check_count, check_scale, is_number, is_positive, shown
from deephtm_gpu.errors import UserError
from deephtm_gpu.graph.forms import Form
from deephtm_gpu.graph.nodes import Layer, Node, check_node
from deephtm_gpu.plan.tensors import MATRIX, PARAM


class Expectation(Layer):
    """How much each column is expected in a dense context u, such as the code of a location.

    `z = Expectation(128)(context)` gives all columns, z (columns,): an output to be learned with loss="bce", whose
    targets are 1 for the columns that won, else 0. `z = Expectation(128)(context, of=cols)`, cols a SpatialPooler's
    node, looks at its winners alone, and gives them as pairs, for `dh.Evidence`.

    Parameters
    ----------
    columns : int
        How many there are, as in the pooler.
    cells_per_column : int, default 32
        M; each can learn a context of its own.
    std : float, default 5.0
        Standard deviation of the weights at the start, 0 or more. Large weights put the blame on one cell, so that a
        few exposures are enough; they want contexts of unit norm and a plain learning rate, dh.SGD(20).
    bias : float, default -18.0
        Of every cell; it is not learned.
    floor : float, default 1e-3
        A cell whose gradient is less learns nothing and passes nothing on, so that a step moves a few rows. 0 or more.
    lr_scale : float, default 1.0
        Multiplies the learning rate of its weights; 0 freezes them.
    losers : float, default 1.0
        How much the gradient counts into columns that were expected and did not win, 0 or more; below 1, what is wrong
        here may stay for where it is right.

    Raises
    ------
    UserError
        Where an argument is out of range.

    Notes
    -----
    q = W u + bias for the M cells of a column, z = log Σ exp(q) over them ("some cell is depolarised"); sigmoid(z) is
    the probability. Learns weight (columns · M, inputs). Of a map, each position expects its own columns; with `of` a
    map, the context may be a vector, which all positions see.

    Examples
    --------
    >>> import deephtm_gpu as dh
    >>> context = dh.Input((10,))
    >>> net = dh.Network(context, dh.Expectation(columns=64, cells_per_column=4)(context))
    >>> model = dh.Model(net, loss="bce", optimizer=dh.SGD(20), device="numpy")
    """

    def __init__(self, columns: int, cells_per_column: int = 32, std: float = 5.0, bias: float = -18.0,
                 floor: float = 1e-3, lr_scale: float | None = 1.0, losers: float = 1.0) -> None:
        self.columns = check_count("Expectation's columns", columns)
        self.cells_per_column = check_count("Expectation's cells_per_column", cells_per_column)
        self.std, self.floor, self.losers = (
            _not_negative(what, v) for what, v in (("std", std), ("floor", floor), ("losers", losers))
        )
        if not is_number(bias):
            raise UserError(f"Expectation's bias must be a number, got {shown(bias)}.")
        self.bias = float(bias)
        self.lr_scale = check_scale(lr_scale)

    def __call__(self, context: Node, of: Node | None = None) -> Node:  # type: ignore[override]
        """Puts the layer into the flow.

        Parameters
        ----------
        context : Node
            What it expects in.
        of : Node, optional
            A SpatialPooler's, whose winners alone it looks at. Default: all columns.

        Returns
        -------
        Node
            z of each column, (columns,); or of the winners, as pairs.

        Raises
        ------
        UserError
            Where these are no nodes. When a network is made of it: where `of` is no pooler of so many columns.
        """
        return self.add_node([] if of is None else [check_node(of, self)], [check_node(context, self)])

    def form(self, inputs):
        if not inputs:
            return Form(self.columns, shape=(self.columns,))
        (of,) = inputs
        if not of.sparse or of.cells != 1 or of.size != self.columns:
            raise UserError(
                f"{self!r}'s of must be the winners of a pooler of as many columns, got a node of {of.size} "
                f"numbers; give the node of a SpatialPooler({self.columns}, ...)."
            )
        return Form(self.columns, length=of.length, winners=of.length, shape=(self.columns,))

    def lower(self, low, inputs):
        *of, context = inputs
        (x, to_sparse), N = low.to_dense(context), self.columns * self.cells_per_column
        x = low.at_sites(x)
        weight = low.param("weight", (N, x.size), MATRIX, std=self.std, learned=True)
        bias = low.param("bias", (N,), PARAM, start=self.bias)
        if of:
            return self._of_winners(low, of[0], x, to_sparse, weight, bias)
        return self._of_all(low, x, to_sparse, weight, bias)

    def _of_all(self, low, x, to_sparse, weight, bias):
        N, I = weight.shape
        q = low.tape("q", (N,))
        low.forward("linear_forward", x=x.tensor, weight=weight, bias=bias, y=q, I=I, O=N)

        def backward(dz):
            dq, dx = self._blame(low, dz, q), None
            if x.grad:
                dx = low.scratch("dx", (I,))
                low.learn("linear_backward", dy=dq, weight=weight, dx=dx, I=I, O=N)
            low.update_lazily(weight, dq, x.tensor)
            return [to_sparse(dx)]

        return low.value(self._any(low, q)), backward

    def _of_winners(self, low, cols, x, to_sparse, weight, bias):
        K, M, I = cols.length, self.cells_per_column, x.size
        cells, q = low.tape("cells", (K * M,), index=True, within=(0, weight.shape[0] - 1)), low.tape("q", (K * M,))
        low.forward("cells_forward", winners=cols.index, cells=cells, K=K, M=M)
        low.forward("rows_forward", x=x.tensor, index=cells, weight=weight, bias=bias, y=q, L=K * M, I=I)

        def backward(dz):
            dq, dx = self._blame(low, dz, q), None
            if x.grad:
                dx = low.scratch("dx", (I,))
                low.learn("rows_backward", dy=dq, index=cells, weight=weight, dx=dx, L=K * M, I=I)
            low.update_outputs(weight, None, cells, dq, x.tensor)
            return [None, to_sparse(dx)]  # the winners depend on the pooler alone; their values are not used

        return low.value(self._any(low, q), cols.index), backward

    def _any(self, low, q):
        M = self.cells_per_column
        z = low.tape("z", (q.size // M,))
        low.forward("any_forward", q=q, z=z, L=z.size, M=M)
        return z

    def _blame(self, low, dz, q):
        if self.losers != 1:
            spared = low.scratch("dz_spared", (dz.size,))
            low.learn("spare_forward", dz=dz, y=spared, losers=self.losers, L=dz.size)
            dz = spared
        dq = low.scratch("dq", (q.size,))
        low.learn("any_backward", dz=dz, q=q, dq=dq, L=dz.size, M=self.cells_per_column, floor=self.floor)
        return dq


class Evidence(Layer):
    """How well the winners fit a context: Σ log(ε + (1 − ε) · sigmoid(z)), of the z of an `Expectation` with of=.

    Gives (1,), in nats, to be added up over the sensations of a hypothesis.

    Parameters
    ----------
    epsilon : float, default 0.02
        How likely a column wins that nothing expected, above 0 and below 1.

    Raises
    ------
    UserError
        Where it is out of range.

    Examples
    --------
    >>> import deephtm_gpu as dh
    >>> sense, context = dh.Input((5,)), dh.Input((10,))
    >>> expected = dh.Expectation(64, 4)(context, of=dh.SpatialPooler(64, 3)(sense))
    >>> net = dh.Network([sense, context], dh.Evidence(epsilon=0.05)(expected))
    """

    def __init__(self, epsilon: float = 0.02) -> None:
        if not (is_positive(epsilon) and float(epsilon) < 1):
            raise UserError(f"Evidence's epsilon must be above 0 and below 1, got {shown(epsilon)}.")
        self.epsilon = float(epsilon)

    def form(self, inputs):
        if not inputs[0].sparse:
            raise UserError(
                f"{self!r} must be called on expectations of winners, got a dense node of {inputs[0].size} numbers; "
                "call it on dh.Expectation(columns)(context, of=cols)."
            )
        return Form(1, shape=(1,))

    def lower(self, low, inputs):
        (z,) = inputs
        l = low.tape("l", (1,))
        low.forward("evidence_forward", z=z.tensor, l=l, epsilon=self.epsilon, K=z.length)

        def backward(dl):
            dz = low.scratch("dz", (z.length,))
            low.learn("evidence_backward", dl=dl, z=z.tensor, dz=dz, epsilon=self.epsilon, K=z.length)
            return [dz]

        return low.value(l), backward


def _not_negative(what, value) -> float:
    if not (is_number(value) and value >= 0):
        raise UserError(f"Expectation's {what} must be a number, 0 or more, got {shown(value)}.")
    return float(value)
