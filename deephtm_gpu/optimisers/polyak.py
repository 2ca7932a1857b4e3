"""The stochastic Polyak step."""

from deephtm_gpu.optimisers.base import Optimizer, check_rate, lower_squares


class PolyakSGD(Optimizer):
    """theta -= scale * kappa * g, kappa = |dy|^2 / (sum |g|^2 + 1e-12): as far as the sample's own error says
    (Loizou, Vaswani, Laradji & Lacoste-Julien 2021). For problems that can be fitted without error, such as a clean series.
    Several steps ahead kappa is divided by their number: so many steps are made from weights that have not seen each other.
    """

    def __init__(self, scale=1.0):
        self.lr = check_rate("PolyakSGD's scale", scale)

    def lower(self, lowering):
        errors = [("vector_square", dict(left=dy), dict(D=dy.size), 1.0, "loss") for dy in lowering.errors]
        gradients = [(*square, u.scale, u.layer) for u in lowering.updates for square in u.squares]
        coef = lower_squares(lowering, errors + gradients, "polyak_forward", outputs=len(errors),
                              waiting=max(1, lowering.plan.ahead))
        self._emit_updates(lowering, coef)
