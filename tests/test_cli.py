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
from datetime import datetime, timedelta

import numpy as np
import pytest

import deephtm_gpu
from deephtm_gpu.backends.wgpu import adapters
from deephtm_gpu.cli import info
from deephtm_gpu.cli.main import main
from deephtm_gpu.errors import TrainingError, UserError
from deephtm_gpu.learner import Learner
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


def _table(path, behind=None):
    """The rows that came; what is predicted behind the last one, in `behind` rows, is left out."""
    with open(path, newline="") as file:
        rows = list(csv.DictReader(file))
    if behind is not None:
        return rows[: len(rows) - behind]
    while rows and rows[-1].get("value") == rows[-1].get("anomaly_score") == "" and rows[-1]["prediction"]:
        rows.pop()
    return rows


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
    assert list(written[0]) == [
        "timestamp", "value", "prediction", "anomaly_score", "anomaly_likelihood", "alarm", "network", "novelty"]
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
    assert shown[0].out == shown[1].out and len(shown[0].out.splitlines()) == ROWS + 2
    assert "MAPE" in shown[0].err and "MAPE" not in shown[0].out
    assert _run(wave, "--column", "load", "--seed", 4) == 0
    assert capsys.readouterr().out != shown[0].out


def test_learning_helps():
    rng = np.random.default_rng(0)
    rows = [Row(v, "", None, "") for v in 10 + 3 * np.sin(np.arange(3000) / 4) + 0.1 * rng.normal(size=3000)]
    learner = Learner(ahead=2, timed=False, seed=0, device="numpy")
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
    learner = Learner(ahead, timed=False, seed=0, device="numpy")
    rows = [Row(math.sin(i / 5) + 1000 * (i > 300), "", None, "") for i in range(700)]
    for i in range(0, 700, 100):
        learner.learn(rows[i: i + 100])
    assert learner.comparison.whole["network"].percent < 100


