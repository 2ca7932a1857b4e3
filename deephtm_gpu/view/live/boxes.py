"""Rectangles by matplotlib, where no shader draws."""

import numpy as np
from matplotlib.collections import PolyCollection


def boxes(axes, x, y, wide, tall, colour, opacity=1.0):
    """Rectangles around the points (x, y), (n,) each. opacity: one number, or (n,)."""
    there = np.isfinite(x) & np.isfinite(y)
    if not there.any():
        return
    x, y, opacity = x[there], y[there], np.broadcast_to(opacity, there.shape)[there]
    corners = np.array([(-0.5, -0.5), (0.5, -0.5), (0.5, 0.5), (-0.5, 0.5)]) * (wide, tall)  # (4, 2)
    axes.add_collection(PolyCollection(np.stack([x, y], axis=1)[:, None] + corners, facecolors=colour, alpha=opacity, linewidths=0),
                        autolim=False)
