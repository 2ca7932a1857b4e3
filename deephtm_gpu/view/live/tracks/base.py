"""What all tracks share."""

from matplotlib.ticker import MaxNLocator

LABEL = 11  # units: the height that a number at an axis takes, with some air


class Track:
    """A panel over time: a step beside the other, the newest at the right. Each kind is a dataclass that has

    name: its own in a Spec. title. weight: its height beside that of the other tracks. fields: what it shows of each step, name -> how
    many numbers (see `ring.Fields`). labels: the names at its axis. lines: the trivial predictors by name, if it has some."""

    labels: tuple[str, ...] = ()
    lines: dict[str, float] = {}

    def legend(self, theme):
        """(label, colour, "box", "thick", "line" or "dashes") of each colour, to stand at the right of the title."""
        return ()

    def paint(self, axes, scene, tall):
        """Its axis, and whatever does not move. axes: matplotlib's, over the panel. scene: the Scene. tall: the panel's height, units."""

    def layers(self, draw, theme):
        """Calls draw(kind, field, ...) for each layer of its data, see `layers.Pen`."""

    def plain(self, axes, when, told, scene):
        """The same by matplotlib. when: (n,), the middles of the steps; told: the ring's last rows, field -> (n, numbers), NaN where
        there is nothing."""


def fitting(tall, most, least=1) -> int:
    """How many labels, one over the other, find room."""
    return max(least, min(most, int(tall / LABEL)))


def numbers(axis, tall, most):
    """Round numbers at a y axis, in at most so many intervals."""
    axis.set_major_locator(MaxNLocator(nbins=fitting(tall, most), steps=(1, 2, 5, 10)))


def count_axis(axes, count, tall):
    """An axis of so many columns or classes."""
    axes.set(ylim=(0, count), yticks=(0, count // 2, count) if tall >= 2 * LABEL else (0, count))
    axes.yaxis.set_major_formatter(lambda y, _: f"{y:.0f}")


def grid(axes, scene):
    axes.grid(axis="y", color=scene.theme.grid, linewidth=0.7 * scene.unit)
