"""Learns a show on a thread of its own, so that drawing does not interrupt it. For models whose steps leave Python."""

import threading
from contextlib import contextmanager

TURN = 1 / 100  # seconds that are learned at a time: a frame waits no longer
_IDLE = 1 / 100  # seconds until the thread looks again whether there is something to learn


class LearningThread:
    """Takes the turns of a Training until `end`.

    training : Training
    """

    def __init__(self, training):
        self._training, self._error = training, None
        self._lock, self._free, self._ended = threading.Lock(), threading.Event(), threading.Event()
        self._free.set()
        self._thread = threading.Thread(target=self._run, name="learning", daemon=True)
        self._thread.start()

    @contextmanager
    def held(self):
        """Within the block nothing is learned. Raises what the learning raised."""
        self._free.clear()  # a lock alone goes back to whoever released it
        try:
            with self._lock:
                if self._error is not None:
                    raise self._error
                yield
        finally:
            self._free.set()

    def end(self):
        """Returns when the turn is over."""
        self._ended.set()
        self._thread.join()

    def _run(self):
        try:
            while not self._ended.is_set():
                self._free.wait()
                with self._lock:
                    self._training.turn(TURN)
                    idle = self._training.waits or self._training.slow
                if idle:
                    self._ended.wait(_IDLE)
        except BaseException as error:  # raised again where the window is
            self._error = error
