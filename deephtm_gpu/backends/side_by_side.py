"""Independent models side by side on several backends: one each in NumPy, as many as there is room for on a GPU."""

import numpy as np

from deephtm_gpu.backends.batch import Batch, Outputs
from deephtm_gpu.plan.plan import Plan
from deephtm_gpu.plan.tensors import Tensor


class SideBySide:
    """A backend of P models, made of backends of some of them each. make: a function from a plan to a backend. each:
    how many models go into one."""

    def __init__(self, plan: Plan, make, each: int = 1):
        self.plan = plan
        self._begins = range(0, plan.models, each)
        self._backends = [make(plan.some(begin, begin + each)) for begin in self._begins]
        self._each = each
        self.info = self._backends[0].info

    @property
    def dispatches(self):
        """Of a step; None where there are none."""
        counts = [b.dispatches for b in self._backends]
        return None if None in counts else sum(counts)

    def run(self, batch: Batch) -> Outputs:
        parts = [b.run(batch.of_models(begin, begin + self._each)) for begin, b in zip(self._begins, self._backends)]
        predictions, losses, observed = ([np.concatenate(x, axis=1) for x in zip(*(getattr(p, what) for p in parts))]
                                         for what in ("predictions", "losses", "observed"))
        return Outputs(predictions, losses, np.concatenate([p.anomaly for p in parts], axis=1), observed)

    def reset(self, tensors: list[Tensor] | None = None):
        for backend in self._backends:
            backend.reset(tensors)

    def read(self, name: str, slot: int = 0, model: int | None = None):
        """As of one backend of all models."""
        if model is not None:
            return self._backends[model // self._each].read(name, slot, model % self._each)
        parts = [part for b in self._backends for part in _by_model(b.read(name, slot), b.plan, name)]
        return parts if self.plan.tensors[name].ragged else np.stack(parts)

    def write(self, name: str, value, slot: int = 0, model: int | None = None):
        if model is not None:
            self._backends[model // self._each].write(name, value, slot, model % self._each)
            return
        tensor = self.plan.tensors[name]
        for begin, backend in zip(self._begins, self._backends):
            part = value[begin * tensor.sites : (begin + self._each) * tensor.sites]
            alone = backend.plan.models == 1 and tensor.parameter
            backend.write(name, part[0] if alone else part, slot)

    def snapshot(self):
        return [b.snapshot() for b in self._backends]

    def restore(self, snapshot):
        for backend, kept in zip(self._backends, snapshot):
            backend.restore(kept)


def _by_model(value, plan, name):
    return [value] if plan.models == 1 and plan.tensors[name].parameter else list(value)
