"""The outputs of `fit`: one row per input."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from deephtm_gpu.errors import UserError

Array = np.ndarray


@dataclass(repr=False)
class History:
    """What `Model.fit` and `Model.trace` return: one row per input of the series.

    With several streams an axis S follows the steps T; of a `Population` an axis P stands before them.

    Parameters
    ----------
    loss : ndarray (T,), float32
        Of the prediction made at each step; NaN where its target has not come. The sum over the outputs, each times its
        weight.
    prediction : ndarray (T, *shape), float32, or a list of them
        Made at each step: for the input `ahead` steps later, or for the target given with the step. One array per
        output.
    anomaly : ndarray (T,), float32
        How unexpected each input was, from 0 to 1; NaN without a temporal memory.
    observed : dict, default {}
        After `Model.observe`, by layer name; see there.
    losses : list of ndarray (T,), default []
        The loss of each output.
    late_loss : ndarray (n,), default empty
        The losses of predictions made before the first row whose targets came here, oldest first: what was NaN at the
        end of the history before.
    first : int, default 0
        How many steps the model had run before the first row.
    steps_axis : int, default 0
        Along which axis of the arrays the steps run: 1 of a `Population`.

    Examples
    --------
    >>> import numpy as np, deephtm_gpu as dh
    >>> history = dh.History(loss=np.zeros(3), prediction=np.zeros((3, 1)), anomaly=np.ones(3))
    >>> len(history)
    3
    """

    loss: Array
    prediction: Array | list[Array]
    anomaly: Array
    observed: dict[str, dict[str, Array]] = field(default_factory=dict)
    losses: list[Array] = field(default_factory=list)
    late_loss: Array = field(default_factory=lambda: np.zeros(0, np.float32))
    first: int = 0
    steps_axis: int = 0

    def __len__(self) -> int:
        return self.anomaly.shape[self.steps_axis]

    def __repr__(self) -> str:
        known = self.loss[np.isfinite(self.loss)]
        loss = f"mean loss {known.mean():.4g}" if known.size else "no loss"
        anomaly = self.anomaly[np.isfinite(self.anomaly)]
        unexpected = f", mean anomaly {anomaly.mean():.3f}" if anomaly.size else ""
        return f"<History of {len(self):,} steps from step {self.first:,} on: {loss}{unexpected}>"

    def to_dict(self) -> dict[str, Array]:
        """All arrays by name: "loss", "prediction" (or "prediction0", ...), "anomaly", and "layer.name" of what was
        observed.

        Returns
        -------
        dict of str to ndarray
        """
        arrays = {"loss": self.loss, "anomaly": self.anomaly}
        if isinstance(self.prediction, list):
            arrays |= {f"prediction{j}": p for j, p in enumerate(self.prediction)}
        else:
            arrays["prediction"] = self.prediction
        return arrays | {f"{layer}.{name}": a for layer, found in self.observed.items() for name, a in found.items()}

    def columns(self) -> dict[str, Array]:
        """One array (T,) per number of a step: "loss", "anomaly", "prediction", or with an index such as
        "prediction[0]" where a step has several.

        Returns
        -------
        dict of str to ndarray
        """
        columns = {}
        for name, array in self.to_dict().items():
            steps_first = np.moveaxis(array, self.steps_axis, 0) if array.ndim > self.steps_axis else array
            flat = steps_first.reshape(len(self), -1)  # (T, D)
            if flat.shape[1] == 1:
                columns[name] = flat[:, 0]
            else:
                columns |= {
                    f"{name}[{', '.join(map(str, at))}]": flat[:, i]
                    for i, at in enumerate(np.ndindex(steps_first.shape[1:]))
                }
        return columns

    def to_pandas(self) -> Any:
        """The history as a table: a row per step, its index the number of the step; `columns()` are its columns. For
        other data frames, and for an index of your own, see `deephtm_gpu.adapters.frames`.

        Returns
        -------
        pandas.DataFrame

        Raises
        ------
        UserError
            Where pandas is not installed.
        """
        try:
            import pandas
        except ImportError:
            raise UserError("to_pandas needs pandas, which is not installed; install it (pip install pandas), or use "
                            "to_dict().") from None
        index = pandas.RangeIndex(self.first, self.first + len(self), name="step")
        return pandas.DataFrame(self.columns(), index=index)


@dataclass
class StepResult:
    """What `Model.step` returns.

    Parameters
    ----------
    prediction : ndarray (*shape), or a list of them
        Made at this step.
    loss : float, or ndarray where there are several streams or models
        With a target, that of this step's own prediction; else that of the prediction which this step's input was the
        target of. NaN where there was none.
    anomaly : float, or ndarray likewise
        How unexpected the input was.

    Examples
    --------
    >>> import numpy as np, deephtm_gpu as dh
    >>> dh.StepResult(prediction=np.zeros(1), loss=0.5, anomaly=0.25).loss
    0.5
    """

    prediction: Array | list[Array]
    loss: float | Array
    anomaly: float | Array
