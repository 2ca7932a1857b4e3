"""What a user can get wrong, told in one sentence: what was asked, what there is, what to do."""


class UserError(ValueError):
    """A mistake of the caller. The message is a whole sentence; the command line prints it and exits with 2."""


class DeviceError(UserError):
    """No adapter fits what was asked, or the network does not fit the adapter."""


class TrainingError(ArithmeticError):
    """NaN or infinity arose in training; the weights of the last good chunk are kept.

    `step` is the row of the series, `layer` the name of the layer whose value was the first to go, `models` the numbers of the
    population's models that went (of an ordinary model, 0).
    """

    def __init__(self, message: str, step: int, layer: str, models: tuple[int, ...] = (0,)):
        super().__init__(message)
        self.step = step
        self.layer = layer
        self.models = models

    def __reduce__(self):
        """An exception is copied and pickled (by joblib, by a pool of processes) as its class and `args`, which is the message alone."""
        return type(self), (str(self), self.step, self.layer, self.models), self.__dict__ or None
