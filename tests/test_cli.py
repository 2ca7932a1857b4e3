"""The program: every mistake ends in one sentence and exit code 2, every way to the end leaves whole files."""

import csv
import json
import math
import os
import re
import signal
import subprocess
import sys
import time
import types

import numpy as np
import pytest

import deephtm_gpu
from deephtm_gpu.backends.wgpu import adapters
from deephtm_gpu.cli import info, run
from deephtm_gpu.cli.main import main
from deephtm_gpu.errors import TrainingError, UserError
from deephtm_gpu.sources import Row

ROWS = 60


@pytest.fixture
def wave(tmp_path):
    """A CSV file of ROWS half-hours."""
    path = tmp_path / "wave.csv"
    lines = [
        f"2024-01-{1 + i // 48:02}T{i % 48 // 2:02}:{i % 2 * 30:02},{10 + math.sin(i / 3):.4f}\n" for i in range(ROWS)
    ]
    path.write_text("when,load\n" + "".join(lines))
    return path


def _run(*args):
    return main(["run", *map(str, args), "--device", "numpy"])


def _table(path):
    with open(path, newline="") as file:
        return list(csv.DictReader(file))


def _error_of(capsys, code, args):
    """The standard error of a command that must fail."""
    assert main([str(a) for a in args]) == code
    error = capsys.readouterr().err
    assert "Traceback" not in error
    return error


# The frame


def test_help_and_version(capsys):
    assert main(["--version"]) == 0 and deephtm_gpu.__version__ in capsys.readouterr().out
    assert main(["run", "--help"]) == 0 and "--ahead" in capsys.readouterr().out
    assert main([]) == 2
    shown = capsys.readouterr().err
    assert all(name in shown for name in ("info", "validate", "demo", "run", "bench"))


@pytest.mark.parametrize(
    "args", [["walk"], ["run"], ["run", "a.csv"], ["run", "a.csv", "--column", "v", "--ahead", "x"], ["--walk"]]
)
def test_argparse_mistakes(capsys, args):
    assert "usage:" in _error_of(capsys, 2, args)


@pytest.mark.parametrize("error, code, said", [
    (UserError("No such thing; take another."), 2, "deephtm: No such thing; take another.\n"),
    (TrainingError("Out of bounds.", 7, "layer 2"), 2, "deephtm: Out of bounds.\n"),
    (KeyboardInterrupt(), 130, "deephtm: interrupted\n"),
    (FileNotFoundError(2, "No such file", "a.json"), 2, "deephtm: a.json: No such file\n"),
])
def test_errors_of_a_command(capsys, monkeypatch, error, code, said):
    def fail(args):
        raise error

    command = types.SimpleNamespace(add_arguments=lambda parser: None, run=fail)
    monkeypatch.setitem(sys.modules, "deephtm_gpu.cli.bench", command)
    assert main(["bench"]) == code
    assert capsys.readouterr().err == said


# info


def test_info_without_adapters(capsys, monkeypatch):
    monkeypatch.setattr(adapters, "list_adapters", lambda: ())
    monkeypatch.setattr(info, "list_adapters", lambda: ())
    assert main(["info"]) == 0
    shown = capsys.readouterr().out
    assert "mesa-vulkan-drivers" in shown and "auto takes the processor" in shown


def test_info_of_a_card(capsys, monkeypatch, tmp_path):
    card = adapters.AdapterInfo(
        "Fast Card", "Vulkan", "hardware", "1.2", {"max-buffer-size": 1 << 31}, ["shader-f16"], None
    )
    monkeypatch.setattr(adapters, "list_adapters", lambda: (card,))
    monkeypatch.setattr(info, "list_adapters", lambda: (card,))
    assert main(["info", "--json", str(tmp_path / "info.json")]) == 0
    shown = capsys.readouterr().out
    assert (
        "Fast Card: Vulkan, hardware, driver 1.2" in shown
        and "2,147,483,648 bytes" in shown
        and "auto takes Fast Card" in shown
    )
    written = json.loads((tmp_path / "info.json").read_text())
    assert written["adapters"][0]["limits"] == card.limits and written["auto"]["name"] == "Fast Card"


def test_info_cannot_write(capsys, tmp_path):
    assert "cannot be written" in _error_of(capsys, 2, ["info", "--json", tmp_path / "none" / "a.json"])


# run


def test_run_writes_a_row_for_a_row(wave, tmp_path, capsys):
    out = tmp_path / "out.csv"
    assert _run(wave, "--column", "load", "--timestamp", "when", "--ahead", 3, "--out", out) == 0
    written, given = _table(out), _table(wave)
    assert list(written[0]) == ["timestamp", "value", "prediction", "anomaly_score", "anomaly_likelihood", "network"]
    assert [(r["timestamp"], r["value"]) for r in written] == [(r["when"], r["load"]) for r in given]
    assert [r["prediction"] == "" for r in written] == [True] * 3 + [False] * (ROWS - 3)
    for name in ("anomaly_score", "anomaly_likelihood"):
        assert all(0 <= float(r[name]) <= 1 for r in written)
    shown = capsys.readouterr().out
    assert f"{ROWS} rows" in shown and "persistence" in shown
    assert {p.name for p in tmp_path.iterdir()} == {"wave.csv", "out.csv"}


