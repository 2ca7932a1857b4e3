"""Layers that are one op each: Linear, ReLU, RunningNorm, Flatten."""

from math import inf

from deephtm_gpu.arguments import check_count, check_scale, is_number, shown
from deephtm_gpu.errors import UserError
from deephtm_gpu.graph.defaults import BY_LOSS, dense_std, sparse_std
from deephtm_gpu.graph.forms import Form
from deephtm_gpu.graph.nodes import Layer
from deephtm_gpu.plan.tensors import MATRIX, PARAM


class Linear(Layer):
    """A dense layer, y = W x + b. Behind a pooler or a memory only the rows of active columns or cells are read and
    written.

    Parameters
    ----------
    units : int
        How many numbers it gives.
    lr_scale : float, optional
        Multiplies the learning rate of its weights; 0 freezes them. Default: 0.01 up to and in the last spatial pooler,
        1 behind it.
    init_std : float, optional
        Standard deviation of the weights at the start. Default: behind dense numbers √(2/inputs), half of it in an
        output; behind winners or cells 0.25/√winners, with a cross-entropy among the losses 0.5/√winners. `summary()`
        shows it.

    Raises
    ------
    UserError
        Where an argument is out of range.

    Notes
    -----
    Learns weight (units, inputs), normal with init_std at the start, and bias (units,), 0 at the start. On a map
    (channels, height, width) it gives (units, height, width): a 1×1 convolution; put a `dh.Flatten` before it to read
    the whole map.

    References
    ----------
    He, Zhang, Ren & Sun, "Delving deep into rectifiers", ICCV 2015: the standard deviation √(2/inputs).

    Examples
    --------
    >>> import deephtm_gpu as dh
    >>> model = dh.Model(dh.Sequential(dh.Linear(5)), input_shape=(3,), device="numpy")
    >>> {name: array.shape for name, array in model.state_dict().items()}
    {'0.bias': (5,), '0.weight': (5, 3)}
    """

    sizes_itself = True

    def __init__(self, units: int, lr_scale: float | None = None, init_std: float | None = None) -> None:
        self.units = check_count("Linear's units", units)
        self.lr_scale = check_scale(lr_scale)
        if init_std is not None and not (is_number(init_std) and init_std >= 0):
            raise UserError(f"Linear's init_std must be a number, 0 or more, got {shown(init_std)}.")
        self.init_std = init_std

    def form(self, inputs):
        return Form(self.units, shape=(self.units,))

    def lower(self, low, inputs):
        (x,), O = inputs, self.units
        std = self.init_std if self.init_std is not None else self._start(low.setting)
        y = low.tape("y", (O,))
        bias = low.param("bias", (O,), PARAM, learned=True)
        if x.sparse:
            weight = low.param("weight", (x.size, O), MATRIX, std=std, transposed=True, learned=True)
            low.forward(
                "sparse_linear_forward", index=x.index, value=x.tensor, weight=weight, bias=bias, y=y, L=x.length, O=O
            )
        else:
            weight = low.param("weight", (O, x.size), MATRIX, std=std, learned=True)
            low.forward("linear_forward", x=x.tensor, weight=weight, bias=bias, y=y, I=x.size, O=O)

        def backward(dy):
            dx = low.scratch("dx", x.tensor.shape) if x.grad else None
            if x.sparse:
                if dx:
                    low.learn("sparse_linear_backward", dy=dy, index=x.index, value=x.tensor, weight=weight, dvalue=dx,
                              L=x.length, O=O)
                low.update_inputs(weight, bias, dy, x.index, x.tensor)
            else:
                if dx:
                    low.learn("linear_backward", dy=dy, weight=weight, dx=dx, I=x.size, O=O)
                low.update_dense(weight, bias, dy, x.tensor)
            return [dx]

        return low.value(y), backward

    def _start(self, setting):
        (x,) = setting.inputs
        return sparse_std(x.winners, setting.surprises) if x.sparse else dense_std(x.size, setting.is_output)

    def choices(self, setting):
        if self.init_std is not None:
            return {}
        known = setting.surprises is not None or not setting.inputs[0].sparse
        return {"std": f"{self._start(setting):.3g}" if known else BY_LOSS}


