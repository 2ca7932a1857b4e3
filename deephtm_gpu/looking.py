"""What a model predicts without learning: everything here leaves it as it was."""

from typing import Any

import numpy as np

from deephtm_gpu.arguments import check_count, check_flag
from deephtm_gpu.errors import UserError
from deephtm_gpu.fitting import check_series, history_of
from deephtm_gpu.history import History
from deephtm_gpu.session import Session


class Looking:
    """The part of a model that looks ahead: of an object with `session` and `arrangement`."""

    session: Session

    def predict(self, inputs: Any, averaged: bool = False) -> np.ndarray | list[np.ndarray]:
        """The predictions of the same pass without learning, from the present temporal state. Leaves every bit of the
        model as it was.

        Parameters
        ----------
        inputs : array_like (T, *shape) or (T, S, *shape), or a list of them
            One series per input.
        averaged : bool, default False
            Whether by the weights that the optimiser's `average` keeps, which err less than the newest. The temporal
            state it begins from is the model's; `reset` first for a sequence of its own.

        Returns
        -------
        ndarray (T, *shape), or a list of them

        Raises
        ------
        UserError
            Where averaged is asked of an optimiser that keeps no average.
        """
        if check_flag("predict's averaged", averaged):
            self.session.setup.optimizer.check_averages("predict(averaged=True)")
        return self._look(inputs, observed=False, averaged=averaged).prediction

    def trace(self, inputs: Any) -> History:
        """As `predict`, and all that a History holds, with what `observe` adds. Leaves every bit as it was.

        Parameters
        ----------
        inputs : array_like
            As of `predict`.

        Returns
        -------
        History
        """
        return self._look(inputs, observed=True)

    def _look(self, inputs, observed, averaged=False) -> History:
        with self.session.turn():
            run = self.session.look(check_series(self, inputs, None)[0], observed, averaged)
            return history_of(self, [run], not self.session.position.ahead, observed)

    def rollout(self, steps: int) -> np.ndarray | list[np.ndarray]:
        """Generates: feeds its own prediction back as the next input, from the last input seen. For networks whose
        outputs predict their inputs one step ahead. Leaves the model as it was.

        Parameters
        ----------
        steps : int
            How many to generate.

        Returns
        -------
        ndarray (steps, *shape), or a list of them

        Raises
        ------
        UserError
            Where the network does not predict its inputs one step ahead, or has seen none since it was made or reset.
        """
        check_count("steps", steps)
        with self.session.turn():
            at, network = self.session.position, self.session.setup.network
            if at.ahead != 1 or len(network.outputs) != len(network.inputs):
                raise UserError("rollout must have a network that predicts all its inputs one step ahead, to feed its "
                                "predictions back; fit it so.")
            if at.last is None:
                raise UserError("rollout must go on from an input, and the model has seen none since it was made or "
                                "reset; fit or step first.")
            return history_of(self, [self.session.rollout(steps)], False).prediction
