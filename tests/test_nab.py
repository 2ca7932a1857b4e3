"""The anomaly benchmark's scoring on cases worked out by hand, and its trivial detectors on the real files."""

import json
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from deephtm_gpu.bench import anomalies, made_anomalies
from deephtm_gpu.cli.main import main
from deephtm_gpu.data.anomaly_baselines import min_max, windowed_gaussian
from deephtm_gpu.data.nab import Labels, held_out, labels, nab_score, read_windows, worth
from deephtm_gpu.errors import UserError
from deephtm_gpu.novelty import ALARM, Novelty

DATA = Path(__file__).parents[1] / "demos" / "data"
FILE = Labels(1000, [(300, 399), (700, 799)])  # probation: rows 0 to 149


def _sigmoid(y):
    return 2 / (1 + np.exp(5 * y)) - 1


def _score(*rows, file=FILE):
    scores = np.zeros(file.rows)
    scores[list(rows)] = 1
    return nab_score([scores], [file], threshold=0.5)


def test_perfect_and_null():
    perfect, null = _score(300, 700), _score()
    assert perfect.total == pytest.approx(100) and (perfect.found, perfect.windows, perfect.false_alarms) == (2, 2, 0)
    assert null.total == 0 and null.found == 0


def test_a_detection_counts_by_its_place():
    # One of two windows found: raw = place - 1, so 100 (raw + 2) / 4.
    for row, y in ((300, -1), (350, -0.5), (399, -0.01)):
        assert _score(row).total == pytest.approx(25 * (_sigmoid(y) / _sigmoid(-1) + 1))
    assert 49 < _score(310).total < 50 and 25 < _score(399).total < 26


def test_the_earliest_detection_in_a_window_counts_alone():
    assert _score(350, 351, 398).total == _score(350).total and _score(320, 350).total == _score(320).total


def test_a_false_alarm_costs_by_its_distance():
    assert 0 - _score(200).total == pytest.approx(25 * 0.11)  # before the first window
    for row, y in ((400, 1 / 99), (449, 50 / 99), (696, 297 / 99)):
        assert _score(row).total == pytest.approx(25 * 0.11 * _sigmoid(y)) and _score(row).false_alarms == 1
    assert _score(697).total == pytest.approx(-25 * 0.11)  # more than three widths behind
    assert _score(200, 201, 202).total == pytest.approx(-3 * 25 * 0.11)  # every row of it
    assert _score(400).total > _score(449).total > _score(200).total


def test_probation_is_ignored():
    assert _score(*range(150)).total == 0 and _score(*range(150)).false_alarms == 0 and _score(150).false_alarms == 1
    assert [Labels(rows, []).probation for rows in (999, 5000, 22_695)] == [149, 750, 750]


def test_worth():
    values, window = worth(FILE)
    assert (values[:150] == 0).all() and (values[150:300] == -0.11).all() and values[300] == 1
    assert (np.diff(values[300:400]) < 0).all() and 0 < values[399] < 0.03
    assert window[[299, 300, 399, 400, 700, 999]].tolist() == [-1, 0, 0, -1, 1, -1]
    assert worth(Labels(1000, [(500, 500)]))[0][500] == 1  # a window of a single row


def test_the_best_threshold():
    rng = np.random.default_rng(0)
    for _ in range(20):
        files = [Labels(400, [(100, 139), (300, 339)]), Labels(200, [(60, 79)])]
        scores = [rng.integers(0, 30, file.rows) / 30 for file in files]  # with equals
        found = nab_score(scores, files)
        tried = [nab_score(scores, files, t).total for t in (*np.arange(30) / 30, np.inf)]
        assert (
            found.total == pytest.approx(max(tried)) and found.total == nab_score(scores, files, found.threshold).total
        )


def test_one_threshold_for_all_files():
    loud, quiet = np.zeros(1000), np.zeros(1000)
    loud[300], loud[500:600] = 5, 3
    quiet[700] = 2
    assert nab_score([loud], [FILE]).threshold == 5 and nab_score([quiet], [FILE]).threshold == 2
    together = nab_score([loud, quiet], [FILE, FILE])
    assert (
        together.threshold == 5 and together.by_file == pytest.approx([50, 0]) and together.total == pytest.approx(25)
    )
    assert held_out([loud, quiet], [FILE, FILE]) == pytest.approx((nab_score([loud], [FILE], 2).total + 0) / 2)


