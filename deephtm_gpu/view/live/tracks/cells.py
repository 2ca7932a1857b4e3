"""The cells of the winning columns of a temporal memory."""

from dataclasses import dataclass

import numpy as np

from deephtm_gpu.view.live.boxes import boxes
from deephtm_gpu.view.live.tracks.base import Track


@dataclass(frozen=True)
class Cells(Track):
    """cells (M) of each of the winners (K). suffix: as in Columns."""

    winners: int
    cells: int
    level: str = ""  # part of the title
    suffix: str = ""
    weight: float = 1.6

    @property
    def name(self):
        return "cells" + self.suffix

    @property
    def title(self):
        return (
            f"{self.level}, their cells: {self.cells} a column" if self.level else f"Their cells: {self.cells} a column"
        )

    @property
    def fields(self):
        return {"cells" + self.suffix: self.winners * self.cells, "alike" + self.suffix: self.winners}

    def legend(self, theme):
        return ("chosen by the context", theme.expected, "box"), ("all alike: a burst", theme.unexpected, "box")

    def paint(self, axes, scene, tall):
        axes.set(ylim=(0, self.winners), yticks=())
        axes.hlines(range(1, self.winners), *axes.get_xlim(), color=scene.theme.grid, linewidth=0.6 * scene.unit)

    def layers(self, draw, theme):
        draw("cells", "cells" + self.suffix, "alike" + self.suffix, each=self.winners, parts=self.cells,
             first=theme.expected, second=theme.unexpected)

    def plain(self, axes, when, values, scene):
        K, M = self.winners, self.cells
        share = np.nan_to_num(values["cells" + self.suffix]).reshape(-1, K, M)
        burst = np.repeat(np.nan_to_num(values["alike" + self.suffix])[:, :, None] >= 0.5, M, axis=2)
        for part, colour in ((~burst, scene.theme.expected), (burst, scene.theme.unexpected)):
            step, k, m = np.nonzero((share > 0) & part)
            boxes(axes, when[step], k + (m + 0.5) / M, 0.92, 0.84 / M, colour, np.sqrt(share[step, k, m]))
