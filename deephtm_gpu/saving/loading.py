"""A model from its file."""

from os import PathLike
from typing import Any

import numpy as np

from deephtm_gpu.arguments import shown
from deephtm_gpu.backends.batch import Outputs
from deephtm_gpu.backends.devices import open_device
from deephtm_gpu.errors import DeviceError, UserError
from deephtm_gpu.losses.table import LOSSES, as_losses, loss_weights
from deephtm_gpu.model import Model
from deephtm_gpu.optimisers.base import Optimizer
from deephtm_gpu.plan.lowering import lower
from deephtm_gpu.population import Population
from deephtm_gpu.saving.container import read_container
from deephtm_gpu.saving.graph import make_network
from deephtm_gpu.saving.objects import make
from deephtm_gpu.saving.tensors import check_tensors, from_earlier
from deephtm_gpu.saving.tree import join
from deephtm_gpu.saving.writing import BESIDE, MODEL, last_arrays
from deephtm_gpu.session import Contents, Pending, Position, Setup

MOST = 2**53  # of what a file counts


def load(path: str | PathLike[str], device: str = "auto") -> Any:
    """Reads the file that `save(path)` wrote.

    Parameters
    ----------
    path : str or path-like
        The file.
    device : str, default "auto"
        As of `Model`, whatever the saved one ran on.

    Returns
    -------
    Model or Population
        As it stood: it goes on as the saved one would have, on the same device to the bit.

    Raises
    ------
    UserError
        Where there is no such file, or it is cut short, damaged, of another format, or does not hold the tensors of the
        network that it describes.
    DeviceError
        Where there is no such device.

    Examples
    --------
    >>> import tempfile, deephtm_gpu as dh
    >>> model = dh.Model(dh.Sequential(dh.Linear(2)), input_shape=(2,), device="numpy")
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     model.save(folder + "/model")
    ...     again = dh.load(folder + "/model", device="numpy")
    >>> sorted(again.state_dict())
    ['0.bias', '0.weight']
    """
    return load_beside(path, device)[0]


def load_beside(path, device="auto"):
    """The Model, and what was saved beside it; None where nothing was. Raises as `load` does."""
    description, arrays = read_container(path)
    try:
        setup, contents = _setup(description), None
        contents = _contents(setup, description, arrays)
        beside, population = join(description["beside"], arrays), bool(description["population"])
    except UserError as error:
        why = str(error).rstrip(".")
        raise UserError(f"{path} must describe a model that can continue: {why}; save the model again.") from None
    except Exception as error:  # a file can contain anything
        why = f"{type(error).__name__}: {error}"
        raise UserError(f"{path} must describe a model, got an invalid description ({why}); save the "
                        "model again.") from None
    try:
        return _model(setup, contents, population, device), beside
    except DeviceError:
        raise
    except UserError as error:
        raise UserError(f"{path} must describe a model that can continue: {error}") from None


def _model(setup: Setup, contents: Contents, population: bool, device):
    seeds, opened = setup.seeds, open_device(device)
    if (setup.streams if population else len(seeds)) != 1:
        raise UserError(f"it must be one model, or a population of one stream each, got {len(seeds)} models of "
                        f"{setup.streams} streams; save the model again.")
    how = {"loss": setup.losses, "optimizer": setup.optimizer, "loss_weights": setup.weights, "device": opened}
    if population:
        model = Population(setup.network, len(seeds), seed=seeds, **how)
    else:
        model = Model(setup.network, streams=setup.streams, seed=seeds[0], **how)
    model.session.restore(contents)
    return model


def _setup(description) -> Setup:
    network, optimizer = make_network(description["network"]), make(description["optimizer"], Optimizer)
    outputs = len(network.outputs)
    names = description["losses"]
    if unknown := sorted(set(names) - set(LOSSES)):
        raise UserError(f"it names the losses {unknown}, and this version has {', '.join(map(repr, LOSSES))}")
    losses, weights = as_losses(names, outputs), loss_weights(description.get("loss_weights"), outputs)
    return Setup(network, losses, weights, optimizer, description["streams"], tuple(description["seeds"]))


