"""Rectangles drawn by matplotlib, without a shader."""

import numpy as np
from matplotlib.collections import PolyCollection


def boxes(axes, x, y, wide, tall, colour, opacity=1.0):
    """Rectangles around the points (x, y), (n,) each. opacity: one number, or (n,)."""
    valid = np.isfinite(x) & np.isfinite(y)
    if not valid.any():
        return
    x, y, opacity = x[valid], y[valid], np.broadcast_to(opacity, valid.shape)[valid]
    corners = np.array([(-0.5, -0.5), (0.5, -0.5), (0.5, 0.5), (-0.5, 0.5)]) * (wide, tall)  # (4, 2)
    axes.add_collection(
        PolyCollection(np.stack([x, y], axis=1)[:, None] + corners, facecolors=colour, alpha=opacity, linewidths=0),
        autolim=False,
    )
