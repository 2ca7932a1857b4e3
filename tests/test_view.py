"""The pictures show the numbers they were given, whole and legible."""

import numpy as np
import pytest

from deephtm_gpu import view
from deephtm_gpu.data.sine import memoryless_floor, persistence_rmse, sine
from deephtm_gpu.errors import UserError
from deephtm_gpu.view.scores import LAST, running_rmse

ROWS = [
    ("input", "1", 0, "Input"),
    ("0", "256", 512, "Linear"), ("1", "256", 0, "ReLU"),
    ("2", "256", 65792, "Linear"), ("3", "256", 0, "ReLU"), ("4", "256", 0, "RunningNorm"),
    ("5", "256 columns\n5 winners", 65792, "SpatialPooler"),
    ("6", "5 cells\nper column", 1967360, "TemporalMemory"),
    ("7", "256", 327936, "Linear"), ("8", "256", 0, "ReLU"),
    ("9", "1", 257, "Linear"),
]


# The sine and what the trivial predictors reach on it

def test_sine_is_the_formula_to_single_precision():
    t = np.arange(100_000)
    series = sine(100_000, period=47.3137, amplitude=2.0, phase=0.3)
    assert series.shape == (100_000, 1) and series.dtype == np.float32
    assert np.abs(series[:, 0] - 2 * np.sin(2 * np.pi * t / 47.3137 + 0.3)).max() < 2e-7


def test_a_jump_moves_the_phase_from_its_step_on():
    plain, jumped = sine(200), sine(200, jump_at=120, jump=np.pi)
    assert np.array_equal(jumped[:120], plain[:120])
    assert np.allclose(jumped[120:], -plain[120:], atol=1e-6)


@pytest.mark.parametrize("period", [4, 50, 300])
def test_the_trivial_figures_are_what_the_trivial_predictors_get(period):
    x = np.sin(2 * np.pi * np.arange(period + 1) / period)
    now, then = x[:-1], x[1:]
    assert persistence_rmse(period) == pytest.approx(np.sqrt(np.mean((then - now) ** 2)))
    # The best function of the present value: for each value seen, the mean of what followed it.
    where = np.unique(now.round(9), return_inverse=True)[1]
    best = (np.bincount(where, then) / np.bincount(where))[where]
    assert memoryless_floor(period) == pytest.approx(np.sqrt(np.mean((then - best) ** 2)))
    assert memoryless_floor(period) <= persistence_rmse(period)


@pytest.mark.parametrize("wrong", [
    {"steps": 0}, {"steps": 5, "period": 2}, {"steps": 5, "period": float("nan")},
    {"steps": 5, "amplitude": float("inf")},
    {"steps": 5, "jump_at": 5, "jump": 1.0}, {"steps": 5, "jump": 1.0},
])
def test_a_sine_that_cannot_be_is_refused(wrong):
    with pytest.raises(UserError):
        sine(**wrong)


# Scores

def test_errors_stand_at_the_step_they_were_made_for():
    off = view.errors(np.float32([[1], [2], [4]]), np.float32([[2.5], [4], [99]]))
    assert np.isnan(off[0]) and off[1:].tolist() == [0.5, 0.0]


def test_running_rmse_is_the_plain_mean_over_its_window():
    off = np.random.default_rng(0).normal(size=LAST + 200)
    off[0], off[1] = np.nan, 1e8  # a wild beginning must leave no trace once it has left the window
    got = running_rmse(off)
    assert np.isnan(got[0])
    for t in (1, 2, LAST - 1, LAST, LAST + 1, LAST + 199):
        window = off[max(1, t - LAST + 1):t + 1]
        assert got[t] == pytest.approx(np.sqrt(np.mean(window**2)), rel=1e-12)
        assert view.rmse_after(off, t + 1) == got[t]


# Pictures

def picture(steps, checkpoints, period=50):
    rng = np.random.default_rng(1)
    series = sine(steps, period)
    prediction = np.roll(series, -1, axis=0) + rng.normal(0, 0.01, (steps, 1)).astype(np.float32)
    anomaly = rng.random(steps)
    figure = view.prediction_figure(series, prediction, anomaly, checkpoints, memoryless_floor(period),
                                    persistence_rmse(period), ROWS, "A sine")
    return figure, series, prediction, anomaly


def lines(axes):
    return {line.get_label(): line for line in axes.lines}


def texts(axes):
    return [text for text in axes.texts if text.get_text()]


