"""The same picture without a shader, for machines without an adapter: matplotlib draws the data too, slowly."""

import numpy as np

from deephtm_gpu.view.live.ring import Ring
from deephtm_gpu.view.live.scene import Scene


class PlainPainter:
    """As `paint.Painter`, for pictures."""

    def __init__(self, ring: Ring):
        self._ring, self._status = ring, ""

    def show(self, scene: Scene):
        self._scene = scene

    def set_status(self, text):
        self._status = text

    def picture(self) -> np.ndarray:
        """(height, width, 4) uint8, RGBA."""
        image, box = self._scene.paint(self._data), self._scene.status
        if self._status:
            image[box.top : box.bottom, box.left : box.right] = self._scene.paint_status(self._status)
        return image

    def _data(self, tracks, blocks):
        """tracks, blocks: the axes of each."""
        scene, ring = self._scene, self._ring
        values = {name: ring.last(scene.spec.steps, name) for name in ring.fields.offsets}  # (n, width) each
        when = np.arange(-min(ring.count, ring.length, scene.spec.steps), 0) + 0.5  # (n,), the middle of each step
        for track, axes in zip(scene.spec.tracks, tracks):
            track.plain(axes, when, values, scene)
        for block, axes, array in zip(scene.spec.blocks, blocks, ring.blocks):
            block.plain(axes, array, scene)