def test_no_threshold_is_worth_it():
    constant = nab_score([np.ones(1000)], [FILE])
    assert constant.total == 0 and constant.threshold == np.inf and constant.false_alarms == 0


def test_labels():
    times = [datetime(2024, 1, 1) + i * timedelta(hours=1) for i in range(10)]
    assert labels(times, [(times[6], times[8]), (times[1], times[3] + timedelta(minutes=30))]) == Labels(
        10, [(1, 3), (6, 8)]
    )
    with pytest.raises(UserError, match="must contain a row"):
        labels(times, [(datetime(2023, 1, 1), datetime(2023, 1, 2))])


@pytest.mark.parametrize("scores, where, said", [
    ([], [], "got 0 and 0"),
    ([np.zeros(1000)], [FILE, FILE], "must be of the same files, got 1 and 2"),
    ([np.zeros(999)], [FILE], r"must have shape \(1000,\).*got shape \(999,\)"),
    ([np.r_[np.zeros(999), np.nan]], [FILE], "must be numbers, got NaN at row 999"),
    ([np.zeros(10)], [Labels(10, [])], "must have a window or more, got none"),
])
def test_refused(scores, where, said):
    with pytest.raises(UserError, match=said):
        nab_score(scores, where)


@pytest.mark.parametrize("content", ["{", "[1]", '{"a": 3}', '{"a": [["x", "y"]]}', '{"a": [["2024-01-01"]]}'])
def test_bad_windows(tmp_path, content):
    path = tmp_path / "w.json"
    path.write_text(content)
    with pytest.raises(UserError, match="must be a JSON file .*got another format"):
        read_windows(path)
    with pytest.raises(UserError, match="check its path"):
        read_windows(tmp_path / "none.json")


# Trivial detectors


def test_min_max():
    np.testing.assert_allclose(min_max(np.array([5.0, 5, 7, 6, 9, 4, 8])), [0, 0, 0, 0, 1, 0.25, 0])


def test_windowed_gaussian():
    values = np.random.default_rng(0).normal(50, 3, 400)
    z = windowed_gaussian(values, window=100)
    for t in (5, 99, 100, 250):
        before = values[max(0, t - 100):t]
        assert z[t] == pytest.approx(abs(values[t] - before.mean()) / before.std())


def test_real_files():
    """Figures written down when they were first computed: a change here changes the published table."""
    series = anomalies.read(DATA)
    assert [(s.where.rows, len(s.where.windows), s.where.probation) for s in series] == [
        (10_320, 5, 750),
        (7267, 2, 750),
        (22_695, 4, 750),
    ]
    where = [s.where for s in series]
    assert nab_score([min_max(s.values) for s in series], where).total == pytest.approx(47.1, abs=0.1)
    assert nab_score([windowed_gaussian(s.values) for s in series], where).total == pytest.approx(27.4, abs=0.1)
    first = [np.isin(np.arange(s.where.rows), [first for first, _ in s.where.windows]) for s in series]
    assert nab_score(first, where).total == pytest.approx(100)


# What the prediction error adds to Novelty


def test_novelty_of_numbers_with_gaps():
    numbers = np.random.default_rng(0).normal(size=500)
    gaps = np.arange(500) % 7 == 3
    scores = anomalies.novelty(np.where(gaps, np.nan, numbers), learning=50)
    kept = np.flatnonzero(~gaps)[50:]
    assert scores.any() and not np.delete(scores, kept).any()
    np.testing.assert_array_equal(scores[kept], Novelty(quiet=0, quiet_share=0).batch(numbers[kept]))
    np.testing.assert_array_equal(anomalies.quieted(anomalies.novelty(numbers)), Novelty().batch(numbers))


def test_with_error():
    values, error = np.random.default_rng(1).normal(size=(2, 900))
    error[:5] = np.nan
    scores = anomalies.with_error(values, error)
    of_values, alone = anomalies.novelty(values), scores["error alone"]
    assert not alone[:anomalies.LEARNING + 5 + 100].any() and alone.any()
    np.testing.assert_array_equal(scores["the larger of both"], np.maximum(of_values, alone))
    np.testing.assert_array_equal(scores["sum of both"], of_values + alone)
    np.testing.assert_allclose(anomalies.lag_error(np.array([1.0, 4, 2, 8]), 2), [np.nan, np.nan, 1, 4])


