"""Optimisers: how far the parameters step along their gradients."""

from deephtm_gpu.errors import UserError
from deephtm_gpu.layers.base import is_number
from deephtm_gpu.plan.tensors import SCRATCH, STATE, Tensor


class Optimizer:
    """lr: the rate of a step, times each layer's lr_scale. A subclass says in `lower` which calls a step's end consists of:
    first what finds the streams' step sizes (`coef`), then one update per parameter.
    """

    momentum = 0.0

    def rate(self, step: int) -> float:
        """The learning rate at a step, counted from 0."""
        return self.lr

    def lower(self, lowering):
        raise NotImplementedError

    def _emit_updates(self, lowering, coef):
        from deephtm_gpu.plan.lowering import make_call

        # In the order of flow: what the next forward needs first is stepped first.
        for update in reversed(lowering.updates):
            knobs = {"scale": update.scale, "momentum": self.momentum, "coef": coef, "rate": lowering.rate}
            if update.name == "synapse_update":
                knobs["bias_scale"] = update.scale
            for parameter, moment in (("weight", "moment"), ("bias", "bias_moment")):
                if parameter in update.tensors:
                    knobs[moment] = self._moment(lowering, update.tensors[parameter])
            arguments = {**update.tensors, **update.consts, **knobs}
            lowering.plan.learn.append(make_call(update.name, arguments, update.layer))

    def _moment(self, lowering, parameter: Tensor):
        """The memory beside a parameter; 0 where there is none."""
        if not self.momentum:
            return 0
        return lowering.plan.add(Tensor(f"{parameter.name}.moment", parameter.shape, parameter.place, moment=True))


def check_rate(what: str, value) -> float:
    if not is_number(value) or not value > 0:
        raise UserError(f"{what} = {value!r} was asked for; it must be a number above 0 that a float32 holds.")
    return float(value)


def ones(lowering) -> Tensor:
    """A step size of 1 for every stream."""
    return lowering.plan.add(Tensor("coef", (1,), STATE, start=1.0))


def lower_squares(lowering, terms, name, **consts) -> Tensor:
    """Emits the calls that square the `terms` (pass, tensors, constants, scale, layer) and the pass that makes the streams'
    step sizes of them; returns these."""
    from deephtm_gpu.plan.lowering import make_call

    Q = len(terms)
    squares = lowering.plan.add(Tensor("squares", (Q,), SCRATCH))
    coef = lowering.plan.add(Tensor("coef", (1,), SCRATCH))
    for slot, (square, tensors, own, scale, layer) in enumerate(terms):
        arguments = {**tensors, **own, "squares": squares, "slot": slot, "scale": scale}
        lowering.plan.learn.append(make_call(square, arguments, layer))
    lowering.plan.learn.append(make_call(name, {"squares": squares, "coef": coef, "Q": Q, **consts}, "loss"))
    return coef
