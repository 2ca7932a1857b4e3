"""One style for all figures: Okabe and Ito's colours, which colour-blind readers can distinguish, and common sizes."""

from matplotlib import rc_context

INK, GREY, PALE = "#222222", "#6E6E6E", "#C4C4C4"
BLUE, ORANGE, GREEN, PURPLE = "#0072B2", "#D55E00", "#009E73", "#AA4499"

_SETTINGS = {
    "font.family": "DejaVu Sans",  # part of matplotlib, so that figures are the same everywhere
    "font.size": 10,
    "axes.titlesize": 10.5,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.labelcolor": INK,
    "axes.edgecolor": GREY,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.8,
    "xtick.color": GREY,
    "ytick.color": GREY,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "text.color": INK,
    "legend.frameon": False,
    "savefig.dpi": 150,
    "figure.facecolor": "white",
}


def style():
    """A context in which figures have the package's style. The caller's settings are unchanged."""
    return rc_context(_SETTINGS)
