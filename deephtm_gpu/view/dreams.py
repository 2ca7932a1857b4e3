"""Dreams of models of moving pictures: predictions that are fed back as frames."""

import copy

import numpy as np
from matplotlib.figure import Figure

from deephtm_gpu.arguments import check_count, finite
from deephtm_gpu.errors import UserError
from deephtm_gpu.view.style import style
from deephtm_gpu.view.weights import check_alone


def strip_figure(model, frames, dreamt: int = 10, shown: int = 10):
    """Frames, what was predicted for each, and a dream after the last: each prediction becomes the next frame. Of the
    averaged weights where the optimiser keeps them.

    Parameters
    ----------
    model : dh.Model
        That predicts the next frame, (C, H, W), from the last ones, (n * C, H, W), the newest last. Its state is
        unchanged.
    frames : array (T, C, H, W)
        From 0 to 1.
    dreamt, shown : int, default 10
        How many frames are dreamt, and how many of the last frames are shown.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    UserError
        If model or frames do not fit.

    Examples
    --------
    >>> from deephtm_gpu import view
    >>> from deephtm_gpu.bench.networks import pictures_model
    >>> from deephtm_gpu.data.digits import DigitGrammar
    >>> frames = DigitGrammar((0, 1, 2)).take(12)
    >>> figure = view.strip_figure(pictures_model(side=8, device="numpy"), frames)
    """
    check_alone(model)
    if model.streams > 1:
        raise UserError(f"The figure must be of a model of one stream, got {model.streams}; make it with streams=1.")
    dreamt, shown = check_count("dreamt", dreamt), check_count("shown", shown)
    count, shape = frames_of(model)
    frames = finite("frames", frames, ("T", *shape))
    if len(frames) < 2:
        raise UserError(f"frames must be two or more, got {len(frames)}; give more.")
    dreamer = asleep(model)
    dreamer.reset()
    seen = [*[frames[0]] * count, *frames[1:]]
    made = [dreamer.step(np.concatenate(seen[n : n + count]), learn=False).prediction for n in range(len(frames) - 1)]
    return draw_strip(frames[1:][-shown:], made[-shown:], dream(dreamer, seen[-count:], dreamt))


def frames_of(model) -> tuple[int, tuple[int, int, int]]:
    """How many frames come in, stacked, and the shape (C, H, W) of one. Raises UserError where the model does not
    predict the next frame."""
    network, forms = model.network, model.session.forms
    given, wanted = (forms[nodes[0]].whole_shape for nodes in (network.inputs, network.outputs))
    alone = len(network.inputs) == len(network.outputs) == 1
    if not alone or len(wanted) != 3 or wanted[0] not in (1, 3) or given[1:] != wanted[1:] or given[0] % wanted[0]:
        raise UserError("The model must predict a frame (C, H, W), where C is 1 or 3, from stacked ones (n * C, H, W), "
                        f"got {wanted} from {given}; give another model.")
    return given[0] // wanted[0], wanted


def asleep(model):
    """A copy of the model, of its averaged weights where there are some: what it dreams changes nothing."""
    return copy.deepcopy(model) if model.optimizer.average is None else model.averaged()


def dream(dreamer, seen, steps: int) -> list[np.ndarray]:
    """So many frames that follow those seen last, as many as come in. dreamer: of `asleep`."""
    frames = list(seen)
    for _ in range(steps):
        frames.append(dreamer.step(np.concatenate(frames[-len(seen):]), learn=False).prediction)
    return frames[len(seen):]


def draw_strip(came, predicted, dreamt):
    """Three rows of frames (C, H, W) as a figure."""
    rows = {"came": came, "predicted": predicted, "dreamt": dreamt}
    across = max(map(len, rows.values()))
    with style():
        figure = Figure(figsize=(0.9 * across + 0.9, 3 * 0.95), layout="constrained")
        for y, (name, images) in enumerate(rows.items()):
            for x, image in enumerate(images):
                axes = figure.add_subplot(3, across, y * across + x + 1)
                axes.set(xticks=[], yticks=[], frame_on=False)
                axes.set_ylabel(name if x == 0 else "")
                picture = np.clip(np.moveaxis(image, 0, 2), 0, 1)
                axes.imshow(picture if picture.shape[2] == 3 else picture[:, :, 0], cmap="gray", vmin=0, vmax=1)
    return figure
