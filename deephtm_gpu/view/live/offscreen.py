"""The live picture without a window."""

import io

import numpy as np

from deephtm_gpu.backends.wgpu.adapters import list_adapters
from deephtm_gpu.view.live.look import THEMES
from deephtm_gpu.view.live.plain import PlainPainter
from deephtm_gpu.view.live.ring import Ring
from deephtm_gpu.view.live.scene import Scene
from deephtm_gpu.view.live.spec import Spec

SIZE = (1280, 800)


class Offscreen:
    """Pictures of a ring, drawn by WGSL on the best adapter, or by matplotlib without an adapter."""

    def __init__(self, spec: Spec, ring: Ring, size=SIZE, scale=1.0, theme="dark"):
        self._painter = self._open(ring)
        self._painter.show(Scene(spec, *size, scale, THEMES[theme], keys=False))

    def picture(self, status="") -> np.ndarray:
        """(height, width, 3) uint8, RGB. status: the line at the top right."""
        self._painter.set_status(status)
        return self._painter.picture()[:, :, :3]

    @staticmethod
    def _open(ring):
        adapters = list_adapters()
        if not adapters:
            return PlainPainter(ring)
        from deephtm_gpu.view.live.paint import Painter

        return Painter(adapters[0].native.request_device_sync(), ring)


def as_png(image) -> bytes:
    """image (height, width, 3) uint8"""
    from PIL import Image

    file = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(image)).save(file, "png")
    return file.getvalue()
