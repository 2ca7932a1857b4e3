"""The probability of each of many classes, and which one came: letters, features, objects."""

from dataclasses import dataclass

import numpy as np

from deephtm_gpu.view.live.boxes import boxes
from deephtm_gpu.view.live.tracks.base import Track, count_axis

SIZE = (1, 0.88)  # of a shade, as parts of a step and a class
LEAST = 0.01  # a smaller probability is not shown


@dataclass(frozen=True)
class Classes(Track):
    """names: of the classes, from below; or their number, if they have no names. name: of the track.

    probability: the field with a number for each class. came: the field with the class that came; None if it is not
    shown.
    """

    names: tuple[str, ...] | int
    title: str = "What was predicted, and what came"
    name: str = "value"
    probability: str = "probability"
    came: str | None = "truth"
    weight: float = 2.55

    @property
    def count(self):
        return self.names if isinstance(self.names, int) else len(self.names)

    @property
    def labels(self):
        return () if isinstance(self.names, int) else self.names

    @property
    def fields(self):
        return {self.probability: self.count} | ({self.came: 1} if self.came else {})

    def legend(self, theme):
        shade = ("as dark as probable" if theme.name == "light" else "as bright as probable", theme.prediction, "box")
        return (shade, ("came", theme.ink, "box")) if self.came else (shade,)

    def paint(self, axes, scene, tall):
        if not self.labels:
            count_axis(axes, self.count, tall)
            return
        axes.set(ylim=(0, self.count), yticks=np.arange(self.count) + 0.5)
        axes.set_yticklabels(self.labels, size=scene.unit * min(9, 0.7 * tall / self.count))
        axes.tick_params(axis="y", length=0)

    def layers(self, draw, theme):
        draw("shade", self.probability, each=self.count, limits=SIZE, first=theme.prediction)
        if self.came:
            draw("class", self.came, limits=(0, self.count), thick=3.0, first=theme.ink)

    def plain(self, axes, when, values, scene):
        theme, likely = scene.theme, values[self.probability]
        step, row = np.nonzero(likely >= LEAST)
        boxes(axes, when[step], row + 0.5, *SIZE, theme.prediction, np.minimum(likely[step, row], 1))
        if self.came:
            boxes(axes, when, values[self.came][:, 0] + 0.5, 0.6, max(0.34, 0.012 * self.count), theme.ink)
