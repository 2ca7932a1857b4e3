"""The live picture without a window: the data stand where they belong, in both themes, at any size, with shaders and
without."""

import io
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import deephtm_gpu as dh
from deephtm_gpu import view
from deephtm_gpu.backends.wgpu import adapters
from deephtm_gpu.cli.main import main
from deephtm_gpu.data.letters import letters
from deephtm_gpu.data.sine import sine
from deephtm_gpu.errors import UserError
from deephtm_gpu.view.live import Block, Spec, offscreen, window
from deephtm_gpu.view.live.look import DARK, LIGHT, THEMES, rgba
from deephtm_gpu.view.live.plain import PlainPainter
from deephtm_gpu.view.live.ring import NOTHING, Fields, Ring
from deephtm_gpu.view.live.scene import Scene
from deephtm_gpu.view.live.tracks import Bars, Cells, Classes, Columns, Line, Series
from deephtm_gpu.view.live.training import Training

ROOT = Path(__file__).resolve().parents[1]
C, K, M, STEPS = 64, 3, 4, 100
MEMORY = (Bars(), Columns(C, K), Cells(K, M))
SPEC = Spec(
    "A picture",
    (Series(limits=(-1.5, 1.5)), Line("error", "|error|", (1e-4, 3.0), lines={"floor": 0.1}), *MEMORY),
    (Block("one", K, M, square=False), Block("two", K, M, square=False)),
    steps=STEPS,
)


def ring(steps=130):
    """Known data: a truth of 1, a prediction of -1, winners 8, 24, 60 of which the last is not predicted, the lowest
    cell of each alone."""
    kept, fields = SPEC.ring(), SPEC.fields
    for block, array in zip(kept.blocks, np.eye(2 * K, M).reshape(2, K, M)):
        block[:] = array.T
    alone = np.tile([1.0, 0, 0, 0], K)
    for n in (50, steps - 50):
        def same(*values):
            return np.tile(values, (n, 1))

        kept.push(
            fields.pack(
                n,
                truth=same(1),
                prediction=same(-1),
                error=same(0.01),
                anomaly=same(0.5),
                winners=same(8, 24, 60),
                predicted=same(1, 1, 0),
                cells=same(*alone),
                alike=same(0, 0, 0),
            )
        )
    return kept


def picture(painter, size, theme):
    shown = Scene(SPEC, *size, 1.0, theme)
    painter.show(shown)
    return shown, painter.picture()[:, :, :3].astype(int)


def like(image, colour, off=60):
    """(height, width) bool: where the colour is."""
    return abs(image - np.array([round(255 * part) for part in rgba(colour)[:3]])).sum(axis=2) < off


def heights(image, panel, colour):
    """Where, as parts of the panel's height from the bottom, rows of pixels are of the colour: their middles, the
    lowest first."""
    cut = image[panel.top : panel.bottom, panel.left + 4 : panel.right - 4]
    away = abs(cut - np.array([round(255 * part) for part in rgba(colour)[:3]])).sum(axis=2).mean(axis=1)  # (height,)
    rows = np.flatnonzero(away < 0.5 * np.median(away))
    groups = np.split(rows, np.flatnonzero(np.diff(rows) > 1) + 1)
    return [(panel.height - 0.5 - group.mean()) / panel.height for group in groups[::-1]]


@pytest.fixture(params=["shaders", "matplotlib"])
def painter(request, adapter):
    if request.param == "matplotlib":
        return PlainPainter(ring())
    from deephtm_gpu.view.live.paint import Painter

    return Painter(adapter.native.request_device_sync(), ring())


@pytest.mark.parametrize("theme", THEMES.values(), ids=list(THEMES))
@pytest.mark.parametrize("size", [(1280, 800), (700, 480)], ids=str)
def test_data_stand_where_they_belong(painter, size, theme):
    shown, image = picture(painter, size, theme)
    assert image.shape == (size[1], size[0], 3)
    panels = shown.panels
    near = pytest.approx
    assert heights(image, panels["value"], theme.truth)[-1] == near(2.5 / 3, abs=0.03)
    assert heights(image, panels["value"], theme.prediction)[0] == near(0.5 / 3, abs=0.03)
    assert near(np.log(0.01 / 1e-4) / np.log(3e4), abs=0.04) in heights(image, panels["error"], theme.error)
    assert heights(image, panels["columns"], theme.expected) == near(np.array([8.5, 24.5]) / C, abs=0.02)
    assert heights(image, panels["columns"], theme.unexpected)[-1] == near(60.5 / C, abs=0.02)
    assert heights(image, panels["cells"], theme.expected) == near(
        np.array([0, M, 2 * M]) / (K * M) + 0.5 / (K * M), abs=0.03
    )


