"""What a user can get wrong, in one sentence: what must be, what was given, what to do."""


class UserError(ValueError):
    """A mistake of the caller. The message is a whole sentence; the command line prints it and exits with 2.

    Examples
    --------
    >>> import deephtm_gpu as dh
    >>> dh.Linear(0)
    Traceback (most recent call last):
        ...
    deephtm_gpu.errors.UserError: Linear's units must be a whole number, 1 or more, got 0.
    """


class DeviceError(UserError):
    """No adapter fits the name of a device, or the network does not fit the adapter.

    Examples
    --------
    >>> import deephtm_gpu as dh
    >>> try:
    ...     dh.Model(dh.Sequential(dh.Linear(1)), (1,), device="no such adapter")
    ... except dh.DeviceError as error:
    ...     print("no such adapter" in str(error))
    True
    """


class TrainingError(ArithmeticError):
    """NaN or infinity arose in training; the weights of the last good chunk are kept.

    Parameters
    ----------
    message : str
        A whole sentence.
    step : int
        The step of the series, from 0.
    layer : str
        The name of the layer whose value was the first that was not finite.
    models : tuple of int, default (0,)
        The numbers of the population's models whose values were not finite; of an ordinary model, 0.

    Examples
    --------
    >>> import numpy as np, deephtm_gpu as dh
    >>> model = dh.Model(dh.Sequential(dh.Linear(1)), (1,), optimizer=dh.SGD(1e6), device="numpy")
    >>> try:
    ...     model.fit(np.ones((100, 1), np.float32))
    ... except dh.TrainingError as error:
    ...     print(error.layer, error.models)
    the loss (0,)
    """

    def __init__(self, message: str, step: int, layer: str, models: tuple[int, ...] = (0,)) -> None:
        super().__init__(message)
        self.step = step
        self.layer = layer
        self.models = models

    def __reduce__(self):
        """An exception is copied and pickled (by joblib, by a pool of processes) as its class and `args`, which is the
        message alone."""
        return type(self), (str(self), self.step, self.layer, self.models), self.__dict__ or None
