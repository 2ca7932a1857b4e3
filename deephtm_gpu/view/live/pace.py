"""When the next frame is due. Drawing must not slow down the learning."""

import time
from collections import deque
from statistics import median

FRAME, SLOWEST = 1 / 30, 1 / 2  # seconds from frame to frame
DRAWING = 0.08  # the largest part of the learning's time that drawing may take; otherwise there are fewer frames
_FREE = 0.9  # of a core: with more than this available, cores are not scarce
_SERVER = 2  # the cost of showing a frame, including the display server's work, relative to that of drawing it
_SHARE = 0.1  # of the newest measurement in a running mean


class Pace:
    """The time between frames, from the cost of a frame.

    The cost is the time of this thread during which a core was available, and a part of the work in other threads: all
    of it if cores are scarce, none on an idle machine.

    numpy: whether the model learns on this thread; its share of a core then shows how scarce cores are. elsewhere:
    seconds of processor time that a frame takes in other threads, if a processor draws.
    """

    def __init__(self, numpy: bool):
        # The part of a core that learning gets; a guess if it is unknown.
        self._numpy, self._core = numpy, 1.0 if numpy else 0.7
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
        """frame() draws. Its cost decides when the next one is due."""
        began = time.perf_counter()
        frame()
        self._costs.append(time.perf_counter() - began)
        scarce = min(1.0, max(0.0, 2 * (_FREE - self._core)))
        cost = self._core * median(self._costs) + scarce * _SERVER * self.elsewhere
        apart = min(max(FRAME, cost / DRAWING), SLOWEST)
        self.due = max(self.due + apart, began + 0.5 * apart)  # a late frame does not delay the next one
