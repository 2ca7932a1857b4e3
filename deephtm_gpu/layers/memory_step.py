"""The step of a temporal memory: what its passes share, and their order (MODEL: TemporalMemory)."""

from math import floor, log, sqrt

from deephtm_gpu.arguments import LARGEST
from deephtm_gpu.graph.defaults import OUTPUTS, memory_clock
from deephtm_gpu.layers.synapses import Synapses, check_sampled
from deephtm_gpu.ops.context import FORGET, SMALLEST
from deephtm_gpu.ops.head import BIAS_RATE, FIRST_BIAS, LOSERS, RATE
from deephtm_gpu.plan.tensors import TAPE

SURE, SURE_OF_COLUMNS = 0.02, 0.1  # a surprise below is none: columns are never predicted as surely as symbols


class MemoryStep:
    """One node of a `TemporalMemory`, being lowered. layer: the memory; low: its `Scope`; cols: the pooler's value;
    contexts: the values of its further contexts. `forward` and `backward` emit the calls."""

    def __init__(self, layer, low, cols, contexts):
        self.layer, self.low, self.cols, self.contexts = layer, low, cols, contexts
        self.C, self.K, self.M = C, K, M = cols.size, cols.length, layer.cells_per_column
        self.N, self.L = N, L = C * M, K * M
        around = (layer.neighbourhood or 1) ** 2  # of how many positions it sees the cells
        self.seen = around * N  # sources that are cells; those of its own columns follow, and further contexts
        self.base = self.seen + (0 if layer.neighbourhood else C)
        self.P = self.base + sum(x.size for x in contexts)
        if layer.synapses:
            check_sampled(layer, layer.synapses, self.seen, self.base - self.seen, self.P)
        self.distal = Synapses(low, "distal", N, self.P, layer.synapses, std=layer.init_std, std_sources=self.seen,
                               learned=True)
        most, most_slow = min(N, _most_cells(layer.decay, K, L)), min(C, _most_columns(K))
        self.fast, self.fast_list = self._trace("fast", N, most)
        if layer.neighbourhood:
            most_slow = 0
        else:
            self.slow, self.slow_list = self._trace("slow", C, most_slow)
        self.A = A = around * most + most_slow + sum(x.length for x in contexts)
        self.index = low.tape("context", (A,), index=True, within=(0, self.P - 1), ragged=True)
        self.value = low.tape("context_value", (A,), ragged=True)
        self.cells = low.tape("cells", (L,), index=True, within=(0, N - 1))
        self.cell, self.root = low.tape("cell", (L,)), low.tape("root", (L,))
        self.kept = TickState(low, N, C, L, K) if low.tick else None

    def forward(self):
        """Returns the node's value."""
        low, cols, kept = self.low, self.cols, self.kept
        self.active = cols.tensor
        if kept:  # what was active in the tick before becomes context when the next one comes
            self._remember(kept.cells, kept.cell, kept.winners, kept.columns, kept.surprise)
            self.active = low.times("active", cols.tensor, low.has_ticked, storage=TAPE)
        low.forward("cells_forward", winners=cols.index, cells=self.cells, K=self.K, M=self.M)
        self._context()
        self._gate()
        anomaly = self._head()
        if kept:
            kept.keep(self.cells, self.cell, cols.index, self.active, anomaly)
        else:
            self._remember(self.cells, self.cell, cols.index, self.active, anomaly)
        made = low.value(self.cell, self.cells)
        made.anomaly = anomaly
        return made

    def _trace(self, name, size, most):
        """What is left of earlier activity: of all sources, and the list of those that are not 0."""
        return (self.low.state(name, (size,), within=(0, LARGEST)),
                self.low.state(f"{name}_list", (most,), index=True, within=(0, size - 1), ragged=True))

    def backward(self, dcell):
        """dcell (L,): the gradient into the cells. Returns those into the columns and the contexts."""
        low, K, L, lag = self.low, self.K, self.L, self.layer.window - 1
        dz, dactivity = low.scratch("ddepolarisation", (L,)), low.scratch("dactivity", (K,))
        low.learn("gate_backward", dcell=dcell, root=self.root, activity=self.active, ddepolarisation=dz,
                  dactivity=dactivity, K=K, M=self.M)
        if self.kept:
            dactivity = low.times("dcolumns", dactivity, low.has_ticked, learns=True)
        if self.layer.gate == "uniform":
            return [dactivity] + [None] * len(self.contexts)
        dvalue = None
        if lag or any(x.grad for x in self.contexts):
            dvalue = low.scratch("dcontext", (self.A,), ragged=True)
            self.distal.backward(dz, self.cells, self.index, dvalue)
        gradients = self._context_backward(dvalue)
        if lag:
            dz = self._deferred(dcell, dvalue, lag)
        self.distal.update(self.cells, dz, self.index, self.value, lag)
        return [dactivity] + gradients

    def _context(self):
        """Its own traces, and the further contexts after them, each of unit norm, as one list of pairs."""
        low, index, value, base = self.low, self.index, self.value, self.base
        fast = dict(fast=self.fast, fast_list=self.fast_list, index=index, value=value, N=self.N)
        if self.layer.neighbourhood:
            low.forward("neighbours_forward", X=low.sites, W=low.form.positions[1], around=self.layer.neighbourhood,
                        dilation=self.layer.dilation, most=self.fast_list.size, room=self.A, **fast)
        else:
            self.norm = low.tape("norm", (1,))
            low.forward("context_forward", slow=self.slow, slow_list=self.slow_list, norm=self.norm, **fast)
        self.appended = []
        for n, x in enumerate(self.contexts):
            last = self.A - x.length  # where the last list of them may begin
            start = low.tape(f"start{n}", (1,), index=True, within=(0, last))
            norm = low.tape(f"norm{n}", (1,))
            shared = dict(index=index, value=value, start=start, norm=norm, base=base)
            if x.sparse:
                low.forward("context_append_sparse", pair_index=x.index, pairs=x.tensor, L=x.length, **shared)
            else:
                low.forward("context_append_forward", x=x.tensor, D=x.size, **shared)
            self.appended.append((start, norm))
            base += x.size

    def _context_backward(self, dvalue):
        low, gradients = self.low, []
        for n, (x, (start, norm)) in enumerate(zip(self.contexts, self.appended)):
            dx = low.scratch(f"dcontext{n}", x.tensor.shape) if x.grad else None
            if dx:
                low.learn("context_append_backward", dvalue=dvalue, unit=self.value, start=start, norm=norm, dx=dx,
                          D=dx.size)
            gradients.append(dx)
        return gradients

    def _gate(self):
        low = self.low
        if self.layer.gate == "entmax":
            depolarisation = low.tape("depolarisation", (self.L,))
            self.distal.forward(self.cells, self.index, self.value, depolarisation)
        else:
            # never materialised: zeros, and the gate gives every cell 1/M
            depolarisation = low.scratch("all_alike", (self.L,))
        low.forward("gate_forward", depolarisation=depolarisation, activity=self.active, cell=self.cell, root=self.root,
                    K=self.K, M=self.M)

    def _head(self):
        """What it predicts of columns, learned at once. Returns the anomaly score."""
        low, C, K, winners = self.low, self.C, self.K, self.cols.index
        R = min(LOSERS * K, C)
        predicted = Synapses(low, "predicted", C, self.P, self.layer.synapses, first_bias=FIRST_BIAS)
        anomaly = low.anomaly()
        rows = low.tape("asked", (K + R,), index=True, within=(0, C - 1))
        logit, delta = low.tape("logit", (K + R,)), low.tape("delta", (K + R,))
        low.forward("losers_forward", winners=winners, t=low.clock, rows=rows, seed=low.noise_seed(), K=K, C=C, R=R)
        predicted.forward(rows, self.index, self.value, logit)
        low.forward("head_forward", logit=logit, rows=rows, activity=self.active, anomaly=anomaly, delta=delta, K=K,
                    R=R)
        low.report_anomaly(anomaly)
        predicted.update_here(rows, delta, self.index, self.value, scale=RATE, bias_scale=BIAS_RATE)
        return anomaly

    def _remember(self, cells, cell, winners, columns, surprise):
        """What was active becomes context for what comes."""
        low, layer = self.low, self.layer
        at, when = ("fast_update_at", {"tick": low.tick}) if low.tick else ("fast_update", {})
        low.forward(at, cells=cells, cell=cell, fast=self.fast, fast_list=self.fast_list, decay=layer.decay,
                    write=layer.write, L=self.L, most=self.fast_list.size, **when)
        if not layer.slow:
            return
        # What keeps the slow context's time: with symbols, how little the right one was expected; else, the winning
        # columns.
        sure = SURE_OF_COLUMNS
        if memory_clock(layer.clock, low.setting.surprises, low.setting.ticks) == OUTPUTS:
            surprise, sure = low.surprise_here(), SURE
        elif low.tick:
            surprise = low.times("surprise", surprise, low.tick)
        low.forward("slow_update", winners=winners, activity=columns, surprise=surprise, slow=self.slow,
                    slow_list=self.slow_list, sure=sure, K=self.K, most=self.slow_list.size)

    def _deferred(self, dcell, dvalue, lag):
        """Deals the newest step's gradient out to the ring; returns the depolarisation's gradient of the step that
        leaves it."""
        low, K, L, N, T = self.low, self.K, self.L, self.N, lag + 1
        ring_cells = low.state("ring_cells", (T * L,), index=True, within=(0, N), start=N)
        ring_credit, reach = low.state("ring_credit", (T * L,)), low.state("reach", (N + 1,))
        low.holds_credit(ring_cells, ring_credit)
        low.learn("credit_backward", dvalue=dvalue, index=self.index, value=self.value, norm=self.norm,
                  cells=self.cells, dcell=dcell, t=low.scored, reach=reach, ring_cells=ring_cells,
                  ring_credit=ring_credit, decay=self.layer.decay, N=N, T=T, L=L)
        left, dz = low.scratch("dcell_left", (L,)), low.scratch("ddepolarisation_left", (L,))
        unused = low.scratch("dunused", (K,))
        low.learn("credit_leave", lag, t=low.scored, ring_credit=ring_credit, dcell_left=left, T=T, L=L)
        low.learn("gate_backward", lag, dcell=left, root=self.root, activity=self.active, ddepolarisation=dz,
                  dactivity=unused, K=K, M=self.M)
        return dz


