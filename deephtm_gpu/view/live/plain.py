"""The same picture without any shader, for machines that have no adapter: matplotlib draws the data too, slowly."""

import numpy as np
from matplotlib.collections import PolyCollection

from deephtm_gpu.view.live.ring import Ring
from deephtm_gpu.view.live.scene import Scene


class PlainPainter:
    """As `paint.Painter`, for pictures."""

    def __init__(self, ring: Ring):
        self._ring, self._status = ring, ""

    def show(self, scene: Scene):
        self._scene = scene

    def tell(self, text):
        self._status = text

    def picture(self) -> np.ndarray:
        """(height, width, 4) uint8, RGBA."""
        image, box = self._scene.paint(self._data), self._scene.status
        if self._status:
            image[box.top : box.bottom, box.left : box.right] = self._scene.paint_status(self._status)
        return image

    def _data(self, axes, blocks):
        spec, theme, u, ring = self._scene.spec, self._scene.theme, 0.72 * self._scene.unit, self._ring
        K, M = spec.winners, spec.cells
        told = {name: ring.last(spec.steps, name) for name in ring.fields.places}  # (n, width) each
        n = len(told["anomaly"])
        when = np.arange(-n, 0) + 0.5  # (n,), the middle of each step

        if spec.names:
            step, row = np.nonzero(told["probability"] >= 0.01)
            _boxes(axes["value"], when[step], row + 0.5, 1, 0.88, theme.prediction, told["probability"][step, row])
            _boxes(axes["value"], when, told["truth"][:, 0] + 0.5, 0.6, 0.34, theme.ink)
        else:
            axes["value"].plot(when, told["truth"], color=theme.truth, linewidth=4.2 * u, solid_capstyle="round")
            axes["value"].plot(when, told["prediction"], color=theme.prediction, linewidth=1.7 * u)
        axes["error"].plot(when, told["error"], color=theme.error, linewidth=1.2 * u)
        score = np.nan_to_num(told["anomaly"][:, 0])
        for part, colour in ((score < 0.5, theme.expected), (score >= 0.5, theme.unexpected)):
            axes["anomaly"].bar(when[part], score[part], 0.84, color=colour)
        step, rank = np.nonzero(~np.isnan(told["winners"]))
        likely = told["predicted"][step, rank] >= 0.5
        for part, colour in ((likely, theme.expected), (~likely, theme.unexpected)):
            _boxes(axes["columns"], when[step[part]], told["winners"][step, rank][part] + 0.5, 1, max(1.0, 0.012 * spec.columns), colour)
        share = np.nan_to_num(told["cells"]).reshape(n, K, M)
        burst = np.repeat(np.nan_to_num(told["alike"])[:, :, None] >= 0.5, M, axis=2)
        for part, colour in ((~burst, theme.expected), (burst, theme.unexpected)):
            step, k, m = np.nonzero((share > 0) & part)
            _boxes(axes["cells"], when[step], k + (m + 0.5) / M, 0.92, 0.84 / M, colour, np.sqrt(share[step, k, m]))
        for block, shown in zip(blocks, ring.still.reshape(-1, K, M)):
            k, m = np.nonzero(shown >= 0.01)
            _boxes(block, k + 0.5, m + 0.5, 1, 0.88, theme.expected, shown[k, m])


def _boxes(axes, x, y, wide, tall, colour, opacity=1.0):
    """Rectangles around the points (x, y)."""
    there = np.isfinite(x) & np.isfinite(y)
    if not there.any():
        return
    x, y, opacity = x[there], y[there], np.broadcast_to(opacity, there.shape)[there]
    corners = np.array([(-0.5, -0.5), (0.5, -0.5), (0.5, 0.5), (-0.5, 0.5)]) * (wide, tall)  # (4, 2)
    axes.add_collection(PolyCollection(np.stack([x, y], axis=1)[:, None] + corners, facecolors=colour, alpha=opacity, linewidths=0),
                        autolim=False)
