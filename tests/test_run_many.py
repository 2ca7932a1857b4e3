"""`deephtm run` of many files: each gets what a run of its own gives, to the bit."""

import csv
import math

import numpy as np
import pytest

from deephtm_gpu.cli.main import main
from deephtm_gpu.data.changes import Changes
from deephtm_gpu.learner import Learner, PopulationLearner
from deephtm_gpu.sources import CHUNK

LENGTHS = (CHUNK + 9, 2 * CHUNK, 30, CHUNK, 2 * CHUNK + 1)


@pytest.fixture(scope="module")
def waves(tmp_path_factory):
    folder = tmp_path_factory.mktemp("waves")
    for n, length in enumerate(LENGTHS):
        with open(folder / f"wave{n}.csv", "w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(["when", "load"])
            writer.writerows(
                [f"2024-01-{1 + t // 1440:02d}T{t // 60 % 24:02d}:{t % 60:02d}", 3 + n + math.sin(t / (4 + n))]
                for t in range(length)
            )
    return folder


def paths(folder):
    return [str(p) for p in sorted(folder.glob("wave*.csv"))]


@pytest.fixture
def folders(tmp_path):
    for name in ("out", "save"):
        (tmp_path / name).mkdir()
    return tmp_path


@pytest.mark.parametrize("more", [[], ["--timestamp", "when", "--ahead", "3", "--seed", "5"]])
def test_each_gets_what_a_run_of_its_own_gives(waves, folders, more, capsys):
    out, save = folders / "out", folders / "save"
    common = ["--column", "load", "--device", "numpy", *more]
    assert main(["run", *paths(waves), *common, "--out", str(out), "--save", str(save)]) == 0
    assert capsys.readouterr().out.count("rows of") == len(LENGTHS)
    assert len(list(out.iterdir())) == len(list(save.iterdir())) == len(LENGTHS)
    for path in paths(waves):
        assert (
            main(["run", path, *common, "--out", str(folders / "alone.csv"), "--save", str(folders / "alone.model")])
            == 0
        )
        name = path.rsplit("wave", 1)[1].removesuffix(".csv")
        assert (out / f"wave{name}.csv").read_bytes() == (folders / "alone.csv").read_bytes()
        assert (save / f"wave{name}.model").read_bytes() == (folders / "alone.model").read_bytes()


def test_it_goes_on_from_what_was_saved(waves, folders, capsys):
    first = paths(waves)[:2]
    assert (
        main(
            [
                "run",
                *first,
                "--column",
                "load",
                "--device",
                "numpy",
                "--out",
                str(folders / "out"),
                "--save",
                str(folders / "save"),
            ]
        )
        == 0
    )
    again = [
        "run",
        first[0],
        "--column",
        "load",
        "--device",
        "numpy",
        "--resume",
        str(folders / "save" / "wave0.model"),
    ]
    assert main([*again, "--out", str(folders / "more.csv")]) == 0
    assert f"after {LENGTHS[0]:,} earlier ones" in capsys.readouterr().out


@pytest.mark.parametrize(
    "make, words",
    [
        (lambda f, w: [*w, "--out", f / "nowhere"], ["--out", "no folder", "5 files"]),
        (lambda f, w: [*w], ["--out must be", "folder", "got nothing"]),
        (lambda f, w: [*w, "--out", f / "out", "--save", f / "wave"], ["--save", "no folder"]),
        (lambda f, w: [*w, "-", "--out", f / "out"], ["standard input"]),
        (lambda f, w: [*w, "--out", f / "out", "--resume", "x"], ["--resume must be", "got x, which is no folder"]),
        (lambda f, w: [*w, w[0], "--out", f / "out"], ["'wave0'", "different names"]),
        (lambda f, w: [*w, f / "none.csv", "--out", f / "out"], ["none.csv", "no such file"]),
        (
            lambda f, w: [*w, *_named_as_models(f), "--out", f / "out", "--save", f / "out"],
            ["'named'", "would be written over"],
        ),
        (lambda f, w: [*w, "--out", w[0].rsplit("/", 1)[0]], ["would be written over the file"]),
    ],
)
def test_mistakes_are_reported_and_leave_nothing(waves, folders, make, words, capsys):
    assert main(["run", *map(str, make(folders, paths(waves))), "--column", "load", "--device", "numpy"]) == 2
    error = capsys.readouterr().err
    assert all(word in error for word in words) and error.count("\n") == 1, error
    assert not list((folders / "out").iterdir()) and not list((folders / "save").iterdir())


def _named_as_models(folder):
    (folder / "named.model").write_text("when,load\nx,1\n")
    return [folder / "named.model"]


def run(folders, *args):
    return main(["run", *map(str, args), "--column", "load", "--device", "numpy", "--out", str(folders / "out"),
                 "--save", str(folders / "save")])


def rows_of(folders, name):
    """The rows that came; what is predicted behind the last one is left out."""
    with open(folders / "out" / name, newline="") as file:
        rows = list(csv.DictReader(file))
    return rows[: max(n for n, row in enumerate(rows, 1) if row["value"])]


def test_a_bad_row_stops_its_own_file_alone(waves, folders, capsys):
    """What came before is written and saved; the others are what they would be without it."""
    bad = folders / "bad.csv"
    bad.write_text("when,load\n" + "x,1\n" * 600 + "x,many\n" + "x,2\n")
    assert run(folders, *paths(waves)[:2], bad) == 2
    shown = capsys.readouterr()
    assert "bad.csv: line 602 must have a number in column 'load', got 'many'" in shown.err and "600 rows" in shown.out
    assert [len(rows_of(folders, name)) for name in ("wave0.csv", "wave1.csv", "bad.csv")] == [*LENGTHS[:2], 600]
    assert {p.name for p in (folders / "save").iterdir()} == {"wave0.model", "wave1.model", "bad.model"}
    with_it = {p.name: p.read_bytes() for folder in ("out", "save") for p in (folders / folder).glob("wave*")}
    assert run(folders, *paths(waves)[:2]) == 0
    assert with_it == {p.name: p.read_bytes() for folder in ("out", "save") for p in (folders / folder).glob("wave*")}


@pytest.mark.parametrize("content, said", [
    ("when,load\n", "got a header and no rows"),
    ("when,load\nx,1\n", "must have 2 rows of numbers or more"),
    ("when,load\nx,NA\nx,NA\nx,NA\n", "must have 2 rows of numbers or more"),
    ("when,load\nx,oops\n", "line 2 must have a number"),
])
def test_a_file_without_enough_rows_stops_alone(waves, folders, content, said, capsys):
    (folders / "bad.csv").write_text(content)
    assert run(folders, paths(waves)[2], folders / "bad.csv") == 2
    assert said in (error := capsys.readouterr().err) and error.count("deephtm:") == 1
    assert len(rows_of(folders, "wave2.csv")) == LENGTHS[2]


def test_several_bad_files_are_all_listed(waves, folders, capsys):
    for name in "ab":
        (folders / f"{name}.csv").write_text("when,load\nx,1\nx,2\nx,many\n")
    assert run(folders, folders / "a.csv", folders / "b.csv", paths(waves)[2]) == 2
    shown = capsys.readouterr()
    assert "2 of 3 files" in shown.err and "a.csv: line 4" in shown.out and "b.csv: line 4" in shown.out


def test_files_with_gaps_get_what_a_run_of_their_own_gives(waves, folders, capsys):
    names = []
    for n, gaps in enumerate(((3,), (), (CHUNK + 1, CHUNK + 2), (CHUNK - 1,), tuple(range(700)))):
        lines = open(paths(waves)[1]).read().splitlines()
        lines = [line.split(",")[0] + ",NA" if t - 1 in gaps else line for t, line in enumerate(lines)]
        names.append(folders / f"gaps{n}.csv")
        names[-1].write_text("\n".join(lines[:800 + n]))
    assert run(folders, *names) == 0
    table = [line.split() for line in capsys.readouterr().out.splitlines() if "column 'load'" in line]
    counts = {line[0].rsplit("/", 1)[1]: line[3:6] for line in table}
    assert counts == {"gaps0.csv,": ["1", "line", "5:"], "gaps2.csv,": ["2", "line", f"{CHUNK + 3}:"],
                      "gaps3.csv,": ["1", "line", f"{CHUNK + 1}:"], "gaps4.csv,": ["700", "line", "2:"]}
    for name in names:
        alone = [str(name), "--column", "load", "--device", "numpy", "--out", str(folders / "alone.csv"), "--save",
                 str(folders / "alone.model")]
        assert main(["run", *alone]) == 0
        assert (folders / "out" / name.name).read_bytes() == (folders / "alone.csv").read_bytes()
        assert (folders / "save" / f"{name.stem}.model").read_bytes() == (folders / "alone.model").read_bytes()


def test_stop_ends_a_file_at_its_first_gap(waves, folders, capsys):
    (folders / "gap.csv").write_text("when,load\nx,1\nx,2\nx,3\nx,-\nx,5\n")
    assert run(folders, folders / "gap.csv", paths(waves)[2], "--missing", "stop") == 2
    assert "gap.csv: line 5 must have a number" in capsys.readouterr().err
    assert [r["value"] for r in rows_of(folders, "gap.csv")] == ["1", "2", "3"]


def test_several_columns_of_several_files_are_refused(waves, folders, capsys):
    assert run(folders, *paths(waves), "--column", "when") == 2
    assert "2 columns and 5 files" in capsys.readouterr().err


# Divergence


@pytest.fixture
def wild(monkeypatch):
    """A network that sees the value 666 as the largest number that there is, and diverges."""
    standardise = Changes.standardise

    def enlarged(self, values):
        inputs, base, unit = standardise(self, values)
        for x in inputs:
            x[np.array(values) == 666] = 3e38
        return inputs, base, unit

    monkeypatch.setattr(Changes, "standardise", enlarged)


def wave_until(folder, name, good, more=0, gap=None):
    """A file of so many rows; then of a 666 and more of the first kind."""
    values = [f"{math.sin(t / 3):.3f}" if t != gap else "NA" for t in range(good + more)]
    if more:
        values[good] = "666"
    (folder / name).write_text("load\n" + "\n".join(values) + "\n")
    return folder / name


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("ahead", [1, 3])
def test_a_model_that_diverges_stops_its_own_file_alone(folders, wild, capsys, ahead):
    good = [wave_until(folders, "good.csv", CHUNK + 20), wave_until(folders, "short.csv", 40)]
    bad = [wave_until(folders, "early.csv", 9, CHUNK), wave_until(folders, "late.csv", CHUNK + 9, CHUNK),
           wave_until(folders, "gap.csv", CHUNK + 9, 60, gap=5)]
    (folders / "save" / "late.model").write_text("older")
    assert run(folders, *good, *bad, "--ahead", ahead) == 2
    shown = capsys.readouterr()
    assert "3 of 5 files could not be learned to their ends" in shown.err
    for name, rows in (("early", 0), ("late", CHUNK), ("gap", CHUNK)):
        assert f"{name}.csv: " in shown.out and f"NaN or infinity; {rows} rows before are written" in shown.out
        assert len((folders / "out" / f"{name}.csv").read_text().splitlines()) == 1 + rows
    assert "is of an earlier save" in shown.out and (folders / "save" / "late.model").read_text() == "older"
    assert {p.name for p in (folders / "save").iterdir()} == {"good.model", "short.model", "late.model"}
    for path in good:
        same_as_alone(folders, path, "--ahead", ahead)


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_all_models_diverge(folders, wild, capsys):
    assert run(folders, *[wave_until(folders, f"{n}.csv", n, 60) for n in (5, 9)]) == 2
    assert "2 of 2 files" in capsys.readouterr().err and not list((folders / "save").iterdir())


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_a_resumed_model_that_diverges_stops_its_own_file_alone(folders, wild, capsys):
    files = [wave_until(folders, name, 40) for name in ("good.csv", "bad.csv")]
    assert run(folders, *files) == 0
    before = (folders / "save" / "bad.model").read_bytes()
    wave_until(folders, "bad.csv", CHUNK, 60)
    assert run(folders, *files, "--resume", folders / "save") == 2
    error = capsys.readouterr().err
    assert "bad.csv: " in error and f"{CHUNK} rows before are written, its model is not saved (the file" in error
    assert (folders / "save" / "bad.model").read_bytes() == before
    assert Learner.load(folders / "save" / "good.model", "numpy").comparison.rows == 80


def test_a_file_without_a_model_stops_alone_where_nothing_is_to_be_learned(waves, folders, capsys):
    with_model, without = paths(waves)[2:4]
    assert main(["run", with_model, "--column", "load", "--device", "numpy", "--out", str(folders / "one.csv"),
                 "--save", str(folders / "save" / "wave2.model")]) == 0
    assert run(folders, with_model, without, "--resume", folders / "save", "--no-learn") == 2
    assert "got no model" in (error := capsys.readouterr().err) and "wave3.csv" in error
    assert {p.name for p in (folders / "save").iterdir()} == {"wave2.model"}
    assert not (folders / "out" / "wave3.csv").exists() and (folders / "out" / "wave2.csv").exists()


def same_as_alone(folders, path, *more):
    alone = [str(path), "--column", "load", "--device", "numpy", "--out", str(folders / "alone.csv"), "--save",
             str(folders / "alone.model"), *map(str, more)]
    assert main(["run", *alone]) == 0
    assert (folders / "out" / path.name).read_bytes() == (folders / "alone.csv").read_bytes()
    assert (folders / "save" / f"{path.stem}.model").read_bytes() == (folders / "alone.model").read_bytes()


# Resuming


def test_each_file_goes_on_from_its_own_model(waves, folders, capsys):
    """As in a run of its own; one without a model begins anew, a bad one stops alone."""
    files = [folders / p.rsplit("/", 1)[1] for p in paths(waves)[:3]]
    for path, source in zip(files, paths(waves)):
        path.write_text(open(source).read())
    (folders / "first").mkdir()
    assert main(["run", *map(str, files[:2]), "--column", "load", "--device", "numpy", "--out", str(folders / "out"),
                 "--save", str(folders / "first")]) == 0
    (folders / "bad.csv").write_text("when,load\nx,1\nx,2\nx,many\n")
    capsys.readouterr()
    assert run(folders, *files, folders / "bad.csv", "--resume", folders / "first") == 2
    shown = capsys.readouterr()
    assert f"after {LENGTHS[0]:,} earlier ones" in shown.out and "bad.csv: line 4" in shown.err
    assert shown.err.count("begins anew, there is no model") == 2
    assert {p.name for p in (folders / "save").iterdir()} == {"wave0.model", "wave1.model", "wave2.model", "bad.model"}
    for path in files:
        first = folders / "first" / f"{path.stem}.model"
        same_as_alone(folders, path, *(("--resume", first) if first.exists() else ()))


def test_ctrl_c_keeps_what_was_learned(waves, folders, monkeypatch):
    learn, done = PopulationLearner.learn, []

    def interrupted(learner, rows):
        if done:
            raise KeyboardInterrupt
        done.append(True)
        return learn(learner, rows)

    monkeypatch.setattr(PopulationLearner, "learn", interrupted)
    code = main(
        [
            "run",
            *paths(waves),
            "--column",
            "load",
            "--device",
            "numpy",
            "--out",
            str(folders / "out"),
            "--save",
            str(folders / "save"),
        ]
    )
    assert code == 130
    rows = {p.name: len(rows_of(folders, p.name)) for p in (folders / "out").iterdir()}
    assert rows == {f"wave{n}.csv": min(length, CHUNK + 9 if n == 0 else CHUNK) for n, length in enumerate(LENGTHS)}
    assert len(list((folders / "save").iterdir())) == len(LENGTHS)


def test_ctrl_c_keeps_what_a_file_with_gaps_has_learned(waves, folders, monkeypatch):
    learn, done = Learner.learn, []

    def interrupted(learner, rows):
        if len(done) == 1:
            raise KeyboardInterrupt
        done.append(True)
        return learn(learner, rows)

    monkeypatch.setattr(Learner, "learn", interrupted)
    (folders / "gap.csv").write_text("when,load\nx,NA\n" + "x,1\nx,2\n" * CHUNK)
    assert run(folders, folders / "gap.csv", paths(waves)[1]) == 130
    assert len(rows_of(folders, "gap.csv")) == CHUNK and (folders / "save" / "gap.model").exists()


def test_ended_series_are_removed_from_the_population(waves):
    """When half have ended, the population is compacted, and the others continue to the bit."""
    learner, rng = PopulationLearner(4, 1, False, device="numpy"), np.random.default_rng(0)
    from deephtm_gpu.sources import Row

    series = [[Row(float(v), str(v), None, "") for v in rng.normal(size=60)] for _ in range(4)]
    outputs = [
        learner.learn({n: series[n][:20] for n in range(4)}),
        learner.learn({n: series[n][20:40] for n in (1, 2, 3)}),
        learner.learn({n: series[n][40:] for n in (1, 3)}),
    ]
    assert len(learner._population) == 2
    for n in (1, 3):
        alone = Learner(1, False, device="numpy")
        assert [row for part in outputs for row in part[n]] == [
            row for k in (0, 20, 40) for row in alone.learn(series[n][k : k + 20])
        ]
