"""The temporal memory: which cells of the winning columns are active, in the context of what came before."""

from collections.abc import Sequence

from deephtm_gpu.arguments import check_count, check_scale, is_number, one_of, shown
from deephtm_gpu.errors import UserError
from deephtm_gpu.graph.defaults import BY_LOSS, CLOCKS, OUTPUTS, memory_clock
from deephtm_gpu.graph.forms import Form
from deephtm_gpu.graph.nodes import Layer, Node, check_node
from deephtm_gpu.layers.memory_step import MemoryStep

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

    neighbourhood : int, optional
        Of a map: a position's context are the cells of neighbourhood × neighbourhood positions about it, an odd number,
        instead of its own alone; outside the map is nothing. Needs slow=False and window=1.
    dilation : int, default 1
        How far apart these positions are.
    write : float, default 0.0
        Activity at or below it leaves no trace in the fast context; 0 or more.

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
                 clock: str | None = None, neighbourhood: int | None = None, dilation: int = 1,
                 write: float = 0.0) -> None:
        self.cells_per_column = check_count("TemporalMemory's cells_per_column", cells_per_column)
        self.window = check_count("TemporalMemory's window", window)
        self.lr_scale = check_scale(lr_scale)
        self.synapses = None if synapses is None else check_count("TemporalMemory's synapses", synapses)
        if not (is_number(decay) and 0 <= float(decay) < 1):
            raise UserError(f"TemporalMemory's decay must be 0 <= decay < 1, got {shown(decay)}.")
        if not one_of(gate, ("entmax", "uniform")):
            raise UserError(f"TemporalMemory's gate must be 'entmax' or 'uniform', got {shown(gate)}.")
        if not isinstance(slow, bool):
            raise UserError(f"TemporalMemory's slow must be True or False, got {shown(slow)}.")
        if not (is_number(init_std) and init_std >= 0):
            raise UserError(f"TemporalMemory's init_std must be a number, 0 or more, got {shown(init_std)}.")
        if clock is not None and not one_of(clock, CLOCKS):
            raise UserError(f"TemporalMemory's clock must be one of {', '.join(map(repr, CLOCKS))}, or None, got "
                            f"{shown(clock)}; give one of these.")
        self.decay, self.gate, self.slow, self.init_std, self.clock = float(decay), gate, slow, float(init_std), clock
        self.dilation = check_count("TemporalMemory's dilation", dilation)
        if not (is_number(write) and write >= 0):
            raise UserError(f"TemporalMemory's write must be a number, 0 or more, got {shown(write)}.")
        self.write = float(write)
        self.neighbourhood = None
        if neighbourhood is not None:
            self.neighbourhood = check_count("TemporalMemory's neighbourhood", neighbourhood)
            if self.neighbourhood % 2 == 0:
                raise UserError("TemporalMemory's neighbourhood must be odd, so that a position is in its middle, got "
                                f"{neighbourhood}; give {neighbourhood + 1}.")

    @property
    def couples_positions(self) -> bool:
        return self.neighbourhood is not None

    def check_maps(self, own, inputs, contexts):
        super().check_maps(own, inputs, contexts)
        if self.neighbourhood is None:
            return
        if own is None:
            raise UserError(f"{self!r} must stand on a map (channels, height, width) with a neighbourhood, got a "
                            "vector; leave the neighbourhood out.")
        widest = 2 * max(own) - 1
        if self.neighbourhood > widest:
            raise UserError(f"{self!r}'s neighbourhood must be at most {widest} on a map of {own[0]}×{own[1]}, beyond "
                            f"which there is nothing to see, got {self.neighbourhood}; give {widest}.")
        if self.slow or self.window > 1:
            raise UserError(f"{self!r} must have slow=False and window=1 with a neighbourhood, got slow={self.slow} "
                            f"and window={self.window}; give slow=False, window=1.")

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
            raise UserError(f"{self!r}'s context must be a node, or a list of nodes, got {shown(context)}.") from None
        return self.add_node([check_node(node, self)], [check_node(c, self) for c in nodes])

    def form(self, inputs):
        columns, M = inputs[0], self.cells_per_column
        if not columns.sparse or columns.cells != 1:
            raise UserError(
                f"{self!r} must be called on the winners of a SpatialPooler, got a node of {columns.size} numbers; "
                "put one before it."
            )
        return Form(columns.size * M, length=columns.length * M, winners=columns.length, cells=M,
                    shape=(columns.size, M), memory=True)

    def lower(self, low, inputs):
        self._check_clock(low)
        low.keep_window(self.window)
        step = MemoryStep(self, low, inputs[0], inputs[1:])
        return step.forward(), step.backward

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
                f"{self!r} must have window=1 after dh.every or dh.when, where credit is given within a tick; give "
                "window=1."
            )