def _contents(setup: Setup, description, arrays) -> Contents:
    counts = {"began": None, "learned": None, "horizon": None} | description["counts"]
    # Files of before had none.
    made_for = (
        description["plan"] if "plan" in description else {"ahead": counts["ahead"], "given": counts["ahead"] == 0}
    )
    ahead, given = made_for["ahead"], made_for["given"]
    plan, _ = lower(
        setup.network,
        setup.losses,
        setup.optimizer,
        setup.streams,
        setup.seeds,
        _count("ahead", ahead),
        weights=setup.weights,
        given=bool(given),
    )
    own = {n for n in arrays if n.startswith((MODEL, BESIDE))}
    tensors = {n: a for n, a in arrays.items() if n not in own}
    tensors = from_earlier(plan, tensors)
    pending = _pending(description, counts, plan, arrays)
    check_tensors(plan, tensors, [p.step % plan.slots for p in pending])  # before a device makes room for it
    active = _given(MODEL + "going", arrays, (plan.units,), np.int64).astype(bool)
    at = Position(
        active,
        _count("ahead", counts["ahead"]),
        _count("steps", counts["steps"]),
        _count("updates", counts["updates"]),
        pending=pending,
        last=_last(plan, arrays),
    )
    began = counts["began"] if "plan" in description else at.next_learned
    learned = counts["learned"] if "plan" in description else at.next_learned if at.updates else None
    at = Position(at.active, at.ahead, at.steps, at.updates, _count("began", began), pending,
                  None if learned is None else _count("learned", learned), at.last,
                  max(1, _count("horizon", counts["horizon"] if counts["horizon"] is not None else at.ahead)))
    _check(at, plan)
    return Contents(at, plan.ahead, plan.given, tensors)


def _pending(description, counts, plan, arrays) -> tuple[Pending, ...]:
    if "pending" not in description:  # files of before: the last ones wait, and nothing has arrived for them
        steps, ahead, waiting = counts["steps"], counts["ahead"], _count("pending", counts["pending"])
        if waiting > min(ahead, steps):
            raise UserError(f"its counts must agree with each other, got {counts}")
        return tuple(Pending(s, s + ahead) for s in range(steps - waiting, steps))
    found = []
    for n, (step, due, given) in enumerate(description["pending"]):
        wanted = [(plan.units, t.size) for t in (plan.targets if given else plan.inputs)]
        names = [f"{MODEL}pending{n}.{j}" for j in range(len(wanted))]
        target = None
        if any(name in arrays for name in names):
            target = tuple(_given(name, arrays, shape, np.float32) for name, shape in zip(names, wanted))
        found.append(Pending(_count("a step", step), _count("a step", due), target, bool(given)))
    return tuple(found)


def _check(at: Position, plan):
    """Raises UserError where the counts contradict each other, or the tape is too short for what waits."""
    steps = [p.step for p in at.pending]
    good = (
        at.began <= at.steps
        and at.ahead <= plan.ahead
        and at.horizon <= max(1, plan.ahead)
        and steps == sorted(set(steps))
        and all(s < at.steps for s in steps)
    )
    good = good and (plan.given or not any(p.given for p in at.pending))
    good = good and at.oldest() + plan.window <= plan.slots and all(p.due >= p.step for p in at.pending)
    if not good or (at.learned or 0) > at.steps or any(p.due < at.steps and p.target is None for p in at.pending):
        raise UserError(f"its counts must agree with each other, got {at.steps} steps, {at.ahead} ahead, pending "
                        f"{[(p.step, p.due) for p in at.pending]}")


def _count(what, n) -> int:
    if type(n) is not int or not 0 <= n <= MOST:
        raise UserError(f"its count of {what} must be a whole number from 0 to {MOST:,}, got {shown(n)}")
    return n


def _given(name, arrays, shape, kind) -> np.ndarray:
    """An array of the model's own."""
    if name not in arrays:
        raise UserError(f"it must hold {name!r}, got none")
    array = arrays[name]
    if array.shape != shape or array.dtype != kind:
        raise UserError(f"its {name!r} must be {np.dtype(kind)} {shape}, got {array.dtype} {array.shape}")
    return array


def _last(plan, arrays) -> Outputs | None:
    """What the last step predicted is what a rollout goes on from."""
    if MODEL + "anomaly" not in arrays:
        return None
    outputs = Outputs.empty(plan, 1)
    for name, array in last_arrays(outputs).items():
        array[...] = _given(MODEL + name, arrays, array.shape, np.float32)
    return outputs
