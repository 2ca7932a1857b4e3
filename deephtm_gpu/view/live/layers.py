"""The layers of data in a scene, as records that the shader reads (`Draw` in shaders/view/picture.wgsl)."""

from dataclasses import dataclass

import numpy as np

from deephtm_gpu.view.live.look import rgba
from deephtm_gpu.view.live.ring import Ring
from deephtm_gpu.view.live.scene import Scene

BAR, COLUMN, SHADE, CLASS = range(4)
RECORD = np.dtype([("panel", "<f4", 4), ("range", "<f4", 4), ("first", "<f4", 4), ("second", "<f4", 4), ("page", "<f4", 4),
                   ("place", "<u4", 4), ("time", "<u4", 4), ("kind", "<u4", 4)])


@dataclass(frozen=True)
class Layer:
    """pipeline: "line", "mark" or "cell". count: segments or marks. record: (1,) RECORD."""

    pipeline: str
    count: int
    record: np.ndarray


def layers_of(scene: Scene, ring: Ring) -> list[Layer]:
    """In the order in which they are drawn."""
    spec, theme, u, made = scene.spec, scene.theme, scene.unit, []
    C, K, M = spec.columns, spec.winners, spec.cells

    def add(panel, field="truth", other=None, pipeline="mark", marks=1, kind=0, sizes=(0, 0), limits=(0, 1), log=False, thick=1.0,
            first=theme.ink, second=theme.ink, opacity=1.0, still=None):
        record = np.zeros(1, RECORD)
        record["panel"] = (panel.left, panel.top, panel.right, panel.bottom)
        record["range"] = (*limits, log, max(thick * u, 1.0))
        record["first"], record["second"] = rgba(first, opacity), rgba(second, opacity)
        record["page"] = (scene.width, scene.height, 0, 0)
        if still is None:
            record["place"] = (0, ring.fields.stride, ring.fields.at(field), ring.fields.at(other or field))
            record["time"] = (ring.length, spec.steps, 0, 0)
            count = {"line": spec.steps - 1, "mark": spec.steps * marks, "cell": 1}[pipeline]
        else:  # a block: a winner where else a step stands
            record["place"] = (ring.rows.size + still * K * M, M, 0, 0)
            record["time"] = (K, K, 1, 0)
            count = K * M
        record["kind"] = (kind, *sizes, 0)
        made.append(Layer(pipeline, count, record))

    value, error, anomaly, columns, cells = (scene.panels[n] for n in ("value", "error", "anomaly", "columns", "cells"))
    if spec.names:
        D = len(spec.names)
        add(value, "probability", marks=D, kind=SHADE, sizes=(D, 0), first=theme.prediction)
        add(value, "truth", kind=CLASS, limits=(0, D), thick=3.0, first=theme.ink)
    else:
        add(value, "truth", pipeline="line", limits=spec.limits, thick=4.2, first=theme.truth)
        add(value, "prediction", pipeline="line", limits=spec.limits, thick=1.7, first=theme.prediction)
    add(error, "error", pipeline="line", limits=spec.error_limits, log=spec.error_log, thick=1.2, first=theme.error)
    add(anomaly, "anomaly", kind=BAR, limits=(0, 1.05), first=theme.expected, second=theme.unexpected)
    add(columns, "winners", "predicted", marks=K, kind=COLUMN, sizes=(K, 0), limits=(0, C), thick=2.4,
        first=theme.expected, second=theme.unexpected)
    add(cells, "cells", "alike", pipeline="cell", sizes=(K, M), first=theme.expected, second=theme.unexpected)
    for n, panel in enumerate(scene.blocks):
        add(panel, still=n, kind=SHADE, sizes=(M, 0), first=theme.expected)
    return made
