"""What the last step looked like, layer by layer."""

from functools import partial

import numpy as np

from deephtm_gpu.layers.memory_step import SURE_OF_COLUMNS
from deephtm_gpu.layers.spatial_pooler import SpatialPooler
from deephtm_gpu.layers.temporal_memory import TemporalMemory
from deephtm_gpu.ops.context import context_forward, fast_update, neighbours_forward, slow_update
from deephtm_gpu.ops.sampled import sampled_forward
from deephtm_gpu.ops.synapse import synapse_forward

BLOCK = 4096  # rows of synapses looked through at once: all together, with a long context, would fill the memory

# What a row can report of a layer: the name that users see -> the tensor on the tape.
OBSERVED = {SpatialPooler: {"winners": "winners"}, TemporalMemory: {"cells": "cell", "predicted": "logit"}}


def observable(network) -> list[tuple[str, str, str]]:
    """(layer's name, what users call it, tensor's name) of all that `Model.observe` has reported, in order of flow."""
    return [(name, shown, f"{name}.{tensor}") for node, name in network.names().items()
            for shown, tensor in OBSERVED.get(type(node.layer), {}).items()]


def describe_observed(network, forms, arrays) -> dict[str, dict[str, np.ndarray]]:
    """arrays: one (T, S, D) per `observable` tensor -> by layer name, as `Model.observe` reports; of maps
    (T, S, ..., H, W)."""
    nodes, observed = {name: node for node, name in network.names().items()}, {}
    for (name, shown, _), array in zip(observable(network), arrays):
        form, (T, S, _) = forms[nodes[name]], array.shape
        at = form.positions or ()
        array = array.reshape(T, S, -1, *at)
        if shown == "winners":
            array = np.where(np.isnan(array), -1, array).astype(np.int64)  # -1: the stream had ended
        elif shown == "cells":
            array = array.reshape(T, S, form.winners, form.cells, *at)
        else:  # the winners come before the losers that the head evaluated too
            array = 1 / (1 + np.exp(-array[:, :, : form.winners]))
        observed.setdefault(name, {})[shown] = array
    return observed


def describe_state(network, forms, read, plan, steps) -> dict[str, dict[str, np.ndarray]]:
    """See `Model.state`. read(name, slot) gives a tensor of one model."""
    slot = max(0, steps - 1) % plan.slots
    state, names, owners = {}, network.names(), network.owners()
    for node, name in names.items():
        shaped = partial(_by_stream, form=forms[node], streams=plan.streams)
        if isinstance(node.layer, SpatialPooler):
            winners, activity = (read(f"{name}.{t}", slot) for t in ("winners", "activity"))
            dense = _to_dense(winners, activity, forms[node].size)
            state[name] = {"winners": shaped(winners), "activity": shaped(dense)}
        elif isinstance(node.layer, TemporalMemory):
            cells, cell = (read(f"{name}.{t}", slot) for t in ("cells", "cell"))
            C, M = forms[node].shape
            further = sum(forms[n].size for n in node.contexts)
            ticks = f"{name}.kept_cells" in plan.tensors
            with np.errstate(all="ignore"):  # as in a step
                depolarisation, likely = _expected(
                    read, name, names[owners[node]], forms[node], further, node.layer, ticks
                )
            state[name] = {
                "cells": shaped(_to_dense(cells, cell, C * M).reshape(-1, C, M)),
                "predictive": shaped(depolarisation.reshape(-1, C, M)),
                "predicted": shaped(likely),
            }
    return state


def _by_stream(array, form, streams):
    """(S*X, ...) -> (S, ..., H, W); without S where there is one stream, without H, W where there is no map."""
    if form.positions:
        array = np.moveaxis(array.reshape(streams, *form.positions, *array.shape[1:]), (1, 2), (-2, -1))
    return array[0] if streams == 1 else array


def _to_dense(index, value, size):
    dense = np.zeros((len(index), size), np.float32)
    np.put_along_axis(dense, index.astype(np.int64), value, axis=1)
    return dense


def _expected(read, name, owner, form, further, layer, ticks):
    """The depolarisation of all cells (S, N) and the probability of all columns (S, C) in the memory's own context.
    further: how many sources of further contexts there are. ticks: whether it goes by a clock; then what was active in
    its last tick is yet to come into the context."""
    F, (C, M) = layer.synapses, form.shape
    N, kept = C * M, {}
    fast, fast_list = (read(f"{name}.{t}") for t in ("fast", "fast_list"))
    if ticks:
        kept = {t: read(f"{name}.kept_{t}") for t in ("cells", "cell", "winners", "columns", "surprise")}
        fast_update(kept["cells"], kept["cell"], fast, fast_list, layer.decay, layer.write)
    if layer.neighbourhood:
        around = layer.neighbourhood
        index, value = neighbours_forward(fast, fast_list, N, form.sites, form.positions[1], around, layer.dilation)
        P = around**2 * N + further
    else:
        slow, slow_list = (read(f"{name}.{t}") for t in ("slow", "slow_list"))
        if ticks and layer.slow:
            slow_update(kept["winners"], kept["columns"], kept["surprise"], slow, slow_list, SURE_OF_COLUMNS)
        index, value, _ = context_forward(fast, fast_list, slow, slow_list, N=N)
        P = N + C + further

    def look(kind):
        weight, bias = (read(f"{owner}.{kind}_{t}") for t in ("weight", "bias"))
        sample = read(f"{owner}.{kind}_pool") if F else None

        def at(begin):
            rows = np.arange(begin, min(begin + BLOCK, len(bias)))
            every = np.broadcast_to(rows, (len(fast), len(rows)))
            if F:
                return sampled_forward(every, index, value, weight, bias, sample, F, P)
            return synapse_forward(every, index, value, weight, bias)

        return np.concatenate([at(begin) for begin in range(0, len(bias), BLOCK)], axis=1)

    return look("distal"), 1 / (1 + np.exp(-look("predicted")))
