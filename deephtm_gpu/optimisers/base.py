"""Optimisers: how far the parameters step along their gradients."""

from collections.abc import Sequence
from copy import copy
from dataclasses import replace
from math import inf

import numpy as np

from deephtm_gpu.arguments import is_number, is_positive, shown
from deephtm_gpu.errors import UserError
from deephtm_gpu.ops.rule import counts, numbers
from deephtm_gpu.ops.table import PASSES
from deephtm_gpu.optimisers.schedules import Constant, Schedule
from deephtm_gpu.plan.scope import make_call
from deephtm_gpu.plan.tensors import AVERAGED, MATRIX, PARAM, PARAMETERS, SCRATCH, STATE, Tensor

WITHIN = {"power": (0, inf), "count": (0, 2**24)}  # a float32 counts no further


class Optimizer:
    """What all have in common: a rate that follows a schedule, and gradients clipped to a length.

    A subclass says by which rule (`ops/rule.py`) a parameter steps, and may say in `_lower_coef` how much each stream's
    gradient counts for. All are lazy on sparse parameters (rows of columns and cells, synapses): only what a step
    touches moves, what the rule remembers of it too, and its count; a step costs what its winners cost. lr: a list of P
    rates gives the models of a `dh.Population` one each.
    """

    def __init__(self, lr: float | Sequence[float], clip_norm: float | None = None,
                 schedule: Schedule | None = None, average: float | None = None) -> None:
        name = type(self).__name__
        self.lr = check_rates(f"{name}'s lr", lr)
        self.clip_norm = None if clip_norm is None else check_rate(f"{name}'s clip_norm", clip_norm)
        if not isinstance(schedule, Schedule | None):
            raise UserError(f"{name}'s schedule must be dh.Constant(), dh.Cosine(steps) or dh.InverseDecay(steps), got "
                            f"{shown(schedule)}.")
        self.schedule = schedule or Constant()
        if average is not None and not (is_positive(average) and float(average) <= 1):
            raise UserError(f"{name}'s average must be a share of all updates, above 0 and at most 1, got "
                            f"{shown(average)}; 0.1 averages over about the last tenth.")
        self.average = None if average is None else float(average)

    @property
    def models(self) -> int | None:
        """Of how many models each has its own rate; None: one rate for all."""
        return None if isinstance(self.lr, float) else len(self.lr)

    def alone(self, model: int) -> "Optimizer":
        """The same for one model of a population."""
        if self.models is None:
            return self
        one = copy(self)
        one.lr = self.lr[model]
        return one

    def of(self, models: list[int]) -> "Optimizer":
        """The same for some of them."""
        some = copy(self)
        some.lr = tuple(self.lr[p] for p in models)
        return some

    def rate(self, updates: int) -> float | np.ndarray:
        """The learning rate of the update that so many came before; (P,) where every model has its own."""
        factor = self.schedule.factor(updates)
        return self.lr * factor if self.models is None else np.array([lr * factor for lr in self.lr])

    def check_averages(self, what: str):
        """Raises UserError where it keeps no averaged weights. what: who needs them."""
        if self.average is None:
            name = f"dh.{type(self).__name__}"
            raise UserError(f"{what} must have an optimizer that keeps averaged weights, got {name} without average; "
                            f"give it, such as {name}(average=0.1).")

    def rule(self) -> dict[str, float]:
        """The numbers of the rule, by their names in `ops/rule.py`."""
        return numbers(**self._rule(), **self.schedule.slowing())

    def _rule(self) -> dict[str, float]:
        return {}

    def lower(self, lowering):
        """Emits the calls at the end of a step: what finds how much each stream's gradient counts for, then the
        updates."""
        coef = self._lower_coef(lowering)
        if self.clip_norm is not None:
            coef = self._lower_clip(lowering, coef)
        self._lower_updates(lowering, coef)
        if self.average is not None:
            self._lower_averages(lowering)

    def _lower_averages(self, lowering):
        """Behind all updates of a step: the mean of every weight moves (`ops/average.py`)."""
        plan, common = lowering.plan, {"k": lowering.updates_before, "window": 1 / self.average}
        for tensor in [t for t in plan.stored_in(*PARAMETERS) if t.averaged]:
            name = f"{tensor.name}.{AVERAGED}"
            average = plan.add(replace(tensor, name=name, learned=False, averaged=False, moment=True))
            if tensor.storage == MATRIX:
                O, I = tensor.shape
                arguments = dict(weight=tensor, average=average, O=O, I=I, **common)
                plan.learn.append(make_call("average_matrix", arguments, tensor.name.rpartition(".")[0]))
            else:
                arguments = dict(vector=tensor, vector_average=average, D=tensor.size, **common)
                plan.learn.append(make_call("average_vector", arguments, tensor.name.rpartition(".")[0]))

    def _lower_coef(self, lowering) -> Tensor:
        return add_coef(lowering, "coef", start=1.0)  # 1 for every stream: the gradients add up

    def _lower_clip(self, lowering, whole) -> Tensor:
        gradients = squares_of(lowering, lambda update: 1.0)
        coef = add_coef(lowering, "clipped", start=1.0)
        lower_squares(lowering, gradients, "clip_forward", whole=whole, coef=coef, longest=self.clip_norm)
        return coef

    def _lower_updates(self, lowering, coef):
        rule, active = self.rule(), self._mask_inactive(lowering, coef)
        # In the order of flow: what the next forward needs first is stepped first.
        for update in reversed(lowering.updates):
            knobs = {"scale": update.scale, "coef": coef if update.lag else active, "rate": lowering.rate, **rule}
            if "k" in PASSES[update.name].reads:
                knobs["k"] = lowering.updates_before
            if "bias_scale" in PASSES[update.name].consts:
                knobs["bias_scale"] = update.scale
            for name in PASSES[update.name].changes:
                if name not in update.tensors:
                    knobs[name] = _memory(lowering, name, update.tensors, rule)
            arguments = {**update.tensors, **update.consts, **knobs}
            lowering.plan.learn.append(
                make_call(update.name, arguments, update.layer, update.lag, leaving=update.lag > 0)
            )

    def _mask_inactive(self, lowering, coef) -> Tensor:
        """A stream that is not active changes no moments, except by its deferred steps."""
        if lowering.plan.streams == 1:
            return coef
        active = lowering.plan.add(Tensor("active_coef", (1,), SCRATCH))
        share = lowering.share_of_streams
        lowering.plan.learn.append(
            make_call("mask_backward", {"dy": coef, "share": share, "dmasked": active, "D": 1}, "streams")
        )
        return active


