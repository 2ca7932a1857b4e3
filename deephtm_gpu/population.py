"""A population: many independent models of one network, stepped together."""

import numpy as np

from deephtm_gpu.arguments import check_count
from deephtm_gpu.errors import UserError
from deephtm_gpu.model import Model
from deephtm_gpu.numeric import as_array
from deephtm_gpu.plan.tensors import PARAMETERS, STATE, TAPE
from deephtm_gpu.series import as_series, is_list_of_one
from deephtm_gpu.state import describe_state


class Population(Model):
    """P models of one network with seeds, weights and state of their own, one stream each: one per sensor, shop, server.

    As a `Model`, with P in front: series are (P, steps, *shape), the History's arrays (P, steps, ...), weights (P, ...). On a GPU
    each model lives in a workgroup of its own, and a dispatch takes all of them through many steps. seed: model p has seed + p;
    or a list of P seeds. Rates of the optimiser may be lists of P. A model's results are those of a `Model` of its seed alone.
    Raises as `Model` does.
    """

    def __init__(self, net, models, input_shape=None, loss="mse", optimizer=None, seed=0, device="auto", loss_weights=None):
        self.models, self.streams, self.seed = check_count("models", models), 1, seed
        self._begin(net, input_shape, loss, optimizer, _seeds(seed, self.models), device, loss_weights)

    is_population = True

    def __len__(self):
        return self.models

    def fit(self, inputs, targets=None, ahead=1, progress=False, callback=None, mask=None):
        """As `Model.fit`: inputs (P, steps, *shape), for single numbers (P, steps) too; a History with arrays (P, steps, ...). All
        models step together: there is no mask."""
        if mask is not None:
            raise UserError("Population.fit was given a mask, and its models step together; take out those whose series end: population.model(p).")
        return super().fit(inputs, targets, ahead, progress, callback)

    def model(self, number: int) -> Model:
        """One of the models, by itself, as it stands: a copy that goes on as it would have here. number: from 0, or from the
        end, -1 the last."""
        p = self._number(number)
        one = Model(self._network, loss=self._losses, optimizer=self._optimizer.alone(p), seed=self._seeds[p], device=self._opened,
                    loss_weights=self._loss_weights)
        self._hand_over(one, [p])
        return one

    def some(self, numbers) -> "Population":
        """A population of some of the models, as they stand: copies, in this order."""
        if not isinstance(numbers, (list, tuple, range, np.ndarray)):
            raise UserError(f"Population.some was given {numbers!r}; give a list of the models' numbers.")
        kept = [self._number(n) for n in numbers]
        if not kept:
            raise UserError("Population.some was given no model; give one number or more.")
        optimizer = self._optimizer.of(kept) if self._optimizer.models else self._optimizer
        few = Population(self._network, len(kept), loss=self._losses, optimizer=optimizer, seed=[self._seeds[p] for p in kept], device=self._opened,
                         loss_weights=self._loss_weights)
        self._hand_over(few, kept)
        return few

    def state(self):
        """As `Model.state`, every array with P in front."""
        each = [describe_state(self._network, self._forms, lambda name, slot=0: self._backend.read(name, slot, model=p), self._plan, self._steps)
                for p in range(self.models)]
        return {layer: {what: np.stack([one[layer][what] for one in each]) for what in found} for layer, found in each[0].items()}

    def state_dict(self):
        """As `Model.state_dict`, every array with P in front."""
        weights = super().state_dict()
        return weights if self.models > 1 else {name: array[None] for name, array in weights.items()}

    def load_state_dict(self, weights):
        if self.models == 1 and isinstance(weights, dict):
            weights = {n: a[0] if np.ndim(a) and len(a) == 1 else a for n, a in weights.items()}
        super().load_state_dict(weights)

    # How series and their histories are shaped to the user

    def _series(self, inputs, targets, mask=None):
        P, shapes = self.models, [n.layer.shape for n in self._network.inputs]
        xs = as_series("inputs", self._models_second("inputs", inputs, shapes), shapes, P, unit="model")
        if targets is None:
            return xs, None
        shapes = [self._forms[n].shape for n in self._network.outputs]
        classes = [loss == "cross_entropy" for loss in self._losses]
        ys = as_series("targets", self._models_second("targets", targets, shapes), shapes, P, classes, steps=len(xs[0]), unit="model")
        return xs, ys

    def _models_second(self, what, given, shapes):
        """(P, steps, ...) -> (steps, P, ...), as the engine runs them; steps alone where P is 1. Or a list of them, one per shape."""
        if len(shapes) > 1 and isinstance(given, (list, tuple)):
            return [self._models_second(f"{what}[{j}]", g, [None]) for j, g in enumerate(given)]
        if shapes[0] is not None and is_list_of_one(given, len(shapes[0]) + 1):
            given = given[0]
        array = as_array(what, given)
        if array.ndim < 2 or len(array) != self.models:
            raise UserError(f"{what} has shape {array.shape}; it must be ({self.models} models, steps, ...).")
        return array[0] if self.models == 1 else np.moveaxis(array, 0, 1)

    def _one(self, array):
        return np.moveaxis(array, 1, 0)

    def _last_of(self, array):
        return array[:, -1]

    def _at_once(self, x):
        return self._row_of_each(x, len(self._network.inputs))

    def _target_at_once(self, target):
        return self._row_of_each(target, len(self._network.outputs))

    def _row_of_each(self, x, series):
        if series == 1:
            return self._checked_row(x)[:, None]
        if not isinstance(x, (list, tuple)) or len(x) != series:
            raise UserError(f"step was given {type(x).__name__!r}; it takes a list of {series} arrays, one for each input or output.")
        return [self._checked_row(v)[:, None] for v in x]

    def _checked_row(self, x):
        row = as_array("x", x)
        if row.ndim == 0 or len(row) != self.models:
            raise UserError(f"step was given an array of shape {row.shape}; it takes one row for each of the {self.models} models.")
        return row

    def _lead(self):
        return (self.models,) if self.models > 1 else ()

    def _check_rates(self, optimizer):
        if optimizer.models not in (None, self.models):
            raise UserError(f"Population's optimizer has {optimizer.models} learning rates and there are {self.models} models; give one for all, or one each.")

    # Within

    def _number(self, number) -> int:
        if isinstance(number, bool) or not hasattr(number, "__index__") or not -self.models <= number.__index__() < self.models:
            raise UserError(f"Model {number!r} of the population was asked for; there are {self.models}, numbered from 0.")
        return number.__index__() % self.models

    def _hand_over(self, other, numbers):
        """Puts another with as many models where these ones stand."""
        standing = self._standing()
        last = standing["last"] and standing["last"].of_models(numbers)

        def write(backend):
            for tensor in self._plan.placed(*PARAMETERS, STATE, TAPE):
                for slot in range(self._plan.slots_of(tensor)):
                    for q, p in enumerate(numbers):
                        backend.write(tensor.name, self._backend.read(tensor.name, slot, model=p), slot, model=q)

        other._resume(standing | {"last": last, "going": np.ones(len(numbers), bool)}, write)


def _seeds(seed, models) -> tuple[int, ...]:
    if isinstance(seed, (list, tuple, range, np.ndarray)):
        if len(seed) != models:
            raise UserError(f"Population was given {len(seed)} seeds for {models} models; give one to count from, or one each.")
        return tuple(check_count(f"seed[{p}]", s, least=0) for p, s in enumerate(seed))
    first = check_count("seed", seed, least=0)
    return tuple(range(first, first + models))