class ReLU(Layer):
    """y = max(x, 0), of each number by itself.

    Examples
    --------
    >>> import deephtm_gpu as dh
    >>> net = dh.Sequential(dh.Linear(16), dh.ReLU(), dh.Linear(1))
    """

    def form(self, inputs):
        return Form(inputs[0].size, shape=inputs[0].shape)

    def lower(self, low, inputs):
        x, to_sparse = low.to_dense(inputs[0])
        y = low.tape("y", (x.size,))
        low.forward("relu_forward", x=x.tensor, y=y, D=x.size)

        def backward(dy):
            dx = low.scratch("dx", (x.size,))
            low.learn("relu_backward", dy=dy, y=y, dx=dx, D=x.size)
            return [to_sparse(dx)]

        return low.value(y), backward


class RunningNorm(Layer):
    """Subtracts a running mean and divides by the root mean square over the features.

    On a map at each position, the mean that of all positions; behind a convolution, where positions see each other, the
    root mean square is that of the whole map.

    Notes
    -----
    μ ← μ + max(0.001, 1/(t + 1)) · (x − μ), t from 0; y = (x − μ) / √(mean((x − μ)²) + 1e-4). μ is a constant in
    backward, and stands still in `predict`. What keeps a spatial pooler from always choosing the same columns.

    Examples
    --------
    >>> import numpy as np, deephtm_gpu as dh
    >>> model = dh.Model(dh.Sequential(dh.Linear(4), dh.RunningNorm()), input_shape=(4,), device="numpy")
    >>> history = model.fit(np.random.default_rng(0).normal(size=(9, 4)).astype(np.float32))
    >>> model.state_dict()["1.mean"].shape
    (4,)
    """

    def form(self, inputs):
        return Form(inputs[0].size, shape=inputs[0].shape)

    def lower(self, low, inputs):
        x, to_sparse = low.to_dense(inputs[0])
        whole = low.form.coupled
        y, scale = low.tape("y", (x.size,)), low.tape("scale", (1,), **({"sites": 1} if whole else {}))
        mean = low.param("mean", (x.size,), PARAM, averaged=True)
        count = low.param("count", (1,), PARAM, within=(0, inf))
        extent = low.param("extent", (2,), PARAM, moment=True, within=(0, inf))
        low.forward("running_mean_update", x=x.tensor, share=low.share_of_streams, mean=mean, count=count,
                    extent=extent, D=x.size, X=x.sites, learning=True)
        forward, back, size = "running_norm_forward", "running_norm_backward", {"D": x.size}
        if whole:
            forward, back, size = "map_norm_forward", "map_unit_backward", {"D": x.size, "X": x.sites}
        low.forward(forward, x=x.tensor, mean=mean, y=y, scale=scale, **size)

        def backward(dy):
            dx = low.scratch("dx", (x.size,))
            low.learn(back, dy=dy, y=y, scale=scale, dx=dx, **size)
            return [to_sparse(dx)]

        return low.value(y), backward


class Flatten(Layer):
    """A map (channels, height, width) as one vector of channels * height * width numbers, in this order; of a vector
    itself.

    Examples
    --------
    >>> import deephtm_gpu as dh
    >>> image = dh.Input((3, 8, 8))
    >>> network = dh.Network(image, dh.Linear(10)(dh.Flatten()(dh.Linear(4)(image))))
    >>> print(network.summary().splitlines()[4].split()[:3])
    ['1', 'Flatten()', '256']
    """

    def form(self, inputs):
        size = inputs[0].total
        return Form(size, shape=(size,))

    def positions(self, inputs):
        return None

    def check_maps(self, own, inputs, contexts):
        """Any map will do."""

    def lower(self, low, inputs):
        x, to_map = low.flattened(inputs[0])
        return low.value(x.tensor), lambda dy: [to_map(dy)]
