"""The tracks of a model's spatial poolers and temporal memories."""

from dataclasses import dataclass

import numpy as np

from deephtm_gpu.errors import UserError
from deephtm_gpu.layers.spatial_pooler import SpatialPooler
from deephtm_gpu.layers.temporal_memory import TemporalMemory
from deephtm_gpu.view.live.tracks import Cells, Columns

WEIGHT = 1.2  # of each track, with several levels


@dataclass(frozen=True)
class Level:
    """A pooler and the memory after it, by the names of their layers.

    columns, winners, cells: C, K, M. title: "" if it is the only level. suffix: of the names of its fields, see
    Columns.
    """

    pooler: str
    memory: str
    columns: int
    winners: int
    cells: int
    title: str = ""
    suffix: str = ""

    def tracks(self):
        own = {"level": self.title, "suffix": self.suffix} | ({"weight": WEIGHT} if self.title else {})
        return Columns(self.columns, self.winners, **own), Cells(self.winners, self.cells, **own)

    def shown(self, observed) -> tuple[dict[str, np.ndarray], np.ndarray]:
        """observed: of a History. Returns the fields of its tracks, and the cells (n, K, M), each as a share of its
        column's activity."""
        # In the order of their columns, so that the same winners are at the same height.
        winners, predicted, cells = (
            observed[self.pooler]["winners"],
            observed[self.memory]["predicted"],
            observed[self.memory]["cells"],
        )
        order = np.argsort(winners, axis=1)  # (n, K)
        winners, predicted = (np.take_along_axis(array, order, axis=1) for array in (winners, predicted))
        cells = np.take_along_axis(cells, order[:, :, None], axis=1)
        total = cells.sum(axis=2, keepdims=True)
        cells = cells / np.where(total > 0, total, 1)
        most = cells.max(axis=2)
        alike = cells.min(axis=2) / np.where(most > 0, most, 1)  # (n, K), 1 where a column bursts
        fields = {"winners": winners, "predicted": predicted, "cells": cells, "alike": alike}
        return {name + self.suffix: array for name, array in fields.items()}, cells


def levels_of(model, titles=()) -> list[Level]:
    """The first memories in the order of flow, each with its pooler: one for each title, without titles one.

    Raises UserError if the model has fewer.
    """
    names, forms = model.network.names(), model.session.forms
    pairs = [(pooler, node) for node in names if isinstance(node.layer, TemporalMemory) for pooler in node.inputs
             if isinstance(pooler.layer, SpatialPooler)]
    if not pairs:
        raise UserError("A show's model must have a SpatialPooler with a TemporalMemory, got one without; give "
                        "another model.")
    if len(titles) > len(pairs):
        raise UserError(f"A show's levels must be at most {len(pairs)}, the TemporalMemory layers after a "
                        f"SpatialPooler, got {len(titles)}; give fewer titles.")
    levels = []
    for n, (pooler, memory) in enumerate(pairs[: max(len(titles), 1)]):
        (columns, cells), winners = forms[memory].shape, forms[memory].winners
        title, suffix = titles[n] if titles else "", str(n + 1) if n else ""
        levels.append(Level(names[pooler], names[memory], columns, winners, cells, title, suffix))
    return levels
