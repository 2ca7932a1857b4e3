"""Learning in a thread of its own, so that neither events nor drawing hold it up."""

import threading
import time

CHUNK_SECONDS = 1 / 30  # a chunk of steps takes about as long as a frame: the picture moves on with each
SPEEDS = (1, 3, 10, 30, 100, 300, 1000, None)  # steps per second; None: as fast as it goes
_SHARE = 0.3  # of the newest measurement in the running mean of the time of a step


class Training:
    """Lets a show learn into a ring. The ring is written between `lock`s; hold it to read. error: what ended the learning, if
    something did."""

    def __init__(self, show, ring):
        self.show, self.ring, self.lock, self.error = show, ring, threading.Lock(), None
        self.paused, self._speed = False, len(SPEEDS) - 1
        self._steps_wanted, self._reset, self._stop = 0, False, False
        self._step_seconds = None  # a running mean
        self.seconds = 0.0  # spent learning
        self._wake = threading.Event()
        self._thread = threading.Thread(target=self._run, name="learning", daemon=True)

    def start(self):
        self._thread.start()

    def stop(self):
        """Ends after the chunk at hand."""
        self._stop = True
        self._wake.set()
        self._thread.join()

    # What the keys do

    def pause(self):
        self.paused = not self.paused
        self._wake.set()

    def one_step(self):
        """Where it is paused."""
        if self.paused:
            self._steps_wanted += 1
            self._wake.set()

    def faster(self, by):
        self._speed = min(max(self._speed + by, 0), len(SPEEDS) - 1)
        self._wake.set()

    def reset(self):
        self._reset = True
        self._wake.set()

    # What the picture tells

    @property
    def finished(self):
        return self.show.done >= self.show.total

    @property
    def status(self) -> str:
        at = f"step {self.show.done:,} of {self.show.total:,}"
        speed = SPEEDS[self._speed]
        if self.finished:
            return f"{at}   ·   done"
        if self.paused:
            return f"{at}   ·   paused"
        rate = f"{1 / self._step_seconds:,.0f} steps/s" if self._step_seconds else "starting"
        return f"{at}   ·   {rate}" if speed is None else f"{at}   ·   slowed down to {speed:,} steps/s"

    # Within

    def _run(self):
        try:
            while not self._stop:
                self._turn()
        except BaseException as error:  # the thread that draws tells it
            self.error = error

    def _turn(self):
        self._wake.clear()
        if self._reset:
            self._reset = False
            self.show.reset()
        if self.finished or (self.paused and not self._steps_wanted):
            self._wake.wait(0.1)
            return
        if self.paused:
            self._steps_wanted -= 1
            self._learn(1)
            return
        speed = SPEEDS[self._speed]
        if speed is None:
            self._learn(self._fitting())
            return
        began = time.perf_counter()
        steps = max(1, min(round(speed * CHUNK_SECONDS), self._fitting()))
        self._learn(steps)
        self._wake.wait(max(0.0, steps / speed - (time.perf_counter() - began)))

    def _fitting(self) -> int:
        """How many steps take CHUNK_SECONDS."""
        return 8 if self._step_seconds is None else max(1, min(4096, round(CHUNK_SECONDS / self._step_seconds)))

    def _learn(self, steps):
        began = time.perf_counter()
        done = self.show.advance(steps, self.ring, self.lock)
        seconds = time.perf_counter() - began
        self.seconds += seconds
        each = seconds / max(done, 1)
        self._step_seconds = each if self._step_seconds is None else (1 - _SHARE) * self._step_seconds + _SHARE * each
