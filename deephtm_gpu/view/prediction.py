"""Prediction against truth as a model learns online: what it predicted, how far it was off, what surprised it."""

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, MaxNLocator, NullLocator

from deephtm_gpu.view.scores import LAST, errors, rmse_after, running_rmse
from deephtm_gpu.view.structure import draw_structure
from deephtm_gpu.view.style import BLUE, GREEN, INK, ORANGE, PALE, PURPLE, style

_SHOWN = 150  # steps of the series in a panel
_END = {"marker": "o", "markersize": 4, "markevery": [-1]}  # a dot at a line's end, so that one step alone is seen too


def prediction_figure(series, prediction, anomaly, checkpoints, floor, persistence, rows, title):
    """A matplotlib Figure: the structure, a panel for each checkpoint, the running RMSE, the anomaly score.

    series (T, 1); prediction (T, 1), prediction[t] made at t for t + 1; anomaly (T,); checkpoints: ascending numbers of
    steps, each 1 ... T; floor and persistence: the RMSE of the two trivial predictors; rows from structure_rows().
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
    """The last _SHOWN steps before `steps`: the series, and over it what was predicted for each step."""
    start = max(0, steps - _SHOWN)
    when = np.arange(start, steps)
    axes.plot(when, series[start:steps, 0], color=PALE, linewidth=5, solid_capstyle="round", label="truth", **_END)
    first = max(start, 1)  # nothing was predicted for step 0
    predicted = prediction[first - 1:steps - 1, 0]  # each made one step earlier
    axes.plot(np.arange(first, steps), predicted, color=BLUE, linewidth=1.6, label="prediction", **_END)
    rmse = rmse_after(off, steps)
    reached = "no prediction yet" if np.isnan(rmse) else f"RMSE {rmse:.4f}"
    axes.set_title(f"After {steps:,} {'step' if steps == 1 else 'steps'}: {reached}")
    _label_steps(axes, "step", start, steps - 1, most=5)


def draw_running_rmse(axes, off, checkpoints, floor, persistence):
    """The RMSE of the last LAST steps over all steps, a dot at each checkpoint, and the two trivial predictors."""
    running = running_rmse(off)
    axes.plot(np.arange(1, len(off) + 1), running, color=BLUE, linewidth=1.6, label="model")
    axes.plot(checkpoints, running[np.asarray(checkpoints) - 1], "o", color=BLUE, markersize=6, label="checkpoints")
    axes.set_yscale("log")
    # The two lines may all but touch: the dashes of one lie in the gaps of the other, one label above, the other below.
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
    """anomaly (T,), 0 expected ... 1 not expected: every step, and the mean of the last LAST of them."""
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
    """The x axis counts steps from first to last: whole numbers, at most so many of them."""
    last = max(last, first + 1)  # one step alone still has a width
    margin = 0.03 * (last - first)
    axes.set(xlabel=name, xlim=(first - margin, last + margin))
    axes.xaxis.set_major_locator(MaxNLocator(nbins=most, steps=(1, 2, 5, 10), integer=True))
    axes.xaxis.set_major_formatter("{x:,.0f}")


def _legend_above(axes, height):
    """A legend outside the axes, where it can hide no data; height in axes, 1 for their upper edge."""
    axes.legend(loc="lower right", bbox_to_anchor=(1.0, height), ncols=2, borderaxespad=0.2, borderpad=0,
                handlelength=1.6)
