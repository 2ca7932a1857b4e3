"""How series and results are shaped to the user: the engine has steps first, then the streams of all models."""

from math import prod

import numpy as np

from deephtm_gpu.errors import UserError
from deephtm_gpu.numeric import as_array
from deephtm_gpu.series import as_series, is_list_of_one


class StreamsArrangement:
    """Of a Model: (T, *shape), or (T, S, *shape) with several streams. streams: S."""

    steps_axis = 0

    def __init__(self, streams: int):
        self.streams = streams

    def series(self, what, given, shapes, classes=None, steps=None, mask=None) -> list[np.ndarray]:
        """What the user hands over -> one array (T, S, D) per shape. See `as_series`."""
        return as_series(what, given, shapes, self.streams, classes, steps, mask)

    def one_step(self, what, given, count: int):
        """One step of `count` series, as a series of one step each."""
        if count == 1:
            return as_array(what, given)[None]
        if not isinstance(given, (list, tuple)) or len(given) != count:
            raise UserError(f"step's {what} must be a list of {count} arrays, one for each input or output, "
                            f"got {type(given).__name__!r}.")
        return [as_array(what, v)[None] for v in given]

    def shown(self, array: np.ndarray) -> np.ndarray:
        """(T, S, ...) -> as the user sees it."""
        return array[:, 0] if self.streams == 1 else array

    def last(self, array: np.ndarray):
        """The last step of what `shown` gave."""
        return array[-1]

    @property
    def lead(self) -> tuple[int, ...]:
        """What stands before a parameter's shape."""
        return ()


class ModelsArrangement:
    """Of a Population: (P, T, *shape). models: P."""

    steps_axis = 1

    def __init__(self, models: int):
        self.models = models

    def alone(self) -> StreamsArrangement:
        """Of one of its models."""
        return StreamsArrangement(1)

    def series(self, what, given, shapes, classes=None, steps=None, mask=None) -> list[np.ndarray]:
        given = self._models_second(what, given, shapes)
        return as_series(what, given, shapes, self.models, classes, steps, mask, unit="model")

    def _models_second(self, what, given, shapes):
        """(P, T, ...) -> (T, P, ...); T alone where P is 1. Or a list of them, one per shape."""
        if len(shapes) > 1 and isinstance(given, (list, tuple)):
            return [self._models_second(f"{what}[{j}]", g, [None]) for j, g in enumerate(given)]
        if shapes[0] is not None and is_list_of_one(given, len(shapes[0]) + 1):
            given = given[0]
        array = as_array(what, given)
        if array.ndim < 2 or len(array) != self.models:
            raise UserError(f"{what} must be ({self.models} models, steps, ...), got an array of shape {array.shape}.")
        return array[0] if self.models == 1 else np.moveaxis(array, 0, 1)

    def one_step(self, what, given, count: int):
        if count == 1:
            return self._checked(what, given)[:, None]
        if not isinstance(given, (list, tuple)) or len(given) != count:
            raise UserError(f"step must be given a list of {count} arrays, one for each input or output, "
                            f"got {type(given).__name__!r}.")
        return [self._checked(what, v)[:, None] for v in given]

    def _checked(self, what, given):
        array = as_array(what, given)
        if array.ndim == 0 or len(array) != self.models:
            raise UserError(f"step must be given one row for each of the {self.models} models, "
                            f"got an array of shape {array.shape}.")
        return array

    def shown(self, array):
        return np.moveaxis(array, 1, 0)

    def last(self, array):
        return array[:, -1]

    @property
    def lead(self):
        return (self.models,) if self.models > 1 else ()


Arrangement = StreamsArrangement | ModelsArrangement


def prediction_shape(network, forms, j: int, size: int, follows: bool) -> tuple[int, ...]:
    """How output j is shown: as the input that it predicts, as a map, or flat. follows: whether it predicts one."""
    if follows and size == prod(network.inputs[j].layer.shape):
        return network.inputs[j].layer.shape
    form = forms[network.outputs[j]]
    return form.whole_shape if form.positions else (size,)
