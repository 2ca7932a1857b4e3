"""The temporal memory: which cells of the winning columns are active, in the context of what came before."""

from collections.abc import Sequence
from math import floor, log, sqrt

from deephtm_gpu.arguments import check_count, check_scale, is_number
from deephtm_gpu.errors import UserError
from deephtm_gpu.graph.defaults import BY_LOSS, CLOCKS, OUTPUTS, memory_clock
from deephtm_gpu.graph.forms import Form
from deephtm_gpu.graph.nodes import Layer, Node, check_node
from deephtm_gpu.layers.synapses import Synapses, check_pool
from deephtm_gpu.ops.context import FORGET, SMALLEST
from deephtm_gpu.ops.head import BIAS_RATE, FIRST_BIAS, LOSERS, RATE
from deephtm_gpu.plan.tensors import TAPE

SURE, SURE_OF_COLUMNS = 0.02, 0.1  # a surprise below is none: columns are never predicted as surely as symbols
CELL_STD = 0.7  # of the distal weights from cells at the start; those from columns and other contexts start at 0


class TemporalMemory(Layer):
    """Cells of the winning columns that depolarise in the context of what came before: the memory of a network.

    Call it on a SpatialPooler's node, and give further distal context as nodes:
    `TemporalMemory(5)(cols, context=[dh.previous(top)])`.

    Parameters
    ----------
    cells_per_column : int
        How many contexts a column can be active in, M.
    decay : float, default 0.8
        How much of its fast context, a trace of active cells, is left after a step; 0 or more and below 1.
    window : int, default 1
        Over how many of its own past steps credit is given, in steps. A step costs about the same whatever it is. 16
        for symbols.
    lr_scale : float, default 1.0
        Multiplies the learning rate of its distal weights; 0 freezes them.
    gate : str, default "entmax"
        How activity is shared out among the cells of a winning column: "entmax", by their depolarisation; "uniform", to
        all alike, which is no memory at all (a control).
    synapses : int, optional
        F, for large memories: the presynaptic cells lie in F stretches, and a cell sees one of each, which counts for
        the rest of its stretch: weights (cells, F). Which it sees is drawn once from the seed, by one number beside the
        weights, `distal_pool` (1,). Default: every cell sees all.
    slow : bool, default True
        Whether it has a slow context too, of columns, clocked by surprise.
    init_std : float, default 0.7
        Standard deviation of the distal weights from cells at the start; those from columns and other contexts start at
        0.
    clock : str, optional
        Whose surprise clocks the slow context: "outputs", that of the first output with a cross-entropy; "columns", its
        own anomaly score. Default: "outputs" where there is a cross-entropy among the losses and the memory steps at
        every step, else "columns"; `summary()` shows which.

    Raises
    ------
    UserError
        Where an argument is out of range. When a model is made of it: where it stands behind something else than a
        pooler, or clock="outputs" and no output gives a surprise.

    Notes
    -----
    Learns distal_weight (cells, cells + columns; further contexts after them) and distal_bias (cells,); of itself,
    without gradients into the network, predicted_weight (columns, the same) and predicted_bias (columns,), from which
    the anomaly score comes. 2,048 columns of 32 cells with synapses=1024 take 264 MiB instead of 17 GB, and a step
    costs about the same. On a map each position has contexts of its own; a further context may be a map of the same
    height and width, seen at its own position, or a vector, which all positions see.

    References
    ----------
    - Hawkins & Ahmad, "Why neurons have thousands of synapses", Frontiers in Neural Circuits 2016: cells that
      depolarise in context.
    - Peters, Niculae & Martins, "Sparse sequence-to-sequence models", ACL 2019: entmax.
    - Bellec et al., "A solution to the learning dilemma for recurrent networks of spiking neurons", Nature
      Communications 2020: credit along a trace.

    Examples
    --------
    >>> import numpy as np, deephtm_gpu as dh
    >>> memory = dh.TemporalMemory(cells_per_column=4, window=8)
    >>> net = dh.Sequential(dh.SpatialPooler(columns=32, winners=3), memory, dh.Linear(5))
    >>> model = dh.Model(net, input_shape=(5,), loss="cross_entropy", optimizer=dh.Adam(1e-3), device="numpy")
    >>> history = model.fit(np.eye(5, dtype=np.float32)[np.arange(30) % 5])
    >>> model.state()["1"]["cells"].shape
    (32, 4)
    """

    def __init__(self, cells_per_column: int, decay: float = 0.8, window: int = 1, lr_scale: float | None = 1.0,
                 gate: str = "entmax", synapses: int | None = None, slow: bool = True, init_std: float = CELL_STD,
                 clock: str | None = None) -> None:
        self.cells_per_column = check_count("TemporalMemory's cells_per_column", cells_per_column)
        self.window = check_count("TemporalMemory's window", window)
        self.lr_scale = check_scale(lr_scale)
        self.synapses = None if synapses is None else check_count("TemporalMemory's synapses", synapses)
        if not (is_number(decay) and 0 <= decay < 1):
            raise UserError(f"TemporalMemory's decay = {decay!r} was asked for; the context leaks: give 0 <= decay < 1.")
        if gate not in ("entmax", "uniform"):
            raise UserError(f"TemporalMemory's gate = {gate!r} was asked for; there are 'entmax' and 'uniform'.")
        if not isinstance(slow, bool):
            raise UserError(f"TemporalMemory's slow = {slow!r} was asked for; it is True or False.")
        if not (is_number(init_std) and init_std >= 0):
            raise UserError(f"TemporalMemory's init_std = {init_std!r} was asked for; it must be a number, 0 or more.")
        if clock is not None and clock not in CLOCKS:
            raise UserError(f"TemporalMemory's clock must be one of {', '.join(map(repr, CLOCKS))}, or None, got "
                            f"{clock!r}; give one of these.")
        self.decay, self.gate, self.slow, self.init_std, self.clock = float(decay), gate, slow, float(init_std), clock

    def __call__(self, node: Node, context: Node | Sequence[Node] = ()) -> Node:
        """Puts the layer into the flow.

        Parameters
        ----------
        node : Node
            A SpatialPooler's.
        context : Node or sequence of Node, default ()
            Further distal context, beside what its own cells and columns were: feedback from above (`dh.previous`), a
            location.

        Returns
        -------
        Node
            The cells of the winning columns, as pairs; the others are 0.

        Raises
        ------
        UserError
            Where these are no nodes.
        """
        try:
            nodes = [context] if isinstance(context, Node) else list(context)
        except TypeError:
            raise UserError(f"{self!r} was called with context={context!r}; it takes a node, or a list of nodes.") from None
        return self.place([check_node(node, self)], [check_node(c, self) for c in nodes])

    def form(self, inputs):
        columns, M = inputs[0], self.cells_per_column
        if not columns.sparse or columns.cells != 1:
            raise UserError(
                f"{self!r} was put behind something that gives {columns.size} numbers; it needs the winners of a SpatialPooler: "
                "put one before it."
            )
        return Form(columns.size * M, length=columns.length * M, winners=columns.length, cells=M, shape=(columns.size, M), memory=True)

    def lower(self, low, inputs):
        self._check_clock(low)
        low.keep_window(self.window)
        cols, contexts = inputs[0], inputs[1:]
        C, K, M = cols.size, cols.length, self.cells_per_column
        N, L = C * M, K * M
        P = N + C + sum(x.size for x in contexts)

        if self.synapses:
            check_pool(self, self.synapses, N, C, P)
        distal = Synapses(low, "distal", N, P, self.synapses, std=self.init_std, std_places=N, learned=True)
        most, most_slow = min(N, _most_cells(self.decay, K, L)), min(C, _most_columns(K))
        fast, fast_list = low.state("fast", (N,)), low.state("fast_list", (most,), index=True, ragged=True)
        slow, slow_list = low.state("slow", (C,)), low.state("slow_list", (most_slow,), index=True, ragged=True)
        A = most + most_slow + sum(x.length for x in contexts)
        index, value = low.tape("context", (A,), index=True, ragged=True), low.tape("context_value", (A,), ragged=True)
        cells = low.tape("cells", (L,), index=True)
        cell, root = low.tape("cell", (L,)), low.tape("root", (L,))
        kept = Kept(low, L, K) if low.tick else None
        if kept:  # what was active in the tick before becomes context when the next one comes
            self._remember(low, kept.cells, kept.cell, kept.winners, kept.columns, kept.surprise, fast, fast_list, slow, slow_list, L, K)
            active = low.times("active", cols.tensor, low.begun, place=TAPE)
        else:
            active = cols.tensor

        low.forward("cells_forward", winners=cols.index, cells=cells, K=K, M=M)
        norm = low.tape("norm", (1,))
        low.forward("context_forward", fast=fast, fast_list=fast_list, slow=slow, slow_list=slow_list, index=index,
                    value=value, norm=norm, N=N)
        appended = self._append(low, contexts, index, value, N + C)
        if self.gate == "entmax":
            depolarisation = low.tape("depolarisation", (L,))
            distal.forward(cells, index, value, depolarisation)
        else:
            depolarisation = low.scratch("all_alike", (L,))  # never written: zeros, and the gate gives every cell 1/M
        low.forward("gate_forward", depolarisation=depolarisation, activity=active, cell=cell, root=root, K=K, M=M)
        anomaly = self._head(low, cols.index, active, index, value, C, K, P)
        if kept:
            kept.keep(cells, cell, cols.index, active, anomaly)
        else:
            self._remember(low, cells, cell, cols.index, active, anomaly, fast, fast_list, slow, slow_list, L, K)

        def backward(dcell):
            dz, dactivity = low.scratch("ddepolarisation", (L,)), low.scratch("dactivity", (K,))
            low.learn("gate_backward", dcell=dcell, root=root, activity=active, ddepolarisation=dz, dactivity=dactivity,
                      K=K, M=M)
            if kept:
                dactivity = low.times("dcolumns", dactivity, low.begun, learns=True)
            if self.gate == "uniform":
                return [dactivity] + [None] * len(contexts)
            dvalue = None
            if self.window > 1 or any(x.grad for x in contexts):
                dvalue = low.scratch("dcontext", (A,), ragged=True)
                distal.backward(dz, cells, index, dvalue)
            gradients = self._context_backward(low, contexts, appended, dvalue, value)
            lag = self.window - 1
            if lag:
                dz = self._deferred(low, dcell, dvalue, index, value, norm, cells, root, active, N, K, M)
            distal.update(cells, dz, index, value, lag)
            return [dactivity] + gradients

        made = low.value(cell, cells)
        made.anomaly = anomaly
        return made, backward

    def choices(self, setting):
        if not self.slow:
            return {}
        known = self.clock or setting.surprises is not None or setting.ticks
        return {"clock": memory_clock(self.clock, setting.surprises, setting.ticks) if known else BY_LOSS}

    def _check_clock(self, low):
        if self.clock == OUTPUTS and (low.tick or not low.setting.surprises):
            there = "it stands behind dh.every or dh.when" if low.tick else "no output has a cross-entropy"
            raise UserError(f"{self!r}'s clock must be 'columns' or None where {there}, got 'outputs'; "
                            "leave clock out.")
        if low.tick and self.window > 1:
            raise UserError(
                f"{self!r} stands behind dh.every or dh.when; a memory that ticks gives credit within a tick: give it window=1."
            )

    def _remember(self, low, cells, cell, winners, columns, surprise, fast, fast_list, slow, slow_list, L, K):
        """What was active becomes context for what comes."""
        if low.tick:
            low.forward("fast_update_at", cells=cells, cell=cell, tick=low.tick, fast=fast, fast_list=fast_list, decay=self.decay, L=L)
        else:
            low.forward("fast_update", cells=cells, cell=cell, fast=fast, fast_list=fast_list, decay=self.decay, L=L)
        if not self.slow:
            return
        # What keeps the slow context's time: with symbols, how little the right one was expected; else, the winning columns.
        sure = SURE_OF_COLUMNS
        if memory_clock(self.clock, low.setting.surprises, low.setting.ticks) == OUTPUTS:
            surprise, sure = low.surprise_here(), SURE
        elif low.tick:
            surprise = low.times("surprise", surprise, low.tick)
        low.forward("slow_update", winners=winners, activity=columns, surprise=surprise, slow=slow, slow_list=slow_list, sure=sure, K=K)

    def _append(self, low, contexts, index, value, base):
        appended = []
        for n, x in enumerate(contexts):
            start, norm = low.tape(f"start{n}", (1,), index=True), low.tape(f"norm{n}", (1,))
            if x.sparse:
                low.forward("context_append_sparse", places=x.index, pairs=x.tensor, index=index, value=value, start=start,
                            norm=norm, base=base, L=x.length)
            else:
                low.forward("context_append_forward", x=x.tensor, index=index, value=value, start=start, norm=norm,
                            base=base, D=x.size)
            appended.append((start, norm))
            base += x.size
        return appended

    def _deferred(self, low, dcell, dvalue, index, value, norm, cells, root, activity, N, K, M):
        """Deals the newest step's gradient out to the ring; returns the depolarisation's gradient of the step that leaves it."""
        T, L, ahead = self.window, K * M, low.ahead
        ring_cells = low.state("ring_cells", (T * L,), index=True, start=N)
        ring_credit, reach = low.state("ring_credit", (T * L,)), low.state("reach", (N + 1,))
        low.learn("credit_backward", dvalue=dvalue, index=index, value=value, norm=norm, cells=cells, dcell=dcell, t=low.clock,
                  reach=reach, ring_cells=ring_cells, ring_credit=ring_credit, decay=self.decay, ahead=ahead, N=N, T=T, L=L)
        lag = T - 1
        left, dz, unused = low.scratch("dcell_left", (L,)), low.scratch("ddepolarisation_left", (L,)), low.scratch("dunused", (K,))
        low.learn("credit_leave", lag, t=low.clock, ring_credit=ring_credit, dcell_left=left, ahead=ahead, T=T, L=L)
        low.learn("gate_backward", lag, dcell=left, root=root, activity=activity, ddepolarisation=dz, dactivity=unused, K=K, M=M)
        return dz

    def _context_backward(self, low, contexts, appended, dvalue, value):
        gradients = []
        for n, (x, (start, norm)) in enumerate(zip(contexts, appended)):
            dx = low.scratch(f"dcontext{n}", x.tensor.shape) if x.grad else None
            if dx:
                low.learn("context_append_backward", dvalue=dvalue, unit=value, start=start, norm=norm, dx=dx, D=dx.size)
            gradients.append(dx)
        return gradients

    def _head(self, low, winners, active, index, value, C, K, P):
        R = min(LOSERS * K, C)
        predicted = Synapses(low, "predicted", C, P, self.synapses, first_bias=FIRST_BIAS)
        anomaly = low.anomaly()
        rows = low.tape("asked", (K + R,), index=True)
        logit, delta = low.tape("logit", (K + R,)), low.tape("delta", (K + R,))
        low.forward("losers_forward", winners=winners, t=low.clock, rows=rows, seed=low.noise_seed(), K=K, C=C, R=R)
        predicted.forward(rows, index, value, logit)
        low.forward("head_forward", logit=logit, rows=rows, activity=active, anomaly=anomaly, delta=delta, K=K, R=R)
        low.report_anomaly(anomaly)
        predicted.update_here(rows, delta, index, value, scale=RATE, bias_scale=BIAS_RATE)
        return anomaly


