"""A model as a file, and back."""

import numpy as np

from deephtm_gpu.backends.batch import Outputs
from deephtm_gpu.errors import DeviceError, UserError
from deephtm_gpu.loss import loss_weights
from deephtm_gpu.optimisers.base import Optimizer
from deephtm_gpu.plan.lowering import LOSSES, lower
from deephtm_gpu.saving.container import read_container, write_container
from deephtm_gpu.saving.graph import describe_network, make_network
from deephtm_gpu.saving.objects import describe, make
from deephtm_gpu.saving.tensors import add_missing, check_tensors, read_tensors, write_tensors
from deephtm_gpu.saving.tree import join, split

MODEL = "model:"  # before the names of arrays that are the model's, but no tensors of its plan
BESIDE = "beside"  # before those of what stands around the model


def save_model(model, path, beside: dict | None = None):
    """Writes the model, and what stands `beside` it: nested dictionaries of numbers, texts and arrays, for `load_beside`.
    Raises UserError where something cannot be described, or the file not be written."""
    standing = model._standing()
    plain, more = split(beside, BESIDE)
    description = {
        "network": describe_network(model._network), "losses": model._losses, "loss_weights": model._loss_weights, "optimizer": describe(model._optimizer),
        "streams": model.streams, "seeds": list(model._seeds), "population": model.is_population, "counts": standing["counts"], "beside": plain,
    }
    arrays = read_tensors(model._plan, model._backend)
    arrays |= {MODEL + name: array for name, array in _told_arrays(standing["last"]).items()}
    arrays[MODEL + "going"] = standing["going"].astype(np.int64)
    write_container(path, description, arrays | more)


def load(path, device="auto"):
    """The Model or Population that `save(path)` wrote, as it stood: it goes on as the saved one would have, on the same device to the
    bit. device: as of `Model`, whatever the saved one ran on.

    Raises UserError where there is no such file, or it is cut short, damaged, of another format, or does not hold the tensors
    of the network it describes; DeviceError where there is no such device.
    """
    return load_beside(path, device)[0]


def load_beside(path, device="auto"):
    """The Model, and what was saved beside it; None where nothing was. Raises as `load` does."""
    from deephtm_gpu.model import Model
    from deephtm_gpu.population import Population

    description, arrays = read_container(path)
    try:
        network, optimizer = make_network(description["network"]), make(description["optimizer"], Optimizer)
        counts = _check_counts(description["counts"])
        losses, streams, seeds = description["losses"], description["streams"], tuple(description["seeds"])
        if unknown := sorted(set(losses) - set(LOSSES)):
            raise UserError(f"it names the losses {unknown}, and this version has {', '.join(map(repr, LOSSES))}")
        weights = loss_weights(description.get("loss_weights"), len(losses))  # files of before had none
        plan, _ = lower(network, losses, optimizer, streams, seeds, counts["ahead"], weights=weights)
        add_missing(plan, arrays)
        own = {n for n in arrays if n.startswith((MODEL, BESIDE))}
        check_tensors(plan, {n: a for n, a in arrays.items() if n not in own})  # before a device makes room for it
        going = arrays[MODEL + "going"].astype(bool).reshape(plan.units)
        standing = {"counts": counts, "last": _make_told(plan, arrays), "going": going}
        beside = join(description["beside"], arrays)
    except UserError as error:
        why = str(error).rstrip(".")
        raise UserError(f"{path} does not describe a model that can go on: {why}; save the model anew.") from None
    except Exception as error:  # what stands in a file may be anything
        why = f"{type(error).__name__}: {error}"
        raise UserError(f"{path} does not describe a model ({why}); save the model anew.") from None
    try:
        how = {"loss": losses, "optimizer": optimizer, "device": device, "loss_weights": weights}
        if description["population"]:
            model = Population(network, len(seeds), seed=seeds, **how)
        else:
            model = Model(network, streams=streams, seed=seeds[0], **how)
        model._resume(standing, lambda backend: write_tensors(plan, backend, arrays))
    except DeviceError:
        raise
    except UserError as error:
        raise UserError(f"{path} does not describe a model that can go on: {error}") from None
    return model, beside


def _check_counts(counts) -> dict[str, int]:
    kept = {name: counts[name] for name in ("ahead", "pending", "steps", "updates")}
    if any(type(n) is not int or n < 0 for n in kept.values()) or kept["pending"] > kept["ahead"]:
        raise UserError(f"its counts are {kept}")
    return kept


def _told_arrays(last: Outputs | None) -> dict[str, np.ndarray]:
    if last is None:
        return {}
    arrays = {f"prediction{j}": p for j, p in enumerate(last.predictions)} | {f"loss{j}": x for j, x in enumerate(last.losses)}
    return arrays | {"anomaly": last.anomaly}


def _make_told(plan, arrays) -> Outputs | None:
    """The last row: what it predicted is what a rollout goes on from."""
    if MODEL + "anomaly" not in arrays:
        return None
    told = Outputs.empty(plan, 1)
    for name, array in _told_arrays(told).items():
        array[...] = arrays[MODEL + name]
    return told
