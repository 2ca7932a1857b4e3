"""A show: something that learns and can be shown while it does."""

from matplotlib.figure import Figure

from deephtm_gpu.view.live.ring import Ring


class Show:
    """The interface of what a window shows, a Recorder records, and `deephtm demo` runs.

    Attributes
    ----------
    spec : Spec
        The parts of the picture.
    total, done : int
        How many steps there are, and how many have been learned.
    phase : str
        What it is doing, for the status line; "" for nothing.
    dreaming : bool
        Whether steps are dreamt, see `dream`: they do not count as done.
    model
        For the report: `model.layers()`, a list of objects with a `repr` each; `model.device`, a DeviceInfo;
        `model.reset()`.
    blocks : list of ndarray (tall, wide)
        After `ring()`: the arrays of the spec's blocks.

    Notes
    -----
    A subclass needs `spec` and `_learn(begin, end)`, which learns these steps, can write into `blocks`, and returns the
    fields of the spec: name -> (end - begin, numbers).
    """

    phase = ""
    dreaming = False

    def __init__(self, model, total):
        self.model, self.total, self.done = model, total, 0

    def ring(self) -> Ring:
        """A new Ring for the spec, the argument of `advance`."""
        ring = self.spec.ring()
        self.blocks = ring.blocks
        return ring

    def advance(self, steps: int, ring: Ring) -> int:
        """Learn so many more steps, or all that remain, and add them to the ring. Returns how many."""
        begin, end = self.done, min(self.done + steps, self.total)
        if begin < end:
            ring.push(ring.fields.pack(end - begin, **self._learn(begin, end)))
            self.done = end
        return end - begin

    def dream(self) -> None:
        """Begin to feed predictions back as inputs, without learning, or come back to what there is. Asked for only of
        a show whose spec dreams."""
        raise NotImplementedError

    def pictures(self) -> dict[str, Figure]:
        """Further pictures that `deephtm demo` writes, by name: matplotlib figures."""
        return {}

    def reset(self) -> None:
        """Forget the temporal state."""
        self.model.reset()
