"""`deephtm run` ended from outside: killed, asked to end, out of room. Nothing is lost, torn or left behind."""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from deephtm_gpu.cli import run as run_module
from deephtm_gpu.cli.main import main
from deephtm_gpu.files import replacing, write_whole
from deephtm_gpu.learner import Learner
from deephtm_gpu.sources import base

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals, limits and links of POSIX")
ROWS, CHUNK = 70, 8
STEPS = ("fsync", "replace", "write", "truncate", "ftruncate")  # of the system, between which a process is killed


@pytest.fixture
def series(tmp_path, monkeypatch):
    """A file of ROWS rows, which come in chunks of CHUNK."""
    monkeypatch.setattr(base, "CHUNK", CHUNK)
    path = tmp_path / "in.csv"
    path.write_text("v\n" + "".join("NA\n" if t % 19 == 7 else f"{np.sin(t / 3):.3f}\n" for t in range(ROWS)))
    return path


def arguments(series, *more):
    folder = series.parent
    return ["run", str(series), "--column", "v", "--device", "numpy", "--out", str(folder / "out.csv"),
            "--save", str(folder / "m"), *map(str, more)]


def whole(series) -> bytes:
    """What one run without an interruption writes."""
    out = series.parent / "whole.csv"
    if not out.exists():
        assert main([*arguments(series)[:-3], str(out)]) == 0
    return out.read_bytes()


def resumed(folder):
    return ["--resume", folder / "m"] if (folder / "m").exists() else []


def killed_at(count, arguments) -> bool:
    """Runs the program in a child that kills itself before the `count`-th of STEPS; False if it ended before that."""
    child = os.fork()
    if child == 0:
        left = [count]

        def counted(does):
            def step(*given, **named):
                left[0] -= 1
                if left[0] == 0:
                    os.kill(os.getpid(), signal.SIGKILL)
                return does(*given, **named)
            return step

        for name in STEPS:
            setattr(os, name, counted(getattr(os, name)))
        learn = Learner.learn
        Learner.learn = counted(learn)
        os._exit(main(arguments))
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status) or os.waitstatus_to_exitcode(status) == 0
    return os.WIFSIGNALED(status)


def kill_through(series, counts):
    """Kills a run at the counts, one after the other, and lets the last one end. How many were killed."""
    want, folder, kills = whole(series), series.parent, 0
    for count in counts:
        kills += killed_at(count, arguments(series, "--save-every", 0, *resumed(folder)))
    assert main(arguments(series, "--save-every", 0, *resumed(folder))) == 0
    assert (folder / "out.csv").read_bytes() == want
    assert {p.name for p in folder.iterdir()} == {"in.csv", "whole.csv", "out.csv", "m"}
    assert Learner.load(folder / "m", "numpy").comparison.rows == sum(t % 19 != 7 for t in range(ROWS))
    return kills


def test_killed_between_any_two_steps_it_goes_on_to_the_byte(series, capsys):
    assert kill_through(series, [1, 3, 6, 2, 9, 14, 5]) >= 5


@pytest.mark.soak
def test_killed_a_hundred_times(series, capsys):
    rng, kills = random.Random(8), 0
    while kills < 100:
        for name in ("out.csv", "m"):
            (series.parent / name).unlink(missing_ok=True)
        kills += kill_through(series, [rng.randrange(1, 16) for _ in range(10)])


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_a_signal_ends_it_like_ctrl_c(series, monkeypatch, capsys, number):
    learn, seen = Learner.learn, []

    def notified(learner, rows):
        seen.append(rows)
        if len(seen) == 4:
            os.kill(os.getpid(), number)
            os.kill(os.getpid(), signal.SIGTERM)  # a second one waits as well
        return learn(learner, rows)

    monkeypatch.setattr(Learner, "learn", notified)
    assert main(arguments(series, "--save-every", 1000)) == 128 + min(number, 128)
    out = capsys.readouterr()
    assert ("interrupted" if number == signal.SIGINT else f"ended by {number.name}") in out.err and "rows of" in out.out
    assert (series.parent / "out.csv").read_bytes() == whole(series)[: (series.parent / "out.csv").stat().st_size]
    monkeypatch.undo()
    monkeypatch.setattr(base, "CHUNK", CHUNK)
    assert main(arguments(series, "--save-every", 1000, *resumed(series.parent))) == 0
    assert f"goes on behind its first {4 * CHUNK} rows" in capsys.readouterr().err
    assert (series.parent / "out.csv").read_bytes() == whole(series)


