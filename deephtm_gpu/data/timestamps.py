"""Reads timestamps. Which of day and month comes first, and the unit of numbers, is found out, or refused."""

import re
from datetime import datetime, timedelta
from functools import partial

from deephtm_gpu.data.choice import Ambiguous, Choice
from deephtm_gpu.errors import UserError

START = datetime(1970, 1, 1)
MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
LONG_MONTHS = ("january", "february", "march", "april", "may", "june", "july", "august", "september", "october",
               "november", "december")
EXAMPLES = "2014-07-01 00:30:00 (ISO 8601), 13/7/2014 0:30, 01.07.2014 00:30 or 1404172800 (epoch seconds)"

_WEEKDAY = re.compile(r"(?:mon|tue|wed|thu|fri|sat|sun)[a-z]*\.?,? +", re.I)
_ZONE = r"(?: ?(?:Z|UTC|GMT|[+-]\d\d(?::?\d\d)?)(?: ?\([A-Z]{3,4}\))?)?"
_CLOCK = re.compile(r"(T| |, ?)(\d{1,2})(?::(\d\d)(?::(\d\d)(?:[.,](\d+))?)?)?"
                    r"(?: ?([ap])\.?m\.?)?" + _ZONE + "$", re.I)
_USUAL = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(?::\d\d)?$", re.ASCII)
_DATE = re.compile(r"(\d{1,4})([-/. ])(\d{1,2})\2(\d{1,4})$")
_DAY_NAMED = re.compile(r"(\d{1,2})[- /]([a-z]+)\.?[-, /]+(\d{4}|\d\d)$", re.I)
_NAMED_DAY = re.compile(r"([a-z]+)\.?[ -](\d{1,2})(?:st|nd|rd|th)?,?[ -](\d{4})$", re.I)
_COMPACT = re.compile(r"((?:19|20)\d\d)(\d\d)(\d\d)T?(\d\d)(\d\d)?(\d\d)?(?:\.(\d+))?$")
_NUMBER = re.compile(r"[+-]?\d+(?:[.,]\d+)?$")

# Name -> the range in which a number is such a time, as else most could be two, and its unit in seconds.
NUMERIC = {
    "seconds": (-1e8, 1e8, 1),  # since the start of the series
    "epoch": (1e8, 1e10, 1),
    "epoch-ms": (1e11, 1e13, 1e-3),
    "epoch-us": (1e14, 1e16, 1e-6),
    "epoch-ns": (1e17, 1e19, 1e-9),
    "excel": (25569, 73050, 86400),  # days since 1899-12-30, from 1970 to 2099
}
ORDERS = ("year-first", "day-first", "month-first", "short-year-first")
NAMES = ("iso", *ORDERS, "compact", *NUMERIC)


class TimestampReader:
    """Text -> datetime, without a time zone: the time on the clock repeats by day and week.

    All timestamps of a series have one format. It is found from them; where the first can be read in two ways (is
    01/02/2010 in January or in February?), those after it decide, such as 13/02/2010. 24:00 is 0:00 of the next day, a
    leap second the second after it.

    Parameters
    ----------
    time_format : str, optional
        A name of NAMES, or a format of `datetime.strptime`, such as "%d/%m/%Y %H:%M".

    Raises
    ------
    UserError
        Where time_format is neither.

    Examples
    --------
    >>> from deephtm_gpu.data.timestamps import TimestampReader
    >>> read = TimestampReader()
    >>> read("1/2/2010 0:30", later=["1/2/2010 1:00", "13/2/2010"]).isoformat()
    '2010-02-01T00:30:00'
    """

    def __init__(self, time_format: str | None = None):
        self._format = time_format
        if time_format is None:
            self._choice = Choice(_WAYS, certain=("iso", "year-first"))
        elif "%" in time_format:
            self._choice = Choice({time_format: partial(_by_format, time_format)})
        elif time_format in _WAYS:
            self._choice = Choice({time_format: _WAYS[time_format]})
        else:
            raise UserError(f"--time-format must be a format such as '%d/%m/%Y %H:%M', or one of {', '.join(NAMES)}, "
                            f"got {time_format!r}; give one of these.")

    def __call__(self, text: str, later=()) -> datetime:
        """The time. later: the texts after it, see `Choice.read`. Raises ValueError with the second half of a
        message."""
        try:
            if self._choice.only == "year-first" and _USUAL.match(text):  # the same, ten times as fast
                return datetime.fromisoformat(text)
        except ValueError:  # 24:00, or a leap second
            pass
        try:
            return self._choice.read(text.strip(), later)
        except Ambiguous as error:
            raise ValueError(f"it is {error}, and no row near it says which; say so, such as by --time-format "
                             f"{next(iter(error.ways))}") from None
        except ValueError:
            if self._format is not None:
                raise ValueError(f"write it in the format of --time-format, {self._format}") from None
            one = _readable(text)
            raise ValueError("write it in the format of the rows before, or give --time-format" if one else
                             f"write timestamps such as {EXAMPLES}, or give --time-format") from None


