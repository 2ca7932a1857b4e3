"""Reads numbers as people write them: 1,234.5 and 1.234,5 and 1 234,5. Which sign is the decimal sign is found out or
refused: never guessed."""

import math
import re
from functools import partial

from deephtm_gpu.data.choice import Ambiguous, Choice

LARGEST = 1e100  # beyond this, sums and scales leave the range of float64

# What a cell without a number holds, in small letters.
GAPS = {"", "na", "n/a", "#n/a", "#n/a n/a", "#na", "<na>", "nan", "-nan", "nat", "null", "none", "nil", "-", "--", ".",
        "?", "1.#ind", "-1.#ind", "1.#qnan", "-1.#qnan", "1.#nan", "missing"}
_SPACES = "'\u2019 \u00a0\u2009\u202f"  # between thousands, whatever the decimal sign
_PROGRAM = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?", re.ASCII)
_INFINITE = {"inf", "infinity", "\u221e"}


def is_gap(cell) -> bool:
    """Whether a cell has no number, such as "", "NA", "-", None or NaN."""
    if isinstance(cell, str):
        return not cell[:1].isdigit() and cell.strip().lower() in GAPS
    return cell is None or (isinstance(cell, float) and math.isnan(cell))


class NumberReader:
    """Text -> float.

    Parameters
    ----------
    decimal : {".", ","}, optional
        The decimal sign. Where it is left out, the texts decide: 1.5 and 1,234.5 and 0.123 prove the point, 1,5 the
        comma; 1.234 alone could be either.
    between : str, optional
        What separates the cells of a line. In a file with commas there, or none, a lone point is a decimal point; in a
        file with nothing between cells a comma is refused, as it could separate two cells.

    Examples
    --------
    >>> from deephtm_gpu.sources.numbers import NumberReader
    >>> read = NumberReader(between=";")
    >>> read("1.234", later=["17", "2,5"]), read("1.234.567,5")
    (1234.0, 1234567.5)
    """

    def __init__(self, decimal: str | None = None, between: str | None = ","):
        plain = decimal is None and between in (",", None)
        point = partial(_read, _POINT if decimal or between else _PLAIN_POINT)
        comma = partial(_read, _LONE_COMMA if plain else _COMMA)
        ways = {".": point} if decimal == "." or (plain and not between) else {".": point, ",": comma}
        self._choice = Choice({",": comma} if decimal == "," else ways)

    def __call__(self, text: str, later=()) -> float:
        """The number. later: the texts after it, see `Choice.read`. Raises ValueError with the message in two parts:
        what there must be, and what to do."""
        if self._choice.only == "." and is_plain(text) or text.isascii() and text.isdigit():
            return checked(float(text))
        if text.lower().lstrip("+-") in _INFINITE:
            raise ValueError("a finite number", "fill it in, or remove the line")
        try:
            value = self._choice.read(text.replace("\u2212", "-"), later)
        except Ambiguous as error:
            raise ValueError("a number", f"it is {error}, and no row near it says which; give --decimal . or --decimal "
                             "\",\"") from None
        except ValueError:
            hint = ("write all numbers with one decimal sign, and say which by --decimal, and by --delimiter what "
                    "separates the cells") if re.match(r"[+-]?\d[\d.,]*$", text) else (
                    "write one such as 12.5, without a unit, or remove the line")
            raise ValueError("a number", hint) from None
        return checked(value)


def is_plain(text: str) -> bool:
    """Whether it is a number as programs write it, such as -12.5 and 1e5."""
    return _PROGRAM.fullmatch(text) is not None


def checked(value: float) -> float:
    """The value. Raises ValueError, as `NumberReader`, where it is too large."""
    if not math.isfinite(value):
        raise ValueError("a finite number", "fill it in, or remove the line")
    if abs(value) > LARGEST:
        raise ValueError(f"a number up to {LARGEST:g}", "use a larger unit")
    return value


def _pattern(decimal, thousands):
    grouped = rf"[1-9]\d{{0,2}}(?P<t>[{thousands}])\d{{3}}(?:(?P=t)\d{{3}})*|" if thousands else ""
    text = rf"(?P<sign>[+-]?)(?P<whole>{grouped}\d+)?(?:[{decimal}](?P<part>\d*))?(?P<power>[eE][+-]?\d+)?"
    return re.compile(text, re.ASCII)


_POINT, _PLAIN_POINT, _COMMA = _pattern(".", "," + _SPACES), _pattern(".", _SPACES), _pattern(",", "." + _SPACES)
# A point between thousands only where there is a comma too.
_LONE_COMMA = re.compile(r"(?=[^.]*$|.*,)" + _COMMA.pattern, re.ASCII)


def _read(pattern, text):
    found = pattern.fullmatch(text)
    if not found or not (found["whole"] or found["part"]):
        raise ValueError(text)
    whole = re.sub(r"\D", "", found["whole"] or "0")
    return float(f"{found['sign']}{whole}.{found['part'] or '0'}{found['power'] or ''}")
