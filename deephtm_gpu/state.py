"""What the last step looked like, layer by layer."""

import numpy as np

from deephtm_gpu.layers.spatial_pooler import SpatialPooler
from deephtm_gpu.layers.temporal_memory import TemporalMemory
from deephtm_gpu.ops.context import context_forward
from deephtm_gpu.ops.synapse import synapse_forward

# What a row can report of a layer: the name that users see -> the tensor on the tape.
OBSERVED = {SpatialPooler: {"winners": "winners"}, TemporalMemory: {"cells": "cell", "predicted": "logit"}}


def observable(network) -> list[tuple[str, str, str]]:
    """(layer's name, what users call it, tensor's name) of all that `Model.observe` has reported, in order of flow."""
    return [(name, shown, f"{name}.{tensor}") for node, name in network.names().items()
            for shown, tensor in OBSERVED.get(type(node.layer), {}).items()]


def describe_observed(network, forms, arrays) -> dict[str, dict[str, np.ndarray]]:
    """arrays: one (T, S, D) per `observable` tensor -> by layer name, as `Model.observe` tells."""
    nodes, told = {name: node for node, name in network.names().items()}, {}
    for (name, shown, _), array in zip(observable(network), arrays):
        form, (T, S, _) = forms[nodes[name]], array.shape
        if shown == "winners":
            array = array.astype(np.int64)
        elif shown == "cells":
            array = array.reshape(T, S, form.winners, form.cells)
        else:  # the winners stand in front of the losers that the head was asked about too
            array = 1 / (1 + np.exp(-array[:, :, : form.winners]))
        told.setdefault(name, {})[shown] = array
    return told


def describe_state(network, forms, backend, plan, steps) -> dict[str, dict[str, np.ndarray]]:
    """See `Model.state`."""
    slot = max(0, steps - 1) % plan.slots
    one = (lambda a: a[0]) if plan.streams == 1 else (lambda a: a)
    state = {}
    for node, name in network.names().items():
        if isinstance(node.layer, SpatialPooler):
            winners, activity = (backend.read(f"{name}.{t}", slot) for t in ("winners", "activity"))
            state[name] = {"winners": one(winners), "activity": one(_written_out(winners, activity, forms[node].size))}
        elif isinstance(node.layer, TemporalMemory):
            cells, cell = (backend.read(f"{name}.{t}", slot) for t in ("cells", "cell"))
            C, M = forms[node].shape
            depolarisation, likely = _expected(backend, name, C, M)
            state[name] = {
                "cells": one(_written_out(cells, cell, C * M).reshape(-1, C, M)),
                "predictive": one(depolarisation.reshape(-1, C, M)),
                "predicted": one(likely),
            }
    return state


def _written_out(index, value, size):
    dense = np.zeros((len(index), size), np.float32)
    np.put_along_axis(dense, index.astype(np.int64), value, axis=1)
    return dense


def _expected(backend, name, C, M):
    """The depolarisation of all cells (S, N) and the probability of all columns (S, C) in the memory's own context."""
    fast, fast_list, slow, slow_list = (backend.read(f"{name}.{t}") for t in ("fast", "fast_list", "slow", "slow_list"))
    index, value, _ = context_forward(fast, fast_list, slow, slow_list, N=C * M)

    def look(rows, kind):
        every = np.broadcast_to(np.arange(rows), (len(fast), rows))
        return synapse_forward(every, index, value, backend.read(f"{name}.{kind}_weight"), backend.read(f"{name}.{kind}_bias"))

    return look(C * M, "distal"), 1 / (1 + np.exp(-look(C, "predicted")))
