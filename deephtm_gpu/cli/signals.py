"""Signals that end a run: it ends as with Ctrl-C, when the work at hand is done."""

import signal
from contextlib import contextmanager

ENDING = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))


class Ended(KeyboardInterrupt):
    """Ctrl-C, or another signal that ends a process. signal: its number."""

    def __init__(self, number: int = signal.SIGINT):
        super().__init__(number)
        self.signal = number


@contextmanager
def ended_by_signals():
    """Within the block the signals of ENDING raise Ended; one that the process ignores (nohup) stays ignored."""

    def end(number, _frame):
        raise Ended(number)

    with _handled(end):
        yield


@contextmanager
def ended_later():
    """Delays the signals of ENDING to the end of the block, so that nothing is left half done."""
    came = []
    with _handled(lambda number, _frame: came.append(number)):
        yield
    if came:
        raise Ended(came[0])


@contextmanager
def _handled(handler):
    before = {}
    try:
        for number in ENDING:
            if signal.getsignal(number) is not signal.SIG_IGN:
                before[number] = signal.signal(number, handler)
    except ValueError:  # only the main thread may do this, and only the main thread is interrupted
        yield
        return
    try:
        yield
    finally:
        for number, old in before.items():
            signal.signal(number, old)
