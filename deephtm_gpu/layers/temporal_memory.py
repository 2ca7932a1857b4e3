"""The temporal memory: which cells of the winning columns are active, in the context of what came before."""

from math import floor, log, sqrt

from deephtm_gpu.arguments import check_count, check_scale, is_number
from deephtm_gpu.errors import UserError
from deephtm_gpu.graph.forms import Form
from deephtm_gpu.graph.nodes import Layer, Node, check_node
from deephtm_gpu.layers.synapses import Synapses, check_pool
from deephtm_gpu.ops.context import FORGET, SMALLEST
from deephtm_gpu.ops.head import BIAS_RATE, FIRST_BIAS, LOSERS, RATE
from deephtm_gpu.plan.tensors import TAPE

SURE, SURE_OF_COLUMNS = 0.02, 0.1  # a surprise below is none: columns are never predicted as surely as symbols
CELL_STD = 0.7  # of the distal weights from cells at the start; those from columns and other contexts start at 0


class TemporalMemory(Layer):
    """Cells that depolarise in context (MODEL: TemporalMemory). Call it on a SpatialPooler's node, and give further distal
    context as nodes: `TemporalMemory(5)(cols, context=[dh.previous(top)])`.

    decay: the leak of its fast context. slow: whether it has a slow context too, of columns, clocked by surprise. window: over how many of
    its own past steps credit is given. init_std: of the distal weights from cells at the start (those from columns and other contexts
    start at 0): how strongly context chooses among cells before anything is learned.
    gate: "entmax", or "uniform": every cell of a winning column alike, which is no memory at all (a control).
    synapses: None, and every cell sees all P places, of cells, columns and further contexts: distal weights (cells, P), bias
    (cells,); the head that predicts columns likewise, with a row per column. Or F, for large memories: the places lie in F
    stretches, and a cell sees one place of each, which counts for the rest of its stretch: weights (cells, F). Who sees which is
    drawn once from the seed, and hangs on one number beside the weights, `distal_pool` (1,); no index is stored (`ops/pool.py`
    says why). 2,048 columns of 32 cells with F = 1024 take 264 MiB instead of 17 GB, and a step costs about the same.
    """

    def __init__(self, cells_per_column, decay=0.8, window=1, lr_scale=1.0, gate="entmax", synapses=None, slow=True, init_std=CELL_STD):
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
        self.decay, self.gate, self.slow, self.init_std = float(decay), gate, slow, float(init_std)

    def __call__(self, node, context=()):
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

    def _check_clock(self, low):
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
        if low.tick:
            surprise = low.times("surprise", surprise, low.tick)
        elif low.surprise:
            surprise, sure = low.surprise, SURE
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
        T, L = self.window, K * M
        ring_cells = low.state("ring_cells", (T * L,), index=True, start=N)
        ring_credit, reach = low.state("ring_credit", (T * L,)), low.state("reach", (N + 1,))
        low.holds_credit(ring_cells, ring_credit)
        low.learn("credit_backward", dvalue=dvalue, index=index, value=value, norm=norm, cells=cells, dcell=dcell, t=low.scored,
                  reach=reach, ring_cells=ring_cells, ring_credit=ring_credit, decay=self.decay, N=N, T=T, L=L)
        lag = T - 1
        left, dz, unused = low.scratch("dcell_left", (L,)), low.scratch("ddepolarisation_left", (L,)), low.scratch("dunused", (K,))
        low.learn("credit_leave", lag, t=low.scored, ring_credit=ring_credit, dcell_left=left, T=T, L=L)
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
        coef = low.times("head_share", low.share_of_streams, low.tick) if low.tick else low.share_of_streams
        predicted.update_here(rows, delta, index, value, coef, scale=RATE, bias_scale=BIAS_RATE)
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
