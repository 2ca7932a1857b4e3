"""A row of the learning table: its measurement, its bounds, and its trivial baselines."""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from deephtm_gpu.errors import UserError

Figures = dict[str, float]  # by name; infinite if a level was never reached


@dataclass(frozen=True)
class Bound:
    """Bounds of a figure. mean, each: upper bounds of its mean over the seeds and of every seed. mean_above, above:
    lower bounds."""

    figure: str
    mean: float | None = None
    each: float | None = None
    mean_above: float | None = None
    above: float | None = None

    def holds(self, values) -> bool:
        mean = np.mean(values)
        return bool(
            (self.mean is None or mean <= self.mean)
            and (self.each is None or max(values) <= self.each)
            and (self.mean_above is None or mean >= self.mean_above)
            and (self.above is None or min(values) >= self.above)
        )

    def __str__(self):
        bounds = [("mean <=", self.mean), ("each <=", self.each), ("mean >=", self.mean_above), ("each >=", self.above)]
        return ", ".join(f"{what} {value:g}" for what, value in bounds if value is not None)


@dataclass(frozen=True)
class Row:
    """measure(seed, device) -> Figures. baselines(seed) -> Figures of trivial predictors on the same series. A control
    is the same network with a part taken out; its gain must vanish."""

    name: str
    measure: Callable[[int, str], Figures]
    bounds: tuple[Bound, ...]
    baselines: Callable[[int], Figures] = field(default=lambda seed: {})

    def holds(self, measured: list[Figures]) -> bool:
        """Whether the figures of all seeds are within all bounds."""
        return all(b.holds([m[b.figure] for m in measured]) for b in self.bounds)


def chosen(every: tuple[Row, ...], only: str | None) -> tuple[Row, ...]:
    """The rows with `only` in their names; None: all. Raises UserError if there is none."""
    found = tuple(r for r in every if only is None or only.lower() in r.name.lower())
    if not found:
        names = "\n  ".join(r.name for r in every)
        raise UserError(f"--rows must be part of one of these names, got {only}:\n  {names}")
    return found
