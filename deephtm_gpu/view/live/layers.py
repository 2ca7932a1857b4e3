"""The layers of data in a scene, as records for the shader (`Draw` in shaders/view/picture.wgsl)."""

from dataclasses import dataclass

import numpy as np

from deephtm_gpu.view.live.look import rgba
from deephtm_gpu.view.live.ring import Ring
from deephtm_gpu.view.live.scene import Panel, Scene

RECORD = np.dtype(
    [
        ("panel", "<f4", 4),
        ("range", "<f4", 4),
        ("first", "<f4", 4),
        ("second", "<f4", 4),
        ("page", "<f4", 4),
        ("place", "<u4", 4),
        ("time", "<u4", 4),
        ("kind", "<u4", 4),
    ]
)
# The kinds of layers of a track or a block -> (pipeline, the shader's number of the kind of mark).
KINDS = {
    "line": ("line", 0),
    "bar": ("mark", 0),
    "column": ("mark", 1),
    "shade": ("mark", 2),
    "class": ("mark", 3),
    "dot": ("mark", 4),
    "cells": ("cell", 0),
    "pixels": ("cell", 1),
}


@dataclass(frozen=True)
class Layer:
    """pipeline: "line", "mark" or "cell". count: segments or marks. record: (1,) RECORD."""

    pipeline: str
    count: int
    record: np.ndarray


class Pen:
    """Adds the layers of one panel: of a track over time, or of the block of number `block`, (tall, wide)."""

    def __init__(self, scene: Scene, ring: Ring, panel: Panel, layers: list, block: int | None = None):
        self._scene, self._ring, self._panel, self._layers, self._block = scene, ring, panel, layers, block

    def __call__(
        self,
        kind,
        field=None,
        other=None,
        each=1,
        parts=0,
        limits=(0, 1),
        log=False,
        thick=1.0,
        first="#000000",
        second=None,
    ):
        """Adds a layer.

        kind: one of KINDS. field, other: of the ring, for layers over time. each: marks per step, which are numbers of
        the field. parts: for "cells", cells of each. limits: of the axis; for "shade" and "dot" the mark's width and
        height as parts of its cell. thick: units, the width of a line, or the smallest size of a mark. first, second:
        colours.
        """
        ring, steps, record = self._ring, self._scene.spec.steps, np.zeros(1, RECORD)
        pipeline, number = KINDS[kind]
        panel = self._panel
        record["panel"] = (panel.left, panel.top, panel.right, panel.bottom)
        record["range"] = (*limits, log, max(thick * self._scene.unit, 1.0))
        record["first"], record["second"] = rgba(first), rgba(second or first)
        record["page"] = (self._scene.width, self._scene.height, 0, 0)
        record["kind"] = (number, each, parts, 0)
        if self._block is None:
            record["place"] = (0, ring.fields.stride, ring.fields.at(field), ring.fields.at(other or field))
            record["time"] = (ring.length, steps, 0, 0)
            count = {"line": steps - 1, "mark": steps * each, "cell": 1}[pipeline]
        else:  # a column of the block instead of a step
            tall, wide = ring.blocks[self._block].shape
            record["place"] = (ring.rows.size + ring.starts[self._block], tall, 0, 0)
            record["time"] = (wide, wide, 1, 0)
            count = 1 if pipeline == "cell" else wide * tall
        self._layers.append(Layer(pipeline, count, record))


def layers_of(scene: Scene, ring: Ring) -> list[Layer]:
    """In the order in which they are drawn."""
    made = []
    for track, panel in zip(scene.spec.tracks, scene.panels.values()):
        track.layers(Pen(scene, ring, panel, made), scene.theme)
    for n, (block, panel) in enumerate(zip(scene.spec.blocks, scene.blocks)):
        block.layers(Pen(scene, ring, panel, made, block=n), scene.theme)
    return made
