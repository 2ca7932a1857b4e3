"""Layers that see windows of a map: Conv2d and ConvTranspose2d; and WithOnes, which shows them where a map ends."""

import numpy as np

from deephtm_gpu.arguments import check_count, check_scale, is_number, one_of, shown
from deephtm_gpu.errors import UserError
from deephtm_gpu.graph.defaults import BY_LOSS, dense_std, sparse_std
from deephtm_gpu.graph.forms import Form
from deephtm_gpu.graph.nodes import Layer
from deephtm_gpu.ops.conv import same_windows, windows
from deephtm_gpu.plan.tensors import MATRIX, PARAM

COPY = "copy"
SURE = 4.0  # of start="copy": 0 and 1 of the input become logits of -2 and 2


class WithOnes(Layer):
    """Adds a channel that is 1 everywhere. A convolution sees by it where the map ends, for outside there are zeros.

    Examples
    --------
    >>> import deephtm_gpu as dh
    >>> edges = dh.Conv2d(8, 3)(dh.WithOnes()(dh.Input((1, 12, 12))))
    """

    def form(self, inputs):
        return Form(inputs[0].size + 1, shape=(inputs[0].size + 1,), ones=True)

    def lower(self, low, inputs):
        x, to_sparse = low.to_dense(inputs[0])
        y = low.tape("y", (x.size + 1,))
        low.forward("concat_forward", a=x.tensor, c=low.always(), y=y, D=x.size, I=1)

        def backward(dy):
            dx = low.scratch("dx", (x.size,))
            low.learn("concat_backward", dy=dy, da=dx, db=low.scratch("dones", (1,)), D=x.size, I=1)
            return [to_sparse(dx)]

        return low.value(y), backward


class _Windows(Layer):
    """What a convolution and its transpose share: channels, a square window, a stride, and what they say of maps."""

    couples_positions = True

    def __init__(self, channels: int, kernel: int, stride: int, lr_scale: float | None = None,
                 init_std: float | None = None) -> None:
        name = type(self).__name__
        self.channels = check_count(f"{name}'s channels", channels)
        self.kernel = check_count(f"{name}'s kernel", kernel)
        self.stride = check_count(f"{name}'s stride", stride)
        if stride > kernel:
            raise UserError(f"{name}'s stride must be at most its kernel, got stride {stride} and kernel {kernel}: "
                            "there would be positions that no window covers.")
        self.lr_scale = check_scale(lr_scale)
        if init_std is not None and not (is_number(init_std) and init_std >= 0):
            raise UserError(f"{name}'s init_std must be a number, 0 or more, got {shown(init_std)}.")
        self.init_std = init_std

    def form(self, inputs):
        return Form(self.channels, shape=(self.channels,))

    def positions(self, inputs):
        return next((self._made(m) for m in inputs if m), None)

    def check_maps(self, own, inputs, contexts):
        if inputs[0] is None:
            raise UserError(f"{self!r} must read a map (channels, height, width), got a vector; begin with "
                            "dh.Input((channels, height, width)), or use dh.Linear.")


