"""How much a single value may move: the rule that the gradient of "mse" and the mean of RunningNorm share.

The size of an error (or of a move) is compared with the recent maximum. Up to LIMIT times that, it counts as it is.
What is larger is taken for an outlier, a broken reading or a missing scale: a size of s counts as bound^4 / s^3, the
less the further off it lies (a redescending influence: Hampel 1974, "The influence curve and its role in robust
estimation"). So one value of 1e3 in a sine moves hardly anything, and a value of 1e6 less, also where an input that is
as large multiplies the error, as in the first layer's gradient. The recent maximum doubles with each outlier: a series
whose scale changes for good is learned after log2(ratio / LIMIT) steps. It leaks by LEAK a step, so that a large
beginning does not count for ever. The first FIRST sizes all count as they are: nothing is known of the series then.
"""

import numpy as np

LIMIT = 8.0  # times the recent maximum
GROWTH = 2.0  # of the recent maximum at an outlier
LEAK = 1e-4  # of the recent maximum, a step
FIRST = 10.0  # sizes that are never outliers


def outlier_factor(size: float, extent) -> float:
    """What the size is to be multiplied by: 1, less for an outlier. Changes extent (2,): the recent maximum, and how
    many there were, up to FIRST."""
    largest, seen = extent.tolist()
    extent[1] = min(seen + 1, FIRST)
    bound = LIMIT * largest
    if size > bound and seen >= FIRST and largest > 0:
        extent[0] = GROWTH * largest
        return (bound / size) ** 4
    extent[0] = max(size, (1 - LEAK) * largest)
    return 1.0


def extent_example(rng, size):
    """What may have been before values of these sizes (S,): nothing, larger ones, smaller ones (an outlier now), few
    of them."""
    kinds = np.array([[0, 0], [0, FIRST], [2, FIRST], [0.06, FIRST], [0.06, FIRST - 1]])
    extent = rng.permutation(np.resize(kinds, (max(5, len(size)), 2)))[: len(size)]  # (S, 2)
    return extent * np.stack([size, np.ones_like(size)], axis=1)
