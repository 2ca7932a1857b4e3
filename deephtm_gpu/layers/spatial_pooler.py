"""The spatial pooler: which columns win."""

from math import sqrt

from deephtm_gpu.arguments import check_count, check_scale
from deephtm_gpu.errors import UserError
from deephtm_gpu.graph.forms import Form
from deephtm_gpu.graph.nodes import Layer
from deephtm_gpu.plan.tensors import MATRIX, PARAM


class SpatialPooler(Layer):
    """Overlap = W x + b over `columns`; the `winners` largest win (ties: the lower index), the runner-up inhibits all.

    Gives winners and their activity as pairs; on a map (channels, height, width) those of each position. Weight
    (columns, inputs), bias (columns,).
    """

    sizes_itself = True

    def __init__(self, columns, winners, lr_scale=None):
        self.columns = check_count("SpatialPooler's columns", columns)
        self.winners = check_count("SpatialPooler's winners", winners)
        self.lr_scale = check_scale(lr_scale)
        if self.winners >= self.columns:
            raise UserError(
                f"A SpatialPooler of {columns} columns with {winners} winners was asked for; one column more must be there to "
                f"lose (the runner-up inhibits the winners): give winners <= {self.columns - 1}."
            )

    def form(self, inputs):
        return Form(self.columns, length=self.winners, winners=self.winners, shape=(self.columns,))

    def lower(self, low, inputs):
        (x, to_pairs), C, K = low.written_out(inputs[0]), self.columns, self.winners
        weight = low.param("weight", (C, x.size), MATRIX, std=sqrt(2 / x.size), learned=True)
        bias = low.param("bias", (C,), PARAM, learned=True)
        overlap = low.tape("overlap", (C,))
        winners, rows = low.tape("winners", (K,), index=True), low.tape("rows", (K + 1,), index=True)
        activity, scale = low.tape("activity", (K,)), low.tape("scale", (1,))
        low.forward("linear_forward", x=x.tensor, weight=weight, bias=bias, y=overlap, I=x.size, O=C)
        low.forward("topk_forward", overlap=overlap, winners=winners, rows=rows, activity=activity, scale=scale, K=K, C=C)

        def backward(dactivity):
            doverlap = low.scratch("doverlap", (K + 1,))
            low.learn("topk_backward", dactivity=dactivity, activity=activity, scale=scale, doverlap=doverlap, K=K)
            dx = None
            if x.grad:
                dx = low.scratch("dx", (x.size,))
                low.learn("rows_backward", dy=doverlap, index=rows, weight=weight, dx=dx, L=K + 1, I=x.size)
                dx = to_pairs(dx)
            low.update_outputs(weight, bias, rows, doverlap, x.tensor)
            return [dx]

        return low.value(activity, winners), backward
