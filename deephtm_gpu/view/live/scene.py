"""The layout of the live picture, and its page: axes, labels and titles, painted once by matplotlib.

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
from matplotlib.ticker import MaxNLocator

from deephtm_gpu.view.live.block import Block
from deephtm_gpu.view.live.look import Theme, rgba
from deephtm_gpu.view.live.spec import Spec

KEYS = ("space  pause", "→  one step", "↑ ↓  speed", "t  theme", "s  save PNG", "r  reset memory", "q  quit")
DREAM = "g  dream"
LEFT, RIGHT, TOP, BOTTOM, GAP = 70, 22, 56, 64, 27  # units: margins, and the space between two tracks (for a title)
BLOCK = 230  # units: height of a block at most
SMALLEST = (560, 420)  # pixels at scale 1; the text is smaller in pictures below twice this size


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
    """The picture of a Spec at one size in one theme. keys: whether a line at the bottom lists the keys."""

    def __init__(self, spec: Spec, width: int, height: int, scale: float, theme: Theme, keys: bool = True):
        self.spec, self.theme, self.keys = spec, theme, keys
        self.width, self.height = width, height
        self._letters = {}
        # In a small window everything is smaller, down to a limit of legibility.
        self.unit = scale * min(1.0, max(0.7, min(width / (1100 * scale), height / (700 * scale))))
        self.panels = self._tracks()
        self.blocks = self._blocks()
        u = self.unit
        # The line that changes.
        self.status = Panel(round(0.62 * width), round(13 * u), width - round(RIGHT * u), round(37 * u))

    # Layout

    @property
    def point(self):
        """Points (of matplotlib's line widths) to a unit."""
        return 0.72 * self.unit

    def _right(self):
        return self.width - round((RIGHT + (self.spec.side if self.spec.blocks else 0)) * self.unit)

    def _left(self):
        """The left margin, larger for long names of classes."""
        labels = [label for track in self.spec.tracks for label in track.labels]
        return LEFT + 7 * max(0, max(map(len, labels), default=0) - 7)

    def _tracks(self) -> dict[str, Panel]:
        u, tracks = self.unit, self.spec.tracks
        room = self.height - (TOP + 14 + BOTTOM) * u - GAP * u * (len(tracks) - 1)
        panels, at = {}, (TOP + 14) * u
        for track in tracks:
            tall = room * track.weight / sum(other.weight for other in tracks)
            panels[track.name] = Panel(round(self._left() * u), round(at), self._right(), round(at + tall))
            at += tall + GAP * u
        return panels

    def _rows(self) -> list[list[tuple[int, Block]]]:
        """The blocks row by row, each with its first column in the grid."""
        rows, at = [], self.spec.across
        for block in self.spec.blocks:
            if at + block.span > self.spec.across:
                rows, at = [*rows, []], 0
            rows[-1].append((at, block))
            at += block.span
        return rows

    def _blocks(self) -> list[Panel]:
        u, across, rows, blocks = self.unit, self.spec.across, self._rows(), []
        apart = 32 * u / across
        each = ((self.spec.side - 34) * u - apart * (across - 1)) / across  # width of a column of the grid
        heights = [
            max(min(BLOCK * u, _tall(block, each, apart)) if block.square else BLOCK * u for _, block in row)
            for row in rows
        ]
        # Of the row that follows.
        above = [1.4 * GAP * u if any(block.title for _, block in row) else apart for row in rows[1:]] + [0.0]
        below = [16 * u if any(block.caption for _, block in row) else 0.0 for row in rows]
        gaps = [a + b for a, b in zip(above, below)]
        room = self.height - (TOP + BOTTOM + 60) * u - max(GAP * u * len(rows), sum(gaps))
        fit = max(0.02, min(1.0, room / sum(heights))) if rows else 1.0
        y = (TOP + 44) * u
        for row, height, gap in zip(rows, heights, gaps):
            tall = fit * height
            for at, block in row:
                x, wide, high = (
                    self._right() + 34 * u + at * (each + apart),
                    each * block.span + apart * (block.span - 1),
                    tall,
                )
                if block.square:
                    cell = min(wide / block.wide, tall / block.tall)
                    wide, high = cell * block.wide, cell * block.tall
                blocks.append(Panel(round(x), round(y), round(x + wide), round(y + high)))
            y += tall + gap
        return blocks

    # Painting

    @cached_property
    def page(self) -> np.ndarray:
        """(height, width, 4) uint8: everything except the data."""
        return self.paint()

    def paint(self, data=None) -> np.ndarray:
        """The page. data(axes of the tracks, axes of the blocks) draws into it if no shader does."""
        with rc_context(self._settings()):
            figure = Figure(figsize=(self.width / 100, self.height / 100), dpi=100, facecolor=self.theme.page)
            canvas = FigureCanvasAgg(figure)
            tracks = [self._axes(figure, panel) for panel in self.panels.values()]
            self._paint_tracks(figure, tracks)
            blocks = [self._axes(figure, panel) for panel in self.blocks]
            self._paint_blocks(figure, blocks)
            left = self._left() * self.unit
            self._text(
                figure,
                left,
                33 * self.unit,
                self.spec.title,
                14,
                self.theme.ink,
                self.status.left - left,
                weight="bold",
            )
            if self.keys:
                keys = (8 * " ").join((*KEYS[:-1], DREAM, KEYS[-1]) if self.spec.dreams else KEYS)
                bottom = self.height - 12 * self.unit
                self._text(figure, self.width / 2, bottom, keys, 9.5, self.theme.grey, ha="center")
            if data:
                data(tracks, blocks)
            canvas.draw()
            return np.asarray(canvas.buffer_rgba()).copy()

    def paint_status(self, text: str) -> np.ndarray:
        """The line at the top right: (status.height, status.width, 4) uint8."""
        # Letter by letter, each painted once: the layout of a whole line costs as much as several frames.
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
            size, figure = (
                FontProperties(family="DejaVu Sans", size=self._points(11)),
                Figure(dpi=100, facecolor=self.theme.page),
            )
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

    def _paint_tracks(self, figure, tracks):
        theme, u = self.theme, self.unit
        for axes, track, panel in zip(tracks, self.spec.tracks, self.panels.values()):
            axes.set_xlim(-self.spec.steps, 0)
            axes.xaxis.set_major_locator(MaxNLocator(nbins=8, steps=(1, 2, 5, 10), integer=True))
            axes.tick_params(labelbottom=axes is tracks[-1])
            axes.grid(axis="x", color=theme.grid, linewidth=0.7 * u)
            track.paint(axes, self, panel.height / u)
            self._head(figure, panel, track.title, track.legend(theme))
        tracks[-1].xaxis.set_major_formatter(lambda x, _: "now" if x == 0 else f"{x:.0f}".replace("-", "−"))
        self._text(
            figure, (panel.left + panel.right) / 2, panel.bottom + 33 * u, self.spec.time, 9, theme.grey, ha="center"
        )

    def _paint_blocks(self, figure, blocks):
        if not blocks:
            return
        u, edge = self.unit, self.width - RIGHT * self.unit / 2
        panels = iter(zip(blocks, self.blocks))
        for row in self._rows():
            row = [(block, *next(panels)) for _, block in row]
            for n, (block, axes, panel) in enumerate(row):
                block.paint(axes, self)
                for text, y, size, colour, weight in (
                    (block.title, panel.top - 6 * u, 10, self.theme.ink, "bold"),
                    (block.caption, panel.bottom + 14 * u, 9, self.theme.grey, "normal"),
                ):
                    same = "title" if weight == "bold" else "caption"
                    end = next((other.left - 6 * u for after, _, other in row[n + 1:] if getattr(after, same)), edge)
                    self._text(figure, panel.left, y, text, size, colour, end - panel.left, weight=weight)
        left = self.blocks[0].left
        self._text(figure, left, (TOP + 10) * u, self.spec.blocks_title, 10, self.theme.grey, edge - left, va="center")

    def _head(self, figure, panel, title, legend):
        """The title of a track, and its legend from the right. The legend is left out if there is not enough space."""
        u = self.unit
        y, x = panel.top - 7 * u, panel.right
        head = self._text(figure, panel.left, y, title, 10, self.theme.ink, panel.width, weight="bold")
        begin, made = panel.left + _wide(figure, head) + 10 * u, []
        for label, colour, shape in reversed(legend):
            text = self._text(figure, x, y, label, 9, self.theme.grey, ha="right")
            x -= _wide(figure, text) + 6 * u
            long = 10 * u if shape == "box" else 20 * u
            thick = {"box": 8, "thick": 4, "line": 1.8, "dashes": 1.6}[shape] * u * 0.72
            style = (0, (1.6, 1.2)) if shape == "dashes" else "-"
            xs, ys = np.array((x - long, x)) / self.width, np.full(2, 1 - (y - 3.6 * u) / self.height)
            made += [
                text,
                figure.add_artist(
                    Line2D(xs, ys, color=colour, linewidth=thick, linestyle=style, solid_capstyle="butt")
                ),
            ]
            x -= long + 16 * u
        if made and x + 16 * u < begin:
            for artist in made:
                artist.remove()

    def _text(self, figure, x, y, text, size, colour, room=None, **more):
        """room: pixels; a longer text is cut."""
        made = figure.text(x / self.width, 1 - y / self.height, text, size=self._points(size), color=colour, **more)
        while room is not None and len(text) > 1 and _wide(figure, made) > room:
            text = text[:-1].rstrip()
            made.set_text(text + "…")
        return made

    def _points(self, size):
        return size * self.unit

    def _settings(self):
        u, theme = self.unit, self.theme
        return {
            "font.family": "DejaVu Sans",
            "font.size": 9 * u,
            "axes.edgecolor": theme.grid,
            "axes.linewidth": 0.9 * u,
            "axes.spines.top": False,
            "axes.spines.right": False,
            "xtick.color": theme.grid,
            "ytick.color": theme.grid,
            "xtick.labelcolor": theme.grey,
            "ytick.labelcolor": theme.grey,
            "xtick.labelsize": 8.5 * u,
            "ytick.labelsize": 8.5 * u,
        }


def _tall(block, each, apart):
    """The height of a block of squares that fills its part of the grid. each, apart: width and distance of the grid's
    columns."""
    return (each * block.span + apart * (block.span - 1)) * block.tall / block.wide


def _wide(figure, text):
    return text.get_window_extent(figure.canvas.get_renderer()).width