class TickState:
    """Of a memory that ticks: what was active in its last tick, until the next one comes."""

    def __init__(self, low, N, C, L, K):
        self._low = low
        self.cells = low.state("kept_cells", (L,), index=True, within=(0, N - 1), start=range(L))
        self.winners = low.state("kept_winners", (K,), index=True, within=(0, C - 1), start=range(K))
        self.cell, self.columns = low.state("kept_cell", (L,)), low.state("kept_columns", (K,))
        self.surprise = low.state("kept_surprise", (1,))

    def keep(self, cells, cell, winners, columns, surprise):
        """The surprise is that of the tick itself: in between, what surprised is learned."""
        low = self._low
        for index, kept in ((cells, self.cells), (winners, self.winners)):
            low.forward("keep_index", index=index, kept_index=kept, D=kept.size)
        for x, kept in ((cell, self.cell), (columns, self.columns)):
            low.forward("keep_update", x=x, kept=kept, D=kept.size)
        low.forward("trace_forward", x=surprise, tick=low.tick, kept=self.surprise,
                    y=low.scratch("surprise_held", (1,)), decay=0.0, D=1)


def _most_cells(decay, K, L) -> int:
    """A bound on the cells in the fast context. The mean of the squares of K columns' activity is at most 1, so their
    sum is at most K, and cells share out their column's: all traces together are at most K / (1 - decay). Those that
    stay are SMALLEST or more, and L come new. Or, each by itself: a trace is at most sqrt(K) / (1 - decay), and falls
    below SMALLEST in so many steps."""
    if decay == 0:
        return L
    together = L + floor(decay * K / (1 - decay) / SMALLEST) + 2  # 2 more: rounding
    steps = 2 + floor(log(sqrt(K) / (1 - decay) / SMALLEST) / -log(decay))
    return min(together, L * steps)


def _most_columns(K) -> int:
    """As `_most_cells`, of the slow context: a surprise p adds at most K p to the sum of all traces and takes FORGET p
    of it."""
    return K + floor(K / FORGET / SMALLEST) + 2
