"""The distal synapses of a temporal memory: their parameters, and the ops that read and change them."""

from deephtm_gpu.errors import UserError
from deephtm_gpu.ops.pool import MOST, POOLS, stretch_of
from deephtm_gpu.ops.rule import PLAIN
from deephtm_gpu.plan.tensors import PARAM


class Synapses:
    """Of `rows` cells or columns on P places: all of them (F None; `ops/synapse.py`), or a pool of F each (`ops/pool.py`).

    low: the layer's `Scope`. std: of the weights that see the first `std_places` places at the start; the others are 0."""

    def __init__(self, low, name, rows, P, F, std=0.0, std_places=0, first_bias=0.0, learned=False):
        self._low = low
        columns = max(1, stretch_of(std_places, F, P)) if F else std_places  # those that see nothing else
        self.weight = low.param(f"{name}_weight", (rows, F or P), PARAM, std=std, std_columns=columns, learned=learned)
        self.bias = low.param(f"{name}_bias", (rows,), PARAM, start=first_bias, learned=learned)
        self._op, self._sight = "synapse", {"P": P}
        if F:
            self._op, self._sight = "pool", {"pool": low.number(f"{name}_pool", POOLS), "F": F, "P": P}

    def forward(self, rows, index, value, depolarisation):
        self._low.forward(f"{self._op}_forward", rows=rows, index=index, value=value, weight=self.weight, bias=self.bias,
                          depolarisation=depolarisation, L=rows.size, **self._sight)

    def backward(self, ddepolarisation, rows, index, dvalue):
        self._low.learn(f"{self._op}_backward", ddepolarisation=ddepolarisation, rows=rows, index=index, weight=self.weight,
                        dvalue=dvalue, L=rows.size, **self._sight)

    def update(self, rows, dz, index, value, lag):
        """By the optimiser, along the gradient of the step `lag` before."""
        self._low.update_synapses(self._op, self.weight, self.bias, rows, dz, index, value, self._sight, lag)

    def update_here(self, rows, left, index, value, coef, scale, bias_scale):
        """At once, by plain gradient descent, in a step that learns. coef: what each stream counts for."""
        nothing = dict.fromkeys(("moment", "power", "count", "bias_moment", "bias_power", "total"), 0)
        self._low.forward(f"{self._op}_update", rows=rows, left=left, index=index, value=value, coef=coef,
                          rate=1.0, weight=self.weight, bias=self.bias, L=rows.size, N=self.bias.size, scale=scale,
                          bias_scale=bias_scale, learning=True, **PLAIN, **nothing, **self._sight)


def check_pool(layer, F, N, C, P):
    """Raises UserError where pools of F of P places make no sense."""
    if F > P:
        beside = f" and {P - N - C:,} of further contexts" if P > N + C else ""
        raise UserError(
            f"{layer!r} was asked for; there are {P:,} places for a cell to see, of {N:,} cells and {C:,} columns{beside}: give "
            f"synapses <= {P}, or leave it out, and every cell sees all of them."
        )
    if P * F >= MOST:
        raise UserError(
            f"{layer!r} was asked for; it sees {P:,} places, and places times synapses must stay below 2^32: give synapses <= "
            f"{(MOST - 1) // P}."
        )