@pytest.mark.parametrize("change, said", [
    (["none.csv", "--column", "load"], "no such file"),
    (["{wave}", "--column", "height"], "no column 'height'.*'when', 'load'"),
    (["{wave}", "--column", "when"], "line 2 must have a number in column 'when', got '2024-01-01T00:00'"),
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


def test_a_mistake_in_the_last_row_keeps_the_rows_before(wave, tmp_path, capsys):
    out, save = tmp_path / "out.csv", tmp_path / "saved"
    wave.write_text(wave.read_text() + "2024-02-01T00:00,many\n")
    assert _run(wave, "--column", "load", "--out", out, "--save", save) == 2
    shown = capsys.readouterr()
    assert f"line {ROWS + 2} must have a number in column 'load', got 'many'" in shown.err
    assert len(_table(out)) == ROWS and save.exists() and f"{ROWS} rows" in shown.out


def test_a_mistake_in_the_first_row_leaves_what_was_there(wave, tmp_path, capsys):
    out = tmp_path / "out.csv"
    out.write_text("precious\n")
    wave.write_text("when,load\n2024-02-01T00:00,many\n")
    _error_of(capsys, 2, ["run", wave, "--column", "load", "--device", "numpy", "--out", out])
    assert out.read_text() == "precious\n" and {p.name for p in tmp_path.iterdir()} == {"wave.csv", "out.csv"}


# Gaps and columns


@pytest.fixture
def gaps(wave):
    """The wave without its rows 20, 21 and 40."""
    lines = wave.read_text().splitlines()
    for t in (20, 21, 40):
        lines[t + 1] = lines[t + 1].split(",")[0] + ",NA"
    wave.write_text("\n".join(lines) + "\n")
    return wave


@pytest.mark.parametrize("more", [[], ["--timestamp", "when"]])
def test_a_gap_is_written_with_its_prediction(gaps, tmp_path, capsys, more):
    out = tmp_path / "out.csv"
    assert _run(gaps, "--column", "load", "--ahead", 2, "--out", out, *more) == 0
    rows = _table(out)
    assert len(rows) == ROWS
    for t, row in enumerate(rows):
        missing = t in (20, 21, 40)
        assert (row["value"] == "") == (row["anomaly_score"] == "") == (row["anomaly_likelihood"] == "") == missing
        assert (row["prediction"] == "") == (t < 2)
    assert re.search(r"skipped rows.*\n.*wave.csv, column 'load' +3  line 22: 'NA'", capsys.readouterr().out)


def test_held_rows_are_learned(gaps, tmp_path, capsys):
    """As the same file with the number before written there."""
    outs = []
    lines = gaps.read_text().splitlines()
    for t in (20, 21, 40):
        lines[t + 1] = lines[t + 1].split(",")[0] + "," + lines[t].split(",")[1]
    (tmp_path / "filled.csv").write_text("\n".join(lines))
    for path in (gaps, tmp_path / "filled.csv"):
        assert _run(path, "--column", "load", "--missing", "hold", "--out", tmp_path / "out.csv") == 0
        outs.append([(r["prediction"], r["anomaly_score"]) for r in _table(tmp_path / "out.csv")])
    assert outs[0] == outs[1] and "held rows" in capsys.readouterr().out


def test_stop_writes_and_saves_what_came_before(gaps, tmp_path, capsys):
    out, save = tmp_path / "out.csv", tmp_path / "saved"
    assert _run(gaps, "--column", "load", "--missing", "stop", "--out", out, "--save", save) == 2
    error = capsys.readouterr().err
    assert "wave.csv: line 22 must have a number in column 'load', got 'NA'" in error and "--missing skip" in error
    assert len(_table(out)) == 20 and save.exists()


def test_a_run_of_gaps_goes_on_from_where_it_was_saved(gaps, tmp_path):
    lines = gaps.read_text().splitlines(keepends=True)
    whole, saved = tmp_path / "whole.csv", tmp_path / "saved"
    assert _run(gaps, "--column", "load", "--out", whole) == 0
    (tmp_path / "a.csv").write_text("".join(lines[:22]))  # it ends with a gap, and the next begins with one
    (tmp_path / "b.csv").write_text(lines[0] + "".join(lines[22:]))
    assert _run(tmp_path / "a.csv", "--column", "load", "--out", tmp_path / "1.csv", "--save", saved) == 0
    assert _run(tmp_path / "b.csv", "--column", "load", "--out", tmp_path / "2.csv", "--resume", saved) == 0
    assert _table(whole, 1) == _table(tmp_path / "1.csv", 1) + _table(tmp_path / "2.csv", 1)


def test_several_columns_are_models_each(tmp_path, capsys):
    path, save = tmp_path / "two.csv", tmp_path / "save"
    save.mkdir()
    path.write_text("a;b\n" + "".join(f"{t % 3};{t % 4},5\n" if t % 7 else f"{t % 3};NA\n" for t in range(40)))
    assert _run(path, "--column", "a", "--column", "b", "--out", tmp_path / "both.csv", "--save", save) == 0
    both, shown = _table(tmp_path / "both.csv"), capsys.readouterr().out
    assert "'a': 40 rows" in shown and "'b': 34 rows" in shown and "column 'b'" in shown
    assert [r["column"] for r in both[:4]] == ["a", "b", "a", "b"]
    for column in "ab":
        assert _run(path, "--column", column, "--out", tmp_path / "one.csv", "--save", tmp_path / "one") == 0
        assert _table(tmp_path / "one.csv") == [
            {name: cell for name, cell in r.items() if name != "column"} for r in both if r["column"] == column]
        assert (save / f"{column}.model").read_bytes() == (tmp_path / "one").read_bytes()


@pytest.mark.parametrize("more, said", [
    (["--column", "load"], "--column must name each column once, got 'load' 2 times"),
    (["--column", "when", "--save", "{folder}/none"], "--save must be an existing folder with 2 columns"),
    (["--column", "when", "--resume", "x"], "--resume x continues one model, got 2 columns"),
    (["--delimiter", ";;"], "--delimiter must be one sign"),
    (["--time-format", "odd"], "--time-format must be"),
    (["--missing", "guess"], "invalid choice"),
])
def test_mistakes_in_how_it_is_read(wave, tmp_path, capsys, more, said):
    filled = [c.format(folder=tmp_path) for c in more]
    assert said in _error_of(capsys, 2, ["run", wave, "--column", "load", "--device", "numpy", *filled])
    assert {p.name for p in tmp_path.iterdir()} == {"wave.csv"}


def test_a_european_file(tmp_path):
    path, out = tmp_path / "a.csv", tmp_path / "out.csv"
    path.write_text("".join(f"{13 + t // 24}/2/2024 {t % 24}:00;{t % 5},25\n" for t in range(60)))
    assert _run(path, "--column", "2", "--timestamp", "1", "--no-header", "--out", out) == 0
    assert [r["value"] for r in _table(out)] == [f"{t % 5}.25" for t in range(60)]


def test_diverged_training_names_the_row(wave, tmp_path, capsys, monkeypatch):
    def fail(learner, rows):
        learner.comparison.rows = 500  # learned before
        raise TrainingError("", 7, "layer 2")

    monkeypatch.setattr(Learner, "learn", fail)
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
        while not any(part.read_text().count("\n") == 4 for part in tmp_path.glob(f".out.csv.{process.pid}.*.part")):
            assert process.poll() is None and time.monotonic() < deadline
        process.send_signal(signal.SIGINT)
        shown, error = process.communicate(timeout=20)
    assert process.returncode == 130 and b"3 rows" in shown and b"interrupted" in error
    assert [r["value"] for r in _table(out)] == ["1", "2", "3"] and list(tmp_path.iterdir()) == [out]


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


# Behind the last row, and on alarms


def test_what_is_predicted_behind_the_last_row(wave, tmp_path):
    """As many rows as it looks ahead, with the times that they will have; they are what the next rows then get."""
    out, lines = tmp_path / "out.csv", wave.read_text().splitlines(keepends=True)
    how = ["--column", "load", "--timestamp", "when", "--ahead", 3, "--out", out]
    assert _run(wave, *how) == 0
    whole = _table(out, 0)
    (tmp_path / "part.csv").write_text("".join(lines[:41]))
    assert _run(tmp_path / "part.csv", *how) == 0
    part = _table(out, 0)
    assert len(part) == 43 and part[:40] == whole[:40]
    for now, then in zip(part[40:], whole[40:43]):
        assert now["value"] == now["anomaly_score"] == now["alarm"] == ""
        assert [now[n] for n in ("timestamp", "prediction", "network")] == [
            then[n] for n in ("timestamp", "prediction", "network")]


def test_a_json_line_tells_what_is_predicted_now_and_for_when(wave, tmp_path):
    out = tmp_path / "out.jsonl"
    assert _run(wave, "--column", "load", "--timestamp", "when", "--ahead", 2, "--out", out, "--format", "jsonl") == 0
    lines = [json.loads(line) for line in out.read_text().splitlines()]
    assert len(lines) == ROWS + 2 and "forecast" not in lines[-1] and lines[-1]["value"] is None
    for now, later in zip(lines[1:ROWS], lines[3:]):
        assert now["forecast"] == {"ahead": 2, "timestamp": later["timestamp"], "value": later["prediction"]}
    assert all(isinstance(line["value"], float) and line["alarm"] in (0, 1) for line in lines[:ROWS])


@pytest.mark.parametrize("stamps", ["%d.%m.%Y %H:%M", "%m/%d/%y %H:%M", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%d"])
def test_times_to_come_are_written_as_those_that_came(tmp_path, stamps):
    path, out = tmp_path / "in.csv", tmp_path / "out.csv"
    step = timedelta(days=1)
    times = [datetime(2024, 3, 25) + n * step for n in range(12)]
    path.write_text("when,load\n" + "".join(f"{t.strftime(stamps)},{n % 3}\n" for n, t in enumerate(times)))
    assert _run(path, "--column", "load", "--timestamp", "when", "--out", out) == 0
    assert _table(out, 0)[-1]["timestamp"] == (times[-1] + step).strftime(stamps)


def test_a_command_on_an_alarm(tmp_path):
    path, out, notified = tmp_path / "in.csv", tmp_path / "out.csv", tmp_path / "notified"
    values = [round(math.sin(n / 7), 3) for n in range(400)] + [9.0] + [round(math.sin(n / 7), 3) for n in range(20)]
    path.write_text("load\n" + "".join(f"{v}\n" for v in values))
    assert _run(path, "--column", "load", "--out", out, "--exec", f"cat >> {notified}") == 0
    rows = _table(out)
    (line,) = map(json.loads, notified.read_text().splitlines())
    assert [n for n, r in enumerate(rows) if r["alarm"] == "1"] == [400] and float(rows[400]["novelty"]) >= 1 / 11
    assert line["value"] == 9.0 and line["alarm"] == 1 and "in.csv, column 'load'" in line["series"]
    assert _run(path, "--column", "load", "--out", out, "--exec", "exit 3", "--alarm", "1") == 0


@pytest.mark.parametrize("more, said", [
    (["--alarm", "0"], "--alarm must be a score above 0"), (["--alarm", "nan"], "--alarm must be a score above 0"),
    (["--no-learn"], "--no-learn looks with a network that has learned"),
    (["--format", "xml"], "invalid choice"),
])
def test_mistakes_in_what_is_written(wave, capsys, more, said):
    assert said in _error_of(capsys, 2, ["run", wave, "--column", "load", "--device", "numpy", *more])


def test_without_learning_the_network_stays_as_it_is(wave, tmp_path, capsys):
    saved, again = tmp_path / "saved", tmp_path / "again"
    assert _run(wave, "--column", "load", "--out", tmp_path / "1.csv", "--save", saved) == 0
    more = ["--resume", saved, "--no-learn", "--save", again]
    assert _run(wave, "--column", "load", "--out", tmp_path / "2.csv", *more) == 0
    before, after = Learner.load(saved, "numpy"), Learner.load(again, "numpy")
    weights, same = before.model.state_dict(), after.model.state_dict()
    assert all(np.array_equal(weights[name], same[name]) for name in weights)
    assert after.model.steps == before.model.steps + ROWS
    assert all(math.isfinite(float(r["network"])) for r in _table(tmp_path / "2.csv"))
