"""The online mixture of a network's forecast and of those without a network."""

import math
from collections import deque
from datetime import datetime
from typing import NamedTuple

import numpy as np

from deephtm_gpu.arguments import check_count, check_flag, shown
from deephtm_gpu.errors import UserError
from deephtm_gpu.forecast.experts import Drift, Expert, Persistence
from deephtm_gpu.forecast.least_squares import LeastSquares
from deephtm_gpu.forecast.scale import LIMIT, Scale
from deephtm_gpu.forecast.slots import DAY, WEEK, SameSlot
from deephtm_gpu.saving.tree import array_in, number_in

MEMORY = 1000  # rows: older losses are forgotten exponentially, so that the weights follow a change
# Of a trivial forecast's loss: the excess over it above which only the trivial are mixed, and the gain that lifts this.
TOLERANCE, CLEAR = 0.001, 0.1
SLACK = 5  # rows' worth of a trivial forecast's loss, which the excess may have in addition: the cost of learning
NEGLIGIBLE = 1e-4  # of the largest weight: a smaller one is 0, so that an exact forecast stays exact
TRIVIAL = ("persistence", "same slot last week")  # those of data/baselines.py
PRIOR = {  # weights before anything is known, and between experts that are equally good
    "network": 0.005,
    "persistence": 0.93,
    "drift": 0.005,
    "least squares": 0.01,
    "same slot last day": 0.01,
    "same slot last week": 0.04,
}


class Regret(NamedTuple):
    """The mixture beside one expert, on the rows for which both had a forecast.

    Attributes
    ----------
    rows : int
    mixture : float
        Mean absolute error of the mixture.
    expert : float
        That of the expert.
    """

    rows: int
    mixture: float
    expert: float


