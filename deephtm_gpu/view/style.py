"""One look for all figures: Okabe and Ito's colours (legible to the colour-blind), one family of sizes."""

from matplotlib import rc_context

INK, GREY, PALE = "#222222", "#6E6E6E", "#C4C4C4"
BLUE, ORANGE, GREEN, PURPLE = "#0072B2", "#D55E00", "#009E73", "#AA4499"

_SETTINGS = {
    "font.family": "DejaVu Sans",  # comes with matplotlib: the same picture everywhere
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
    """A context: what is drawn and saved within it has the package's look, and the caller's settings stay untouched."""
    return rc_context(_SETTINGS)
