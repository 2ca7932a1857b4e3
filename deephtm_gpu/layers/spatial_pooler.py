"""The spatial pooler: which columns win."""

from deephtm_gpu.arguments import check_count, check_scale
from deephtm_gpu.errors import UserError
from deephtm_gpu.graph.defaults import dense_std
from deephtm_gpu.graph.forms import Form
from deephtm_gpu.graph.nodes import Layer
from deephtm_gpu.ops.conv import same_windows
from deephtm_gpu.plan.tensors import MATRIX, PARAM


class SpatialPooler(Layer):
    """Chooses columns: overlap = W x + b, the largest win (ties: the lower index), and the runner-up inhibits them.

    Parameters
    ----------
    columns : int
        How many there are, C.
    winners : int
        How many win at each step, K < C.
    kernel : int, optional
        Of a map: side of the window of positions that a position's columns see, k. Default: only the position itself.
    lr_scale : float, optional
        Multiplies the learning rate of its weights; 0 freezes them. Default: 0.01 up to and in the last spatial pooler,
        1 behind it.

    Raises
    ------
    UserError
        Where an argument is out of range.

    Notes
    -----
    With v = overlap of a winner − overlap of the runner-up, a winner's activity is v / √(mean v² + 1e-4): it stays
    continuous where winners change, and the best loser gets its gradient too. Gives K pairs (column, activity); a dense
    layer behind it reads those rows alone. Learns weight (columns, inputs), normal with √(2/inputs) at the start, and
    bias (columns,), 0 at the start. On a map (channels, height, width) each position has winners of its own; where
    positions see each other, with a kernel or behind a convolution, mean v² is that of the whole map.

    References
    ----------
    Cui, Ahmad & Hawkins, "The HTM spatial pooler", Frontiers in Computational Neuroscience 2017: columns and global
    inhibition.

    Examples
    --------
    >>> import numpy as np, deephtm_gpu as dh
    >>> net = dh.Sequential(dh.RunningNorm(), dh.SpatialPooler(columns=32, winners=3), dh.Linear(2))
    >>> model = dh.Model(net, input_shape=(2,), device="numpy")
    >>> history = model.fit(np.random.default_rng(0).normal(size=(9, 2)).astype(np.float32))
    >>> model.state()["1"]["winners"].shape
    (3,)
    """

    sizes_itself = True
    slows_what_it_reads = True

    def __init__(self, columns: int, winners: int, kernel: int | None = None, lr_scale: float | None = None) -> None:
        self.columns = check_count("SpatialPooler's columns", columns)
        self.winners = check_count("SpatialPooler's winners", winners)
        self.kernel = None if kernel is None else check_count("SpatialPooler's kernel", kernel)
        self.lr_scale = check_scale(lr_scale)
        if self.winners >= self.columns:
            raise UserError(
                f"SpatialPooler's winners must be fewer than its columns, got {winners} winners of {columns} columns "
                f"(the runner-up inhibits the winners); give winners <= {self.columns - 1}."
            )

    def form(self, inputs):
        return Form(self.columns, length=self.winners, winners=self.winners, shape=(self.columns,))

    @property
    def couples_positions(self) -> bool:
        return self.kernel is not None

    def check_maps(self, own, inputs, contexts):
        super().check_maps(own, inputs, contexts)
        if own is None and self.kernel is not None:
            raise UserError(f"{self!r} must read a map (channels, height, width) with a kernel, got a vector; leave "
                            "the kernel out.")

    def choices(self, setting):
        return {"std": f"{dense_std(self._seen(setting.inputs[0].size)):.3g}"}

    def _seen(self, inputs) -> int:
        """How many numbers a column sees."""
        return inputs * (self.kernel or 1) ** 2

    def lower(self, low, inputs):
        (x, to_sparse), C, K = low.to_dense(inputs[0]), self.columns, self.winners
        seen = self._seen(x.size)
        weight = low.param("weight", (C, seen), MATRIX, std=dense_std(seen), learned=True)
        bias = low.param("bias", (C,), PARAM, learned=True)
        overlap = low.tape("overlap", (C,))
        winners, rows = (low.tape(name, (size,), index=True, within=(0, C - 1))
                         for name, size in (("winners", K), ("rows", K + 1)))
        if self.kernel is None:
            low.forward("linear_forward", x=x.tensor, weight=weight, bias=bias, y=overlap, I=x.size, O=C)
        else:
            window = dict(I=x.size, O=C, **same_windows(low.read_map(), low.form.positions, self.kernel))
            low.forward("conv_forward", x=x.tensor, weight=weight, bias=bias, y=overlap, **window)
        activity, lead_backward = self._activity(low, overlap, winners, rows)

        def backward(dactivity):
            doverlap = lead_backward(dactivity)
            dx = low.scratch("dx", (x.size,)) if x.grad else None
            if self.kernel is None:
                if dx:
                    low.learn("rows_backward", dy=doverlap, index=rows, weight=weight, dx=dx, L=K + 1, I=x.size)
                low.update_outputs(weight, bias, rows, doverlap, x.tensor)
                return [to_sparse(dx)]
            dense = low.scratch("doverlaps", (C,))
            low.learn("dense_forward", index=rows, value=doverlap, y=dense, D=C, L=K + 1)
            if dx:
                low.learn("conv_backward", dy=dense, weight=weight, dx=dx, **window)
            low.update_conv(weight, dense, x.tensor, window)
            low.update_bias(bias, dense)
            return [to_sparse(dx)]

        return low.value(activity, winners), backward

    def _activity(self, low, overlap, winners, rows):
        """Who wins, and by how much; returns the activity, and what emits the way back to the overlaps at `rows`."""
        C, K = self.columns, self.winners
        activity, whole = low.tape("activity", (K,)), low.form.coupled
        scale = low.tape("scale", (1,), **({"sites": 1} if whole else {}))
        chosen = dict(overlap=overlap, winners=winners, rows=rows, K=K, C=C)
        if whole:
            lead, size = low.scratch("lead", (K,)), dict(D=K, X=low.sites)
            low.forward("lead_forward", lead=lead, **chosen)
            low.forward("map_unit_forward", x=lead, y=activity, scale=scale, **size)
        else:
            low.forward("topk_forward", activity=activity, scale=scale, **chosen)

        def backward(dactivity):
            doverlap = low.scratch("doverlap", (K + 1,))
            if whole:
                dlead = low.scratch("dlead", (K,))
                low.learn("map_unit_backward", dy=dactivity, y=activity, scale=scale, dx=dlead, **size)
                low.learn("lead_backward", dlead=dlead, doverlap=doverlap, K=K)
            else:
                low.learn("topk_backward", dactivity=dactivity, activity=activity, scale=scale, doverlap=doverlap, K=K)
            return doverlap

        return activity, backward