def test_prediction_stands_in_the_row_it_is_for(wave, tmp_path):
    """A row's prediction is made `ahead` rows earlier: what comes later cannot change it, what comes then does."""
    changed = tmp_path / "changed.csv"
    lines = wave.read_text().splitlines(keepends=True)
    changed.write_text("".join(lines[:41]) + lines[41].split(",")[0] + ",50\n" + "".join(lines[42:]))  # row 40
    written = []
    for source in (wave, changed):
        assert _run(source, "--column", "load", "--ahead", 3, "--out", tmp_path / "out.csv") == 0
        written.append([r["prediction"] for r in _table(tmp_path / "out.csv")])
    assert written[0][:43] == written[1][:43]
    assert written[0][43] != written[1][43]


def test_rows_to_standard_output_and_repeatable(wave, capsys):
    shown = []
    for _ in range(2):
        assert _run(wave, "--column", "load", "--seed", 3) == 0
        shown.append(capsys.readouterr())
    assert shown[0].out == shown[1].out and len(shown[0].out.splitlines()) == ROWS + 1
    assert "MAPE" in shown[0].err and "MAPE" not in shown[0].out
    assert _run(wave, "--column", "load", "--seed", 4) == 0
    assert capsys.readouterr().out != shown[0].out


def test_learning_helps():
    rng = np.random.default_rng(0)
    rows = [Row(v, "", None, "") for v in 10 + 3 * np.sin(np.arange(3000) / 4) + 0.1 * rng.normal(size=3000)]
    learner = run.Learner(ahead=2, timed=False, seed=0, device="numpy")
    for i in range(0, 3000, 500):
        learner.learn(rows[i: i + 500])
    whole = learner.comparison.whole
    assert whole["network"].percent < 0.5 * whole["persistence"].percent


@pytest.mark.parametrize(
    "values", [[5.0] * 80, [0.0] * 80, [1e-30, -3e-30] * 40, [1e30, 3e30] * 40, [1.0, 2.0] * 20 + [1e9] * 40]
)
def test_odd_series_give_finite_numbers(tmp_path, values):
    (tmp_path / "odd.csv").write_text("v\n" + "".join(f"{v!r}\n" for v in values))
    assert _run(tmp_path / "odd.csv", "--column", "v", "--out", tmp_path / "out.csv") == 0
    written = _table(tmp_path / "out.csv")
    assert all(math.isfinite(float(r[name])) for r in written[1:] for name in list(r)[2:])


@pytest.mark.parametrize("ahead", [10, 48])
def test_a_step_in_the_series_does_not_burst_a_delayed_loop(ahead):
    """With SGD(0.01) both of these diverge."""
    learner = run.Learner(ahead, timed=False, seed=0, device="numpy")
    rows = [Row(math.sin(i / 5) + 1000 * (i > 300), "", None, "") for i in range(700)]
    for i in range(0, 700, 100):
        learner.learn(rows[i: i + 100])
    assert learner.comparison.whole["network"].percent < 100


@pytest.mark.parametrize("change, said", [
    (["none.csv", "--column", "load"], "no such file"),
    (["{wave}", "--column", "height"], "no column 'height'.*'when', 'load'"),
    (["{wave}", "--column", "when"], "line 2 must have a number in column 'when', got '2024-01-01T00:00'"),
    (["{wave}", "--column", "load", "--timestamp", "load"], "must have a timestamp in column 'load'"),
    (["{wave}", "--column", "load", "--ahead", "0"], "--ahead must be .*got 0"),
    (["{wave}", "--column", "load", "--ahead", "60"], "must have 61 rows .*got 60 rows"),
    (["{wave}", "--column", "load", "--ahead", "1000000"], "--ahead must be .*got 1000000"),
    (["{wave}", "--column", "load", "--seed", "-1"], "seed must be .*got -1"),
    (["{wave}", "--column", "load", "--out", "{wave}"], "is the file that is read"),
    (["{wave}", "--column", "load", "--out", "{folder}"], "cannot be written"),
    (["{wave}", "--column", "load", "--out", "{folder}/none/a.csv"], "cannot be written"),
])
def test_mistakes(wave, tmp_path, capsys, change, said):
    before = wave.read_bytes()
    filled = [c.format(wave=wave, folder=tmp_path) for c in change]
    error = _error_of(capsys, 2, ["run", "--device", "numpy", *filled])
    assert len(error.splitlines()) == 1
    assert re.search(said, error)
    assert wave.read_bytes() == before and {p.name for p in tmp_path.iterdir()} == {"wave.csv"}


