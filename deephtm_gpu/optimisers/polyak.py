"""The stochastic Polyak step."""

from deephtm_gpu.optimisers.base import Optimizer, check_rate, scratch


class PolyakSGD(Optimizer):
    """theta -= scale * kappa * g, kappa = |dy|^2 / (sum |g|^2 + 1e-12): as far as the sample's own error says
    (Loizou, Vaswani, Laradji & Lacoste-Julien 2021). For problems that can be fitted without error, such as a clean series.
    """

    def __init__(self, scale=1.0):
        self.lr = check_rate("PolyakSGD's scale", scale)

    def lower(self, lowering):
        from deephtm_gpu.plan.lowering import make_call

        squared_errors = [("vector_square", dict(left=dy), dict(D=dy.size), 1.0, "loss") for dy in lowering.errors]
        squared_gradients = [(*square, u.scale, u.layer) for u in lowering.updates for square in u.squares]
        terms = squared_errors + squared_gradients
        squares, coef = scratch(lowering, "squares", len(terms)), scratch(lowering, "coef", 1)
        for slot, (name, tensors, consts, scale, layer) in enumerate(terms):
            arguments = {**tensors, **consts, "squares": squares, "slot": slot, "scale": scale}
            lowering.plan.learn.append(make_call(name, arguments, layer))
        arguments = {"squares": squares, "coef": coef, "outputs": len(squared_errors), "Q": len(terms)}
        lowering.plan.learn.append(make_call("polyak_forward", arguments, "loss"))
        self._emit_updates(lowering, coef)
