"""The program `deephtm`: finds the command, and turns an error into one sentence and an exit code."""

import argparse
import os
import signal
import sys
from importlib import import_module

import deephtm_gpu
from deephtm_gpu.cli.signals import Ended
from deephtm_gpu.errors import TrainingError, UserError

# Each command is a module of this folder with add_arguments(parser) and run(args) -> exit code. It is imported when it
# is called.
COMMANDS = {
    "info": "the adapters found here, and which one 'auto' takes and why",
    "validate": "every op of a device against the NumPy reference",
    "demo": "a demo, in a live window or headless",
    "run": "learn a CSV file online: predictions and anomalies, row by row",
    "bench": "steps per second on this machine; how well it learns; how well it finds anomalies; what its parts are "
             "good for",
}
MISTAKE, SIGNALLED = 2, 128  # the latter plus the signal's number, as shells count
PIPE_CLOSED = SIGNALLED + 13


def main(argv=None) -> int:
    """argv: the arguments after the program's name (None: those of the command line). Returns the exit code."""
    argv = sys.argv[1:] if argv is None else argv
    _keep_closed_streams_closed()
    return guarded(lambda: _run(argv))


def guarded(action) -> int:
    """Runs action() -> exit code. An error in it becomes one sentence and an exit code."""
    try:
        code = action()
        print(end="", flush=True)  # raises here if the pipe is closed
        return code
    except (UserError, TrainingError) as error:
        return _say(error, MISTAKE)
    except KeyboardInterrupt as error:
        number = error.signal if isinstance(error, Ended) else signal.SIGINT
        return _say("interrupted" if number == signal.SIGINT else f"ended by {signal.Signals(number).name}",
                    SIGNALLED + number)
    except BrokenPipeError:
        # The reader (`| head`) has closed the pipe. The remaining buffer must not raise at the interpreter's exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return PIPE_CLOSED
    except MemoryError as error:
        return _say(f"The memory is full ({str(error).rstrip('.') or 'none is left'}); make the network smaller, "
                    "give its TemporalMemory synapses=, or name fewer files at a time.", MISTAKE)
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        return _say(f"{where}{error.strerror or error}", MISTAKE)


def _keep_closed_streams_closed():
    """No file that is opened later gets the number of a standard stream that was closed (2>&-): what libraries write to
    the standard error would go into it."""
    for number, stream in enumerate((sys.stdin, sys.stdout, sys.stderr)):
        if stream is None:
            try:
                os.fstat(number)
            except OSError:
                os.dup2(os.open(os.devnull, os.O_RDWR), number)
    if sys.stderr is None:
        sys.stderr = open(os.devnull, "w")


def _run(argv):
    parser = _parser(argv)
    try:
        args = parser.parse_args(argv)
    except SystemExit as done:  # --help, --version, or an error that argparse has printed
        return done.code
    if args.command is None:
        parser.print_help(sys.stderr)
        return MISTAKE
    return args.run(args)


def _parser(argv):
    description = "Hierarchical Temporal Memory, trained by back-propagation, online, on any GPU."
    parser = argparse.ArgumentParser(prog="deephtm", description=description)
    parser.add_argument("--version", action="version", version=f"deephtm {deephtm_gpu.__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND")
    for name, what in COMMANDS.items():
        command = commands.add_parser(name, help=what, description=what[0].upper() + what[1:] + ".")
        if argv[:1] == [name]:
            module = import_module(f"deephtm_gpu.cli.{name}")
            module.add_arguments(command)
            command.set_defaults(run=module.run)
    return parser


def _say(sentence, code):
    try:
        print(end="", flush=True)  # the output comes before the message
    except OSError:
        pass
    print(f"deephtm: {sentence}", file=sys.stderr)
    return code
