"""The losses by name, and what users may give for `loss` and `loss_weights`."""

from collections.abc import Iterable

from deephtm_gpu.arguments import is_number, is_positive, shown
from deephtm_gpu.errors import UserError
from deephtm_gpu.losses.base import Loss
from deephtm_gpu.losses.bce import BCE
from deephtm_gpu.losses.cross_entropy import CrossEntropy
from deephtm_gpu.losses.mse import MSE

LOSSES: dict[str, type[Loss]] = {kind.name: kind for kind in (MSE, CrossEntropy, BCE)}


def as_losses(loss: str | Loss | Iterable, outputs: int) -> list[Loss]:
    """loss: one for all outputs, or a list of one each; a name of `LOSSES` or an object. Raises UserError."""
    losses = list(loss) if isinstance(loss, (list, tuple)) else [loss] * outputs
    if len(losses) != outputs:
        raise UserError(f"Model's loss must be one for all outputs, or one for each of {outputs} outputs, got "
                        f"{len(losses)} losses.")
    return [_as_loss(one) for one in losses]


def _as_loss(given) -> Loss:
    if isinstance(given, Loss):
        return given
    if not isinstance(given, str) or given not in LOSSES:
        objects = ", ".join(f"dh.{kind.__name__}()" for kind in LOSSES.values())
        raise UserError(f"Model's loss must be one of {', '.join(map(repr, LOSSES))} (or {objects}), got "
                        f"{shown(given)}; give one of these.")
    return LOSSES[given]()


def names_of(losses: list[Loss]) -> list[str]:
    """As a file names them. Raises UserError where one is none of the package's own: a file holds no code to make it
    again."""
    for loss in losses:
        if type(loss) is not LOSSES.get(loss.name):
            raise UserError(
                f"{loss!r} cannot be saved: a loss must be one of {', '.join(map(repr, LOSSES))}, got a class that "
                "deephtm_gpu does not have; use one of the package's own."
            )
    return [loss.name for loss in losses]


def loss_weights(weights, outputs: int) -> list[float]:
    """None: 1 each. Raises UserError."""
    if weights is None:
        return [1.0] * outputs
    if not isinstance(weights, (list, tuple)) or len(weights) != outputs:
        raise UserError(f"Model's loss_weights must be a list of {outputs} numbers, one for each output, got "
                        f"{shown(weights)}; give one each.")
    for j, weight in enumerate(weights):
        if not (is_positive(weight) or is_number(weight) and float(weight) == 0):
            raise UserError(
                f"Model's loss_weights[{j}] must be a number, 0 or more, got {shown(weight)}; give 0 for an output "
                "that teaches nothing."
            )
    if not any(weights):
        raise UserError(f"Model's loss_weights must hold a number above 0, got {shown(weights)}; with all of them 0 "
                        "nothing is learned.")
    return [float(weight) for weight in weights]
