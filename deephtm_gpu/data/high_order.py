"""High-order sequences whose endings are swapped halfway.

The task of Cui, Ahmad & Hawkins, "Continuous online sequence learning with an unsupervised neural network model",
Neural Computation 28 (2016). The last symbol of a sequence depends on its first, 6 or 7 steps before. The symbols
between are the same for two sequences, and every symbol appears in several. After the swap, what was learned is wrong.
"""

import string

import numpy as np

from deephtm_gpu.data.symbols import SymbolTask, assemble, check_steps, random_codes
from deephtm_gpu.errors import UserError

NOISE = 5000  # symbols, one of which follows each sequence
CODE = 16  # numbers per symbol

# By the number of valid endings: pairs of sequences, as their two first symbols, the symbols they share, and the
# endings of each. These are the paper's sequences, with letters for its numbers.
PAIRS = {
    1: (("GB", "IHECD", "A", "F"), ("GB", "DECHI", "F", "A"), ("AC", "JHIFDE", "B", "G"), ("AC", "EDFIHJ", "G", "B")),
    2: (
        ("EF", "IDKJG", "BC", "AH"),
        ("EF", "GJKDI", "AH", "BC"),
        ("EF", "DIGBKL", "CJ", "AH"),
        ("EF", "LKBGID", "AH", "CJ"),
    ),
    4: (
        ("HL", "EMFOB", "ACDJ", "GIKN"),
        ("HL", "BOFME", "GIKN", "ACDJ"),
        ("JN", "EFPGBM", "ACDK", "HILO"),
        ("JN", "BMGPEF", "HILO", "ACDK"),
    ),
}


def high_order(
    steps: int = 20_000, seed: int = 0, swap_at: int | None = 10_000, endings: int = 1, noise_classes: int = 1
) -> SymbolTask:
    """Eight sequences of 7 or 8 symbols in random order, with one random symbol of 5,000 between two of them, and no
    reset.

    A query is the step before the last symbol of a sequence. The inputs are a random code of 16 numbers for each
    symbol, including each noise symbol.

    Parameters
    ----------
    steps : int, default 20_000
        Length of the stream.
    seed : int, default 0
        Seed of codes and stream.
    swap_at : int or None, default 10_000
        From the first sequence on that begins at this step or later, the two sequences of each pair have each other's
        endings. None for no swap.
    endings : {1, 2, 4}
        How many last symbols a sequence can have. One of them is drawn; all are valid at the query.
    noise_classes : int, default 1
        Classes of the noise symbols, after those of the other symbols: noise symbol i is in class i mod noise_classes.

    Returns
    -------
    SymbolTask
        The stream.

    Raises
    ------
    UserError
        If an argument is out of range.

    Examples
    --------
    >>> from deephtm_gpu.data.high_order import high_order
    >>> task = high_order(steps=1000, swap_at=None)
    >>> task.inputs.shape, task.classes
    ((1000, 16), 11)
    """
    _check(steps, swap_at, endings, noise_classes)
    sequences = _sequences(PAIRS[endings])
    letters = 1 + max(max(first, *inner, *last) for first, inner, last, _ in sequences)
    rng = np.random.default_rng(seed)
    codes = random_codes(rng, letters + NOISE, CODE)

    stream, queries, valid, swapped_at = [], [], [], None
    while len(stream) <= steps:
        if swapped_at is None and swap_at is not None and len(stream) >= swap_at:
            swapped_at = len(stream)
        first, inner, last, other = sequences[rng.integers(len(sequences))]
        ends = last if swapped_at is None else other
        stream += [first, *inner]
        queries.append(len(stream) - 1)
        valid.append(ends)
        stream += [ends[rng.integers(len(ends))], letters + rng.integers(NOISE)]
    classes = np.concatenate([np.arange(letters), letters + np.arange(NOISE) % noise_classes])
    names = [*string.ascii_uppercase[:letters], *(f"noise {i}" for i in range(noise_classes))]
    return assemble(steps, codes, classes, stream, queries, valid, names, swapped_at)


def _sequences(pairs):
    """Of each sequence: its first symbol, the inner symbols, its endings, and those after the swap."""
    sequences = []
    for firsts, inner, last, other in pairs:
        for first, ends in zip(firsts, ((last, other), (other, last))):
            sequences.append((_numbers(first)[0], _numbers(inner), _numbers(ends[0]), _numbers(ends[1])))
    return sequences


def _numbers(text):
    return [string.ascii_uppercase.index(letter) for letter in text]


def _check(steps, swap_at, endings, noise_classes):
    check_steps(steps)
    if endings not in PAIRS:
        raise UserError(f"endings must be 1, 2 or 4, got {endings}.")
    if not 1 <= noise_classes <= NOISE:
        raise UserError(f"noise_classes must be from 1 to {NOISE}, the number of noise symbols, got {noise_classes}.")
    if swap_at is not None and not 0 < swap_at < steps:
        raise UserError(f"swap_at must be a step from 1 to {steps - 1}, got {swap_at}; give such a step, or None for "
                        "no swap.")