@pytest.mark.parametrize("theme", [DARK, LIGHT], ids=str)
def test_the_bars_of_the_anomaly_reach_their_height(painter, theme):
    shown, image = picture(painter, (1280, 800), theme)
    panel = shown.panels["anomaly"]
    bars = ~like(image, theme.panel, 60)[panel.top : panel.bottom, panel.left : panel.right]
    inside = bars[:, 3:-3].mean(axis=1) > 0.6
    assert (panel.height - np.flatnonzero(inside)[0]) / panel.height == pytest.approx(0.5 / 1.05, abs=0.06)


def test_blocks_show_cell_by_cell(painter):
    shown, image = picture(painter, (1280, 800), DARK)
    blue = like(image, DARK.expected, 60)
    for block, wanted in zip(shown.blocks, np.eye(2 * K, M).reshape(2, K, M)):
        wide, tall = block.width / K, block.height / M
        for k in range(K):
            for m in range(M):
                x, y = round(block.left + (k + 0.5) * wide), round(block.bottom - (m + 0.5) * tall)
                assert blue[y, x] == wanted[k, m], (k, m)


def test_few_steps_stand_at_the_right(adapter):
    from deephtm_gpu.view.live.paint import Painter

    few = ring(50)
    few.count = 50
    shown, image = picture(Painter(adapter.native.request_device_sync(), few), (1280, 800), DARK)
    panel = shown.panels["value"]
    blue = like(image, DARK.prediction)[panel.top : panel.bottom, panel.left : panel.right].any(axis=0)
    middle = panel.width // 2
    assert not blue[: middle - 10].any() and blue[middle + 10 : -10].all()


def test_a_ring_of_nothing_is_an_empty_picture(painter):
    painter._ring.rows[:], painter._ring.count = NOTHING, 0
    shown, image = picture(painter, (1280, 800), DARK)
    panel = shown.panels["value"]
    assert not like(image, DARK.prediction)[panel.top : panel.bottom, panel.left : panel.right].any()


@pytest.mark.parametrize("size", [(1280, 800), (560, 420), (1920, 1080)], ids=str)
def test_no_text_is_cut(size):
    """No text lies at the edge: the page's border is of its own colour all round."""
    error = Line("error", "|error|", (0, 1), log=False, lines={"floor": 0.5, "persistence": 0.4})
    for spec in (SPEC, Spec("A picture", (Classes(("A", "B", "a long name")), error, *MEMORY))):
        page = Scene(spec, *size, 1.0, LIGHT).page[:, :, :3].astype(int)
        border = np.concatenate(
            [page[:2].reshape(-1, 3), page[-2:].reshape(-1, 3), page[:, :2].reshape(-1, 3), page[:, -2:].reshape(-1, 3)]
        )
        assert (border == 255).all()


# The ring


def test_the_ring_keeps_the_last_rows_and_tells_where_new_ones_lie():
    fields = Fields.of(x=1)
    kept = Ring(fields, 5)
    copy = np.full((5, 1), NOTHING, np.float32)
    rng, seen, total = np.random.default_rng(0), 0, 0
    for n in (1, 3, 4, 5, 12, 0, 2):
        values = rng.random((n, 1), np.float32)
        kept.push(fields.pack(n, x=values))
        total += n
        for row, rows in kept.since(seen):
            copy[row : row + len(rows)] = rows
        seen = kept.count
        assert np.array_equal(copy, kept.rows) and kept.count == total
    assert kept.last(2, "x")[:, 0] == pytest.approx(values[:, 0])


def test_nan_is_nothing():
    fields = Fields.of(x=2)
    assert (fields.pack(1, x=[[np.nan, 1]]) == [[NOTHING, 1]]).all()


# Shows


def small(outputs=1, loss="mse", shape=(1,)):
    net = dh.Sequential(
        dh.Linear(24),
        dh.ReLU(),
        dh.RunningNorm(),
        dh.SpatialPooler(C, K),
        dh.TemporalMemory(M),
        dh.Linear(16),
        dh.ReLU(),
        dh.Linear(outputs),
    )
    return dh.Model(net, shape, loss=loss, seed=1, device="numpy")


