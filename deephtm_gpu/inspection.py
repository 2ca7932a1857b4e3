"""What can be seen of a model, and its weights as arrays."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from deephtm_gpu.arguments import check_flag, shown
from deephtm_gpu.arrangement import Arrangement
from deephtm_gpu.backends.devices import DeviceInfo
from deephtm_gpu.errors import UserError
from deephtm_gpu.graph.nodes import Input
from deephtm_gpu.graph.summary import summary
from deephtm_gpu.plan.tensors import PARAMETERS, Tensor
from deephtm_gpu.session import Session


@dataclass(frozen=True)
class LayerInfo:
    """A layer as a summary shows it. output_shape: without streams. parameters: how many numbers it learns."""

    name: str
    kind: str
    output_shape: tuple[int, ...]
    parameters: int
    repr: str


class Inspectable:
    """The part of a model that looks inside: of an object with `session`, `device` and `arrangement`."""

    session: Session
    device: DeviceInfo
    arrangement: Arrangement

    def layers(self) -> list[LayerInfo]:
        """The layers in the order of flow.

        Returns
        -------
        list of LayerInfo
            Each with `name`, `kind`, `output_shape`, `parameters` and `repr`.
        """
        session, found = self.session, []
        for node, name in session.setup.network.names().items():
            if isinstance(node.layer, Input):
                continue
            own = [t for t in session.plan.stored_in(*PARAMETERS) if t.learned and t.name.startswith(name + ".")]
            count = sum(t.size for t in own)
            form = session.forms[node]
            found.append(
                LayerInfo(name, type(node.layer).__name__, form.whole_shape or (form.size,), count, repr(node.layer))
            )
        return found

    def summary(self) -> str:
        """The network as a table: layers, shapes, parameters, and what reads what.

        Returns
        -------
        str
            Lines of text, to be printed.
        """
        counts = {info.name: info.parameters for info in self.layers()}
        device = f"{self.device.name} ({self.device.backend}, {self.device.kind})"
        return summary(self.session.setup.network, self.session.forms, counts, device,
                       any(loss.gives_surprise for loss in self.session.setup.losses))

    def __repr__(self) -> str:
        learned = sum(info.parameters for info in self.layers())
        steps = self.session.position.steps
        on = f"on {self.device.name}, after {steps:,} steps"
        return f"<{type(self).__name__} of {len(self.layers())} layers, {learned:,} parameters, {on}>"

    @property
    def dispatches(self) -> float | None:
        """Dispatches of an online step; None where the backend has none."""
        return self.session.backend.dispatches

    def observe(self, on: bool = True) -> None:
        """From now on every History has `observed`, the step of each row by layer name: of a pooler `winners` (T, K),
        the columns; of a memory `cells` (T, K, M), the activity of the winners' cells, and `predicted` (T, K), the
        probability that they would win. Costs a little copying per step; changes nothing of what is learned, and drops
        nothing that is pending.

        Parameters
        ----------
        on : bool, default True
            False: no longer.
        """
        self.session.observe(check_flag("observe's on", on))

    def state(self) -> dict[str, dict[str, np.ndarray]]:
        """The last step by layer name.

        Returns
        -------
        dict of dict of ndarray
            Of a pooler `winners` (K,) and `activity` (C,); of a memory `cells` (C, M), `predictive` (C, M), the
            depolarisation of each cell by the context that now stands, and `predicted` (C,), the probability of each
            column to win next. S in front where there are several streams.
        """
        return self.session.state()

    def state_dict(self) -> dict[str, np.ndarray]:
        """Copies of all weights, named as in PyTorch.

        Returns
        -------
        dict of str to ndarray
            "0.weight" (out, in), "0.bias" (out,), ...
        """
        return weights_of(self.session)

    def load_state_dict(self, weights: Mapping[str, Any]) -> None:
        """Puts weights in, all or none.

        Parameters
        ----------
        weights : mapping of str to array_like
            As `state_dict` returns them.

        Raises
        ------
        UserError
            Where names or shapes do not fit, or a number is not finite.
        """
        put_weights(self.session, weights, self.arrangement.lead)


def weights_of(session: Session) -> dict[str, np.ndarray]:
    """Name -> array, matrices as (out, in)."""
    return {t.name: _turned(session.read(t.name)) if t.transposed else session.read(t.name) for t in _weights(session)}


def put_weights(session: Session, weights, lead: tuple[int, ...]):
    """All or none. lead: what stands before a parameter's shape. Raises UserError where names or shapes do not fit."""
    held = {t.name: t for t in _weights(session)}
    if not isinstance(weights, Mapping):
        raise UserError("load_state_dict must be given what state_dict() returns, name -> array, got "
                        f"{type(weights).__name__!r}.")
    if missing := sorted(held.keys() - weights.keys()):
        raise UserError(f"load_state_dict must be given all weights, and {missing} are missing; the model has "
                        f"{sorted(held)}.")
    if unknown := sorted(weights.keys() - held.keys(), key=shown):
        raise UserError(f"load_state_dict must be given no other weights, got {shown(unknown)}; the model has "
                        f"{sorted(held)}.")
    session.write({name: _fitting(tensor, weights[name], lead) for name, tensor in held.items()})


def _weights(session: Session) -> list[Tensor]:
    return [t for t in session.plan.stored_in(*PARAMETERS) if not t.moment]


def _fitting(tensor: Tensor, given, lead) -> np.ndarray:
    """The array as the engine holds it."""
    name = tensor.name
    try:
        with np.errstate(over="ignore"):
            array = np.asarray(given, np.float32)
    except (TypeError, ValueError, OverflowError):
        raise UserError(f"load_state_dict's {name!r} must be an array of numbers, got "
                        f"{type(given).__name__!r}.") from None
    if not np.isfinite(array).all():
        raise UserError(f"load_state_dict's {name!r} must be finite, got NaN or infinity; nothing can be learned "
                        "from there.")
    if fault := tensor.fault(array):
        raise UserError(f"load_state_dict's {name!r} must {fault}; give what state_dict() returned.")
    wanted = (*lead, *(tensor.shape[::-1] if tensor.transposed else tensor.shape))
    if array.shape != wanted:
        raise UserError(f"load_state_dict's {name!r} must be of shape {wanted}, got {array.shape}.")
    return _turned(array) if tensor.transposed else array


def _turned(array):
    """The last two axes change places."""
    return np.ascontiguousarray(np.swapaxes(array, -1, -2))