def test_ctrl_c_while_it_saves_waits_for_the_save(series, monkeypatch, capsys):
    save = Learner.save

    def notified(learner, *given):
        os.kill(os.getpid(), signal.SIGINT)
        save(learner, *given)

    monkeypatch.setattr(Learner, "save", notified)
    assert main(arguments(series)) == 130
    assert (series.parent / "out.csv").read_bytes() == whole(series)
    assert Learner.load(series.parent / "m", "numpy").comparison.rows > 60


def test_a_signal_that_is_ignored_stays_ignored(series):
    """As under nohup."""
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with run_module.ended_by_signals():
            os.kill(os.getpid(), signal.SIGHUP)
    finally:
        signal.signal(signal.SIGHUP, before)


# Room


def limited(series, size, *more, to=None):
    """Runs in a process whose files may have so many bytes. -> exit code, stderr"""
    program = ("import resource, signal, sys; signal.signal(signal.SIGXFSZ, signal.SIG_IGN); "
               f"resource.setrlimit(resource.RLIMIT_FSIZE, ({size}, {size})); "
               "from deephtm_gpu.sources import base; base.CHUNK = 8; "
               "from deephtm_gpu.cli.main import main; sys.exit(main(sys.argv[1:]))")
    done = subprocess.run([sys.executable, "-c", program, *arguments(series, *more)], capture_output=True, text=True,
                          env={**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[1])}, check=False)
    return done.returncode, done.stderr


@pytest.mark.parametrize("size", [1, 60, 700, 1500, 2111])
@pytest.mark.parametrize("more", [(), ("--save-every", 0)])
def test_a_full_disk_leaves_whole_rows_and_says_which_file(series, size, more):
    want, out = whole(series), series.parent / "out.csv"
    code, said = limited(series, size, *more)
    assert code == 2 and "Traceback" not in said
    assert "out.csv cannot be written" in said or f"{series.parent}/m cannot be written" in said
    kept = out.read_bytes() if out.exists() else b""
    assert len(kept) <= size and want.startswith(kept) and (not kept or kept.endswith(b"\n"))
    assert not [p for p in series.parent.iterdir() if p.name.startswith(".")]


def test_a_save_without_room_leaves_the_rows_and_the_save_before(series):
    write_whole(series.parent / "m", b"older")
    code, said = limited(series, 100_000)
    assert code == 2 and "m cannot be written" in said
    kept, want = (series.parent / "out.csv").read_bytes(), whole(series)
    assert want.startswith(kept) and want[len(kept) :].count(b"\n") == 1  # what is predicted behind the last row
    assert (series.parent / "m").read_bytes() == b"older"


def test_a_device_without_room_is_a_sentence(series, capsys):
    given = arguments(series)
    given[given.index("--out") + 1] = "/dev/full"
    assert main(given) == 2
    assert "/dev/full cannot be written (No space left on device)" in capsys.readouterr().err


# Resuming


def test_another_input_comes_after_what_was_learned(series, capsys):
    assert main(arguments(series, "--save-every", 1000)) == 0
    rows = whole(series)[: Learner.load(series.parent / "m", "numpy").run["length"]]
    series.write_text("v\n" + "".join(f"{t}\n" for t in range(9)))
    assert main(arguments(series, "--save-every", 1000, *resumed(series.parent))) == 0
    grown = (series.parent / "out.csv").read_bytes()
    assert grown.startswith(rows) and rows.count(b"\n") == ROWS + 1
    assert grown.count(b"\n") == rows.count(b"\n") + 9 + 1  # and what is predicted for the next


def test_an_input_that_has_grown_goes_on_where_it_was(series, capsys):
    assert main(arguments(series, "--save-every", 1000)) == 0
    with open(series, "a") as file:
        file.write("".join(f"{np.cos(t / 3):.3f}\n" for t in range(20)))
    assert main(arguments(series, "--save-every", 1000, *resumed(series.parent))) == 0
    grown = (series.parent / "out.csv").read_bytes()
    (series.parent / "whole.csv").unlink(missing_ok=True)
    assert grown == whole(series)


def test_an_output_that_is_not_there_is_a_sentence(series, capsys):
    assert main(arguments(series, "--save-every", 1000)) == 0
    (series.parent / "out.csv").write_text("v\n")
    assert main(arguments(series, "--save-every", 1000, *resumed(series.parent))) == 2
    assert "must hold the" in capsys.readouterr().err and (series.parent / "out.csv").read_text() == "v\n"


