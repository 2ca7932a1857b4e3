"""Reads the timestamps of CSV files."""

from datetime import datetime

# Tried after ISO 8601. Dates with slashes are month first: 01/02/10 could be either.
FORMATS = (
    "%m/%d/%y %H:%M", "%m/%d/%y %H:%M:%S", "%m/%d/%Y %H:%M", "%m/%d/%Y %H:%M:%S", "%m/%d/%Y",
    "%Y/%m/%d %H:%M", "%Y/%m/%d %H:%M:%S", "%d.%m.%Y %H:%M", "%d.%m.%Y %H:%M:%S", "%d.%m.%Y",
)
EXAMPLES = "2014-07-01 00:30:00 (ISO 8601), 7/1/14 0:30 (month first), 2014/07/01 00:30 or 01.07.2014 00:30"


class TimestampReader:
    """Text -> datetime. The first timestamp decides the format of all.

    A time zone is dropped, as the time on the clock repeats by day and week. Raises ValueError with the second half of
    a message.
    """

    def __init__(self):
        self._parse = None

    def __call__(self, text):
        if self._parse is None:
            self._parse = _find_format(text)
        try:
            return self._parse(text).replace(tzinfo=None)
        except ValueError:
            raise ValueError("write it in the format of the first row") from None


def _find_format(text):
    candidates = [datetime.fromisoformat] + [lambda t, f=f: datetime.strptime(t, f) for f in FORMATS]
    for parse in candidates:
        try:
            parse(text)
            return parse
        except ValueError:
            pass
    raise ValueError(f"write timestamps such as {EXAMPLES}")
