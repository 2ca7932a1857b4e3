"""Schedules: how the learning rate changes while a model learns."""

from math import cos, pi

from deephtm_gpu.arguments import check_count, is_number, shown
from deephtm_gpu.errors import UserError

MOST_UPDATES = 2**53


class Schedule:
    """How the learning rate changes while a model learns."""

    def factor(self, updates: int) -> float:
        """What the whole model's learning rate is multiplied by.

        Parameters
        ----------
        updates : int
            How many updates were made before.

        Returns
        -------
        float
            0 to 1.
        """
        return 1.0

    def slowing(self) -> dict[str, float]:
        """How each row slows down by its own count of updates.

        Returns
        -------
        dict of str to float
            Numbers of the update rule, by their names in `ops/rule.py`.
        """
        return {}

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{k}={v!r}' for k, v in vars(self).items())})"


class Constant(Schedule):
    """The learning rate as it is.

    Examples
    --------
    >>> import deephtm_gpu as dh
    >>> dh.Constant().factor(1000)
    1.0
    """


class Cosine(Schedule):
    """Rises evenly to the whole learning rate, then falls along half a cosine to 0. For series whose length is known.

    Parameters
    ----------
    steps : int
        After how many updates it is 0.
    warmup : int, default 0
        Over how many updates it rises; fewer than steps.

    Raises
    ------
    UserError
        Where an argument is no whole number in its range.

    References
    ----------
    Loshchilov & Hutter, "SGDR: stochastic gradient descent with warm restarts", ICLR 2017.

    Examples
    --------
    >>> import deephtm_gpu as dh
    >>> cosine = dh.Cosine(steps=100, warmup=10)
    >>> [round(cosine.factor(k), 2) for k in (0, 9, 55, 100)]
    [0.1, 1.0, 0.5, 0.0]
    """

    def __init__(self, steps: int, warmup: int = 0) -> None:
        self.steps, self.warmup = (
            check_count("Cosine's steps", steps, most=MOST_UPDATES),
            check_count("Cosine's warmup", warmup, minimum=0, most=MOST_UPDATES),
        )
        if self.warmup >= self.steps:
            raise UserError(f"Cosine's warmup must be shorter than its steps, got Cosine(steps={steps}, "
                            f"warmup={warmup}); give warmup < steps.")

    def factor(self, updates: int) -> float:
        if updates < self.warmup:
            return (updates + 1) / self.warmup
        done = (updates - self.warmup) / (self.steps - self.warmup)
        return (1 + cos(pi * min(done, 1.0))) / 2


class InverseDecay(Schedule):
    """lr · max(floor, 1 / (1 + k/steps)), k the updates so far: of a row of a sparse parameter (a column, a cell) its
    own, so that what is new is learned fast however old the model is.

    Parameters
    ----------
    steps : int
        After how many updates of a row its learning rate is half.
    floor : float, default 0.2
        The part of the learning rate that is left at last, 0 to 1.

    Raises
    ------
    UserError
        Where an argument is out of range.

    Examples
    --------
    >>> import deephtm_gpu as dh
    >>> dh.Adam(1e-3, schedule=dh.InverseDecay(1000)).schedule
    InverseDecay(steps=1000, floor=0.2)
    """

    def __init__(self, steps: int, floor: float = 0.2) -> None:
        self.steps = check_count("InverseDecay's steps", steps, most=MOST_UPDATES)
        if not (is_number(floor) and 0 <= floor <= 1):
            raise UserError("InverseDecay's floor, a part of the learning rate, must be from 0 to 1, got "
                            f"{shown(floor)}.")
        self.floor = float(floor)

    def slowing(self) -> dict[str, float]:
        return {"decay_rate": 1 / self.steps, "floor": self.floor}
