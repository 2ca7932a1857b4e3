"""The base of all tracks."""

from matplotlib.ticker import MaxNLocator

LABEL = 11  # units: the height of a number at an axis, with some space


class Track:
    """A panel over time, the newest step at the right. Each kind is a dataclass with these attributes.

    name: unique in a Spec. title. weight: its height relative to the other tracks. fields: its numbers for each step,
    name -> how many (see `ring.Fields`). labels: the names at its axis. lines: trivial predictors, by name.
    """

    labels: tuple[str, ...] = ()
    lines: dict[str, float] = {}

    def legend(self, theme):
        """(label, colour, "box", "thick", "line" or "dashes") of each colour, shown at the right of the title."""
        return ()

    def paint(self, axes, scene, tall):
        """Paints its axis, and everything that does not move. axes: of matplotlib, over the panel. tall: the panel's
        height, units."""

    def layers(self, draw, theme):
        """Calls draw(kind, field, ...) for each layer of its data, see `layers.Pen`."""

    def plain(self, axes, when, values, scene):
        """Draws its data by matplotlib. when: (n,), the middles of the steps. values: the ring's last rows, field ->
        (n, numbers), NaN where there is no value."""


def fitting(tall, most, minimum=1) -> int:
    """How many labels fit, one above the other."""
    return max(minimum, min(most, int(tall / LABEL)))


def numbers(axis, tall, most):
    """Round numbers at a y axis, with at most so many intervals."""
    axis.set_major_locator(MaxNLocator(nbins=fitting(tall, most), steps=(1, 2, 5, 10)))


def count_axis(axes, count, tall):
    """A y axis of so many columns or classes."""
    axes.set(ylim=(0, count), yticks=(0, count // 2, count) if tall >= 2 * LABEL else (0, count))
    axes.yaxis.set_major_formatter(lambda y, _: f"{y:.0f}")


def grid(axes, scene):
    axes.grid(axis="y", color=scene.theme.grid, linewidth=0.7 * scene.unit)
