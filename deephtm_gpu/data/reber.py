"""The embedded Reber grammar: B, then T or P, a string of Reber's grammar, the same T or P again, E.

The benchmark of recurrent networks since Hochreiter & Schmidhuber, "Long short-term memory", Neural Computation 9 (1997).
A Reber string has 5 symbols or more, without end, and T and P stand inside it too.
"""

import numpy as np

from deephtm_gpu.data.symbols import assemble, check_steps, random_codes
from deephtm_gpu.errors import UserError

NAMES = "BTPSXVE"
# Reber's grammar: from each state two symbols with probability 1/2 each, and the state that either leads to. From END, E.
GRAMMAR = {
    0: (("T", 1), ("P", 2)),
    1: (("S", 1), ("X", 3)),
    2: (("T", 2), ("V", 4)),
    3: (("X", 2), ("S", 5)),
    4: (("P", 3), ("V", 5)),
}
END = 5


def reber(steps=30_000, seed=0, code=None):
    """Embedded Reber strings one after the other, no reset.

    A query is the step of the inner string's E: the opening T or P is right. inputs: one-hot, 7 numbers; with `code`, a
    random code of that many. Classes: B, T, P, S, X, V, E. Raises UserError.
    """
    check_steps(steps)
    if code is not None and code < 1:
        raise UserError(f"Codes of {code} numbers were asked for; one is needed: give code >= 1, or None for one-hot inputs.")
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
