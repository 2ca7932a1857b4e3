"""What a backend is: everything that a session, saving, validation and the views ask of it.

A *factory* makes a backend of a plan: `make(plan) -> Backend`; `open_device` gives one. Letters: S streams of all
models (`plan.units`), P models, T steps of a batch, D features of a tensor.

Abilities that not every backend has are looked for where they are used:

    factory.ways        a dict from names to factories, where the device can run a plan in several ways; validation
                        tries all. Names: SEVERAL, PARTS, IN_ONE
    factory.adapter     the GPU adapter, where there is one: validation runs its probes there
    backend             `OpenMemory`: its memory can be looked at as a whole; validation finds writes outside of what
                        an op should write
    backend.bytes       of memory on the device
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np

from deephtm_gpu.backends.batch import Batch, Outputs
from deephtm_gpu.plan.plan import Plan
from deephtm_gpu.plan.tensors import Tensor

SEVERAL = "in several dispatches"  # each op in as few workgroups as its work is worth
PARTS = "in many workgroups"  # the same, and what can be shared out is
IN_ONE = "many steps in one dispatch"


@dataclass(frozen=True)
class DeviceInfo:
    """What a model runs on. kind: "hardware" or "software"."""

    name: str
    backend: str
    kind: str


@runtime_checkable
class Backend(Protocol):
    """A plan made runnable, and the memory of its tensors: parameters (of each model), state, tape and scratch (of each
    stream).

    Attributes
    ----------
    plan : Plan
        What it runs. It may be of several models.
    info : DeviceInfo
        What it runs on.
    dispatches : float or None
        Of a step that learns, where many steps run one after the other; None where there are none.
    """

    plan: Plan
    info: DeviceInfo

    @property
    def dispatches(self) -> float | None: ...

    def run(self, batch: Batch) -> Outputs:
        """Runs the steps of a batch, one after the other.

        A step runs `plan.calls(batch.program)` in their order: those with lag None on the slot of the tape of step
        `first + n`, the others on that of step `first + n - behind - lag`. It must not matter how a series is cut into
        batches, and the same batches on the same device must give the same bits. NaN and infinity are no errors here:
        they come out, and the caller looks at them.

        Parameters
        ----------
        batch : Batch
            inputs and targets float32 (T, S, D), rates (T,) or (T, P), updates (T,).

        Returns
        -------
        Outputs
            predictions float32 (T, S, D) and losses (T, S) for each output, anomaly (T, S), observed (T, S, D); NaN
            where there was none.
        """
        ...

    def read(self, name: str, slot: int = 0, model: int | None = None) -> Any:
        """A copy of a tensor.

        Parameters
        ----------
        name : str
            Of the tensor, as in `plan.tensors`.
        slot : int
            Of the tape; of other tensors there is one.
        model : int, optional
            Of one model alone.

        Returns
        -------
        np.ndarray or list of np.ndarray
            A parameter: (*shape,), of several models (P, *shape). Others: (S, *shape). A ragged one: a list of S
            arrays.
        """
        ...

    def write(self, name: str, value: Any, slot: int = 0, model: int | None = None) -> None:
        """Overwrites a tensor with a value shaped as `read` gives it; the next step sees it."""
        ...

    def snapshot(self) -> Any:
        """All that a step can change, to be given to `restore` of the same backend; steps made since do not change
        it."""
        ...

    def restore(self, snapshot: Any) -> None:
        """Puts back, to the bit, what `snapshot` took; it can be used again."""
        ...

    def reset(self, tensors: list[Tensor] | None = None) -> None:
        """Puts the tensors of STATE, or these of them, back to their start; parameters stay."""
        ...


Factory = Callable[[Plan], Backend]


@runtime_checkable
class OpenMemory(Protocol):
    """A backend whose memory can be looked at as a whole."""

    def memory(self) -> dict[str, np.ndarray]:
        """A copy of all arenas by name, in elements of 4 bytes."""
        ...

    def erase(self, name: str, *memories: dict[str, np.ndarray]) -> None:
        """Sets the elements of the tensor `name` to 0 in copies that `memory` gave."""
        ...


def ways(make: Factory, *names: str) -> dict[str, Factory]:
    """The ways of these names in which the factory can run a plan, those that it has; the factory itself, under "",
    where it has no ways."""
    there = getattr(make, "ways", None)
    return {"": make} if there is None else {name: there[name] for name in names if name in there}
