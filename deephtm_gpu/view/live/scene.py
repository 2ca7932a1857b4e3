"""Where everything stands in the live picture, and its page: axes, labels and titles, painted once by matplotlib.

Positions are pixels from the top left. scale: pixels per unit of 1/100 inch, 2 on a screen of double density.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from matplotlib import rc_context
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.lines import Line2D
from matplotlib.ticker import LogLocator, MaxNLocator, NullLocator

from deephtm_gpu.view.live.look import Theme, rgba
from deephtm_gpu.view.live.spec import Spec

KEYS = "space  pause        →  one step        ↑ ↓  speed        t  theme        s  save PNG        r  reset memory        q  quit"
LEFT, RIGHT, TOP, BOTTOM, GAP = 70, 22, 56, 64, 27  # units: margins, and the space between two tracks (for a title)
SIDE = 300  # units: width of the blocks beside the tracks
WEIGHTS = {"value": 1.7, "error": 1.1, "anomaly": 0.75, "columns": 1.6, "cells": 1.6}
SMALLEST = (560, 420)  # pixels at scale 1; the text shrinks below twice of it


@dataclass(frozen=True)
class Panel:
    """A rectangle for data: left, top, right, bottom."""

    left: int
    top: int
    right: int
    bottom: int

    @property
    def width(self):
        return self.right - self.left

    @property
    def height(self):
        return self.bottom - self.top


class Scene:
    """The picture of a Spec at one size in one theme. keys: whether a line at the bottom tells the keys."""

    def __init__(self, spec: Spec, width: int, height: int, scale: float, theme: Theme, keys: bool = True):
        self.spec, self.theme, self.keys = spec, theme, keys
        self.width, self.height = width, height
        self._letters = {}
        # In a small window everything comes smaller, to a limit of legibility.
        self.unit = scale * min(1.0, max(0.7, min(width / (1100 * scale), height / (700 * scale))))
        self.panels = self._tracks()
        self.blocks = self._blocks()
        u = self.unit
        self.status = Panel(round(0.62 * width), round(13 * u), width - round(RIGHT * u), round(37 * u))  # the line that changes

    # Layout

    def _right(self):
        return self.width - round((RIGHT + (SIDE if self.spec.blocks else 0)) * self.unit)

    def _left(self):
        """Room for the names of the classes, if they are long."""
        return LEFT + 7 * max(0, max(map(len, self.spec.names), default=0) - 7)

    def _tracks(self) -> dict[str, Panel]:
        u, weights = self.unit, dict(WEIGHTS)
        if self.spec.names:
            weights["value"] *= 1.5  # a row for every class
        gaps = GAP * u * (len(weights) - 1)
        room = self.height - (TOP + 14 + BOTTOM) * u - gaps
        panels, at = {}, (TOP + 14) * u
        for name, weight in weights.items():
            tall = room * weight / sum(weights.values())
            panels[name] = Panel(round(self._left() * u), round(at), self._right(), round(at + tall))
            at += tall + GAP * u
        return panels

    def _blocks(self) -> list[Panel]:
        """Two in a row."""
        if not self.spec.blocks:
            return []
        u, blocks = self.unit, []
        rows = -(-len(self.spec.blocks) // 2)
        left, top = self._right() + 34 * u, (TOP + 44) * u
        wide, tall = (SIDE - 34 - 16) * u / 2, min(230 * u, (self.height - (TOP + BOTTOM + 60) * u) / rows - GAP * u)
        for n in range(len(self.spec.blocks)):
            x, y = left + (n % 2) * (wide + 16 * u), top + (n // 2) * (tall + 1.4 * GAP * u)
            blocks.append(Panel(round(x), round(y), round(x + wide), round(y + tall)))
        return blocks

    # Painting

    @cached_property
    def page(self) -> np.ndarray:
        """(height, width, 4) uint8: everything but the data."""
        return self.paint()

    def paint(self, data=None) -> np.ndarray:
        """The page; data(axes by panel name, axes of the blocks) may draw into it (where no shader does)."""
        with rc_context(self._settings()):
            figure = Figure(figsize=(self.width / 100, self.height / 100), dpi=100, facecolor=self.theme.page)
            canvas = FigureCanvasAgg(figure)
            axes = {name: self._axes(figure, panel) for name, panel in self.panels.items()}
            self._paint_tracks(figure, axes)
            blocks = [self._axes(figure, panel) for panel in self.blocks]
            self._paint_blocks(figure, blocks)
            self._text(figure, self._left() * self.unit, 33 * self.unit, self.spec.title, 14, self.theme.ink, weight="bold")
            if self.keys:
                self._text(figure, self.width / 2, self.height - 12 * self.unit, KEYS, 9.5, self.theme.grey, ha="center")
            if data:
                data(axes, blocks)
            canvas.draw()
            return np.asarray(canvas.buffer_rgba()).copy()

    def paint_status(self, text: str) -> np.ndarray:
        """The line at the top right: (status.height, status.width, 4) uint8."""
        # Letter by letter, each painted once: laying out a line anew costs as much as several frames.
        box = self.status
        image = np.full((box.height, box.width, 4), [round(255 * part) for part in rgba(self.theme.page)], np.uint8)
        at = box.width
        for letter in reversed(text):
            painted = self._letter(letter)
            at -= painted.shape[1]
            if at < 0:
                break
            image[:, at : at + painted.shape[1]] = painted
        return image

    def _letter(self, letter):
        """(status.height, its width, 4) uint8"""
        if letter not in self._letters:
            size, figure = FontProperties(family="DejaVu Sans", size=self._points(11)), Figure(dpi=100, facecolor=self.theme.page)
            measure = FigureCanvasAgg(figure).get_renderer().get_text_width_height_descent
            wide = measure(f"n{letter}n", size, False)[0] - measure("nn", size, False)[0]
            figure.set_size_inches(max(round(wide), 1) / 100, self.status.height / 100)
            canvas = FigureCanvasAgg(figure)
            figure.text(0, 0.3, letter, va="baseline", fontproperties=size, color=self.theme.grey)
            canvas.draw()
            self._letters[letter] = np.asarray(canvas.buffer_rgba()).copy()
        return self._letters[letter]

    def _axes(self, figure, panel):
        axes = figure.add_axes((panel.left / self.width, 1 - panel.bottom / self.height,
                                panel.width / self.width, panel.height / self.height))
        axes.set_facecolor(self.theme.panel)
        axes.tick_params(length=3 * self.unit, width=0.8 * self.unit, pad=3 * self.unit)
        axes.set_axisbelow(True)
        return axes

    def _paint_tracks(self, figure, axes):
        spec, theme, steps = self.spec, self.theme, self.spec.steps
        for name, track in axes.items():
            track.set_xlim(-steps, 0)
            track.xaxis.set_major_locator(MaxNLocator(nbins=8, steps=(1, 2, 5, 10), integer=True))
            track.tick_params(labelbottom=name == "cells")
            track.grid(axis="x", color=theme.grid, linewidth=0.7 * self.unit)
        axes["cells"].xaxis.set_major_formatter(lambda x, _: "now" if x == 0 else f"{x:.0f}".replace("-", "−"))
        cells = self.panels["cells"]
        self._text(figure, (cells.left + cells.right) / 2, cells.bottom + 33 * self.unit, spec.time, 9, theme.grey, ha="center")

        self._paint_value(figure, axes["value"])
        self._paint_error(figure, axes["error"])
        axes["anomaly"].set(ylim=(0, 1.05), yticks=(0, 0.5, 1))
        self._head(figure, "anomaly", "Anomaly score", ())
        axes["columns"].set(ylim=(0, spec.columns), yticks=(0, spec.columns // 2, spec.columns))
        self._head(figure, "columns", f"Winning columns: {spec.winners} of {spec.columns:,}",
                   (("predicted", theme.expected, "box"), ("not predicted", theme.unexpected, "box")))
        axes["cells"].set(ylim=(0, spec.winners), yticks=())
        lines = range(1, spec.winners)
        axes["cells"].hlines(lines, -steps, 0, color=theme.grid, linewidth=0.6 * self.unit)
        self._head(figure, "cells", f"Their cells: {spec.cells} a column",
                   (("chosen by the context", theme.expected, "box"), ("all alike: a burst", theme.unexpected, "box")))

    def _paint_value(self, figure, axes):
        spec, theme = self.spec, self.theme
        if spec.names:
            count = len(spec.names)
            axes.set(ylim=(0, count), yticks=np.arange(count) + 0.5)
            axes.set_yticklabels(spec.names, size=min(self._points(9), 0.7 * self.panels["value"].height / count))
            axes.tick_params(axis="y", length=0)
            self._head(figure, "value", "What was predicted, and what came",
                       (("as dark as probable" if theme.name == "light" else "as bright as probable", theme.prediction, "box"), ("came", theme.ink, "box")))
            return
        axes.set_ylim(*spec.limits)
        axes.yaxis.set_major_locator(MaxNLocator(nbins=4, steps=(1, 2, 5, 10)))
        axes.yaxis.set_major_formatter(lambda y, _: f"{y:,g}".replace("-", "−") if abs(y) < 1e4 else f"{y / 1000:,g}k")
        axes.grid(axis="y", color=theme.grid, linewidth=0.7 * self.unit)
        self._head(figure, "value", f"{spec.value[0].upper()}{spec.value[1:]}: prediction against truth",
                   (("truth", theme.truth, "thick"), ("prediction", theme.prediction, "line")))

    def _paint_error(self, figure, axes):
        spec, theme = self.spec, self.theme
        if spec.error_log:
            axes.set_yscale("log")
            axes.yaxis.set_major_locator(LogLocator(numticks=5))
            axes.yaxis.set_minor_locator(NullLocator())
            axes.yaxis.set_major_formatter(lambda y, _: f"{y:,g}")
        else:
            axes.yaxis.set_major_locator(MaxNLocator(nbins=3))
        axes.set_ylim(*spec.error_limits)
        axes.grid(axis="y", color=theme.grid, linewidth=0.7 * self.unit)
        # Two lines may all but touch: the dashes of one lie in the gaps of the other. Their names stand in the legend.
        for n, (value, colour) in enumerate(zip(spec.lines.values(), theme.lines)):
            axes.axhline(value, color=colour, linewidth=1.3 * self.unit, linestyle=(5 * n, (4, 6)))
        named = [(f"{name} {_short(value)}", colour, "dashes") for (name, value), colour in zip(spec.lines.items(), theme.lines)]
        self._head(figure, "error", spec.error, named)

    def _paint_blocks(self, figure, blocks):
        for axes, panel, title in zip(blocks, self.blocks, self.spec.blocks):
            axes.set(xlim=(0, self.spec.winners), ylim=(0, self.spec.cells), xticks=(), yticks=())
            axes.vlines(range(1, self.spec.winners), 0, self.spec.cells, color=self.theme.grid, linewidth=0.6 * self.unit)
            for spine in axes.spines.values():
                spine.set_visible(False)
            self._text(figure, panel.left, panel.top - 6 * self.unit, title, 10, self.theme.ink, weight="bold")
        if blocks:
            self._text(figure, self.blocks[0].left, (TOP + 10) * self.unit, self.spec.blocks_title, 10, self.theme.grey, va="center")

    def _head(self, figure, name, title, legend):
        """The title over a track, and what its colours say, from the right."""
        panel, u = self.panels[name], self.unit
        y = panel.top - 7 * u
        self._text(figure, panel.left, y, title, 10, self.theme.ink, weight="bold")
        x = panel.right
        for label, colour, shape in reversed(legend):
            text = self._text(figure, x, y, label, 9, self.theme.grey, ha="right")
            x -= text.get_window_extent(figure.canvas.get_renderer()).width + 6 * u
            long = 10 * u if shape == "box" else 20 * u
            thick = {"box": 8, "thick": 4, "line": 1.8, "dashes": 1.6}[shape] * u * 0.72
            style = (0, (1.6, 1.2)) if shape == "dashes" else "-"
            xs, ys = np.array((x - long, x)) / self.width, np.full(2, 1 - (y - 3.6 * u) / self.height)
            figure.add_artist(Line2D(xs, ys, color=colour, linewidth=thick, linestyle=style, solid_capstyle="butt"))
            x -= long + 16 * u

    def _text(self, figure, x, y, text, size, colour, **more):
        return figure.text(x / self.width, 1 - y / self.height, text, size=self._points(size), color=colour, **more)

    def _points(self, size):
        return size * self.unit

    def _settings(self):
        u, theme = self.unit, self.theme
        return {"font.family": "DejaVu Sans", "font.size": 9 * u, "axes.edgecolor": theme.grid, "axes.linewidth": 0.9 * u,
                "axes.spines.top": False, "axes.spines.right": False, "xtick.color": theme.grid, "ytick.color": theme.grid,
                "xtick.labelcolor": theme.grey, "ytick.labelcolor": theme.grey, "xtick.labelsize": 8.5 * u, "ytick.labelsize": 8.5 * u}


def _short(value):
    return f"{value:,.0f}" if value >= 100 else f"{value:.2g}" if value >= 1 else f"{value:.4f}".rstrip("0").removeprefix("0")
