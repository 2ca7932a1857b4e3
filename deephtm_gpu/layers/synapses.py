"""The distal synapses of a temporal memory: their parameters, and the ops that read and change them."""

from deephtm_gpu.errors import UserError
from deephtm_gpu.ops.rule import PLAIN
from deephtm_gpu.ops.sampled import MOST, SAMPLES, stretch_of
from deephtm_gpu.plan.tensors import PARAM


class Synapses:
    """Of `rows` cells or columns on P sources: all of them (F None; `ops/synapse.py`), or a sample of F each
    (`ops/sampled.py`).

    low: the layer's `Scope`. std: of the weights that see the first `std_sources` sources at the start; the others are
    0."""

    def __init__(self, low, name, rows, P, F, std=0.0, std_sources=0, first_bias=0.0, learned=False):
        self._low = low
        columns = max(1, stretch_of(std_sources, F, P)) if F else std_sources  # those that see nothing else
        self.weight = low.param(f"{name}_weight", (rows, F or P), PARAM, std=std, std_columns=columns, learned=learned,
                                averaged=True)
        self.bias = low.param(f"{name}_bias", (rows,), PARAM, start=first_bias, learned=learned, averaged=True)
        self._op, self._visibility = "synapse", {"P": P}
        if F:
            self._op, self._visibility = "sampled", {"sample": low.number(f"{name}_pool", SAMPLES), "F": F, "P": P}

    def forward(self, rows, index, value, depolarisation):
        self._low.forward(
            f"{self._op}_forward",
            rows=rows,
            index=index,
            value=value,
            weight=self.weight,
            bias=self.bias,
            depolarisation=depolarisation,
            L=rows.size,
            **self._visibility,
        )

    def backward(self, ddepolarisation, rows, index, dvalue):
        self._low.learn(
            f"{self._op}_backward",
            ddepolarisation=ddepolarisation,
            rows=rows,
            index=index,
            weight=self.weight,
            dvalue=dvalue,
            L=rows.size,
            **self._visibility,
        )

    def update(self, rows, dz, index, value, lag):
        """By the optimiser, along the gradient of the step `lag` before."""
        self._low.update_synapses(self._op, self.weight, self.bias, rows, dz, index, value, self._visibility, lag)

    def update_here(self, rows, left, index, value, scale, bias_scale):
        """At once, by plain gradient descent along the mean of the streams, and of a map's positions, in a step that
        learns."""
        low = self._low
        nothing = dict.fromkeys(("moment", "power", "count", "bias_moment", "bias_power"), 0)
        knobs = dict(rate=1.0, weight=self.weight, bias=self.bias, N=self.bias.size, scale=scale, bias_scale=bias_scale,
                     learning=True, **PLAIN, **nothing)
        if rows.sites > 1:
            self._sum_and_step(rows, left, index, value, knobs)
            return
        coef = low.times("head_share", low.share_of_streams, low.tick) if low.tick else low.share_of_streams
        low.forward(f"{self._op}_update", rows=rows, left=left, index=index, value=value, coef=coef, L=rows.size,
                    total=0, **knobs, **self._visibility)

    def _sum_and_step(self, rows, left, index, value, knobs):
        """What all positions of a map find out about a synapse is added up before it moves."""
        low, (N, columns) = self._low, self.weight.shape
        if low.tick:  # each position may have a clock of its own
            left = low.times("asked_now", left, low.tick)
        name = self.weight.name.rpartition(".")[2]
        summed = {"gradient": low.gradient(f"{name}.gradient", (N, columns)),
                  "bias_gradient": low.gradient(f"{name}.bias_gradient", (N,)),
                  "touched": low.gradient(f"{name}.touched", (N,))}
        low.forward(f"{self._op}_gradient", rows=rows, left=left, index=index, value=value, X=rows.sites, L=rows.size,
                    N=N, room=value.size, learning=True, **summed, **self._visibility)
        low.forward("synapse_step", coef=low.share_of_sites(), P=columns, most=min(N, rows.size * rows.sites), **summed,
                    **knobs)


def check_sampled(layer, F, N, C, P):
    """Raises UserError where samples of F of P sources make no sense."""
    if F > P:
        beside = f" and {P - N - C:,} of further contexts" if P > N + C else ""
        raise UserError(
            f"{layer!r}'s synapses must be at most {P:,}, the {N:,} cells and {C:,} columns{beside}; give "
            f"synapses <= {P}, or leave it out for a synapse to each of them."
        )
    if P * F >= MOST:
        raise UserError(
            f"{layer!r}'s synapses times the {P:,} cells and columns must be below 2^32; give synapses <= "
            f"{(MOST - 1) // P}."
        )
