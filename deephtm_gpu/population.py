"""A population: many independent models of one network, stepped together."""

import operator
from copy import copy
from dataclasses import replace
from typing import Any

import numpy as np

from deephtm_gpu.arguments import check_count, check_seed, shown
from deephtm_gpu.arrangement import ModelsArrangement
from deephtm_gpu.errors import UserError
from deephtm_gpu.graph.networks import Network, Sequential
from deephtm_gpu.history import History
from deephtm_gpu.losses.base import Loss
from deephtm_gpu.model import Model
from deephtm_gpu.optimisers.base import Optimizer

MOST_MODELS = 2**20


class Population(Model):
    """P models of one network with seeds, weights and state of their own, one stream each: one per sensor, shop,
    server.

    As a `Model`, with P in front: series are (P, T, *shape), the History's arrays (P, T, ...), weights (P, ...). On a
    GPU each model lives in a workgroup of its own, and a dispatch takes all of them through many steps. A model's
    results are those of a `Model` of its seed alone.

    Parameters
    ----------
    net : Sequential or Network
        As of `Model`.
    models : int
        P.
    input_shape : tuple of int, optional
        As of `Model`.
    loss : str, Loss or a list of them, default "mse"
        As of `Model`.
    optimizer : Optimizer, optional
        PolyakSGD() where it is left out. Its rate may be a list of P.
    seed : int or list of P ints, default 0
        Model p has seed + p.
    device : str, default "auto"
        As of `Model`.
    loss_weights : list of float, optional
        As of `Model`.

    Raises
    ------
    UserError
        As `Model` does.
    DeviceError
        As `Model` does.

    Examples
    --------
    >>> import numpy as np, deephtm_gpu as dh
    >>> population = dh.Population(dh.Sequential(dh.Linear(1)), models=3, input_shape=(1,), device="numpy")
    >>> population.fit(np.zeros((3, 5)) + 0.5).prediction.shape
    (3, 5, 1)
    """

    is_population = True

    def __init__(self, net: Sequential | Network, models: int, input_shape: tuple[int, ...] | None = None,
                 loss: str | Loss | list[str | Loss] = "mse", optimizer: Optimizer | None = None,
                 seed: int | list[int] = 0, device: str = "auto", loss_weights: list[float] | None = None) -> None:
        self.models, self.streams, self.seed = check_count("models", models, most=MOST_MODELS), 1, seed
        self.arrangement = ModelsArrangement(self.models)
        self._start(net, input_shape, loss, optimizer, _seeds(seed, self.models), device, loss_weights)

    def __len__(self) -> int:
        return self.models

    def fit(self, inputs: Any, targets: Any = None, ahead: int = 1, progress: bool = False, callback: Any = None,
            mask: Any = None, learn: bool = True) -> History:
        """As `Model.fit`; all models step together.

        Parameters
        ----------
        inputs : array_like (P, T, *shape), for single numbers (P, T) too, or a list of them
            One series per input.
        targets : array_like, optional
            Likewise.
        ahead : int, default 1
            As of `Model.fit`.
        progress : bool, default False
            Whether a bar is drawn.
        callback : callable or list of them, optional
            As of `Model.fit`.
        mask : None, optional
            There is none: take out a model whose series ends, `population.model(p)`.
        learn : bool, default True
            As of `Model.fit`.

        Returns
        -------
        History
        """
        if mask is not None:
            raise UserError("mask must be None for a population, whose models step together, got a mask; take out "
                            "those whose series end: population.model(p).")
        return super().fit(inputs, targets, ahead, progress, callback, None, learn)

    def model(self, number: int) -> Model:
        """One of the models as it stands: a copy that goes on as it would have here.

        Parameters
        ----------
        number : int
            From 0, or from the end: -1 is the last.

        Returns
        -------
        Model
        """
        p, one = self._number(number), Model.__new__(Model)
        seed = self.session.setup.seeds[p]
        vars(one).update(streams=1, seed=seed, arrangement=self.arrangement.alone())
        return self._handed(one, [p], self.optimizer.alone(p))

    def some(self, numbers: Any) -> "Population":
        """A population of some of the models as they stand: copies, in this order.

        Parameters
        ----------
        numbers : list of int

        Returns
        -------
        Population
        """
        if not isinstance(numbers, (list, tuple, range)) and not (isinstance(numbers, np.ndarray) and numbers.ndim):
            raise UserError(f"Population.some must be given a list of the models' numbers, got {shown(numbers)}.")
        kept = [self._number(n) for n in numbers]
        if not kept:
            raise UserError("Population.some must be given one number or more, got none.")
        few = Population.__new__(Population)
        vars(few).update(
            models=len(kept),
            streams=1,
            seed=[self.session.setup.seeds[p] for p in kept],
            arrangement=ModelsArrangement(len(kept)),
        )
        return self._handed(few, kept, self.optimizer.of(kept) if self.optimizer.models else self.optimizer)

    def remove(self, number: int) -> None:
        """Takes one of the models out, in place; the others go on as they would have, the later ones one number lower.

        Parameters
        ----------
        number : int
            As of `model`.

        Raises
        ------
        UserError
            For the last model there is, or from a callback of `fit`.

        Examples
        --------
        >>> import deephtm_gpu as dh
        >>> population = dh.Population(dh.Sequential(dh.Linear(1)), models=3, input_shape=(1,), device="numpy")
        >>> population.remove(1)
        >>> population.seed
        [0, 2]
        """
        with self.session.turn():
            gone = self._number(number)
            if self.models == 1:
                raise UserError("Population.remove must leave one model or more, got the last one; make another "
                                "population.")
            if self.session.busy:
                raise UserError("Population.remove must be called between two calls of fit, got one in a callback; "
                                "return True there, which ends the fit, and remove it then.")
            few = self.some([p for p in range(self.models) if p != gone])
            if self.session.observes:
                few.session.observe(True)
            vars(self).update(vars(few))

    def state(self) -> dict[str, dict[str, np.ndarray]]:
        """As `Model.state`, every array with P in front.

        Returns
        -------
        dict of dict of ndarray
        """
        with self.session.turn():
            each = [self.session.state(p) for p in range(self.models)]
        return {
            layer: {what: np.stack([one[layer][what] for one in each]) for what in found}
            for layer, found in each[0].items()
        }

    def state_dict(self) -> dict[str, np.ndarray]:
        """As `Model.state_dict`, every array with P in front.

        Returns
        -------
        dict of str to ndarray
        """
        weights = super().state_dict()
        return weights if self.models > 1 else {name: array[None] for name, array in weights.items()}

    def load_state_dict(self, weights: Any) -> None:
        """As `Model.load_state_dict`, every array with P in front.

        Parameters
        ----------
        weights : mapping of str to array_like
            As `state_dict` returns them.
        """
        if self.models == 1 and isinstance(weights, dict):
            weights = {n: a[0] if np.ndim(a) and len(a) == 1 else a for n, a in weights.items()}
        super().load_state_dict(weights)

    def _handed(self, other, numbers, optimizer):
        """Another with these models as they stand here."""
        session = self.session
        setup = replace(session.setup, optimizer=copy(optimizer), seeds=tuple(session.setup.seeds[p] for p in numbers))
        other._open(setup, session.opened)
        other.session.restore(session.contents(numbers))
        return other

    def _check_rates(self, models):
        if models not in (None, self.models):
            raise UserError(f"Population's optimizer must have one learning rate, or one for each of the {self.models} "
                            f"models, got {models}.")

    def _number(self, number) -> int:
        try:
            index = None if isinstance(number, (bool, np.bool_)) else operator.index(number)
        except TypeError:
            index = None
        if index is None or not -self.models <= index < self.models:
            raise UserError(f"A model's number must be from 0 to {self.models - 1}, got {shown(number)}; the "
                            f"population has {self.models} models.")
        return index % self.models


def _seeds(seed, models) -> tuple[int, ...]:
    if isinstance(seed, (list, tuple, range, np.ndarray)) and (not isinstance(seed, np.ndarray) or seed.ndim):
        if len(seed) != models:
            raise UserError(f"Population's seed must be a number to count from, or one for each of the {models} "
                            f"models, got {len(seed)}.")
        return tuple(check_seed(f"seed[{p}]", s) for p, s in enumerate(seed))
    first = check_seed("seed", seed)
    return tuple(range(first, first + models))
