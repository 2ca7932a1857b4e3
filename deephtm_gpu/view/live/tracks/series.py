"""A series of numbers, and its predictions."""

from dataclasses import dataclass

from deephtm_gpu.view.live.tracks.base import Track, grid, numbers


@dataclass(frozen=True)
class Series(Track):
    """label: name of the numbers. limits: of the axis. truth, prediction: fields with one number each."""

    label: str = "value"
    limits: tuple[float, float] = (-1.0, 1.0)
    name: str = "value"
    truth: str = "truth"
    prediction: str = "prediction"
    weight: float = 1.7

    @property
    def title(self):
        return f"{self.label[0].upper()}{self.label[1:]}: prediction against truth"

    @property
    def fields(self):
        return {self.truth: 1, self.prediction: 1}

    def legend(self, theme):
        return ("truth", theme.truth, "thick"), ("prediction", theme.prediction, "line")

    def paint(self, axes, scene, tall):
        axes.set_ylim(*self.limits)
        numbers(axes.yaxis, tall, most=4)
        axes.yaxis.set_major_formatter(lambda y, _: f"{y:,g}".replace("-", "−") if abs(y) < 1e4 else f"{y / 1000:,g}k")
        grid(axes, scene)

    def layers(self, draw, theme):
        draw("line", self.truth, limits=self.limits, thick=4.2, first=theme.truth)
        draw("line", self.prediction, limits=self.limits, thick=1.7, first=theme.prediction)

    def plain(self, axes, when, values, scene):
        theme, point = scene.theme, scene.point
        axes.plot(when, values[self.truth], color=theme.truth, linewidth=4.2 * point, solid_capstyle="round")
        axes.plot(when, values[self.prediction], color=theme.prediction, linewidth=1.7 * point)