def _readable(text):
    try:
        Choice(_WAYS).read(text.strip())
    except Ambiguous:
        return True
    except ValueError:
        return False
    return True


def _by_format(time_format, text):
    return datetime.strptime(text, time_format).replace(tzinfo=None)


def _by_date(order, text):
    """A date, and after it a time of day where there is one."""
    text = _WEEKDAY.sub("", text, count=1) if text[:1].isalpha() else text
    clock = _CLOCK.search(text)
    if clock and clock[1] in " ," and clock[3] is None and clock[6] is None:
        clock = None  # "1 Jan 24": the year, and no hour
    date = text[: clock.start()] if clock else text
    year, month, day = _named(date) or _numbered(order, date)
    return datetime(year, month, day) + (_time_of_day(clock) if clock else timedelta())


def _named(date):
    if found := _DAY_NAMED.match(date):
        day, name, year = found.groups()
    elif found := _NAMED_DAY.match(date):
        name, day, year = found.groups()
    else:
        return None
    name = name.lower()
    months = MONTHS if name in MONTHS else LONG_MONTHS
    return _year(year), (9 if name == "sept" else months.index(name) + 1), int(day)


def _numbered(order, date):
    found = _DATE.match(date)
    if not found:
        raise ValueError(date)
    a, sign, b, c = found.groups()
    if (len(a) == 4) != (order == "year-first") or len(a) == 3 or (len(a) == 4 and len(c) > 2):
        raise ValueError(date)
    if order == "year-first":
        return int(a), int(b), int(c)
    if len(c) not in (2, 4) and order != "short-year-first" or sign == "." and order != "day-first":
        raise ValueError(date)  # dates with dots are day first everywhere
    if order == "short-year-first":
        if not len(a) == len(b) == len(c) == 2:
            raise ValueError(date)
        return _year(a), int(b), int(c)
    return (_year(c), int(b), int(a)) if order == "day-first" else (_year(c), int(a), int(b))


def _year(digits):
    year = int(digits)
    return year if len(digits) == 4 else year + (1900 if year >= 69 else 2000)


def _time_of_day(clock):
    _, hour, minute, second, fraction, half = clock.groups()
    hour, minute, second = int(hour), int(minute or 0), int(second or 0)
    if half:
        if not 1 <= hour <= 12:
            raise ValueError(hour)
        hour = hour % 12 + 12 * (half.lower() == "p")
    midnight = (hour, minute, second) == (24, 0, 0)
    if not (hour <= 23 or midnight) or minute > 59 or second > 60:
        raise ValueError(clock.group())
    micro = int(((fraction or "") + "000000")[:6])
    return timedelta(hours=hour, minutes=minute, seconds=second, microseconds=micro)


def _iso(text):
    """What ISO 8601 writes otherwise than with a dash between numbers, which is "year-first": weeks, 20240131."""
    if not re.match(r"\d{4}-?W\d\d|\d{8}(?:$|T\d{4})", text):
        raise ValueError(text)
    if re.match(r"\d{8}$", text) and not 1900 <= int(text[:4]) < 2100:
        raise ValueError(text)
    return datetime.fromisoformat(text).replace(tzinfo=None)


def _compact(text):
    """20240131, then HH, HHMM or HHMMSS."""
    found = _COMPACT.match(text)
    if not found:
        raise ValueError(text)
    *parts, fraction = found.groups()
    return datetime(*(int(p or 0) for p in parts), int(((fraction or "") + "000000")[:6]))


def _number(name, text):
    least, most, unit = NUMERIC[name]
    if not _NUMBER.match(text):
        raise ValueError(text)
    text = text.replace(",", ".")
    value = float(text)
    if not least <= value < most:
        raise ValueError(text)
    if unit < 1 and "." not in text:  # exact: a float has no room for nanoseconds since 1970
        return START + timedelta(microseconds=int(text) * 1_000_000 // round(1 / unit))
    start = datetime(1899, 12, 30) if name == "excel" else START
    return start + timedelta(seconds=round(value * unit, 6 if name != "excel" else 3))


_WAYS = ({"iso": _iso} | {order: partial(_by_date, order) for order in ORDERS} | {"compact": _compact}
         | {name: partial(_number, name) for name in NUMERIC})
