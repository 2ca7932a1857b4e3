"""How fast a show learns between the frames of a window."""

import time

SPEEDS = (1, 3, 10, 30, 100, 300, 1000, None)  # steps per second; None: as fast as it goes
_SHARE = 0.2  # of the newest measurement in the running mean of the time of a step
_MOST = 4096  # steps of a turn


class Training:
    """Lets a show learn into a ring, turn by turn. seconds: spent learning."""

    def __init__(self, show, ring):
        self.show, self.ring = show, ring
        self.paused, self.seconds = False, 0.0
        self._speed, self._wanted = len(SPEEDS) - 1, 0
        self._each = None  # seconds of a step, a running mean
        self._owed = 0.0  # steps, where it is slowed down

    # What the keys do

    def pause(self):
        self.paused = not self.paused

    def one_step(self):
        """Where it is paused."""
        self._wanted += self.paused

    def faster(self, by):
        self._speed = min(max(self._speed + by, 0), len(SPEEDS) - 1)

    def reset(self):
        self.show.reset()

    # What the picture tells

    @property
    def finished(self):
        return self.show.done >= self.show.total

    @property
    def waits(self):
        """Whether nothing is to be learned until a key is pressed."""
        return self.finished or (self.paused and not self._wanted)

    @property
    def slow(self):
        """Whether it is slowed down: there is time left."""
        return SPEEDS[self._speed] is not None

    @property
    def status(self) -> str:
        at, speed = f"step {self.show.done:,} of {self.show.total:,}", SPEEDS[self._speed]
        if self.finished:
            return f"{at}   ·   done"
        if self.paused:
            return f"{at}   ·   paused"
        if speed is not None:
            return f"{at}   ·   slowed down to {speed:,} steps/s"
        return f"{at}   ·   {1 / self._each:,.0f} steps/s" if self._each else at

    # Learning

    def turn(self, seconds):
        """Learns for about so long, or whatever is to be learned in that time."""
        if self.waits:
            self._wanted = 0
            return
        steps = 1 if self._each is None else max(1, min(_MOST, int(seconds / self._each)))
        if self.paused:
            steps, self._wanted = min(steps, self._wanted), 0
        elif SPEEDS[self._speed] is not None:
            self._owed = min(self._owed + SPEEDS[self._speed] * seconds, steps)
            steps = int(self._owed)
            self._owed -= steps
        if steps:
            self._learn(steps)

    def _learn(self, steps):
        began = time.perf_counter()
        done = self.show.advance(steps, self.ring)
        spent = time.perf_counter() - began
        self.seconds += spent
        each = spent / max(done, 1)
        self._each = each if self._each is None else (1 - _SHARE) * self._each + _SHARE * each
