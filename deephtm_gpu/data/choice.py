"""One of several ways to read a text, such as day first or month first: the texts themselves decide."""

from collections.abc import Callable, Iterable


class Ambiguous(ValueError):
    """Several ways read the same text as different values. ways: their names, with the value of each."""

    def __init__(self, ways: dict):
        super().__init__(", ".join(f"{value} ({name})" for name, value in ways.items()))
        self.ways = ways


class Choice:
    """Reads texts in the way that fits all of them. A way that cannot read one of them is out from then on.

    Parameters
    ----------
    ways : dict of str to callable
        Name -> a function of a text that returns its value, or raises ValueError.
    certain : set of str
        Ways that need no proof: the first of them that reads a text is taken.

    Examples
    --------
    >>> from deephtm_gpu.data.choice import Choice
    >>> choice = Choice({"decimal": lambda t: int(t, 10), "hexadecimal": lambda t: int(t, 16)})
    >>> choice.read("9"), choice.read("10", later=["2", "ff"]), choice.read("11")
    (9, 16, 17)
    """

    def __init__(self, ways: dict[str, Callable], certain: Iterable[str] = ()):
        self._ways, self._certain = ways, certain
        self.only = next(iter(ways)) if len(ways) == 1 else None  # the name of the way, once it is decided

    def read(self, text: str, later: Iterable[str] = ()):
        """The value of a text.

        Parameters
        ----------
        text : str
            The next text.
        later : iterable of str
            Texts after it. They are looked at until one way is left, where the ways differ on `text`.

        Raises
        ------
        Ambiguous
            Where `later` does not decide.
        ValueError
            Where no way that is left reads it.
        """
        found = _values(self._ways, text)
        if not found:
            raise ValueError(text)
        sure = [name for name in self._certain if name in found]
        found = {sure[0]: found[sure[0]]} if sure else found
        self._keep(found)
        if _differ(found):
            for other in later:
                self._keep(_values(self._ways, other))
                found = {name: found[name] for name in self._ways}
                if not _differ(found):
                    break
            else:
                raise Ambiguous(found)
        return next(iter(found.values()))

    def _keep(self, names):
        if names and len(names) < len(self._ways):  # none: an error of that text, reported when its turn comes
            self._ways = {name: self._ways[name] for name in names}
            self.only = next(iter(names)) if len(names) == 1 else None


def _values(ways, text):
    found = {}
    for name, read in ways.items():
        try:
            found[name] = read(text)
        except (ValueError, OverflowError):
            pass
    return found


def _differ(found):
    return len(found) > 1 and len(set(found.values())) > 1
