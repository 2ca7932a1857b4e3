"""One number a step, as a line: an error, a count."""

from dataclasses import dataclass, field

from matplotlib.ticker import LogLocator, MaxNLocator, NullLocator

from deephtm_gpu.view.live.tracks.base import Track, fitting, grid


@dataclass(frozen=True)
class Line(Track):
    """name: of the track and of its field. limits: of the axis. log: whether it is logarithmic. lines: levels to
    compare with, by name, dashed."""

    name: str
    title: str
    limits: tuple[float, float]
    log: bool = True
    lines: dict[str, float] = field(default_factory=dict)
    weight: float = 1.1

    @property
    def fields(self):
        return {self.name: 1}

    def legend(self, theme):
        return [
            (f"{name} {_short(value)}", colour, "dashes")
            for (name, value), colour in zip(self.lines.items(), theme.lines)
        ]

    def paint(self, axes, scene, tall):
        if self.log:
            axes.set_yscale("log")
            axes.yaxis.set_major_locator(LogLocator(numticks=fitting(tall, most=5, minimum=2)))
            axes.yaxis.set_minor_locator(NullLocator())
            axes.yaxis.set_major_formatter(lambda y, _: f"{y:,g}")
        else:
            axes.yaxis.set_major_locator(MaxNLocator(nbins=fitting(tall, most=3)))
        axes.set_ylim(*self.limits)
        grid(axes, scene)
        # Two lines can be very close: the dashes of one are in the gaps of the other. Their names are in the legend.
        for n, (value, colour) in enumerate(zip(self.lines.values(), scene.theme.lines)):
            axes.axhline(value, color=colour, linewidth=1.3 * scene.unit, linestyle=(5 * n, (4, 6)))

    def layers(self, draw, theme):
        draw("line", self.name, limits=self.limits, log=self.log, thick=1.2, first=theme.error)

    def plain(self, axes, when, values, scene):
        axes.plot(when, values[self.name], color=scene.theme.error, linewidth=1.2 * scene.point)


def _short(value):
    return (
        f"{value:,.0f}"
        if value >= 100
        else f"{value:.2g}"
        if value >= 1
        else f"{value:.4f}".rstrip("0").removeprefix("0")
    )