class Kept:
    """Of a memory that ticks: what was active in its last tick, until the next one comes."""

    def __init__(self, low, L, K):
        self._low = low
        self.cells, self.cell = low.state("kept_cells", (L,), index=True, start=range(L)), low.state("kept_cell", (L,))
        self.winners, self.columns = low.state("kept_winners", (K,), index=True, start=range(K)), low.state("kept_columns", (K,))
        self.surprise = low.state("kept_surprise", (1,))

    def keep(self, cells, cell, winners, columns, surprise):
        """The surprise is that of the tick itself: in between, what surprised is learned."""
        low = self._low
        for places, kept in ((cells, self.cells), (winners, self.winners)):
            low.forward("keep_index", places=places, kept_places=kept, D=kept.size)
        for x, kept in ((cell, self.cell), (columns, self.columns)):
            low.forward("keep_update", x=x, kept=kept, D=kept.size)
        low.forward("trace_forward", x=surprise, tick=low.tick, kept=self.surprise, y=low.scratch("surprise_held", (1,)), decay=0.0, D=1)


def _most_cells(decay, K, L) -> int:
    """A bound on the cells in the fast context. The mean of the squares of K columns' activity is at most 1, so their sum is at most
    K, and cells share out their column's: all traces together are at most K / (1 - decay). Those that stay are SMALLEST or more,
    and L come new. Or, each by itself: a trace is at most sqrt(K) / (1 - decay), and falls below SMALLEST in so many steps."""
    if decay == 0:
        return L
    together = L + floor(decay * K / (1 - decay) / SMALLEST) + 2  # 2 more: rounding
    steps = 2 + floor(log(sqrt(K) / (1 - decay) / SMALLEST) / -log(decay))
    return min(together, L * steps)


def _most_columns(K) -> int:
    """As `_most_cells`, of the slow context: a surprise p adds at most K p to the sum of all traces and takes FORGET p of it."""
    return K + floor(K / FORGET / SMALLEST) + 2