@pytest.mark.parametrize("kind", made_anomalies.KINDS)
def test_made_series(kind):
    for seed in (0, 1):
        values, where = made_anomalies.make(kind, seed)
        again, other = made_anomalies.make(kind, seed)[0], made_anomalies.make(kind, seed + 7)[0]
        assert (values == again).all() and not (values == other).any()
        assert len(where.windows) == 2 and where.rows == len(values)
        for first, last in where.windows:
            before, within = values[first - 300:first], values[first:last + 1]
            new = [np.abs(before - x).min() for x in within]
            assert (max(new) > 0.2) == (kind == "drift"), "a usual value but for the drift"
            if kind != "order":  # there a day says little of the next
                change = anomalies.lag_error(values, made_anomalies.DAY)
                assert change[first:last + 1].max() > 0.6 > change[first - 200:first].max()


def test_made_order():
    values, where = made_anomalies.make("order", 3)
    days = values.reshape(-1, 2, made_anomalies.DAY // 2).mean(2)  # (days, halves)
    same_half_twice = np.flatnonzero(days[:, 0] * days[:, 1] > 0)
    assert same_half_twice.tolist() == [first // made_anomalies.DAY for first, _ in where.windows]
    assert where.windows[0][0] % made_anomalies.DAY == made_anomalies.DAY // 2


def test_the_study_counts(monkeypatch):
    """With an error that is large at the anomalies alone, all are found, and by no other detector."""
    def oracle(values, seed, device):
        error = np.abs(np.random.default_rng(seed).normal(0, 0.1, len(values)))
        error[[first for kind in made_anomalies.KINDS for series, where in [made_anomalies.make(kind, seed)]
               if (series == values).all() for first, _ in where.windows]] = [3.0, 6.0]
        return error

    monkeypatch.setattr(made_anomalies, "_network_error", oracle)
    found = {(f.detector, f.kind): f for f in made_anomalies.study([5, 6], "none")}
    for kind in made_anomalies.KINDS:
        best = found["Novelty, network: error alone", kind]
        assert best.found == best.anomalies == 4 and best.rows == 2 * (made_anomalies.ROWS - 450)
        values = [made_anomalies.make(kind, seed) for seed in (5, 6)]
        alone = nab_score([Novelty().batch(v) for v, _ in values], [where for _, where in values], ALARM)
        assert found["Novelty", kind].score == alone.total < best.score


def test_the_command(tmp_path, capsys):
    windows = {}
    for name in anomalies.FILES:
        lines = (DATA / f"{name}.csv").read_text().splitlines()[:901]
        (tmp_path / f"{name}.csv").write_text("\n".join(lines))
        windows[f"{name}.csv"] = [[lines[600].split(",")[0], lines[700].split(",")[0]]]
    (tmp_path / "anomaly_windows.json").write_text(json.dumps(windows))
    path = tmp_path / "out.json"
    assert main(["bench", "anomalies", "--data", str(tmp_path), "--seeds", "1", "--json", str(path)]) == 0
    rows = {row["name"]: row for row in json.loads(path.read_text())["anomalies"]}
    assert (
        rows["none: never an alarm"]["plain"] == [0]
        and len(rows["random"]["plain"]) == 20
        and len(rows["Novelty"]["by_file"]) == 3
        and len(rows["Novelty, network: the larger of both"]["at_alarm"]) == 1
        and rows["random"]["at_alarm"] == []
    )
    assert all(max(row["quieted"]) <= 100 and np.isfinite(row["held_out"]).all() for row in rows.values())
    made = json.loads(path.read_text())["made"]
    assert {(row["detector"], row["kind"]) for row in made} >= {
        ("Novelty, network: sum of both", kind) for kind in made_anomalies.KINDS
    }
    printed = capsys.readouterr().out
    assert "3 of the 58 files" in printed and "Novelty, a day ago: error alone" in printed
    assert main(["bench", "anomalies", "--data", str(tmp_path / "none")]) == 2
