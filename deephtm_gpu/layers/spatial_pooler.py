"""The spatial pooler: which columns win."""

from deephtm_gpu.arguments import check_count, check_scale
from deephtm_gpu.errors import UserError
from deephtm_gpu.graph.defaults import dense_std
from deephtm_gpu.graph.forms import Form
from deephtm_gpu.graph.nodes import Layer
from deephtm_gpu.plan.tensors import MATRIX, PARAM


class SpatialPooler(Layer):
    """Chooses columns: overlap = W x + b, the largest win (ties: the lower index), and the runner-up inhibits them.

    Parameters
    ----------
    columns : int
        How many there are, C.
    winners : int
        How many win at each step, K < C.
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
    bias (columns,), 0 at the start. On a map (channels, height, width) each position has winners of its own.

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

    def __init__(self, columns: int, winners: int, lr_scale: float | None = None) -> None:
        self.columns = check_count("SpatialPooler's columns", columns)
        self.winners = check_count("SpatialPooler's winners", winners)
        self.lr_scale = check_scale(lr_scale)
        if self.winners >= self.columns:
            raise UserError(
                f"SpatialPooler's winners must be fewer than its columns, got {winners} winners of {columns} columns "
                f"(the runner-up inhibits the winners); give winners <= {self.columns - 1}."
            )

    def form(self, inputs):
        return Form(self.columns, length=self.winners, winners=self.winners, shape=(self.columns,))

    def choices(self, setting):
        return {"std": f"{dense_std(setting.inputs[0].size):.3g}"}

    def lower(self, low, inputs):
        (x, to_sparse), C, K = low.to_dense(inputs[0]), self.columns, self.winners
        weight = low.param("weight", (C, x.size), MATRIX, std=dense_std(x.size), learned=True)
        bias = low.param("bias", (C,), PARAM, learned=True)
        overlap = low.tape("overlap", (C,))
        winners, rows = low.tape("winners", (K,), index=True), low.tape("rows", (K + 1,), index=True)
        activity, scale = low.tape("activity", (K,)), low.tape("scale", (1,))
        low.forward("linear_forward", x=x.tensor, weight=weight, bias=bias, y=overlap, I=x.size, O=C)
        low.forward(
            "topk_forward", overlap=overlap, winners=winners, rows=rows, activity=activity, scale=scale, K=K, C=C
        )

        def backward(dactivity):
            doverlap = low.scratch("doverlap", (K + 1,))
            low.learn("topk_backward", dactivity=dactivity, activity=activity, scale=scale, doverlap=doverlap, K=K)
            dx = None
            if x.grad:
                dx = low.scratch("dx", (x.size,))
                low.learn("rows_backward", dy=doverlap, index=rows, weight=weight, dx=dx, L=K + 1, I=x.size)
                dx = to_sparse(dx)
            low.update_outputs(weight, bias, rows, doverlap, x.tensor)
            return [dx]

        return low.value(activity, winners), backward
