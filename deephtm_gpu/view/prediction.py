"""Prediction against truth as a model learns online: predictions, errors, anomaly scores."""

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, MaxNLocator, NullLocator

from deephtm_gpu.view.scores import LAST, errors, rmse_after, running_rmse
from deephtm_gpu.view.structure import draw_structure
from deephtm_gpu.view.style import BLUE, GREEN, INK, ORANGE, PALE, PURPLE, style

_SHOWN = 150  # steps of the series in a panel
# A dot at a line's end, so that a single step is visible too.
_END = {"marker": "o", "markersize": 4, "markevery": [-1]}


def prediction_figure(
    series, prediction, anomaly, checkpoints, floor: float, persistence: float, rows: list, title: str
):
    """The structure, a panel for each checkpoint, the running RMSE, the anomaly score.

    Parameters
    ----------
    series : array (T, 1)
        The series.
    prediction : array (T, 1)
        prediction[t] was made at step t for step t + 1.
    anomaly : array (T,)
        The anomaly scores.
    checkpoints : sequence of int
        Ascending numbers of steps, each from 1 to T.
    floor, persistence : float
        The RMSE of the two trivial predictors.
    rows : list
        From `structure_rows`.
    title : str
        Of the figure.

    Returns
    -------
    matplotlib.figure.Figure
        The figure.
    """
    off = errors(series, prediction)
    with style():
        figure = Figure(figsize=(12.5, 8.8), layout="constrained")
        figure.get_layout_engine().set(w_pad=0.10, h_pad=0.10)
        figure.suptitle(title, x=0.012, ha="left", size=13, weight="bold")
        grid = figure.add_gridspec(3, 1, height_ratios=(1.7, 3.2, 3.3))
        draw_structure(figure.add_subplot(grid[0]), rows)

        panels = grid[1].subgridspec(1, len(checkpoints)).subplots(sharey=True, squeeze=False)[0]
        for axes, steps in zip(panels, checkpoints):
            draw_prediction(axes, series, prediction, off, steps)
        panels[0].set_ylabel("value")
        _legend_above(panels[-1], 1.10)  # over the title

        left, right = grid[2].subgridspec(1, 2, width_ratios=(5, 4)).subplots()
        draw_running_rmse(left, off, checkpoints, floor, persistence)
        draw_anomaly(right, anomaly)
    return figure


def draw_prediction(axes, series, prediction, off, steps):
    """The last _SHOWN steps before `steps`: the series, and the prediction for each step."""
    start = max(0, steps - _SHOWN)
    when = np.arange(start, steps)
    axes.plot(when, series[start:steps, 0], color=PALE, linewidth=5, solid_capstyle="round", label="truth", **_END)
    first = max(start, 1)  # step 0 has no prediction
    predicted = prediction[first - 1:steps - 1, 0]  # each made one step earlier
    axes.plot(np.arange(first, steps), predicted, color=BLUE, linewidth=1.6, label="prediction", **_END)
    rmse = rmse_after(off, steps)
    reached = "no prediction yet" if np.isnan(rmse) else f"RMSE {rmse:.4f}"
    axes.set_title(f"After {steps:,} {'step' if steps == 1 else 'steps'}: {reached}")
    _label_steps(axes, "step", start, steps - 1, most=5)


def draw_running_rmse(axes, off, checkpoints, floor, persistence):
    """The RMSE of the last LAST steps at every step, a dot at each checkpoint, and the two trivial predictors."""
    running = running_rmse(off)
    axes.plot(np.arange(1, len(off) + 1), running, color=BLUE, linewidth=1.6, label="model")
    axes.plot(checkpoints, running[np.asarray(checkpoints) - 1], "o", color=BLUE, markersize=6, label="checkpoints")
    axes.set_yscale("log")
    # The two lines can be very close: the dashes of one are in the gaps of the other, one label is above, the other
    # below.
    for value, colour, name, gap, va, shift in ((persistence, PURPLE, "persistence", 0, "bottom", 3),
                                                (floor, ORANGE, "memoryless floor", 5, "top", -4)):
        axes.axhline(value, color=colour, linewidth=1.6, linestyle=(gap, (4, 6)), label=name)
        axes.annotate(f"{name} {value:.4f}", (1, value), (-2, shift), xycoords=("axes fraction", "data"),
                      textcoords="offset points", ha="right", va=va, color=colour, size=9.5)
    lowest, highest = axes.get_ylim()
    axes.set_ylim(min(lowest, floor / 2), max(highest, persistence * 2))  # room for both labels
    axes.set_title(f"RMSE of the last {LAST} steps")
    axes.set_ylabel("RMSE")
    axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.yaxis.set_major_formatter("{x:g}")
    axes.yaxis.set_minor_locator(NullLocator())
    _label_steps(axes, "steps learned", 0, len(off), most=6)
    axes.grid(axis="y", color="#EBEBEB", linewidth=0.8)
    axes.set_axisbelow(True)


def draw_anomaly(axes, anomaly):
    """anomaly (T,), from 0, expected, to 1, unexpected: every step, and the mean of the last LAST steps."""
    steps = np.arange(1, len(anomaly) + 1)
    total = np.concatenate([[0.0], np.cumsum(anomaly, dtype=np.float64)])  # (T+1,)
    start = np.maximum(steps - LAST, 0)
    axes.plot(steps, anomaly, color=GREEN, alpha=0.35, linewidth=0.7, label="each step")
    mean = (total[steps] - total[start]) / (steps - start)  # (T,)
    axes.plot(steps, mean, color=INK, linewidth=1.6, label=f"mean of the last {LAST}", **_END)
    axes.set(title="Anomaly score", ylim=(0, 1.02))
    _label_steps(axes, "steps learned", 0, len(anomaly), most=5)
    _legend_above(axes, 1.0)


def _label_steps(axes, name, first, last, most):
    """The x axis counts steps from first to last, with at most so many labels, all whole numbers."""
    last = max(last, first + 1)  # a single step has a width too
    margin = 0.03 * (last - first)
    axes.set(xlabel=name, xlim=(first - margin, last + margin))
    axes.xaxis.set_major_locator(MaxNLocator(nbins=most, steps=(1, 2, 5, 10), integer=True))
    axes.xaxis.set_major_formatter("{x:,.0f}")


def _legend_above(axes, height):
    """A legend outside the axes, where it hides no data. height: as part of the axes, 1 for their upper edge."""
    axes.legend(loc="lower right", bbox_to_anchor=(1.0, height), ncols=2, borderaxespad=0.2, borderpad=0,
                handlelength=1.6)
