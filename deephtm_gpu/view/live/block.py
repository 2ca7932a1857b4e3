"""A picture at the side that shows the present step only."""

from dataclasses import dataclass

import numpy as np

from deephtm_gpu.view.live.boxes import boxes

LEAST = 0.01  # a smaller number is not shown
MARK = 2.0  # added to the number of a cell of the grid, this marks the cell
DOT = (0.42, 0.42)  # size of the mark, as parts of the cell


@dataclass(frozen=True)
class Block:
    """Shades of an array (tall, wide) of numbers from 0 to 1, its first row the lowest; see `Ring.blocks`.

    `block[row, column] += MARK` marks a cell with a square of ink in its middle.

    Parameters
    ----------
    title : str
        Above it. It can be longer than the block is wide if the next block in the same row has no title.
    wide, tall : int
        Columns and rows of the array.
    caption : str
        Below it, in grey.
    span : int
        How many columns of the grid at the side it takes.
    square : bool
        Whether the cells are squares with lines around them. Otherwise the array is stretched over its part of the
        grid.
    """

    title: str
    wide: int
    tall: int
    caption: str = ""
    span: int = 1
    square: bool = True

    @property
    def _size(self):
        """The size of a shade, as parts of its cell."""
        return (0.88, 0.88) if self.square else (1, 0.88)

    def paint(self, axes, scene):
        axes.set(xlim=(0, self.wide), ylim=(0, self.tall), xticks=(), yticks=())
        look = {"color": scene.theme.grid, "linewidth": 0.6 * scene.unit}
        axes.vlines(range(1, self.wide), 0, self.tall, **look)
        if self.square:
            axes.hlines(range(1, self.tall), 0, self.wide, **look)
        for spine in axes.spines.values():
            spine.set_visible(False)

    def layers(self, draw, theme):
        """As `Track.layers`."""
        draw("shade", each=self.tall, limits=self._size, first=theme.expected)
        draw("dot", each=self.tall, limits=DOT, first=theme.ink)

    def plain(self, axes, array, scene):
        """array (tall, wide)"""
        marked = array >= MARK
        shade = np.clip(array - MARK * marked, 0, 1)
        y, x = np.nonzero(shade >= LEAST)
        boxes(axes, x + 0.5, y + 0.5, *self._size, scene.theme.expected, shade[y, x])
        y, x = np.nonzero(marked)
        boxes(axes, x + 0.5, y + 0.5, *DOT, scene.theme.ink)
