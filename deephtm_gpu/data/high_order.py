"""High-order sequences whose endings are swapped halfway.

The task of Cui, Ahmad & Hawkins, "Continuous online sequence learning with an unsupervised neural network model", Neural
Computation 28 (2016). What ends a sequence was decided by its first symbol, 6 or 7 steps ago; everything between is the
same for two sequences, and every symbol appears in several. After the swap, what was learned is wrong.
"""

import string

import numpy as np

from deephtm_gpu.data.symbols import assemble, check_steps, random_codes
from deephtm_gpu.errors import UserError

NOISE = 5000  # symbols, one of which stands between two sequences
CODE = 16  # numbers per symbol

# By the number of valid endings: pairs of sequences, as the two first symbols, the symbols they share, and the endings of
# either. The paper's sequences, with letters for its numbers.
PAIRS = {
    1: (("GB", "IHECD", "A", "F"), ("GB", "DECHI", "F", "A"), ("AC", "JHIFDE", "B", "G"), ("AC", "EDFIHJ", "G", "B")),
    2: (("EF", "IDKJG", "BC", "AH"), ("EF", "GJKDI", "AH", "BC"), ("EF", "DIGBKL", "CJ", "AH"), ("EF", "LKBGID", "AH", "CJ")),
    4: (("HL", "EMFOB", "ACDJ", "GIKN"), ("HL", "BOFME", "GIKN", "ACDJ"), ("JN", "EFPGBM", "ACDK", "HILO"),
        ("JN", "BMGPEF", "HILO", "ACDK")),
}


def high_order(steps=20_000, seed=0, swap_at=10_000, endings=1, noise_classes=1):
    """Eight sequences of 7 or 8 symbols in random order, one random symbol out of 5,000 between, no reset.

    A query is the step before a sequence's last symbol; with 2 or 4 `endings`, any of them may come, and all are valid. From
    the first sequence on that begins at `swap_at` or later, the two of each pair have each other's endings (None: never).
    inputs: a random code of 16 numbers for each symbol, for each noise symbol too. Classes: the sequences' symbols, then
    `noise_classes` for the noise, noise symbol i being in class i mod noise_classes. Raises UserError.
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
    """Of each sequence: its first symbol, the inner ones, its endings, and those after the swap."""
    told = []
    for firsts, inner, last, other in pairs:
        for first, ends in zip(firsts, ((last, other), (other, last))):
            told.append((_numbers(first)[0], _numbers(inner), _numbers(ends[0]), _numbers(ends[1])))
    return told


def _numbers(text):
    return [string.ascii_uppercase.index(letter) for letter in text]


def _check(steps, swap_at, endings, noise_classes):
    check_steps(steps)
    if endings not in PAIRS:
        raise UserError(f"Sequences with {endings} valid endings were asked for; there are those with 1, 2 and 4: choose one.")
    if not 1 <= noise_classes <= NOISE:
        raise UserError(f"{noise_classes} noise classes were asked for; there are {NOISE} noise symbols: give 1 to {NOISE}.")
    if swap_at is not None and not 0 < swap_at < steps:
        raise UserError(f"A swap at step {swap_at} of {steps} was asked for; give one from 1 to {steps - 1}, or None for no swap.")
