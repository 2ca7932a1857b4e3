"""Memory that is watched: accesses outside, reads of what nobody wrote, races between lanes and between workgroups."""

from dataclasses import dataclass, field

UNSET = object()
_MOST = 20  # faults that are kept
_MANY = -1  # instead of a lane or workgroup: several


@dataclass
class Faults:
    """What was found, each once, in its order."""

    found: list[str] = field(default_factory=list)
    _known: set = field(default_factory=set)

    def add(self, kind: str, where: str, text: str):
        """One for each kind and array: the first tells what the others do."""
        if (kind, where) not in self._known and len(self.found) < _MOST:
            self._known.add((kind, where))
            self.found.append(f"{where}{text}")


class Watched:
    """An array of a kernel.

    Parameters
    ----------
    name : str
    data : list
        Its elements: numbers, or tuples of a quad's. UNSET where nothing was written.
    faults : Faults
    across : bool
        Whether several workgroups see it.
    """

    def __init__(self, name: str, data: list, faults: Faults, across: bool):
        self.name, self.data, self.faults, self._across = name, data, faults, across
        self.function = ""
        self.group = 0
        self._writers: dict[int, int] = {}  # of elements touched since the last barrier: by which lane
        self._readers: dict[int, int] = {}
        self._group_writers: dict[int, int] = {}  # since the dispatch began: by which workgroup
        self._group_readers: dict[int, int] = {}

    def barrier(self):
        """What was written is seen by all lanes now."""
        self._writers.clear()
        self._readers.clear()

    def enter(self, group: int):
        """The next workgroup of the dispatch begins."""
        self.group = group
        self.barrier()

    def read(self, i, lane):
        if not 0 <= i < len(self.data):
            self._fault("outside", f"[{i}] is read, and it has {len(self.data)} elements")
            return self.data[0] if self.data and self.data[0] is not UNSET else 0
        writer = self._writers.get(i, lane)
        if writer != lane:
            self._fault("race", f"[{i}] is read by lane {lane} and written by lane {writer} with no barrier between")
        self._readers[i] = lane if self._readers.get(i, lane) == lane else _MANY
        if self._across:
            group = self._group_writers.get(i, self.group)
            if group != self.group:
                self._fault("groups", f"[{i}] is read by workgroup {self.group} and written by workgroup {group} in "
                                      "one dispatch")
            self._group_readers[i] = self.group if self._group_readers.get(i, self.group) == self.group else _MANY
        value = self.data[i]
        if value is UNSET:
            self._fault("unset", f"[{i}] is read by lane {lane}, and nothing was written there")
            return 0
        return value

    def write(self, i, value, lane):
        if not 0 <= i < len(self.data):
            self._fault("outside", f"[{i}] is written, and it has {len(self.data)} elements")
            return
        if not _same(self.data[i], value):  # lanes may write the same number side by side
            self._changes(i, lane)
        self._writers[i] = lane
        if self._across:
            self._group_writers[i] = self.group
        self.data[i] = value

    def atomic(self, i) -> "_Atomic":
        """An element of atomics: no race with each other."""
        if not 0 <= i < len(self.data):
            self._fault("outside", f"[{i}] is touched, and it has {len(self.data)} elements")
            i = 0
        return _Atomic(self, i)

    def _changes(self, i, lane):
        other = self._writers.get(i, lane)
        if other != lane:
            self._fault("race", f"[{i}] is written by lanes {other} and {lane} with no barrier between")
        reader = self._readers.get(i, lane)
        if reader != lane:
            who = "several lanes" if reader == _MANY else f"lane {reader}"
            self._fault("race", f"[{i}] is read by {who} and written by lane {lane} with no barrier between")
        if self._across:
            group = self._group_writers.get(i, self.group)
            reader = self._group_readers.get(i, self.group)
            if group != self.group or reader != self.group:
                self._fault("groups", f"[{i}] is written by workgroup {self.group} and touched by another in one "
                                      "dispatch")

    def _fault(self, kind, text):
        self.faults.add(kind, f"{self.function}: {self.name}", text)

    def unset(self, i):
        self._fault("unset", f"[{i}] is read, and nothing was written there")


class _Atomic:
    def __init__(self, array: Watched, i: int):
        self._array, self._i = array, i

    def peek(self):
        if self._array.data[self._i] is UNSET:
            self._array.unset(self._i)
            self._array.data[self._i] = 0
        return self._array.data[self._i]

    def change(self, function, value):
        """What was there before."""
        before = 0 if self._array.data[self._i] is UNSET else self._array.data[self._i]
        self._array.data[self._i] = function(before, value)
        return before


def _same(a, b) -> bool:
    return a is not UNSET and (a == b or a != a and b != b)
