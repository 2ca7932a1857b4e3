"""What learning leaves behind: one row per input."""

from dataclasses import dataclass, field

import numpy as np


@dataclass
class History:
    """loss (T,): of the prediction made at each step, NaN where its target has not come. losses: the same of each output by itself, a
    list; `loss` is their sum, each times its weight. prediction (T, *shape): made at
    each step (a list of them where the network has several outputs). anomaly (T,): how unexpected each input was, 0..1;
    NaN without a temporal memory. observed: after `Model.observe`, by layer name, see there. With several streams S stands behind T."""

    loss: np.ndarray
    prediction: np.ndarray | list[np.ndarray]
    anomaly: np.ndarray
    observed: dict[str, dict[str, np.ndarray]] = field(default_factory=dict)
    losses: list[np.ndarray] = field(default_factory=list)


@dataclass
class StepResult:
    """One row of a History. loss: of the prediction that this step's target belonged to, NaN if there was none."""

    prediction: np.ndarray | list[np.ndarray]
    loss: float | np.ndarray
    anomaly: float | np.ndarray
