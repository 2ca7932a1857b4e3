"""Networks of images: what kernels see, and what cells paint."""

import numpy as np
from matplotlib.figure import Figure

from deephtm_gpu.arguments import check_count
from deephtm_gpu.errors import UserError
from deephtm_gpu.layers.convolution import Conv2d, ConvTranspose2d
from deephtm_gpu.layers.simple import ReLU, RunningNorm
from deephtm_gpu.layers.spatial_pooler import SpatialPooler
from deephtm_gpu.ops.conv import fold, windows
from deephtm_gpu.view.style import style
from deephtm_gpu.view.weights import check_alone

MOST = 32  # kernels or atoms in a figure, where none are named


def kernels_figure(model, layer: str | None = None, units=None):
    """What the units of a convolution, or the columns of a pooler with a kernel, see of the image.

    The kernels of the layers before are multiplied out, as if no ReLU and no norm stood between: the image that a unit
    would like best, to first order. Channels of the image are beside each other.

    Parameters
    ----------
    model : dh.Model
    layer : str, optional
        The name of a Conv2d, or of a SpatialPooler with a kernel. Default: the first pooler with one.
    units : sequence of int, optional
        Which of its channels or columns. Default: the first 32.

    Returns
    -------
    matplotlib.figure.Figure
        Red is positive, blue negative, each unit on a scale of its own.

    Raises
    ------
    UserError
        If there is no such layer or unit, or something else than convolutions stands before it.

    Examples
    --------
    >>> from deephtm_gpu import view
    >>> from deephtm_gpu.bench.networks import pictures_model
    >>> figure = view.kernels_figure(pictures_model(side=8, device="numpy"))
    """
    check_alone(model)
    names = {name: node for node, name in model.network.names().items()}
    fitting = {n: node for n, node in names.items() if _has_kernel(node.layer)}
    name = _pick(fitting, layer, "a Conv2d or a SpatialPooler with a kernel",
                 first=[n for n, node in fitting.items() if isinstance(node.layer, SpatialPooler)])
    fields = _fields(model, fitting[name])  # (units, side, side, channels)
    chosen = _chosen(units, len(fields), f"units of layer {name}")
    title = f"What {'columns' if isinstance(fitting[name].layer, SpatialPooler) else 'units'} of layer {name} see"
    return _signed_figure([fields[n].transpose(2, 0, 1) for n in chosen], chosen, title)


def atoms_figure(model, layer: str | None = None, cells=None):
    """What cells paint: the picture that an active cell adds to the output, through a ConvTranspose2d behind a memory
    and the convolution after it, as if no ReLU stood between.

    Parameters
    ----------
    model : dh.Model
    layer : str, optional
        The name of a ConvTranspose2d. Default: the first.
    cells : sequence of int, optional
        Numbers of the cells (or columns) before it. Default: the first 32.

    Returns
    -------
    matplotlib.figure.Figure
        Red adds, blue takes away, each cell on a scale of its own.

    Raises
    ------
    UserError
        If there is no such layer or cell.

    Examples
    --------
    >>> from deephtm_gpu import view
    >>> from deephtm_gpu.bench.networks import pictures_model
    >>> figure = view.atoms_figure(pictures_model(side=8, device="numpy"), cells=range(8))
    """
    check_alone(model)
    names = {name: node for node, name in model.network.names().items()}
    fitting = {n: node for n, node in names.items() if isinstance(node.layer, ConvTranspose2d)}
    name = _pick(fitting, layer, "a ConvTranspose2d", first=list(fitting))
    weight = _weights(model, fitting[name])  # (N, side, side, F)
    chosen = _chosen(cells, len(weight), f"cells before layer {name}")
    head = next((node for node in names.values() if isinstance(node.layer, Conv2d) and node.layer.stride == 1
                 and _behind(node, fitting[name])), None)
    atoms = [weight[n] if head is None else _painted(weight[n], _weights(model, head)) for n in chosen]
    return _signed_figure([atom.transpose(2, 0, 1) for atom in atoms], chosen, f"What cells paint through layer {name}")


