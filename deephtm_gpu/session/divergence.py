"""Where learning diverges: the first step and layer that gave NaN or infinity."""

import numpy as np

from deephtm_gpu.backends.batch import Batch, Outputs
from deephtm_gpu.errors import TrainingError


def first_bad(outputs: Outputs, batch: Batch, plan) -> int | None:
    """The first step of the batch with a prediction, an anomaly score or a loss that is not finite."""
    good = _good(outputs, batch, plan).all(axis=1)
    return None if good.all() else int(np.argmin(good))


def find_layer(backend, batch: Batch, bad: int) -> str:
    """Runs the batch as far as the bad step and looks for the first call whose result is not finite. The backend stands
    where the batch begins, and must be put back there."""
    plan = backend.plan
    if bad:
        backend.run(batch.part(0, bad))
    backend.run(batch.part(bad, bad + 1))
    step = batch.first + bad
    for call in plan.calls(batch.program):
        slot = (step if call.lag is None else step - batch.behind - call.lag) % plan.slots
        for tensor in call.written:
            if not tensor.index and not _finite(backend.read(tensor.name, slot)):
                return f"layer {call.layer}" if not call.layer.startswith("loss") else "the loss"
    return "the prediction"


def error(outputs: Outputs, batch: Batch, plan, layer: str, bad: int, done: int) -> TrainingError:
    """done: steps of the series before the batch."""
    wrong = ~_good(outputs, batch, plan)[bad]
    models = tuple(sorted({int(unit) // plan.streams for unit in np.flatnonzero(wrong)}))
    whose = ""
    if plan.models > 1:
        whose = f" of model {models[0]}" + (f" and {len(models) - 1} more" if len(models) > 1 else "")
    return TrainingError(
        f"Training diverged at step {done + bad}: {layer}{whose} gave NaN or infinity. The model is back at step "
        f"{done}, before this chunk; use a smaller learning rate, or scale the series to "
        "about -1..1.", done + bad, layer, models)


def _finite(value) -> bool:
    return all(np.isfinite(v).all() for v in value) if isinstance(value, list) else bool(np.isfinite(value).all())


def _good(outputs: Outputs, batch: Batch, plan) -> np.ndarray:
    """Where all is finite, (T, S)."""
    good = np.ones(outputs.anomaly.shape, bool)
    for loss in outputs.losses if batch.program.target else []:
        good &= np.isfinite(loss)
    if batch.program.forward:
        for p in outputs.predictions:
            good &= np.isfinite(p).all(axis=2)
        if plan.anomaly:
            good &= np.isfinite(outputs.anomaly)
    return good
