"""Models that can be copied and pickled: copy.deepcopy, pickle, and so joblib and multiprocessing."""

import copy
from typing import Self

from deephtm_gpu.session import Session


class Copyable:
    """The part of a model that `copy` and `pickle` ask: of an object with `session`, and a method `_open(setup,
    device)`."""

    session: Session

    def __getstate__(self) -> dict:
        own = {name: value for name, value in vars(self).items() if name not in ("session", "device")}
        session = self.session
        return {
            "own": own,
            "setup": session.setup,
            "contents": session.contents(),
            "observes": session.observes,
            "device": session.opened.asked,
        }

    def __setstate__(self, state: dict):
        vars(self).update(state["own"])
        self._open(state["setup"], state["device"])
        self.session.observe(state["observes"])
        self.session.restore(state["contents"])

    def averaged(self) -> Self:
        """A copy whose weights are those that the optimiser's `average` keeps: to predict live, or to generate, by them
        and with a temporal state of its own.

        Returns
        -------
        Model

        Raises
        ------
        UserError
            Where the optimiser keeps no average.
        """
        self.session.setup.optimizer.check_averages("averaged()")
        other = copy.deepcopy(self)
        other.session.write(self.session.averages())
        return other