def _has_kernel(layer) -> bool:
    return isinstance(layer, Conv2d) or isinstance(layer, SpatialPooler) and layer.kernel is not None


def _pick(fitting, layer, what, first):
    if not fitting:
        raise UserError(f"The model must have {what}, got one without; give another model.")
    name = str(layer) if layer is not None else (first or list(fitting))[0]
    if name not in fitting:
        raise UserError(f"layer must be {what}: {', '.join(map(repr, fitting))}, got {layer!r}.")
    return name


def _chosen(numbers, count, what) -> list[int]:
    if numbers is None:
        return list(range(min(count, MOST)))
    chosen = [check_count(f"A number among the {what}", n, 0) for n in numbers]
    if not chosen or max(chosen) >= count:
        raise UserError(f"The numbers of {what} must be from 0 to {count - 1}, got {chosen}.")
    return chosen


def _weights(model, node) -> np.ndarray:
    """(units, side, side, channels)"""
    names, owners = model.network.names(), model.network.owners()
    weight = model.state_dict()[f"{names[owners[node]]}.weight"]
    side = node.layer.kernel
    return np.asarray(weight, np.float64).reshape(len(weight), side, side, -1)


def _fields(model, node):
    """What the units of a node see of the network's input, (units, side, side, channels)."""
    seen = _weights(model, node)
    before = node.inputs[0]
    while before.inputs:
        if isinstance(before.layer, Conv2d):
            seen = np.stack([_through(unit, _weights(model, before), before.layer.stride) for unit in seen])
        elif not isinstance(before.layer, ReLU | RunningNorm) and len(before.inputs) > 1:
            raise UserError(f"Before the layer must be convolutions, one behind the other, got {before.layer!r}; name "
                            "an earlier layer.")
        before = before.inputs[0]
    return seen[..., : model.session.forms[before].whole_shape[0]]  # without the ones


def _through(field, weight, stride=1):
    """A field (rows, columns, O) of units with weights (O, side, side, I) -> what it is of their inputs, (…, I)."""
    (U, V, _), (O, side, _, I) = field.shape, weight.shape
    fine = (stride * (U - 1) + side, stride * (V - 1) + side)
    spread = field.reshape(U * V, O) @ weight.reshape(O, -1)
    return fold(spread, **windows(fine, (U, V), side, stride, 0)).reshape(*fine, I)


def _painted(atom, weight):
    """What an atom (side, side, F) is behind a convolution with weights (C, side, side, F), (…, C)."""
    return _through(atom, weight.transpose(3, 1, 2, 0)[:, ::-1, ::-1])


def _behind(node, other) -> bool:
    """Whether a node reads another, directly or through ReLUs."""
    before = node.inputs[0]
    while isinstance(before.layer, ReLU) and before is not other:
        before = before.inputs[0]
    return before is other


def _signed_figure(pictures, numbers, title):
    """pictures: (channels, rows, columns) each, the channels beside each other."""
    across = min(8, len(pictures))
    down = -(-len(pictures) // across)
    channels, rows, columns = pictures[0].shape
    with style():
        wide = max(0.5, 1.05 * columns * channels / rows)
        figure = Figure(figsize=(max(4.5, wide * across + 0.4), 1.25 * down + 0.6), layout="constrained")
        for n, (picture, number) in enumerate(zip(pictures, numbers)):
            axes = figure.add_subplot(down, across, n + 1)
            gap = np.full((rows, 1), np.nan)
            beside = np.concatenate([part for channel in picture for part in (channel, gap)][:-1], axis=1)
            most = np.abs(picture).max() or 1.0
            axes.imshow(beside, cmap="RdBu_r", vmin=-most, vmax=most, interpolation="nearest")
            axes.set(xticks=[], yticks=[], frame_on=False)
            axes.set_title(str(number), fontsize=8)
        figure.suptitle(title)
    return figure