def test_a_show_in_small_steps_tells_what_one_fit_tells():
    series = sine(60, period=20)
    show = view.SeriesShow(small(), series, "t")
    kept = show.ring()
    while show.advance(7, kept):
        pass
    history = small().fit(series)
    assert np.array_equal(show.prediction[1:], history.prediction[:-1, 0]) and np.isnan(show.prediction[0])
    assert np.array_equal(show.anomaly, history.anomaly)
    winners = kept.last(60, "winners")
    assert (np.diff(winners, axis=1) > 0).all()  # in the order of their columns
    # In the first step nothing is active.
    assert np.allclose(kept.last(59, "cells").reshape(59, K, M).sum(axis=2), 1, atol=1e-5)


def test_after_a_reset_nothing_is_predicted_for_the_next_step():
    show = view.SeriesShow(small(), sine(20, period=20), "t")
    kept = show.ring()
    show.advance(9, kept)
    show.reset()
    show.advance(5, kept)
    assert np.isnan(show.prediction[[0, 9]]).all() and np.isfinite(show.prediction[[1, 8, 10, 13]]).all()


def test_a_show_of_symbols_tells_the_queries():
    task = letters(2, steps=60, seed=0)
    show = view.SymbolShow(
        small(task.classes, "cross_entropy", (16,)),
        task,
        "t",
        watched=[("A", "m1", "m1 after A"), ("X", "m1", "m1 after X")],
    )
    kept = show.ring()
    while show.advance(11, kept):
        pass
    assert np.array_equal(show.right(), task.right(show.prediction))
    assert all(np.allclose(block.sum(axis=0), 1, atol=1e-5) for block in show.blocks) and 0 <= show.shared(0, 1) <= 1
    asked = task.queries[-1] + 1
    if asked < 60:
        assert kept.last(60, "error")[asked, 0] == pytest.approx(
            1 - show.prediction[asked - 1, task.symbols[asked]], abs=1e-6
        )


@pytest.mark.parametrize(
    "net, streams, words",
    [
        (dh.Sequential(dh.Linear(1)), 1, "must have a SpatialPooler"),
        (
            dh.Sequential(dh.SpatialPooler(8, 2), dh.TemporalMemory(2), dh.Linear(1)),
            2,
            "must have one stream, got 2; .*streams=1",
        ),
    ],
)
def test_models_that_cannot_be_shown_are_refused(net, streams, words):
    with pytest.raises(UserError, match=words):
        view.SeriesShow(dh.Model(net, (1,), streams=streams, device="numpy"), sine(9), "t")


# Learning between frames


class Steps:
    """A show of steps of a millisecond."""

    total, done, phase = 10_000, 0, ""

    def advance(self, steps, ring):
        time.sleep(0.001 * steps)
        self.done += steps
        return steps


def test_paused_it_learns_a_step_per_key():
    training = Training(Steps(), None)
    training.turn(0.01)
    training.one_step()  # no effect: it is not paused
    training.pause()
    at = training.show.done
    assert at > 0 and training.waits and "paused" in training.status
    training.turn(0.01)
    assert training.show.done == at
    training.one_step()
    training.one_step()
    assert not training.waits
    training.turn(0.01)
    assert training.show.done == at + 2 and training.waits


def test_a_turn_takes_about_as_long_as_it_may():
    training = Training(Steps(), None)
    for _ in range(5):
        training.turn(0.02)
    began, at = time.perf_counter(), training.show.done
    training.turn(0.02)
    assert training.show.done - at >= 5 and time.perf_counter() - began < 0.2


def test_slowed_down_it_keeps_its_speed():
    training = Training(Steps(), None)
    for _ in range(20):
        training.faster(-1)
    for _ in range(3):
        training.faster(1)  # 1, 3, 10, 30
    assert "30 steps/s" in training.status
    training.turn(0)
    began, at = time.perf_counter(), training.show.done
    while time.perf_counter() - began < 1:
        time.sleep(0.02)
        training.turn(0)
    assert 15 <= training.show.done - at <= 31


# `deephtm demo`, on every kind of machine


def demo(out, name, *options):
    return main(["demo", name, "--device", "numpy", "--out", str(out), *map(str, options)])


