"""Averaged weights (IMAGES: "Averaged weights instead of a schedule"): a mean over the last part of all updates.

With a constant learning rate the newest weights go back and forth about where they lead; their mean errs less. It never
enters a gradient. Update t, from 1: average += min(1, window / t) (theta - average), which is about the mean over the
last t / window updates.

Source: Polyak & Juditsky 1992, "Acceleration of stochastic approximation by averaging"; the window over the last part
as in Shamir & Zhang 2013, "Stochastic gradient descent for non-smooth optimization".
"""


from deephtm_gpu.ops.spec import Op, Pass, turns


def average_matrix(k, weight, average, window):
    """k updates came before. weight (O, I); changes average (O, I)"""
    average += min(1.0, window / (float(k) + 1)) * (weight - average)


def average_vector(k, vector, vector_average, window):
    """As `average_matrix`, of (D,)."""
    average_matrix(k, vector, vector_average, window)


def _example(rng, S, O, I, k):
    return {"k": k, "weight": rng.normal(size=(O, I)), "average": rng.normal(size=(O, I)),
            "vector": rng.normal(size=O), "vector_average": rng.normal(size=O), "window": 10.0, "O": O, "I": I, "D": O}


AVERAGE = Op(
    name="average", shader="average", example=_example, tolerance=1e-10, matrices=("weight", "average"),
    params=("vector", "vector_average"),
    passes=(
        Pass(average_matrix, reads=("k", "weight"), changes=("average",), consts=("window", "O", "I"), shared=True,
             rows="O", split=("weight", "average"), work=lambda O, I, **_: O * I,
             loops=lambda lanes, parts, O, I, **_: turns(turns(O, parts) * turns(I, 4), lanes)),
        Pass(average_vector, reads=("k", "vector"), changes=("vector_average",), consts=("window", "D"), shared=True,
             rows="D", split=("vector", "vector_average"), work=lambda D, **_: D,
             loops=lambda lanes, parts, D, **_: turns(turns(D, parts), lanes)),
    ),
    sizes=tuple({"S": 1, "O": O, "I": I, "k": k} for O, I, k in [
        (1, 1, 0.0), (255, 257, 5.0), (13, 256, 9.0), (257, 7, 1e6)]),
)
