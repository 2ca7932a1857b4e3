"""The stochastic Polyak step."""

from deephtm_gpu.optimisers.base import Optimizer, add_coef, check_rates, lower_squares, squares_of


class PolyakSGD(Optimizer):
    """theta -= scale * kappa * g, kappa = |dy|^2 / (sum |g|^2 + 1e-12): as far as the sample's own error says
    (Loizou, Vaswani, Laradji & Lacoste-Julien 2021). For problems that can be fitted without error, such as a clean series.
    Several steps ahead kappa is divided by their number: so many steps are made from weights that have not seen each other.
    clip_norm, schedule: see `dh.SGD`.
    """

    def __init__(self, scale=1.0, clip_norm=None, schedule=None):
        super().__init__(check_rates("PolyakSGD's scale", scale), clip_norm, schedule)

    @property
    def scale(self):
        return self.lr

    def _lower_coef(self, lowering):
        # dy is the error times the weight of its loss, in which the squared error counts once.
        errors = [("vector_square", dict(left=dy), dict(D=dy.size), 1 / weight, "loss", 0) for dy, weight in lowering.errors]
        gradients = squares_of(lowering, lambda update: update.scale)
        coef = add_coef(lowering, "coef", start=1.0)
        lower_squares(lowering, errors + gradients, "polyak_forward", coef, share=lowering.share_of_streams, outputs=len(errors),
                      waiting=lowering.waiting)
        return coef
