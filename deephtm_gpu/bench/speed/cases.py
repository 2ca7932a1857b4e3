"""The cases that are timed: those of a row differ in one thing. A step is forward, backward and update, strictly
online."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

import deephtm_gpu as dh
from deephtm_gpu.bench.networks import post
from deephtm_gpu.data.sine import sine
from deephtm_gpu.plan.lowering import lower
from deephtm_gpu.plan.tensors import GRADIENT, PARAMETERS, SCRATCH, STATE, TAPE

COLUMNS = (256, 1024, 4096, 16384)
SPARSE = 256  # synapses of a cell with many columns: the dense matrix would grow with the square of their number


@dataclass
class Opened:
    """run(steps): learns so many steps. width: how many streams or models learn in parallel. model: a Model or
    Population; None for another framework."""

    run: Callable[[int], None]
    width: int = 1
    model: dh.Model | None = None


@dataclass(frozen=True)
class Case:
    """open(): makes it ready to run. bytes(): the memory that it needs, with the copy for recovery, before it is
    made."""

    name: str
    open: Callable[[], Opened]
    bytes: Callable[[], int] = lambda: 0


def rows(device: str) -> dict[str, list[Case]]:
    """Name of the row -> its cases on the device."""
    return {
        "post": [_case("the post's network", device), _case("control: the same once more", device)],
        "columns": [_case(f"{c:,} columns", device, columns=c, synapses=SPARSE) for c in COLUMNS],
        "winners": [_case(f"{k} winners", device, winners=k) for k in (5, 10, 20, 40)],
        "streams": [_case(f"{s:,} streams", device, streams=s) for s in (1, 4, 16, 64, 256, 1024)],
        "models": [_case(f"{p:,} models", device, models=p) for p in (1, 4, 16, 64, 256, 1024, 4096)],
        "window": [_case(f"window {t}", device, window=t) for t in (1, 8, 16)],
    }


def network(columns=256, winners=5, window=1, synapses=None):
    """The post's network with one thing changed."""
    if (columns, winners, window, synapses) == (256, 5, 1, None):
        return post()
    more = {} if synapses is None else {"synapses": synapses}
    return dh.Sequential(
        dh.Linear(256), dh.ReLU(), dh.Linear(256), dh.ReLU(), dh.RunningNorm(), dh.SpatialPooler(columns, winners),
        dh.TemporalMemory(5, window=window, **more), dh.Linear(256), dh.ReLU(), dh.Linear(1, lr_scale=0.3))


def _case(name, device, streams=1, models=None, **changed) -> Case:
    def opened():
        if models is not None:
            population = dh.Population(network(), models, input_shape=(1,), optimizer=dh.PolyakSGD(), device=device)
            return Opened(
                lambda steps: population.fit(np.moveaxis(_shifted(sine(steps), models), 0, 1)), models, population
            )
        model = dh.Model(network(**changed), input_shape=(1,), optimizer=dh.PolyakSGD(), streams=streams, device=device)
        return Opened(
            lambda steps: model.fit(sine(steps) if streams == 1 else _shifted(sine(steps), streams)), streams, model
        )

    def bytes_needed():
        plan, _ = lower(network(**changed).network((1,)), ["mse"], dh.PolyakSGD(), streams, range(models or 1), ahead=1)
        each = sum(t.size for t in plan.stored_in(*PARAMETERS))
        of_streams = plan.stored_in(STATE, GRADIENT, SCRATCH, TAPE)
        of_units = sum(t.size * (plan.slots if t.storage == TAPE else 1) for t in of_streams)
        return 2 * 4 * (plan.models * each + plan.units * of_units)

    return Case(name, opened, bytes_needed)


def _shifted(series, count):
    """(steps, 1) -> (steps, count, 1): each 7 steps ahead of the one before it."""
    index = (np.arange(len(series))[:, None] + 7 * np.arange(count)) % len(series)
    return series[index]
