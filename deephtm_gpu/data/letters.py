"""A m1 ... mn D or X m1 ... mn Y: what comes at the end was decided n + 1 steps ago, and everything between is the same."""

import numpy as np

from deephtm_gpu.data.symbols import assemble, check_steps, random_codes
from deephtm_gpu.errors import UserError

NOISE = 10  # letters, 1 to 3 of which stand between two sequences
CODE = 16  # numbers per letter
A, X, D, Y = range(4)


def letters(n, steps=20_000, seed=0):
    """The two sequences in random order, each with probability 1/2, 1 to 3 random letters out of 10 between, no reset.

    A query is the step of m_n; D is right after A, Y after X. inputs: a random code of 16 numbers for each letter. Classes:
    A, X, D, Y, m1 ... mn, then each noise letter its own. Raises UserError.
    """
    check_steps(steps)
    if n < 1:
        raise UserError(f"Sequences with {n} letters between were asked for; one is needed: give n >= 1.")
    middle = list(range(4, 4 + n))
    rng = np.random.default_rng(seed)
    codes = random_codes(rng, 4 + n + NOISE, CODE)

    stream, queries, valid = [], [], []
    while len(stream) <= steps:
        first, last = ((A, D), (X, Y))[rng.integers(2)]
        stream += [first, *middle]
        queries.append(len(stream) - 1)
        valid.append([last])
        stream += [last, *(4 + n + rng.integers(NOISE, size=rng.integers(1, 4)))]
    names = ["A", "X", "D", "Y", *(f"m{i}" for i in range(1, n + 1)), *(f"noise {i}" for i in range(NOISE))]
    return assemble(steps, codes, np.arange(len(names)), stream, queries, valid, names)