def test_the_panels_hold_the_last_steps_before_each_checkpoint():
    figure, series, prediction, _ = picture(4500, [1000, 4000, 4500])
    off = view.errors(series, prediction)
    for axes, steps in zip(figure.axes[1:4], (1000, 4000, 4500)):
        drawn = lines(axes)
        assert drawn["truth"].get_xdata()[[0, -1]].tolist() == [steps - 150, steps - 1]
        assert np.array_equal(drawn["truth"].get_ydata(), series[steps - 150:steps, 0])
        assert np.array_equal(drawn["prediction"].get_xdata(), drawn["truth"].get_xdata())
        assert np.array_equal(drawn["prediction"].get_ydata(), prediction[steps - 151:steps - 1, 0])
        assert axes.get_title(loc="left") == f"After {steps:,} steps: RMSE {view.rmse_after(off, steps):.4f}"


@pytest.mark.parametrize("period", [4, 50])
def test_floor_and_persistence_stand_where_they_belong(period):
    figure, *_ = picture(600, [600], period)
    axes = figure.axes[2]
    drawn = lines(axes)
    assert axes.get_yscale() == "log"
    assert set(drawn["memoryless floor"].get_ydata()) == {memoryless_floor(period)}
    assert set(drawn["persistence"].get_ydata()) == {persistence_rmse(period)}
    floor, persistence = memoryless_floor(period), persistence_rmse(period)
    assert {t.get_text() for t in texts(axes)} == {f"memoryless floor {floor:.4f}", f"persistence {persistence:.4f}"}


def test_the_running_rmse_and_the_anomaly_are_drawn_step_by_step():
    figure, series, prediction, anomaly = picture(1200, [1000, 1200])
    running = running_rmse(view.errors(series, prediction))
    error_axes, anomaly_axes = figure.axes[3:5]
    assert np.array_equal(lines(error_axes)["model"].get_ydata(), running, equal_nan=True)
    assert lines(error_axes)["checkpoints"].get_ydata().tolist() == running[[999, 1199]].tolist()
    assert np.array_equal(lines(anomaly_axes)["each step"].get_ydata(), anomaly)
    mean = lines(anomaly_axes)[f"mean of the last {LAST}"].get_ydata()
    assert mean[-1] == pytest.approx(anomaly[-LAST:].mean()) and mean[9] == pytest.approx(anomaly[:10].mean())


@pytest.mark.parametrize("steps, checkpoints", [(1, [1]), (2, [2]), (7, [7]), (4500, [1000, 4000, 4500])])
def test_nothing_is_cut_and_no_label_lies_on_another(steps, checkpoints):
    figure, *_ = picture(steps, checkpoints)
    figure.draw_without_rendering()  # lays the figure out
    page = figure.bbox
    for axes in figure.axes:
        box = axes.get_tightbbox()
        assert box.x0 >= page.x0 and box.y0 >= page.y0 and box.x1 <= page.x1 and box.y1 <= page.y1
        boxes = [t.get_window_extent() for t in texts(axes)]
        legend = axes.get_legend()
        if legend is not None:
            boxes += [legend.get_window_extent(), axes._left_title.get_window_extent()]
        assert not any(a.overlaps(b) for i, a in enumerate(boxes) for b in boxes[:i])


def test_structure_has_a_box_per_weighted_layer_and_text_inside_its_box():
    figure = view.structure_figure(ROWS)
    figure.draw_without_rendering()
    axes = figure.axes[0]
    boxes = [p for p in axes.patches if type(p).__name__ == "FancyBboxPatch"]
    assert len(boxes) == 7  # input, two encoder layers, pooler, memory, decoder, output
    written = " ".join(t.get_text().replace("\n", " ") for t in texts(axes))
    for words in ("256 columns 5 winners", "5 cells per column", "Linear + ReLU + RunningNorm", "1,967,360 weights"):
        assert words in written
    extents = [b.get_window_extent() for b in boxes]
    for text in texts(axes):
        if text.get_text() != "its own past":
            inner = text.get_window_extent()
            assert any(b.x0 <= inner.x0 and inner.x1 <= b.x1 and b.y0 <= inner.y0 and inner.y1 <= b.y1 for b in extents)


# Files

def test_a_figure_is_saved_whole_in_a_new_folder(tmp_path):
    view.save_figure(view.structure_figure(ROWS), tmp_path / "a" / "b.png")
    assert (tmp_path / "a" / "b.png").read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"
    assert [p.name for p in (tmp_path / "a").iterdir()] == ["b.png"]


def test_a_write_that_fails_harms_nothing_and_leaves_nothing(tmp_path, monkeypatch):
    target = tmp_path / "kept.json"
    target.write_bytes(b"before")

    def full_disk(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.replace", full_disk)
    with pytest.raises(UserError, match="No space left"):
        view.write_whole(target, b"after")
    assert target.read_bytes() == b"before" and list(tmp_path.iterdir()) == [target]
