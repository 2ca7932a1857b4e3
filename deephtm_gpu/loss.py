"""What a user asks of the outputs: a loss each, and how much it counts."""

from deephtm_gpu.arguments import is_number
from deephtm_gpu.errors import UserError
from deephtm_gpu.plan.lowering import LOSSES


def loss_names(loss, outputs: int) -> list[str]:
    """One for all, or one each. Raises UserError."""
    losses = list(loss) if isinstance(loss, (list, tuple)) else [loss] * outputs
    if len(losses) != outputs:
        raise UserError(f"Model was given {len(losses)} losses for {outputs} outputs; give one for all, or one each.")
    for name in losses:
        if name not in LOSSES:
            raise UserError(f"Model's loss = {name!r} was asked for; there are {', '.join(map(repr, LOSSES))}.")
    return losses


def loss_weights(weights, outputs: int) -> list[float]:
    """None: 1 each. Raises UserError."""
    if weights is None:
        return [1.0] * outputs
    if not isinstance(weights, (list, tuple)) or len(weights) != outputs:
        raise UserError(f"Model's loss_weights = {weights!r} was given; it is a list of {outputs} numbers, one for each output.")
    for j, weight in enumerate(weights):
        if not (is_number(weight) and weight >= 0):
            raise UserError(f"Model's loss_weights[{j}] = {weight!r} was given; it must be a number, 0 (the output teaches nothing) or more.")
    if not any(weights):
        raise UserError(f"Model's loss_weights = {weights!r} was given; with all of them 0 nothing is learned: give one above 0.")
    return [float(weight) for weight in weights]
