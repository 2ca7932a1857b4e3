"""Pictures of handwritten digits, 8×8: as symbols of a grammar, and moving about.

Source of the pictures: Alpaydin & Kaynak, "Optical recognition of handwritten digits", UCI Machine Learning Repository
(1998), DOI 10.24432/C50P49, licence CC BY 4.0 (the test set of 1,797 pictures); digits_LICENSE.txt stands beside them.
"""

import gzip
from functools import cache
from importlib import resources

import numpy as np

from deephtm_gpu.arguments import check_count, check_number, real, shown
from deephtm_gpu.errors import UserError

SIDE = 8
HELD_OUT = 5  # every so many-th picture is for tests alone


@cache
def pictures() -> tuple[np.ndarray, np.ndarray]:
    """All pictures, (1797, 8, 8) float32 from 0 to 1, and which digits they are, (1797,)."""
    packed = (resources.files("deephtm_gpu") / "data" / "pictures" / "digits.csv.gz").read_bytes()
    table = np.array([line.split(",") for line in gzip.decompress(packed).decode().split()], np.int64)
    return (table[:, :-1].reshape(-1, SIDE, SIDE) / 16).astype(np.float32), table[:, -1]


def of_class(digit: int, held_out: bool = False) -> np.ndarray:
    """The pictures of a digit, (n, 8, 8): those to learn from, or those held out.

    Raises
    ------
    UserError
        Where digit is not from 0 to 9.
    """
    _check_digits("of_class's digit", (digit,))
    images, digits = pictures()
    number = np.arange(len(images))
    return images[(digits == digit) & ((number % HELD_OUT == 0) == held_out)]


def nearest_digit(picture: np.ndarray) -> np.ndarray:
    """Which digits pictures show most likely: the class whose mean picture is nearest.

    Parameters
    ----------
    picture : ndarray (..., 8, 8)

    Returns
    -------
    ndarray (...) of int

    Raises
    ------
    UserError
        Where a picture is none of 8×8 numbers.
    """
    given, picture = picture, real(picture)
    if picture is None or picture.shape[-2:] != (SIDE, SIDE):
        got = shown(given) if picture is None else f"shape {picture.shape}"
        raise UserError(f"nearest_digit's picture must be numbers of shape (..., {SIDE}, {SIDE}), got {got}.")
    off = picture[..., None, :, :] - _means()  # (..., 10, 8, 8)
    return (off**2).sum(axis=(-2, -1)).argmin(axis=-1)


def _check_digits(what, digits):
    whole = all(isinstance(d, int | np.integer) and not isinstance(d, bool) for d in digits)
    if not digits or not whole or not all(0 <= d < 10 for d in digits):
        raise UserError(f"{what} must be from 0 to 9, got {shown(digits)}; give such as (0, 1, 2, 3).")


@cache
def _means():
    return np.stack([of_class(digit).mean(axis=0) for digit in range(10)])


class DigitGrammar:
    """A sequence of digits repeated for ever, each time another picture of the digit. An endless iterator of frames.

    Parameters
    ----------
    sequence : sequence of int
        The digits, 0 to 9.
    seed : int or sequence of int, default 0
        Of which pictures come.
    held_out : bool, default False
        Whether from the pictures that are held out for tests.
    start : int, default 0
        Where in the sequence it begins.

    Attributes
    ----------
    upcoming : int
        The digit of the next frame.

    Raises
    ------
    UserError
        Where the sequence is none of digits.

    Examples
    --------
    >>> from deephtm_gpu.data.digits import DigitGrammar
    >>> DigitGrammar((0, 1, 2, 3, 0, 3, 2, 1)).take(8).shape
    (8, 1, 8, 8)
    """

    def __init__(self, sequence, seed=0, held_out: bool = False, start: int = 0) -> None:
        self.sequence = tuple(sequence) if np.iterable(sequence) else (sequence,)
        _check_digits("DigitGrammar's digits", self.sequence)
        self._rng, self._at = np.random.default_rng(seed), check_count("DigitGrammar's start", start, 0)
        self._pictures = {digit: of_class(digit, held_out) for digit in set(self.sequence)}

    @property
    def upcoming(self) -> int:
        return self.sequence[self._at % len(self.sequence)]

    def __iter__(self):
        return self

    def __next__(self) -> np.ndarray:
        there = self._pictures[self.upcoming]
        self._at += 1
        return there[self._rng.integers(len(there))][None]

    def take(self, steps: int) -> np.ndarray:
        """The next frames, (steps, 1, 8, 8) float32."""
        return np.stack([next(self) for _ in range(check_count("steps", steps))])


class MovingDigits:
    """A digit of 8×8 pixels that moves across a field at a constant speed and bounces off its sides. An endless
    iterator of frames.

    Parameters
    ----------
    seed : int or sequence of int, default 0
        Of the picture, where it begins, and which way it goes.
    side : int, default 24
        Pixels along a side of the field, 9 or more.
    slowest, fastest : float, default 0.5, 2.0
        Bounds of its speed, in pixels a frame: 0 <= slowest <= fastest <= side - 8.
    held_out : bool, default False
        Whether of the pictures that are held out for tests.

    Raises
    ------
    UserError
        Where an argument is out of range.

    Examples
    --------
    >>> from deephtm_gpu.data.digits import MovingDigits
    >>> MovingDigits(seed=3).take(5).shape
    (5, 1, 24, 24)
    """

    def __init__(self, seed=0, side: int = 24, slowest: float = 0.5, fastest: float = 2.0,
                 held_out: bool = False) -> None:
        rng = np.random.default_rng(seed)
        self.side = check_count("MovingDigits' side", side, SIDE + 1)
        there = of_class(int(rng.integers(10)), held_out)
        self._picture = there[rng.integers(len(there))]
        self._room = self.side - SIDE
        check_number("MovingDigits' slowest", slowest, 0, self._room)
        check_number("MovingDigits' fastest", fastest, slowest, self._room)
        self._at = rng.uniform(0, self._room, size=2)
        angle = rng.uniform(0, 2 * np.pi)
        self._velocity = rng.uniform(slowest, fastest) * np.array([np.sin(angle), np.cos(angle)])

    def __iter__(self):
        return self

    def __next__(self) -> np.ndarray:
        frame = self._seen()
        self._at += self._velocity
        for axis in range(2):  # as often as it bounces
            while not 0 <= self._at[axis] <= self._room:
                wall = 0 if self._at[axis] < 0 else self._room
                self._at[axis] = 2 * wall - self._at[axis]
                self._velocity[axis] *= -1
        return frame

    def _seen(self):
        """The picture at a position between pixels: the nearest four share it (bilinear)."""
        frame = np.zeros((self.side + 1, self.side + 1), np.float32)
        (row, column), (down, right) = self._at.astype(int), self._at % 1
        for i, rows in ((0, 1 - down), (1, down)):
            for j, columns in ((0, 1 - right), (1, right)):
                frame[row + i : row + i + SIDE, column + j : column + j + SIDE] += rows * columns * self._picture
        return frame[None, :-1, :-1].clip(max=1)  # rounding

    def take(self, steps: int) -> np.ndarray:
        """The next frames, (steps, 1, side, side) float32."""
        return np.stack([next(self) for _ in range(check_count("steps", steps))])
