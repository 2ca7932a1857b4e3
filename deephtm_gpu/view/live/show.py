"""A show: what is watched while it learns."""

from deephtm_gpu.view.live.ring import Ring


class Show:
    """Whatever has the following may be watched in a window, recorded, and run by `deephtm demo`:

    spec: a Spec, what the picture shows.
    total, done: how many steps there are to learn, and how many are over. phase: what it is doing, to be told beside; "" says nothing.
    ring(): a new Ring for the spec, to be given to `advance`.
    advance(steps, ring): learns so many more steps, or as many as there are, and puts them into the ring; returns how many.
    reset(): forgets the temporal state.
    model: for the report; `model.layers()`, a list of things with a `repr` each, and `model.device`, a DeviceInfo.

    A subclass of this one needs `spec` and `_learn(begin, end)`, which learns these steps, may write into `blocks`, and returns what the
    spec's fields show of each: name -> (end - begin, numbers). blocks: from `ring()` on the arrays (tall, wide) of the spec's blocks.
    model: with a `reset()` too."""

    phase = ""

    def __init__(self, model, total):
        self.model, self.total, self.done = model, total, 0

    def ring(self) -> Ring:
        made = self.spec.ring()
        self.blocks = made.blocks
        return made

    def advance(self, steps, ring: Ring) -> int:
        begin, end = self.done, min(self.done + steps, self.total)
        if begin < end:
            ring.push(ring.fields.pack(end - begin, **self._learn(begin, end)))
            self.done = end
        return end - begin

    def reset(self):
        self.model.reset()
