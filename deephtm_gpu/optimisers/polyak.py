"""The stochastic Polyak step."""

from collections.abc import Sequence

from deephtm_gpu.optimisers.base import Optimizer, add_coef, check_rates, lower_squares, squares_of
from deephtm_gpu.optimisers.schedules import Schedule


class PolyakSGD(Optimizer):
    """The stochastic Polyak step: θ ← θ − scale · κ · g, κ = |dy|² / (Σ |g|² + 1e-12), as far as the sample's own error
    says.

    For problems that can be fitted without error, such as a clean series. On noisy ones take `dh.SGD`.

    Parameters
    ----------
    scale : float or sequence of float, default 1.0
        Multiplies every step, above 0. A list of P scales gives the P models of a `dh.Population` one each.
    clip_norm : float, optional
        The longest that a stream's gradient over all parameters may be; a longer one is shortened to it. Default: no
        limit.
    schedule : Constant, Cosine or InverseDecay, optional
        How lr changes while a model learns. Default: `Constant()`.

    average : float, optional
        Keeps a mean of all weights over about this share of the latest updates, for `predict(averaged=True)`; above 0,
        at most 1. Default: none.

    Raises
    ------
    UserError
        Where an argument is out of range.

    Notes
    -----
    Several steps ahead κ is divided by their number: so many steps are made from weights that have not seen each other.

    References
    ----------
    Loizou, Vaswani, Laradji & Lacoste-Julien, "Stochastic Polyak step-size for SGD", AISTATS 2021.

    Examples
    --------
    >>> import numpy as np, deephtm_gpu as dh
    >>> model = dh.Model(dh.Sequential(dh.Linear(1)), (1,), optimizer=dh.PolyakSGD(0.5), device="numpy")
    >>> float(model.fit(np.ones((60, 1), np.float32)).loss[-2]) < 1e-6
    True
    """

    def __init__(self, scale: float | Sequence[float] = 1.0, clip_norm: float | None = None,
                 schedule: Schedule | None = None,
                 average: float | None = None) -> None:
        super().__init__(check_rates("PolyakSGD's scale", scale), clip_norm, schedule, average)

    @property
    def scale(self) -> float | tuple[float, ...]:
        """What multiplies every step."""
        return self.lr

    def _lower_coef(self, lowering):
        # dy is the error times the weight of its loss, in which the squared error counts once.
        errors = [
            ("vector_square", dict(left=dy), dict(D=dy.size), 1 / weight, "loss", 0) for dy, weight in lowering.errors
        ]
        gradients = squares_of(lowering, lambda update: update.scale)
        coef = add_coef(lowering, "coef", start=1.0)
        lower_squares(
            lowering,
            errors + gradients,
            "polyak_forward",
            coef,
            share=lowering.share_of_streams,
            outputs=len(errors),
            waiting=lowering.waiting,
        )
        return coef
