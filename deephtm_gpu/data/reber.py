"""The embedded Reber grammar: B, then T or P, a string of Reber's grammar, the same T or P again, E.

The benchmark of recurrent networks since Hochreiter & Schmidhuber, "Long short-term memory", Neural Computation 9
(1997). A Reber string has 5 symbols or more, without an upper limit, and contains T and P too.
"""

import numpy as np

from deephtm_gpu.data.symbols import SymbolTask, assemble, check_steps, random_codes
from deephtm_gpu.errors import UserError

NAMES = "BTPSXVE"
# Reber's grammar: for each state two symbols with probability 1/2 each, and the next state. In state END the symbol is
# E.
GRAMMAR = {
    0: (("T", 1), ("P", 2)),
    1: (("S", 1), ("X", 3)),
    2: (("T", 2), ("V", 4)),
    3: (("X", 2), ("S", 5)),
    4: (("P", 3), ("V", 5)),
}
END = 5


def reber(steps: int = 30_000, seed: int = 0, code: int | None = None) -> SymbolTask:
    """Embedded Reber strings one after the other, without reset.

    A query is the step of the inner string's E: the opening T or P is right. The classes are B, T, P, S, X, V, E.

    Parameters
    ----------
    steps : int, default 30_000
        Length of the stream.
    seed : int, default 0
        Seed of codes and stream.
    code : int, optional
        Size of a random code for each symbol; None for one-hot inputs (7 numbers).

    Returns
    -------
    SymbolTask
        The stream.

    Raises
    ------
    UserError
        If steps or code is less than 1.

    Examples
    --------
    >>> from deephtm_gpu.data.reber import reber
    >>> task = reber(steps=200)
    >>> task.inputs.shape, task.classes, "".join(task.names[c] for c in task.symbols[[0, 2]])
    ((200, 7), 7, 'BB')
    """
    check_steps(steps)
    if code is not None and code < 1:
        raise UserError(f"code, the size of a code, must be 1 or more, got {code}; give such a size, or None for "
                        "one-hot inputs.")
    rng = np.random.default_rng(seed)
    codes = np.eye(len(NAMES), dtype=np.float32) if code is None else random_codes(rng, len(NAMES), code)

    stream, queries, valid = [], [], []
    while len(stream) <= steps:
        branch = "TP"[rng.integers(2)]
        stream += _numbers("B" + branch + _string(rng))
        queries.append(len(stream) - 1)
        valid.append(_numbers(branch))
        stream += _numbers(branch + "E")
    return assemble(steps, codes, np.arange(len(NAMES)), stream, queries, valid, NAMES)


def _string(rng):
    text, state = "B", 0
    while state != END:
        symbol, state = GRAMMAR[state][rng.integers(2)]
        text += symbol
    return text + "E"


def _numbers(text):
    return [NAMES.index(letter) for letter in text]
