"""`deephtm demo` from the command line to its two files."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import deephtm_gpu as dh
from deephtm_gpu.cli.demo import CHUNK, FIRST, _next_chunk
from deephtm_gpu.cli.main import main
from deephtm_gpu.data.sine import memoryless_floor, persistence_rmse, sine

ROOT = Path(__file__).parent.parent


def demo(out, *options):
    return main(["demo", "sine", "--device", "numpy", "--headless", "--out", str(out), *map(str, options)])


def read(out):
    return json.loads((out / "sine.json").read_text(), parse_constant=lambda name: pytest.fail(f"{name} is not JSON"))


def test_report_holds_settings_device_figures_and_baselines(tmp_path, capsys):
    assert demo(tmp_path, "--steps", 1200, "--seed", 3, "--period", 40, "--winners", 7) == 0
    report = read(tmp_path)
    assert report["settings"] == {"steps": 1200, "period": 40.0, "winners": 7, "seed": 3, "device": "numpy"}
    assert report["device"] == {"name": "NumPy", "backend": "numpy", "kind": "software"}
    assert report["version"] == dh.__version__
    assert report["baselines"] == {"memoryless_floor": memoryless_floor(40), "persistence": persistence_rmse(40)}
    assert report["steps_per_second"] == pytest.approx(1200 / report["seconds"])
    assert "SpatialPooler(columns=256, winners=7)" in report["network"]
    assert [c["steps"] for c in report["checkpoints"]] == [1000, 1200]
    assert report["checkpoints"][-1]["rmse_last_300"] == report["rmse_last_300"]
    assert (tmp_path / "sine.png").read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["sine.json", "sine.png"]

    printed = capsys.readouterr().out
    for figure in (report["rmse_last_300"], memoryless_floor(40), persistence_rmse(40)):
        assert f"{figure:.4f}" in printed
    assert str(tmp_path / "sine.png") in printed


def test_the_figure_reached_is_that_of_the_same_network_fitted_by_hand(tmp_path):
    demo(tmp_path, "--steps", 700, "--seed", 2, "--period", 40)
    net = dh.Sequential(
        dh.Linear(256), dh.ReLU(), dh.Linear(256), dh.ReLU(), dh.RunningNorm(),
        dh.SpatialPooler(columns=256, winners=5), dh.TemporalMemory(cells_per_column=5, decay=0.8),
        dh.Linear(256), dh.ReLU(), dh.Linear(1))
    model = dh.Model(net, input_shape=(1,), loss="mse", optimizer=dh.PolyakSGD(), seed=2, device="numpy")
    loss = model.fit(sine(700, period=40)).loss  # half the squared error; the last row's target has not come
    assert read(tmp_path)["rmse_last_300"] == pytest.approx(np.sqrt(2 * loss[-301:-1].mean(dtype=np.float64)), rel=1e-5)


def test_memory_gets_below_what_is_possible_without(tmp_path):
    demo(tmp_path, "--steps", 3000)
    report = read(tmp_path)
    assert report["rmse_last_300"] < 0.5 * report["baselines"]["memoryless_floor"]


@pytest.mark.parametrize("steps, reached", [(1, False), (2, True), (7, True), (300, True), (1000, True)])
def test_short_runs_end_well(tmp_path, steps, reached):
    assert demo(tmp_path, "--steps", steps) == 0
    report = read(tmp_path)
    assert [c["steps"] for c in report["checkpoints"]] == [steps]
    assert (report["rmse_last_300"] is not None) == reached


def test_where_no_exploration_is_over_nothing_is_said_of_them(tmp_path, capsys):
    assert main(["demo", "objects", "--steps", "10", "--device", "numpy", "--headless", "--out", str(tmp_path)]) == 0
    said = capsys.readouterr().out
    assert "nan" not in said and "compare" not in said and "10 steps" in said
    report = json.loads((tmp_path / "objects.json").read_text())
    assert report["explorations"] == 0 and report["baselines"] == report["recognised"] == {}


@pytest.mark.parametrize("pace, reached", [(0.5, 1), (45, 45), (400, 400), (50_000, CHUNK)])
def test_the_bar_moves_about_once_a_second(pace, reached):
    chunk, chunks = FIRST, []
    for n in range(12):
        spent = chunk / pace + (2.0 if n == 0 else 0)  # a first step that builds things
        chunk = _next_chunk(chunk, spent)
        chunks.append(chunk)
    assert chunks[-1] == pytest.approx(reached, rel=0.05) and max(chunks) <= max(reached, 1.01 * FIRST)


def test_folders_are_created_and_old_files_replaced(tmp_path):
    out = tmp_path / "new" / "deeper"
    demo(out, "--steps", 5)
    demo(out, "--steps", 6)
    assert read(out)["settings"]["steps"] == 6


@pytest.mark.parametrize("arguments, words", [
    (["cosine"], ["'cosine'", "'sine'"]),
    (["sine", "--steps", "0"], ["--steps must be from 1 to", "got 0"]),
    (["sine", "--steps", "-5"], ["--steps must be", "got -5"]),
    (["sine", "--period", "2"], ["period", "> 2", "got 2"]),
    (["sine", "--period", "301"], ["--period must be", "300", "got 301"]),
    (["sine", "--winners", "256"], ["256 winners", "255"]),
    (["sine", "--device", "no such thing"], ["no such thing"]),
])
def test_mistakes_end_with_one_sentence_and_leave_no_folder(tmp_path, capsys, arguments, words):
    out = tmp_path / "out"
    rest = [] if "--device" in arguments else ["--device", "numpy"]
    assert main(["demo", *arguments, *rest, "--headless", "--out", str(out)]) == 2
    said = capsys.readouterr().err
    assert all(word in said for word in words) and "Traceback" not in said
    assert not out.exists()


def test_a_file_in_the_folders_place_is_told_before_anything_is_learned(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(dh.Model, "fit", lambda *_, **__: pytest.fail("it learned first"))
    (tmp_path / "out").write_text("mine")
    assert demo(tmp_path / "out", "--steps", 5) == 2
    assert str(tmp_path / "out") in capsys.readouterr().err
    assert (tmp_path / "out").read_text() == "mine"


def test_help_needs_no_matplotlib():
    asked = ("import sys; from deephtm_gpu.cli.main import main; main(['demo', '--help']);"
             "print('matplotlib' in sys.modules)")
    done = subprocess.run([sys.executable, "-c", asked], check=True, capture_output=True, text=True)
    assert "--winners" in done.stdout and done.stdout.endswith("False\n")


def test_the_tutorial_script_runs_and_saves_its_picture(tmp_path):
    script = (ROOT / "demos" / "sine.py").read_text()
    assert len(script.splitlines()) <= 60
    short = script.replace("steps=10_000", "steps=400").replace("(1_000, 4_000, 10_000)", "(100, 400)")
    short = short.replace('"auto"', '"numpy"')
    done = subprocess.run([sys.executable, "-c", short], cwd=tmp_path, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "memoryless floor 0.0886" in done.stdout and "after    400 steps" in done.stdout
    assert (tmp_path / "out" / "sine.png").stat().st_size > 20_000
