"""Letters make words, words make phrases: the closing word of a phrase depends on its opening, with random words
between."""

from dataclasses import dataclass

import numpy as np

from deephtm_gpu.arguments import check_count, check_seed, shown
from deephtm_gpu.data.symbols import SymbolTask, assemble, random_codes
from deephtm_gpu.errors import UserError

ALPHABET = "abcdefghijklmnop"
SPACE, COMMA, STOP = range(len(ALPHABET), len(ALPHABET) + 3)  # after a word; before the closing word; after it
NAMES = (*ALPHABET, "space", ",", ".")
CODE = 16  # numbers per letter
LETTERS = 3  # per word
FILLERS = 10  # different words that can come between


@dataclass(frozen=True)
class Words:
    """A text.

    Attributes
    ----------
    task : SymbolTask
        The stream of letters.
    ends : ndarray (T, 1) float32
        1 at the sign after each word, else 0.
    words : dict
        "opening", "closing" and "between" -> the words of that kind.
    """

    task: SymbolTask
    ends: np.ndarray
    words: dict[str, tuple[str, ...]]


def words(between: int = 5, steps: int = 40_000, seed: int = 0, openings: int = 1) -> Words:
    """Phrases such as `cad bof abe gig nam nol,eff.`: an opening word, random words, and a closing word that depends on
    the opening.

    A query is the step of the comma: the first letter of the closing word comes next. Both closing words are equally
    frequent.

    Parameters
    ----------
    between : int, default 5
        Random words between opening and closing word, each one of 10.
    steps : int, default 40_000
        Letters of the text.
    seed : int, default 0
        Seed of codes and text.
    openings : {1, 2}
        1: one of two opening words decides. 2: there are two opening words, each one of two, and their exclusive or
        decides: one of them alone carries no information.

    Returns
    -------
    Words
        The text.

    Raises
    ------
    UserError
        If an argument is out of range.

    Examples
    --------
    >>> from deephtm_gpu.data.words import words
    >>> text = words(between=1, steps=300)
    >>> text.task.inputs.shape, text.ends.shape, len(text.words["closing"])
    ((300, 16), (300, 1), 2)
    """
    steps, between = check_count("words' steps", steps), check_count("words' between", between, minimum=0)
    if check_count("words' openings", openings) > 2:
        raise UserError(f"words' openings must be 1 or 2, got {shown(openings)}.")
    rng = np.random.default_rng(check_seed("words' seed", seed))
    codes = random_codes(rng, len(NAMES), CODE)
    lexicon = _lexicon(rng, 2 * openings + 2 + FILLERS)
    opening = [lexicon[2 * o : 2 * o + 2] for o in range(openings)]
    closing, fillers = lexicon[2 * openings : 2 * openings + 2], lexicon[2 * openings + 2 :]

    stream, queries, valid = [], [], []
    while len(stream) <= steps:
        drawn = rng.integers(2, size=openings)
        phrase = [pair[d] for pair, d in zip(opening, drawn)] + [
            fillers[f] for f in rng.integers(FILLERS, size=between)
        ]
        for word in phrase:
            stream += [*word, SPACE]
        stream[-1] = COMMA
        close = closing[int(drawn.sum() % 2)]
        queries.append(len(stream) - 1)
        valid.append([close[0]])
        stream += [*close, STOP]
    task = assemble(steps, codes, np.arange(len(NAMES)), stream, queries, valid, NAMES)
    ends = np.isin(task.symbols[:-1], (SPACE, COMMA, STOP)).astype(np.float32)[:, None]
    kinds = {"opening": [w for pair in opening for w in pair], "closing": closing, "between": fillers}
    return Words(task, ends, {kind: tuple("".join(ALPHABET[c] for c in w) for w in ws) for kind, ws in kinds.items()})


def _lexicon(rng, count):
    """`count` different words. No two of the first `count - FILLERS` begin with the same letter."""
    firsts = rng.permutation(len(ALPHABET))
    made = [
        [int(first), *map(int, rng.integers(len(ALPHABET), size=LETTERS - 1))] for first in firsts[: count - FILLERS]
    ]
    while len(made) < count:
        word = list(map(int, rng.integers(len(ALPHABET), size=LETTERS)))
        if word not in made:
            made.append(word)
    return made
