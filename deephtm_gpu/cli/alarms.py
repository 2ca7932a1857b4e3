"""What `deephtm run` does on an alarm: the command of --exec."""

import json
import subprocess
import sys
from math import isfinite

from deephtm_gpu.cli.row_format import record
from deephtm_gpu.errors import UserError
from deephtm_gpu.novelty import ALARM

_AT_ONCE = 16  # commands that run beside the stream; then it waits for the oldest


def add_arguments(parser):
    parser.add_argument("--alarm", type=float, metavar="SCORE", default=ALARM,
                        help="alarm where the novelty of a value, 0 to 1, is so high (1/11)")
    parser.add_argument("--exec", metavar="COMMAND",
                        help="the shell runs it on each alarm, the row as a JSON line on its standard input")


def check_alarm(args):
    """Raises UserError for a score that cannot be."""
    if not (isfinite(args.alarm) and 0 < args.alarm <= 1):
        raise UserError(f"--alarm must be a score above 0 and up to 1, got {args.alarm:g}; give another one.")


class Alarms:
    """Runs the command; None: there is none."""

    def __init__(self, score: float, command: str | None):
        self._score, self._command = score, command
        self._running = []

    def look(self, name: str, outputs):
        """Runs the command for each row of series `name` with an alarm."""
        if self._command is None:
            return
        for output in outputs:
            if output.novelty is not None and output.novelty >= self._score:
                self._run(json.dumps({"series": name} | record(output, self._score)) + "\n")

    def wait(self):
        """Until all commands have ended."""
        while self._running:
            self._end(self._running.pop(0))

    def _run(self, line):
        if len(self._running) == _AT_ONCE:
            self._end(self._running.pop(0))
        try:
            process = subprocess.Popen(self._command, shell=True, stdin=subprocess.PIPE, start_new_session=True)
        except OSError as error:
            raise UserError(f"--exec {self._command!r} cannot be run ({error.strerror or error}); give another "
                            "command.") from None
        try:
            process.stdin.write(line.encode())
            process.stdin.close()
        except OSError:  # it does not read
            pass
        self._running.append(process)

    def _end(self, process):
        if code := process.wait():
            print(f"deephtm: --exec {self._command!r} ended with exit code {code}", file=sys.stderr)
