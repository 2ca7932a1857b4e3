"""A m1 ... mn D or X m1 ... mn Y: the last letter depends on the first, n + 1 steps before, and the letters between are
the same."""

import numpy as np

from deephtm_gpu.data.symbols import SymbolTask, assemble, check_steps, random_codes
from deephtm_gpu.errors import UserError

NOISE = 10  # letters, 1 to 3 of which follow each sequence
CODE = 16  # numbers per letter
A, X, D, Y = range(4)


def letters(n: int, steps: int = 20_000, seed: int = 0) -> SymbolTask:
    """The two sequences in random order, each with probability 1/2, with 1 to 3 noise letters between them, and no
    reset.

    A query is the step of mn: after A ..., D is right; after X ..., Y. The inputs are a random code of 16 numbers for
    each letter. The classes are A, X, D, Y, m1 ... mn, then the 10 noise letters.

    Parameters
    ----------
    n : int
        Letters between the first and the last, 1 or more.
    steps : int, default 20_000
        Length of the stream.
    seed : int, default 0
        Seed of codes and stream.

    Returns
    -------
    SymbolTask
        The stream.

    Raises
    ------
    UserError
        If n or steps is less than 1.

    Examples
    --------
    >>> from deephtm_gpu.data.letters import letters
    >>> task = letters(n=2, steps=500)
    >>> task.inputs.shape, task.names[:6]
    ((500, 16), ('A', 'X', 'D', 'Y', 'm1', 'm2'))
    """
    check_steps(steps)
    if n < 1:
        raise UserError(f"n, the letters between the first and the last, must be 1 or more, got {n}.")
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