@pytest.mark.parametrize("run", [{"rows": 1}, {"rows": -1, "digest": "", "out": "", "length": 0}, {"rows": "x"},
                                 {"rows": 1, "digest": 5, "out": "", "length": 0}, "text", 7])
def test_a_forged_position_is_a_sentence(series, capsys, run):
    Learner(1, False, device="numpy").save(series.parent / "m", run)
    assert main(arguments(series, *resumed(series.parent))) == 2
    assert "state is incomplete" in capsys.readouterr().err


@pytest.mark.parametrize("more, said", [
    (("--save-every", "-1"), "0 seconds or more"), (("--save-every", "nan"), "0 seconds or more"),
])
def test_mistakes_in_save_every(series, capsys, more, said):
    assert main(arguments(series, *more)) == 2 and said in capsys.readouterr().err


def test_save_every_needs_a_save(series, capsys):
    assert main(["run", str(series), "--column", "v", "--save-every", "5"]) == 2
    assert "give --save FILE" in capsys.readouterr().err


# Files


def test_a_killed_writer_s_file_is_removed_by_the_next_and_a_living_one_s_is_not(tmp_path):
    child = subprocess.Popen([sys.executable, "-c", "pass"])
    child.wait()
    dead, living = tmp_path / f".a.{child.pid}.x.part", tmp_path / f".a.{os.getppid()}.x.part"
    other = tmp_path / f".a.b.{child.pid}.x.part"
    for path in (dead, living, other):
        path.write_text("")
    write_whole(tmp_path / "a", b"1")
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted(["a", living.name, other.name])


def test_mode_and_links_are_respected(tmp_path):
    (tmp_path / "real").write_bytes(b"old")
    (tmp_path / "real").chmod(0o640)
    (tmp_path / "link").symlink_to("real")
    write_whole(tmp_path / "link", b"new")
    assert (tmp_path / "link").is_symlink() and (tmp_path / "real").read_bytes() == b"new"
    assert (tmp_path / "real").stat().st_mode & 0o777 == 0o640
    before = os.umask(0o027)
    try:
        write_whole(tmp_path / "fresh", b"")
    finally:
        os.umask(before)
    assert (tmp_path / "fresh").stat().st_mode & 0o777 == 0o640


def test_after_an_error_there_is_no_trace(tmp_path):
    with pytest.raises(ZeroDivisionError), replacing(tmp_path / "a") as file:
        file.write(b"1")
        raise ZeroDivisionError
    assert not list(tmp_path.iterdir())


def test_a_fifo_and_the_standard_output_as_out(series):
    fifo, env = series.parent / "fifo", {**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[1])}
    os.mkfifo(fifo)
    given = arguments(series)[:-2]
    for out in (fifo, "/dev/stdout"):
        given[given.index("--out") + 1] = str(out)
        process = subprocess.Popen([sys.executable, "-m", "deephtm_gpu", *given], env=env, stdout=subprocess.PIPE)
        got = fifo.read_bytes() if out == fifo else b""
        shown, _ = process.communicate(timeout=60)
        assert process.returncode == 0 and (got or shown).startswith(whole(series))
        assert fifo.is_fifo()


@pytest.mark.parametrize("closed", ["2>&-", ">&-", "<&-"])
def test_closed_streams(series, closed):
    env = {**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[1]), "PYTHONIOENCODING": "ascii"}
    line = f"{sys.executable} -m deephtm_gpu {' '.join(arguments(series))} {closed}"
    done = subprocess.run(["sh", "-c", line], env=env, capture_output=True, check=False, timeout=60)
    assert done.returncode == 0 and b"Traceback" not in done.stderr
    assert (series.parent / "out.csv").read_bytes() == whole(series)


def test_live_rows_are_in_the_growing_file_at_once(tmp_path):
    env = {**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[1])}
    out, deadline = tmp_path / "o.csv", time.monotonic() + 60
    given = ["run", "-", "--column", "v", "--device", "numpy", "--out", out, "--save", tmp_path / "m", "--save-every",
             0]
    with subprocess.Popen([sys.executable, "-m", "deephtm_gpu", *map(str, given)], env=env, stdin=subprocess.PIPE,
                          stderr=subprocess.PIPE) as process:
        process.stdin.write(b"v\n1\n2\n")
        process.stdin.flush()
        while not (out.exists() and out.read_bytes().count(b"\n") == 3 and (tmp_path / "m").exists()):
            assert process.poll() is None and time.monotonic() < deadline
            time.sleep(0.05)
        process.kill()
    assert Learner.load(tmp_path / "m", "numpy").comparison.rows in (1, 2)
