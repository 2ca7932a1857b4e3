"""Layers that are one op each: Linear, ReLU, RunningNorm."""

from math import sqrt

from deephtm_gpu.arguments import check_count, check_scale, is_number
from deephtm_gpu.errors import UserError
from deephtm_gpu.graph.forms import Form
from deephtm_gpu.graph.nodes import Layer
from deephtm_gpu.plan.tensors import MATRIX, PARAM


class Linear(Layer):
    """y = W x + b with `units` outputs. Weight (units, inputs), bias (units,).

    Behind a pooler or a memory only the rows of active columns or cells are read and written.
    init_std: standard deviation of the weights at the start; None: MODEL's ("Start"), by where the layer stands.
    """

    sizes_itself = True

    def __init__(self, units, lr_scale=None, init_std=None):
        self.units = check_count("Linear's units", units)
        self.lr_scale = check_scale(lr_scale)
        if init_std is not None and not (is_number(init_std) and init_std >= 0):
            raise UserError(f"Linear's init_std = {init_std!r} was asked for; it must be a number, 0 or more.")
        self.init_std = init_std

    def form(self, inputs):
        return Form(self.units, shape=(self.units,))

    def lower(self, low, inputs):
        (x,), O = inputs, self.units
        std = self.init_std if self.init_std is not None else self._start(low, x)
        y = low.tape("y", (O,))
        bias = low.param("bias", (O,), PARAM, learned=True)
        if x.sparse:
            weight = low.param("weight", (x.size, O), MATRIX, std=std, transposed=True, learned=True)
            low.forward("sparse_linear_forward", index=x.index, value=x.tensor, weight=weight, bias=bias, y=y, L=x.length, O=O)
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

    def _start(self, low, x):
        if x.sparse:
            return (0.5 if low.classifies else 0.25) / sqrt(x.winners)
        return (0.5 if low.is_output else 1.0) * sqrt(2 / x.size)


class ReLU(Layer):
    """y = max(x, 0)."""

    def form(self, inputs):
        return Form(inputs[0].size, shape=inputs[0].shape)

    def lower(self, low, inputs):
        x, to_pairs = low.written_out(inputs[0])
        y = low.tape("y", (x.size,))
        low.forward("relu_forward", x=x.tensor, y=y, D=x.size)

        def backward(dy):
            dx = low.scratch("dx", (x.size,))
            low.learn("relu_backward", dy=dy, y=y, dx=dx, D=x.size)
            return [to_pairs(dx)]

        return low.value(y), backward


class RunningNorm(Layer):
    """Subtracts a running mean (a constant in backward) and divides by the root mean square over the features."""

    def form(self, inputs):
        return Form(inputs[0].size, shape=inputs[0].shape)

    def lower(self, low, inputs):
        x, to_pairs = low.written_out(inputs[0])
        y, scale = low.tape("y", (x.size,)), low.tape("scale", (1,))
        mean, count = low.param("mean", (x.size,), PARAM), low.param("count", (1,), PARAM)
        extent = low.param("extent", (2,), PARAM, moment=True)
        low.forward("running_mean_update", x=x.tensor, share=low.share_of_streams, mean=mean, count=count, extent=extent, D=x.size,
                    learning=True)
        low.forward("running_norm_forward", x=x.tensor, mean=mean, y=y, scale=scale, D=x.size)

        def backward(dy):
            dx = low.scratch("dx", (x.size,))
            low.learn("running_norm_backward", dy=dy, y=y, scale=scale, dx=dx, D=x.size)
            return [to_pairs(dx)]

        return low.value(y), backward
