"""The way back to where a model stands: a copy of the backend's memory, and what was run since."""

from collections.abc import Callable

from deephtm_gpu.backends.batch import Batch, Outputs

EVERY = 2048  # steps at least between two copies: a copy of everything costs as much as many steps


class Checkpoint:
    """backend: one that satisfies `backends/protocol.py`. What is run through it can be undone by `recover`, as
    backends repeat themselves to the bit."""

    def __init__(self, backend):
        self._backend = backend
        self.forget()

    def forget(self):
        """The memory was changed from outside: the next `ready` makes a new copy."""
        self._copy, self._log, self._steps = None, [], 0

    def ready(self, fresh=False) -> int:
        """Makes a copy where there is none, or too much to run again since (fresh: anything). Returns how many actions
        there are."""
        if self._copy is None or self._steps >= EVERY or (fresh and self._log):
            self._copy, self._log, self._steps = self._backend.snapshot(), [], 0
        return len(self._log)

    def add(self, action: Callable, steps: int) -> int:
        """Something that was done. Returns how many there are."""
        self._log.append(action)
        self._steps += steps
        return len(self._log)

    def recover(self, count: int):
        """Back to where the first `count` actions since the copy led."""
        if self._copy is None:
            return
        del self._log[count:]
        self._backend.restore(self._copy)
        for action in self._log:
            action()


def runs(backend, batch: Batch) -> Callable[[], Outputs]:
    """An action that runs the batch."""
    return lambda: backend.run(batch)
