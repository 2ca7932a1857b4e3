"""When the next frame is due: learning is not to be slowed down by being watched."""

import time
from collections import deque
from statistics import median

FRAME, SLOWEST = 1 / 30, 1 / 2  # seconds from frame to frame
DRAWING = 0.08  # the part of the learning's time that drawing may take; where it would be more, there are fewer frames
_FREE = 0.9  # of a core: with more than that, cores are not scarce
_SERVER = 2  # what bringing the pixels to the screen costs, the display server's work included, in what drawing them costs
_SHARE = 0.1  # of the newest measurement in a running mean


class Pace:
    """numpy: whether the model learns on this thread, so that its share of a core tells how scarce cores are. elsewhere: seconds of
    processor time that a frame takes in other threads, where a processor draws.

    A frame costs the time of this thread that a core would have been there for, and as much of the work elsewhere as cores are scarce:
    on an idle machine nothing.
    """

    def __init__(self, numpy: bool):
        self._numpy, self._core = numpy, 1.0 if numpy else 0.7  # how much of a core is there for learning; unknown: in between
        self._costs = deque(maxlen=9)  # seconds of the last frames in this thread
        self.elsewhere = 0.0
        self.due = time.perf_counter()

    @property
    def left(self) -> float:
        """Seconds to the next frame."""
        return self.due - time.perf_counter()

    def learn(self, turn):
        """turn(seconds) learns until the next frame."""
        began, used = time.perf_counter(), time.thread_time()
        turn(self.left)
        spent, used = time.perf_counter() - began, time.thread_time() - used
        if self._numpy and spent > 1e-3:
            self._core += _SHARE * (min(1.0, used / spent) - self._core)

    def draw(self, frame):
        """frame() draws; from what it costs it follows when the next one is due."""
        began = time.perf_counter()
        frame()
        self._costs.append(time.perf_counter() - began)
        scarce = min(1.0, max(0.0, 2 * (_FREE - self._core)))
        cost = self._core * median(self._costs) + scarce * _SERVER * self.elsewhere
        apart = min(max(FRAME, cost / DRAWING), SLOWEST)
        self.due = max(self.due + apart, began + 0.5 * apart)  # a frame that came late does not make the next one late