class Conv2d(_Windows):
    """A convolution: at every position y = W · window + b, the same weights everywhere. Outside the map are zeros.

    Parameters
    ----------
    channels : int
        How many numbers it gives at a position, O.
    kernel : int
        Side of the square window, k, in positions.
    stride : int, default 1
        From window to window, in positions; at most the kernel. A map of H × W becomes one of ⌈H/stride⌉ × ⌈W/stride⌉.
    start : str, optional
        "copy": at first the output is 4 · x − 2 of the last `channels` input channels (those of a `WithOnes` not
        counted), as logits a copy of the newest frame. Default: normal weights.
    lr_scale : float, optional
        Multiplies the learning rate of its weights; 0 freezes them. Default: 0.01 up to and in the last spatial pooler,
        1 behind it.
    init_std : float, optional
        Standard deviation of the weights at the start. Default: √(2/inputs) with inputs = k² · channels read, half of
        it in an output.

    Raises
    ------
    UserError
        Where an argument is out of range; when a network is made of it, where it reads no map.

    Notes
    -----
    Learns weight (channels, k² · channels read), a window's positions in row order and their channels inside, and bias
    (channels,), 0 at the start. The window of position p begins at p · stride − ⌊(k − 1)/2⌋.

    References
    ----------
    LeCun, Bottou, Bengio & Haffner, "Gradient-based learning applied to document recognition", Proc. IEEE 1998.

    Examples
    --------
    >>> import deephtm_gpu as dh
    >>> model = dh.Model(dh.Sequential(dh.Conv2d(4, 3, stride=2)), input_shape=(1, 8, 8), device="numpy")
    >>> model.state_dict()["0.weight"].shape
    (4, 9)
    """

    def __init__(self, channels: int, kernel: int, stride: int = 1, start: str | None = None,
                 lr_scale: float | None = None, init_std: float | None = None) -> None:
        super().__init__(channels, kernel, stride, lr_scale, init_std)
        if start is not None and not one_of(start, (COPY,)):
            raise UserError(f"Conv2d's start must be 'copy', or left out, got {shown(start)}.")
        self.start = start

    def _made(self, read):
        return tuple(-(-n // self.stride) for n in read)

    def check(self, node, inputs):
        if self.start == COPY and inputs:
            frames = inputs[0].size - inputs[0].ones
            if frames < self.channels:
                raise UserError(f"{self!r} must read at least the {self.channels} channels that it copies, got "
                                f"{frames}; give it the frame, or leave start out.")

    def lower(self, low, inputs):
        (x, to_sparse), O = low.to_dense(inputs[0]), self.channels
        weight, bias = self._parameters(low, x.size, inputs[0].ones)
        y = low.tape("y", (O,))
        numbers = dict(I=x.size, O=O, **same_windows(low.read_map(), low.form.positions, self.kernel, self.stride))
        low.forward("conv_forward", x=x.tensor, weight=weight, bias=bias, y=y, **numbers)

        def backward(dy):
            dx = None
            if x.grad:
                dx = low.scratch("dx", (x.size,), sites=x.sites)
                low.learn("conv_backward", dy=dy, weight=weight, dx=dx, **numbers)
                dx = to_sparse(dx)
            low.update_conv(weight, dy, x.tensor, numbers)
            low.update_bias(bias, dy)
            return [dx]

        return low.value(y), backward

    def _parameters(self, low, I, ones):
        O, J = self.channels, self.kernel**2 * I
        if self.start != COPY:
            std = self._std(low.setting)
            return (low.param("weight", (O, J), MATRIX, std=std, learned=True),
                    low.param("bias", (O,), PARAM, learned=True))
        copying, centre = np.zeros((O, J), np.float32), (self.kernel - 1) // 2
        first = (centre * self.kernel + centre) * I + I - ones - O  # the last O channels of the window's centre
        copying[np.arange(O), first + np.arange(O)] = SURE
        return (low.param("weight", (O, J), MATRIX, start=lambda rng: copying, learned=True),
                low.param("bias", (O,), PARAM, start=-SURE / 2, learned=True))

    def _std(self, setting):
        if self.init_std is not None:
            return self.init_std
        return dense_std(self.kernel**2 * setting.inputs[0].size, setting.is_output)

    def choices(self, setting):
        return {} if self.init_std is not None or self.start else {"std": f"{self._std(setting):.3g}"}


class ConvTranspose2d(_Windows):
    """A convolution the other way round: every position lays a window W · x onto a larger map, where windows add up.

    Parameters
    ----------
    channels : int
        How many numbers it gives at a position.
    kernel : int
        Side of the square window, k, in positions of the map that it gives.
    stride : int
        From window to window; at most the kernel. A map of H × W becomes one of H·stride × W·stride.
    lr_scale : float, optional
        Multiplies the learning rate of its weights; 0 freezes them. Default: 0.01 up to and in the last spatial pooler,
        1 behind it.
    init_std : float, optional
        Standard deviation of the weights at the start. Default: as `dh.Linear`'s.

    Raises
    ------
    UserError
        Where an argument is out of range; when a network is made of it, where it reads no map.

    Notes
    -----
    Learns weight (channels read, k² · channels), a window's positions in row order and their channels inside, and bias
    (channels,), 0 at the start. The window of position p begins at p · stride − ⌊(k − stride)/2⌋. Behind a pooler or a
    memory only the windows of active columns or cells are laid.

    References
    ----------
    Zeiler, Krishnan, Taylor & Fergus, "Deconvolutional networks", CVPR 2010.

    Examples
    --------
    >>> import numpy as np, deephtm_gpu as dh
    >>> model = dh.Model(dh.Sequential(dh.ConvTranspose2d(1, 4, stride=2)), input_shape=(2, 3, 3), device="numpy")
    >>> model.predict(np.zeros((5, 2, 3, 3), np.float32)).shape
    (5, 1, 6, 6)
    """

    def _made(self, read):
        return tuple(n * self.stride for n in read)

    def lower(self, low, inputs):
        (x,), I = inputs, self.channels
        weight = low.param("weight", (x.size, self.kernel**2 * I), MATRIX, std=self._std(low.setting), learned=True)
        bias = low.param("bias", (I,), PARAM, learned=True)
        y, window = low.tape("y", (I,)), windows(low.form.positions, low.read_map(), self.kernel, self.stride,
                                                 pad=(self.kernel - self.stride) // 2)
        lowered = self._lower_sparse if x.sparse else self._lower_dense
        return low.value(y), lowered(low, x, weight, bias, y, window)

    def _lower_dense(self, low, x, weight, bias, y, window):
        numbers = dict(I=self.channels, O=x.size, **window)
        low.forward("transposed_forward", x=x.tensor, weight=weight, bias=bias, y=y, **numbers)

        def backward(dy):
            dx = None
            if x.grad:
                dx = low.scratch("dx", (x.size,), sites=x.sites)
                low.learn("transposed_backward", dy=dy, weight=weight, dx=dx, **numbers)
            low.update_conv(weight, x.tensor, dy, numbers)
            low.update_bias(bias, dy)
            return [dx]

        return backward

    def _lower_sparse(self, low, x, weight, bias, y, window):
        numbers = dict(I=self.channels, L=x.length, **window)
        pairs = dict(index=x.index, value=x.tensor)
        low.forward("sparse_transposed_forward", weight=weight, bias=bias, y=y, **pairs, **numbers)

        def backward(dy):
            dx = None
            if x.grad:
                dx = low.scratch("dx", (x.length,), sites=x.sites)
                low.learn("sparse_transposed_backward", dy=dy, weight=weight, dvalue=dx, **pairs, **numbers)
            low.update_painted(weight, **pairs, dy=dy, numbers=numbers)
            low.update_bias(bias, dy)
            return [dx]

        return backward

    def _std(self, setting):
        (x,) = setting.inputs
        if self.init_std is not None:
            return self.init_std
        return sparse_std(x.winners, setting.surprises) if x.sparse else dense_std(x.size, setting.is_output)

    def choices(self, setting):
        if self.init_std is not None:
            return {}
        known = setting.surprises is not None or not setting.inputs[0].sparse
        return {"std": f"{self._std(setting):.3g}" if known else BY_LOSS}
