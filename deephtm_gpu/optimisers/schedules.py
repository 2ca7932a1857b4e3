"""Schedules: how the learning rate changes while a model learns."""

from math import cos, pi

from deephtm_gpu.arguments import check_count, is_number
from deephtm_gpu.errors import UserError


class Schedule:
    def factor(self, updates: int) -> float:
        """What the whole model's rate is multiplied by after so many updates."""
        return 1.0

    def slowing(self) -> dict[str, float]:
        """What each row does by its own count, as numbers of a rule (`ops/rule.py`)."""
        return {}

    def __repr__(self):
        return f"{type(self).__name__}({', '.join(f'{k}={v!r}' for k, v in vars(self).items())})"


class Constant(Schedule):
    """The rate as it is."""


class Cosine(Schedule):
    """Rises evenly to the whole rate over `warmup` updates, then falls along half a cosine to 0 at `steps` updates
    (Loshchilov & Hutter 2017, "SGDR"). For series whose length is known."""

    def __init__(self, steps, warmup=0):
        self.steps, self.warmup = check_count("Cosine's steps", steps), check_count("Cosine's warmup", warmup, least=0)
        if self.warmup >= self.steps:
            raise UserError(f"Cosine(steps={steps}, warmup={warmup}) was asked for; the warm-up is part of the steps: give warmup < steps.")

    def factor(self, updates):
        if updates < self.warmup:
            return (updates + 1) / self.warmup
        done = (updates - self.warmup) / (self.steps - self.warmup)
        return (1 + cos(pi * min(done, 1.0))) / 2


class InverseDecay(Schedule):
    """Rate x max(floor, 1 / (1 + k/steps)), k the updates so far: of a row of a sparse parameter (a column, a cell) its own, so
    that what is new is learned fast however old the model is."""

    def __init__(self, steps, floor=0.2):
        self.steps = check_count("InverseDecay's steps", steps)
        if not (is_number(floor) and 0 <= floor <= 1):
            raise UserError(f"InverseDecay's floor = {floor!r} was asked for; it is a part of the rate: give 0 to 1.")
        self.floor = float(floor)

    def slowing(self):
        return {"slope": 1 / self.steps, "least": self.floor}
