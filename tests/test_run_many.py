"""`deephtm run` of many files: each gets what a run of its own gives, to the bit."""

import csv
import math

import numpy as np
import pytest

from deephtm_gpu.cli import run_many
from deephtm_gpu.cli.main import main
from deephtm_gpu.errors import TrainingError
from deephtm_gpu.learner import PopulationLearner
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
        (lambda f, w: [*w, "--out", f / "out", "--resume", "x"], ["--resume x", "of its own"]),
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


def test_a_bad_row_in_one_file_leaves_no_output(waves, folders, capsys):
    bad = folders / "bad.csv"
    bad.write_text("when,load\n" + "x,1\n" * 600 + "x,many\n")
    assert (
        main(
            [
                "run",
                *paths(waves),
                str(bad),
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
        == 2
    )
    assert "bad.csv: line 602 must have a number in column 'load', got 'many'" in capsys.readouterr().err
    assert not list((folders / "out").iterdir()) and not list((folders / "save").iterdir())


def test_diverged_training_names_file_and_row(waves, folders, capsys, monkeypatch):
    def fail(learner, rows):
        raise TrainingError("", 7, "layer 2", models=(1,))

    monkeypatch.setattr(run_many.PopulationLearner, "learn", fail)
    assert main(["run", *paths(waves), "--column", "load", "--device", "numpy", "--out", str(folders / "out")]) == 2
    assert (
        "Training diverged at row 8 of" in (error := capsys.readouterr().err)
        and "wave1.csv" in error
        and "layer 2" in error
    )


def test_ctrl_c_keeps_what_was_learned(waves, folders, monkeypatch):
    learn, done = PopulationLearner.learn, []

    def interrupted(learner, rows):
        if done:
            raise KeyboardInterrupt
        done.append(True)
        return learn(learner, rows)

    monkeypatch.setattr(run_many.PopulationLearner, "learn", interrupted)
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
    rows = {p.name: len(p.read_text().splitlines()) - 1 for p in (folders / "out").iterdir()}
    assert rows == {f"wave{n}.csv": min(length, CHUNK + 9 if n == 0 else CHUNK) for n, length in enumerate(LENGTHS)}
    assert len(list((folders / "save").iterdir())) == len(LENGTHS)


def test_ended_series_are_removed_from_the_population(waves):
    """When half have ended, the population is compacted, and the others continue to the bit."""
    learner, rng = PopulationLearner(4, 1, False, device="numpy"), np.random.default_rng(0)
    from deephtm_gpu.learner import Learner
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
