"""A number from 0 to 1 a step, as bars: an anomaly score."""

from dataclasses import dataclass

import numpy as np

from deephtm_gpu.view.live.tracks.base import LABEL, Track

TOP = 1.05


@dataclass(frozen=True)
class Bars(Track):
    """name: of the track and of its field."""

    name: str = "anomaly"
    title: str = "Anomaly score"
    weight: float = 0.75

    @property
    def fields(self):
        return {self.name: 1}

    def paint(self, axes, scene, tall):
        axes.set(ylim=(0, TOP), yticks=(0, 0.5, 1) if tall >= 2 * LABEL else (0, 1))

    def layers(self, draw, theme):
        draw("bar", self.name, limits=(0, TOP), first=theme.expected, second=theme.unexpected)

    def plain(self, axes, when, values, scene):
        score = np.nan_to_num(values[self.name][:, 0])
        for part, colour in ((score < 0.5, scene.theme.expected), (score >= 0.5, scene.theme.unexpected)):
            axes.bar(when[part], score[part], 0.84, color=colour)