def check_rates(what: str, value) -> float | tuple[float, ...]:
    """One rate, or one each for the models of a population."""
    if isinstance(value, (list, tuple)) and value or isinstance(value, np.ndarray) and value.ndim == 1 and len(value):
        return tuple(
            check_rate(f"{what}[{p}]", v.item() if isinstance(v, np.generic) else v) for p, v in enumerate(value)
        )
    return check_rate(what, value)


def check_rate(what: str, value) -> float:
    if not is_positive(value):
        raise UserError(f"{what} must be a number above 0 that a float32 can hold, got {shown(value)}.")
    return float(value)


def check_share(what: str, value) -> float:
    if not (is_number(value) and 0 <= float(value) < 1):
        raise UserError(f"{what} must be 0 or more, and below 1, got {shown(value)}.")
    return float(value)


def squares_of(lowering, scale) -> list[tuple]:
    """The terms of the squared norm of all gradients, for `lower_squares`."""
    return [(*square, scale(u), u.layer, u.lag) for u in lowering.updates for square in u.squares]


def lower_squares(lowering, terms, name, coef, **arguments):
    """Emits the calls that square the `terms` (pass, tensors, constants, scale, layer, lag) and the pass that makes the
    streams' step sizes, `coef`, of them."""
    Q = len(terms)
    squares = lowering.plan.add(Tensor(f"squares_{coef.name}", (Q,), STATE))
    for slot, (square, tensors, own, scale, layer, lag) in enumerate(terms):
        numbers = {**tensors, **own, "squares": squares, "slot": slot, "scale": scale}
        lowering.plan.learn.append(make_call(square, numbers, layer, lag))
    lowering.plan.learn.append(make_call(name, {"squares": squares, "coef": coef, "Q": Q, **arguments}, "loss"))


def add_coef(lowering, name, start) -> Tensor:
    # State, so that steps of every lag read the same: a step that leaves a ring is learned from with the newest one's.
    return lowering.plan.add(Tensor(name, (1,), STATE, start=start))


def _memory(lowering, name, tensors, rule):
    """What the rule remembers of a parameter, `name` as in the op table; 0 where it remembers nothing of the kind."""
    kind = name.removeprefix("bias_")
    parameter = tensors["bias" if kind != name or "weight" not in tensors else "weight"]
    steep = rule["beta1"] or rule["beta2"] or rule["decay"]  # a step that is no sum over streams
    asked = {
        "moment": rule["beta1"],
        "power": rule["beta2"],
        "count": counts(rule),
        "total": steep and lowering.plan.streams > 1,
    }
    if not asked[kind]:
        return 0
    shape, storage = ((parameter.shape[0],), PARAM) if kind == "count" else (parameter.shape, parameter.storage)
    memory = f"{parameter.name}.{kind}"
    # Shared as the parameter is.
    return lowering.plan.tensors.get(memory) or lowering.plan.add(
        Tensor(memory, shape, storage, moment=True, within=WITHIN.get(kind, Tensor.within))
    )
