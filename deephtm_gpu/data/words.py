"""Letters that make words, words that make phrases: what opens a phrase decides how it closes, and random words stand between."""

from dataclasses import dataclass

import numpy as np

from deephtm_gpu.arguments import check_count, shown
from deephtm_gpu.data.symbols import SymbolTask, assemble, random_codes
from deephtm_gpu.errors import UserError

ALPHABET = "abcdefghijklmnop"
SPACE, COMMA, STOP = range(len(ALPHABET), len(ALPHABET) + 3)  # behind a word; before the word that closes; behind it
NAMES = (*ALPHABET, "space", ",", ".")
CODE = 16  # numbers per letter
LETTERS = 3  # per word
FILLERS = 10  # different words that may stand between


@dataclass(frozen=True)
class Words:
    """task: of letters. ends (T, 1) float32: 1 at the sign behind each word. words: the text's words by kind, as texts."""

    task: SymbolTask
    ends: np.ndarray
    words: dict[str, tuple[str, ...]]


def words(between=5, steps=40_000, seed=0, openings=1) -> Words:
    """Phrases such as `cad bof abe gig nam nol,eff.`: one opening word of two, `between` random words of 10, and a closing word of
    two, decided by the opening. With openings=2 two opening words of two each, and the close is their exclusive or: neither tells
    anything alone.

    A query is the step of the comma: the first letter of the closing word comes next. The two have equal chances. Raises UserError.
    """
    steps, between = check_count("words' steps", steps), check_count("words' between", between, least=0)
    if check_count("words' openings", openings) > 2:
        raise UserError(f"Phrases with {shown(openings)} opening words were asked for; there are those with 1 and with 2: give one of these.")
    rng = np.random.default_rng(check_count("words' seed", seed, least=0))
    codes = random_codes(rng, len(NAMES), CODE)
    lexicon = _lexicon(rng, 2 * openings + 2 + FILLERS)
    opening = [lexicon[2 * o : 2 * o + 2] for o in range(openings)]
    closing, fillers = lexicon[2 * openings : 2 * openings + 2], lexicon[2 * openings + 2 :]

    stream, queries, valid = [], [], []
    while len(stream) <= steps:
        drawn = rng.integers(2, size=openings)
        phrase = [pair[d] for pair, d in zip(opening, drawn)] + [fillers[f] for f in rng.integers(FILLERS, size=between)]
        for word in phrase:
            stream += [*word, SPACE]
        stream[-1] = COMMA
        close = closing[int(drawn.sum() % 2)]
        queries.append(len(stream) - 1)
        valid.append([close[0]])
        stream += [*close, STOP]
    task = assemble(steps, codes, np.arange(len(NAMES)), stream, queries, valid, NAMES)
    ends = np.isin(task.symbols[:-1], (SPACE, COMMA, STOP)).astype(np.float32)[:, None]
    told = {"opening": [w for pair in opening for w in pair], "closing": closing, "between": fillers}
    return Words(task, ends, {kind: tuple("".join(ALPHABET[c] for c in w) for w in ws) for kind, ws in told.items()})


def _lexicon(rng, count):
    """Different words; no two of the first `count - FILLERS` begin with the same letter."""
    firsts = rng.permutation(len(ALPHABET))
    made = [[int(first), *map(int, rng.integers(len(ALPHABET), size=LETTERS - 1))] for first in firsts[: count - FILLERS]]
    while len(made) < count:
        word = list(map(int, rng.integers(len(ALPHABET), size=LETTERS)))
        if word not in made:
            made.append(word)
    return made