@pytest.mark.parametrize("name, figures, baselines", [
    ("sine", {"rmse_last_300"}, {"memoryless_floor", "persistence"}),
    ("jump", {"anomaly_at_the_jump", "deviations"}, {"memoryless_floor", "persistence"}),
    ("letters", {"accuracy_last_200", "cells_shared"}, {"table_of_two_letters", "most_frequent"}),
    ("taxi", {"mape_percent"}, {"persistence", "same_slot_last_week"}),
])
def test_every_demo_writes_picture_and_figures(tmp_path, capsys, name, figures, baselines):
    assert demo(tmp_path, name, "--headless", "--steps", 400) == 0
    report = json.loads((tmp_path / f"{name}.json").read_text())
    assert figures <= report.keys() and report["baselines"].keys() == baselines
    assert report["settings"]["steps"] == 400 and report["steps"] == 400 and report["device"]["name"] == "NumPy"
    image = Image.open(tmp_path / f"{name}.png")
    assert image.size == offscreen.SIZE
    assert len(np.unique(np.asarray(image).reshape(-1, 3), axis=0)) > 500
    assert f"{name}.png" in capsys.readouterr().out


@pytest.mark.parametrize("name", ["sine", "jump", "letters", "taxi"])
def test_one_step_is_enough(tmp_path, name):
    assert demo(tmp_path, name, "--headless", "--steps", 1) == 0


@pytest.mark.parametrize("name", ["sine", "jump", "letters", "taxi"])
def test_demos_are_short(name):
    assert len((ROOT / "demos" / f"{name}.py").read_text().splitlines()) <= 60


def test_the_script_is_the_same_as_the_command(tmp_path):
    options = ["--device", "numpy", "--steps", "300", "--headless"]
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, ROOT / "demos" / "jump.py", *options],
        cwd=tmp_path,
        env=env,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    demo(tmp_path / "command", "jump", *options[2:])
    reports = [
        json.loads(path.read_text()) for path in (tmp_path / "out" / "jump.json", tmp_path / "command" / "jump.json")
    ]
    for report in reports:
        del report["seconds"], report["steps_per_second"]
    assert reports[0] == reports[1]
    wrong = subprocess.run(
        [sys.executable, ROOT / "demos" / "jump.py", "--device", "none such"],
        cwd=tmp_path,
        env=env,
        capture_output=True,
        text=True,
        check=False,
    )
    assert wrong.returncode == 2 and "none such" in wrong.stderr and "Traceback" not in wrong.stderr


def test_a_recording_moves(tmp_path):
    assert demo(tmp_path, "sine", "--record", "--steps", 200) == 0
    moving = Image.open(io.BytesIO((tmp_path / "sine.webp").read_bytes()))
    assert moving.n_frames > 20 and moving.size == (880, 550)
    moving.seek(2)
    early = np.asarray(moving.convert("RGB")).astype(int)
    moving.seek(moving.n_frames - 1)
    assert abs(np.asarray(moving.convert("RGB")) - early).max() > 100


def test_without_an_adapter_matplotlib_draws(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(window, "list_adapters", lambda: ())
    monkeypatch.setattr(offscreen, "list_adapters", lambda: ())
    monkeypatch.setattr(adapters, "list_adapters", lambda: ())
    assert demo(tmp_path, "sine", "--steps", 100) == 0  # a window was asked for
    assert "no GPU adapter" in capsys.readouterr().err and (tmp_path / "sine.png").stat().st_size > 20_000


def test_without_a_display_it_goes_on_headless(tmp_path, adapter):
    """In a process of its own: what goes wrong there would end it."""
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "deephtm_gpu",
            "demo",
            "sine",
            "--device",
            "numpy",
            "--steps",
            "100",
            "--out",
            str(tmp_path),
        ],
        env={"PATH": "", "PYTHONPATH": str(ROOT), "XDG_RUNTIME_DIR": "/tmp"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0 and "Traceback" not in done.stderr
    assert "no display" in done.stderr and "continuing headless" in done.stderr
    assert (tmp_path / "sine.png").exists()


@pytest.mark.parametrize("name, option", [("letters", "--period"), ("jump", "--winners")])
def test_an_option_of_another_demo_is_a_mistake(tmp_path, capsys, name, option):
    assert demo(tmp_path / "out", name, "--headless", option, 5) == 2
    assert option in capsys.readouterr().err and not (tmp_path / "out").exists()