def test_no_such_device(wave, capsys):
    assert "no-such-card" in _error_of(capsys, 2, ["run", wave, "--column", "load", "--device", "no-such-card"])


def test_a_mistake_in_the_last_row_leaves_what_was_there(wave, tmp_path, capsys):
    out = tmp_path / "out.csv"
    out.write_text("precious\n")
    wave.write_text(wave.read_text() + "2024-02-01T00:00,many\n")
    assert f"line {ROWS + 2} must have a number in column 'load', got 'many'" in _error_of(
        capsys, 2, ["run", wave, "--column", "load", "--device", "numpy", "--out", out]
    )
    assert out.read_text() == "precious\n" and {p.name for p in tmp_path.iterdir()} == {"wave.csv", "out.csv"}


def test_diverged_training_names_the_row(wave, tmp_path, capsys, monkeypatch):
    def fail(learner, rows):
        learner.comparison.rows = 500  # learned before
        raise TrainingError("", 7, "layer 2")

    monkeypatch.setattr(run.Learner, "learn", fail)
    error = _error_of(capsys, 2, ["run", wave, "--column", "load", "--device", "numpy", "--out", tmp_path / "out.csv"])
    assert "Training diverged at row 508 of" in error and "layer 2" in error and not (tmp_path / "out.csv").exists()


# As a process of its own


def _start(*args, **more):
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.Popen([sys.executable, "-m", "deephtm_gpu", *map(str, args)], env=environment, bufsize=0,
                            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, **more)


LIVE = ("run", "-", "--column", "v", "--ahead", 1, "--device", "numpy")


@pytest.mark.skipif(sys.platform == "win32", reason="Ctrl-C of another process works differently there")
def test_live_pipe_and_ctrl_c(tmp_path):
    with _start(*LIVE) as process:
        process.stdin.write(b"v\n")
        assert process.stdout.readline().startswith(b"timestamp,")
        for i in range(3):
            process.stdin.write(b"%d\n" % i)  # each is answered before the next is sent
            assert process.stdout.readline().startswith(b",%d," % i)
        process.send_signal(signal.SIGINT)
        out, error = process.communicate(timeout=20)
    assert process.returncode == 130 and out == b""
    assert (
        b"3 rows of standard input" in error and error.endswith(b"deephtm: interrupted\n") and b"Traceback" not in error
    )


@pytest.mark.skipif(sys.platform == "win32", reason="Ctrl-C of another process works differently there")
def test_ctrl_c_keeps_the_rows_written(tmp_path):
    out, deadline = tmp_path / "out.csv", time.monotonic() + 60
    with _start(*LIVE, "--out", out) as process:
        process.stdin.write(b"v\n1\n2\n3\n")
        part = tmp_path / f".out.csv.{process.pid}"
        while not (part.exists() and part.read_text().count("\n") == 4):
            assert process.poll() is None and time.monotonic() < deadline
        process.send_signal(signal.SIGINT)
        shown, error = process.communicate(timeout=20)
    assert process.returncode == 130 and b"3 rows" in shown and b"interrupted" in error
    assert [r["value"] for r in _table(out)] == ["1", "2", "3"] and not part.exists()


@pytest.mark.skipif(sys.platform == "win32", reason="a closed pipe is reported differently there")
def test_a_reader_that_has_enough():
    with _start(*LIVE) as process:
        process.stdin.write(b"v\n1\n")
        process.stdout.readline()
        process.stdout.close()
        process.stdin.write(b"2\n")
        assert process.wait(timeout=20) == 141
        assert b"Traceback" not in process.stderr.read()


def test_bench_learning_of_rows_that_are_not_there_is_a_sentence(capsys):
    assert main(["bench", "learning", "--rows", "no such row"]) == 2
    assert "sine, K = 10" in capsys.readouterr().err


def test_bench_learning_tells_figures_bounds_and_baselines(monkeypatch, tmp_path, capsys):
    from deephtm_gpu.bench import learning
    from deephtm_gpu.bench.rows import Bound, Row

    never = Row(
        "a row",
        lambda seed, device: {"steps": float("inf") if seed else 7.0},
        (Bound("steps", each=9),),
        lambda seed: {"trivial": 3.0},
    )
    monkeypatch.setattr(learning, "rows", lambda taxi, only: (never,))
    path = tmp_path / "learning.json"
    assert main(["bench", "learning", "--device", "numpy", "--seeds", "1", "--first-seed", "0"]) == 0
    assert (
        main(["bench", "learning", "--device", "numpy", "--seeds", "2", "--first-seed", "0", "--json", str(path)]) == 1
    )
    out = capsys.readouterr().out
    assert "MISSED" in out and "never" in out and "each <= 9" in out and "trivial" in out
    (written,) = json.loads(path.read_text())["learning"]
    assert (
        written["figures"] == [{"steps": 7.0}, {"steps": None}]
        and written["trivial"] == [{"trivial": 3.0}] * 2
        and not written["holds"]
    )
