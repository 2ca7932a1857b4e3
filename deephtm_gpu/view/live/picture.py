"""A picture at the side: an image of the present step, pixel by pixel."""

from dataclasses import dataclass

import numpy as np

from deephtm_gpu.view.live.block import Block

LEVELS = 255


@dataclass(frozen=True)
class Picture(Block):
    """Pixels of an array (tall, wide) of packed colours, its first row the lowest; see `packed` and `Block`."""

    def paint(self, axes, scene):
        axes.set(xlim=(0, self.wide), ylim=(0, self.tall), xticks=(), yticks=())
        for spine in axes.spines.values():
            spine.set_visible(False)

    def layers(self, draw, theme):
        draw("pixels", each=self.tall)

    def plain(self, axes, array, scene):
        axes.imshow(_unpacked(array), origin="lower", extent=(0, self.wide, 0, self.tall), interpolation="nearest",
                    aspect="auto")


def packed(colours: np.ndarray) -> np.ndarray:
    """Colours as numbers of a Picture: 24 bits, which a float32 holds exactly.

    Parameters
    ----------
    colours : ndarray (tall, wide, 3)
        Red, green and blue from 0 to 1, the first row the highest.

    Returns
    -------
    ndarray (tall, wide) float32
        The first row the lowest.
    """
    red, green, blue = np.moveaxis(np.rint(np.clip(colours[::-1], 0, 1) * LEVELS).astype(np.int64), 2, 0)
    return (red << 16 | green << 8 | blue).astype(np.float32)


def _unpacked(array):
    bits = array.astype(np.int64)
    return np.stack([bits >> 16, bits >> 8 & LEVELS, bits & LEVELS], axis=2) / LEVELS