class Mixture:
    """Mixes the forecasts of experts by multiplicative weights, strictly online.

    With S_i the sum of expert i's absolute errors, and n the number of rows, both forgotten exponentially over MEMORY
    rows, the weight of an expert is

        w_i  proportional to  prior_i * S_i^(-n / sqrt(ahead))

    With ahead = 1 this is the posterior of the experts when errors are Laplace distributed with an unknown scale
    (integrated out with the prior 1/scale), so units do not matter and there is no learning rate to choose: an expert
    that is 1 % worse loses a factor e every 100 rows. Feedback that is late by `ahead` rows makes the best rate smaller
    by the root of it (Joulani, György & Szepesvári, "Online learning under delayed feedback", 2013). Forgetting in
    place of fixed share: Raftery, Kárný & Ettler, "Online prediction under model uncertainty via dynamic model
    averaging" (Technometrics 52, 2010). The loss of an expert without a forecast is the mixture's (Freund, Schapire,
    Singer & Warmuth, "Using and combining predictors that specialize", 1997). A forecast is judged when its row
    arrives, `ahead` rows later.

    In addition, while the mixture's loss over the last MEMORY rows exceeds that of a trivial forecast by more than
    TOLERANCE of the latter and SLACK rows of it, only trivial forecasts are mixed, unless the mixture of all would have
    been better than it by CLEAR of its loss. What the mixture gains in a row counts as at most LIMIT times the `Scale`
    of persistence's loss, so that one lucky row does not pay for many bad ones.

    Parameters
    ----------
    ahead : int
        How many rows to look ahead, 1 or more.
    timed : bool
        Whether the rows have timestamps; then the same slot of the last day and week are experts too.

    Attributes
    ----------
    names : tuple of str
        The experts: "network", which is given to `update`, and those made here.

    Raises
    ------
    UserError
        If an argument is wrong.

    Examples
    --------
    >>> from deephtm_gpu.forecast import Mixture
    >>> mixture = Mixture(ahead=1, timed=False)
    >>> forecasts = [mixture.update(float(t)) for t in range(50)]  # a counter
    >>> round(forecasts[-1], 3)
    50.0
    >>> regret = mixture.regret()["persistence"]
    >>> regret.rows, regret.expert, regret.mixture < 0.1
    (49, 1.0, True)
    """

    def __init__(self, ahead: int, timed: bool):
        self.ahead = check_count("ahead", ahead)
        self._experts: dict[str, Expert] = {
            "persistence": Persistence(),
            "drift": Drift(ahead),
            "least squares": LeastSquares(ahead),
        }
        if check_flag("timed", timed):
            self._experts["same slot last day"] = SameSlot(ahead, DAY)
            self._experts["same slot last week"] = SameSlot(ahead, WEEK)
        self.names = ("network", *self._experts)
        E = len(self.names)  # the experts, in the order of names; persistence is number 1
        self._prior = np.array([PRIOR[name] for name in self.names])  # (E,)
        self._trivial = np.array([name in TRIVIAL for name in self.names])  # (E,)
        self._losses = np.zeros(E)  # (E,) S of each
        self._excess = np.zeros((2, E))  # over the loss of each: of the mixture of all, and of the one given out
        self._count = 0.0  # n
        self._scale = Scale()  # of persistence's losses
        # (E + 2,) of each of the last `ahead` rows: the experts' forecasts, NaN for none, the mixture of all, the one
        # given out.
        self._waiting = deque()
        self._common = np.zeros((3, E))  # rows with both forecasts, and the sums of the mixture's and expert's errors

    def update(self, value: float | None, when: datetime | None = None, network: float | None = None) -> float | None:
        """Take the next row, and forecast.

        Parameters
        ----------
        value : float or None
            Finite; None if it is missing: then nothing is learned, and time passes.
        when : datetime, optional
            Its timestamp, without time zone.
        network : float, optional
            The network's forecast, made at this row, of the value `ahead` rows later.

        Returns
        -------
        float or None
            The forecast of the value `ahead` rows later; None before the first value.

        Raises
        ------
        UserError
            If a number is not finite.
        """
        value = None if value is None else _finite("value", value)
        network = None if network is None else _finite("network", network)
        if len(self._waiting) == self.ahead:
            due = self._waiting.popleft()
            if value is not None and not np.isnan(due[-1]):
                self._learn(value, due[:-2], due[-2:])
        forecasts = [network]
        for expert in self._experts.values():
            expert.update(value, when)
            forecasts.append(expert.predict())
        made = np.array([*forecasts, None, None], np.float64)  # (E + 2,), NaN where there is none
        made[-2:] = self._mix(made[:-2])
        self._waiting.append(made)
        return None if np.isnan(made[-1]) else float(made[-1])

    def reset(self) -> None:
        """A new sequence begins: what was forecast for the rows that would have come is not scored."""
        self._waiting.clear()

    @property
    def weights(self) -> dict[str, float]:
        """The share of each expert in a mixture of all, by its losses until now."""
        weights = self._weigh(np.ones(len(self.names), bool))
        return dict(zip(self.names, weights.tolist()))

    def regret(self) -> dict[str, Regret]:
        """The mixture's mean absolute error beside that of each expert that has made a forecast, by its name."""
        return {name: Regret(int(rows), float(own / rows), float(theirs / rows))
                for name, rows, own, theirs in zip(self.names, *self._common) if rows}

    def state(self) -> dict:
        """The state, for `restore` of a Mixture made with the same arguments: numbers and arrays."""
        return {
            "experts": {name: expert.state() for name, expert in self._experts.items()},
            "losses": self._losses.copy(), "excess": self._excess.copy(), "count": self._count,
            "scale": self._scale.state(), "common": self._common.copy(),
            "waiting": np.array(self._waiting, np.float64).reshape(-1, len(self.names) + 2),
        }

    def restore(self, state: dict) -> None:
        """Take over a state of `state()`. Raises ValueError or KeyError if it is of something else."""
        E = len(self.names)
        for name, expert in self._experts.items():
            expert.restore(state["experts"][name])
        self._losses = array_in(state, "losses", (E,)).copy()
        self._excess = array_in(state, "excess", (2, E)).copy()
        self._count = number_in(state, "count")
        self._scale.restore(state["scale"])
        self._common = array_in(state, "common", (3, E)).copy()
        self._waiting = deque(array_in(state, "waiting", (None, E + 2))[-self.ahead:].copy())
        if not np.isfinite(self._common).all():
            raise ValueError("common must be finite")

    def _learn(self, value, forecasts, mixtures):
        """forecasts (E,), mixtures (2,): those made for this row."""
        loss, own = np.abs(value - forecasts), np.abs(value - mixtures)  # (E,), (2,)
        awake = ~np.isnan(loss)
        loss[~awake] = own[1]
        self._common[0] += awake
        self._common[1] += awake * own[1]
        self._common[2] += awake * loss
        self._scale.update(float(loss[1]))
        decay = 1 - 1 / MEMORY
        self._losses = decay * self._losses + loss
        self._excess = decay * self._excess + np.maximum(own[:, None] - loss, -LIMIT * self._scale.value)  # (2, E)
        self._count = decay * self._count + 1

    def _mix(self, forecasts):
        """The mixture of all, and the one to give out; NaN where no expert has a forecast."""
        awake = ~np.isnan(forecasts)  # (E,)
        if not awake.any():
            return np.nan, np.nan
        of_all = self._average(forecasts, awake)
        losses, (of_all_excess, excess) = self._losses[self._trivial], self._excess[:, self._trivial]
        slack = TOLERANCE + SLACK / max(self._count, 1.0)
        if ((excess > slack * losses) & (of_all_excess > -CLEAR * losses)).any():
            return of_all, self._average(forecasts, awake & self._trivial)
        return of_all, of_all

    def _average(self, forecasts, awake):
        weights = self._weigh(awake)
        heaviest = forecasts[weights.argmax()]  # the mixture of equal forecasts is that forecast, to the bit
        return heaviest + weights[awake] @ (forecasts[awake] - heaviest)

    def _weigh(self, awake):
        """(E,) weights of the awake experts, which sum to 1."""
        losses = self._losses[awake]
        least = losses.min()
        ratio = (least / losses) ** (self._count / math.sqrt(self.ahead)) if least > 0 else losses == 0
        weights = np.zeros(len(awake))
        weights[awake] = self._prior[awake] * ratio
        weights[weights < NEGLIGIBLE * weights.max()] = 0
        return weights / weights.sum()


def _finite(what, number):
    try:
        number = float(number)
    except (TypeError, ValueError, OverflowError):
        number = math.nan
    if not math.isfinite(number):
        raise UserError(f"{what} must be a finite number, or None where it is missing, got {shown(number)}.")
    return number
