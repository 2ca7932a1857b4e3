"""The winning columns of a spatial pooler."""

from dataclasses import dataclass

import numpy as np

from deephtm_gpu.view.live.boxes import boxes
from deephtm_gpu.view.live.tracks.base import Track, count_axis


@dataclass(frozen=True)
class Columns(Track):
    """winners (K) of columns (C). suffix: of its name and of its fields' names, with several levels."""

    columns: int
    winners: int
    level: str = ""  # part of the title
    suffix: str = ""
    weight: float = 1.6

    @property
    def name(self):
        return "columns" + self.suffix

    @property
    def title(self):
        counts = f"{self.winners} of {self.columns:,}"
        return f"{self.level}, winning columns: {counts}" if self.level else f"Winning columns: {counts}"

    @property
    def fields(self):
        return {"winners" + self.suffix: self.winners, "predicted" + self.suffix: self.winners}

    def legend(self, theme):
        return ("predicted", theme.expected, "box"), ("not predicted", theme.unexpected, "box")

    def paint(self, axes, scene, tall):
        count_axis(axes, self.columns, tall)

    def layers(self, draw, theme):
        draw(
            "column",
            "winners" + self.suffix,
            "predicted" + self.suffix,
            each=self.winners,
            limits=(0, self.columns),
            thick=2.4,
            first=theme.expected,
            second=theme.unexpected,
        )

    def plain(self, axes, when, values, scene):
        winners = values["winners" + self.suffix]  # (n, K)
        step, rank = np.nonzero(~np.isnan(winners))
        likely = values["predicted" + self.suffix][step, rank] >= 0.5
        for part, colour in ((likely, scene.theme.expected), (~likely, scene.theme.unexpected)):
            boxes(axes, when[step[part]], winners[step, rank][part] + 0.5, 1, max(1.0, 0.012 * self.columns), colour)
