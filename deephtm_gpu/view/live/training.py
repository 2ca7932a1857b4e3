"""Learns a show between the frames of a window, at a chosen speed."""

import time

SPEEDS = (1, 3, 10, 30, 100, 300, 1000, None)  # steps per second; None: as fast as possible
_SHARE = 0.2  # of the newest measurement in the running mean of the time of a step
_TURN, _MAX_STEPS = 1 / 25, 4096  # the longest turn, in seconds and steps, so that keys are handled soon


class Training:
    """Lets a show learn, turn by turn. seconds: the time spent learning."""

    def __init__(self, show, ring):
        self.show, self.ring = show, ring
        self.paused, self.seconds = False, 0.0
        self._speed, self._wanted = len(SPEEDS) - 1, 0
        self._each = None  # seconds of a step, a running mean
        # At a chosen speed: the steps due, and the time of the last turn.
        self._owed, self._turned = 0.0, time.perf_counter()

    # Keys

    def pause(self):
        self.paused = not self.paused

    def one_step(self):
        """Learns one step if it is paused."""
        self._wanted += self.paused

    def faster(self, by):
        self._speed = min(max(self._speed + by, 0), len(SPEEDS) - 1)

    def reset(self):
        self.show.reset()

    def dream(self):
        """Lets the show dream, or brings it back, if it can."""
        if self.show.spec.dreams:
            self.show.dream()

    # State

    @property
    def finished(self):
        return self.show.done >= self.show.total and not self.show.dreaming

    @property
    def waits(self):
        """Whether it learns nothing until a key is pressed."""
        return self.finished or (self.paused and not self._wanted)

    @property
    def slow(self):
        """Whether a speed is chosen, so that it is idle part of the time."""
        return SPEEDS[self._speed] is not None

    @property
    def status(self) -> str:
        at, speed = f"step {self.show.done:,} of {self.show.total:,}", SPEEDS[self._speed]
        if self.show.phase:
            at = f"{self.show.phase}   ·   {at}"
        if self.finished:
            return f"{at}   ·   done"
        if self.paused:
            return f"{at}   ·   paused"
        if speed is not None:
            return f"{at}   ·   slowed down to {speed:,} steps/s"
        return f"{at}   ·   {1 / self._each:,.0f} steps/s" if self._each else at

    # Learning

    def turn(self, seconds):
        """Learns for about so long, or the steps that are due in that time."""
        if self.waits:
            self._wanted = 0
            return
        now, before = time.perf_counter(), self._turned
        self._turned = now
        if self.paused:
            steps, self._wanted = self._wanted, 0
        elif self.slow:
            self._owed += SPEEDS[self._speed] * min(now - before, 0.1)
            steps = min(int(self._owed), self._fitting(_TURN))
            self._owed = (self._owed - steps) % 1  # steps that it cannot catch up with are dropped
        else:
            steps = self._fitting(min(seconds, _TURN))
        if steps:
            self._learn(steps)

    def _fitting(self, seconds) -> int:
        """How many steps take so long, one or more."""
        return 1 if self._each is None else max(1, min(_MAX_STEPS, round(seconds / self._each)))

    def _learn(self, steps):
        began = time.perf_counter()
        done = self.show.advance(steps, self.ring)
        spent = time.perf_counter() - began
        self.seconds += spent
        each = spent / max(done, 1)
        self._each = each if self._each is None else (1 - _SHARE) * self._each + _SHARE * each
