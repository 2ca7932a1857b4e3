"""When the next frame is due: learning is not to be slowed down by being watched."""

import time
from collections import deque
from statistics import median

FRAME, SLOWEST = 1 / 30, 1 / 2  # seconds from frame to frame
DRAWING = 0.08  # the part of the learning's time that drawing may take; where it would be more, there are fewer frames
_SHARE = 0.1  # of the newest measurement in a running mean


class Pace:
    """numpy: whether the model learns on this thread, so that its share of a core tells how scarce cores are. elsewhere: seconds of
    processor time that a frame takes in other threads, where a processor draws.

    A frame costs the time of this thread that a core would have been there for, and as much of the other threads' as cores are scarce:
    on an idle machine nothing of these.
    """

    def __init__(self, numpy: bool):
        self._numpy, self._scarce = numpy, 0.0 if numpy else 0.4  # a model on the adapter that draws: in between
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
            self._scarce += _SHARE * (1 - min(1.0, used / spent) - self._scarce)

    def draw(self, frame):
        """frame() draws; from what it costs it follows when the next one is due."""
        began = time.perf_counter()
        frame()
        self._costs.append(time.perf_counter() - began)
        cost = (1 - self._scarce) * median(self._costs) + self._scarce * self.elsewhere
        self.due = began + min(max(FRAME, cost / DRAWING), SLOWEST)
