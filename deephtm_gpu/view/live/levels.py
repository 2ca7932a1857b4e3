"""What a picture shows of a model's spatial poolers and temporal memories."""

from dataclasses import dataclass

import numpy as np

from deephtm_gpu.errors import UserError
from deephtm_gpu.layers.spatial_pooler import SpatialPooler
from deephtm_gpu.layers.temporal_memory import TemporalMemory
from deephtm_gpu.view.live.tracks import Cells, Columns

WEIGHT = 1.2  # of each track, where there are several levels


@dataclass(frozen=True)
class Level:
    """A pooler and the memory behind it, by the names of their layers. columns, winners, cells: C, K, M. title: "" where it is the only
    one. suffix: behind the names of its fields, see Columns."""

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
        """observed: of a History. Returns the fields of its tracks, and of these the cells (n, K, M), each one's share of its column's
        activity."""
        # In the order of their columns, so that the same winners stand at the same height.
        winners, predicted, cells = observed[self.pooler]["winners"], observed[self.memory]["predicted"], observed[self.memory]["cells"]
        order = np.argsort(winners, axis=1)  # (n, K)
        winners, predicted = (np.take_along_axis(array, order, axis=1) for array in (winners, predicted))
        cells = np.take_along_axis(cells, order[:, :, None], axis=1)
        total = cells.sum(axis=2, keepdims=True)
        cells = cells / np.where(total > 0, total, 1)
        most = cells.max(axis=2)
        alike = cells.min(axis=2) / np.where(most > 0, most, 1)  # (n, K), 1 where a column bursts
        told = {"winners": winners, "predicted": predicted, "cells": cells, "alike": alike}
        return {name + self.suffix: array for name, array in told.items()}, cells


def levels_of(model, titles=()) -> list[Level]:
    """Its memories in the order of flow, each with the pooler that it reads, as many as there are titles; without, the first alone.
    Raises UserError where the model has not so many."""
    names, forms = model.network.names(), model.session.forms
    pairs = [(pooler, node) for node in names if isinstance(node.layer, TemporalMemory) for pooler in node.inputs
             if isinstance(pooler.layer, SpatialPooler)]
    if not pairs:
        raise UserError("A show watches columns and cells; give a model with a SpatialPooler and a TemporalMemory.")
    if len(titles) > len(pairs):
        raise UserError(f"A show of {len(titles)} levels was asked for; the model has {len(pairs)} with a SpatialPooler and a TemporalMemory: "
                        f"give at most so many titles.")
    found = []
    for n, (pooler, memory) in enumerate(pairs[: max(len(titles), 1)]):
        (columns, cells), winners = forms[memory].shape, forms[memory].winners
        found.append(Level(names[pooler], names[memory], columns, winners, cells, titles[n] if titles else "", str(n + 1) if n else ""))
    return found
