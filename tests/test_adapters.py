"""What the adapters share: a package that is not there, scales, a model of rows and targets."""

import re
from pathlib import Path

import numpy as np
import pytest

import deephtm_gpu as dh
from deephtm_gpu.adapters.online import Scales, TargetModel
from deephtm_gpu.adapters.optional import MissingPackageError, import_optional
from deephtm_gpu.data.scaler import OnlineScaler

ROOT = Path(__file__).resolve().parents[1]
README = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(encoding="utf-8"), re.DOTALL)


@pytest.mark.parametrize("adapter, package, printed", [
    ("river", "river", r"MAE: 0\.\d+\n"),
    ("sklearn", "sklearn", r"\[0\.\d+ +0\.9\d+ +0\.9\d+ *\]\n"),
    ("frames", "narwhals", r"(?s) *timestamp .*anomaly_likelihood\n10317 2015-01-31 .*"),
])
def test_the_readmes_examples_run(adapter, package, printed, capsys, monkeypatch):
    pytest.importorskip(package)
    monkeypatch.chdir(ROOT)
    example, = [block for block in README if f"deephtm_gpu.adapters.{adapter} import" in block]
    exec(compile(example, "README.md", "exec"), {})
    assert re.fullmatch(printed, capsys.readouterr().out)


def test_a_package_that_is_not_there_is_named_with_its_extra():
    said = r"needs the package no_such_package, .*pip install deephtm_gpu\[river\]"
    with pytest.raises(MissingPackageError, match=said) as caught:
        import_optional("no_such_package.base", "river")
    assert isinstance(caught.value, dh.UserError) and isinstance(caught.value, ImportError)


def test_a_package_that_lacks_another_is_not_called_missing(tmp_path, monkeypatch):
    (tmp_path / "half_installed.py").write_text("import no_such_package\n", encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ModuleNotFoundError, match="no_such_package") as caught:
        import_optional("half_installed", "river")
    assert not isinstance(caught.value, MissingPackageError)


def test_what_is_missing_is_zero_and_moves_no_scale():
    X = np.array([[1.0, 10], [3, np.nan], [2, 30]])
    z = Scales(2).standardise(X)  # (3, 2)
    assert np.array_equal(z[:, 0], OnlineScaler().standardise(X[:, 0])[0])
    assert z[1, 1] == 0 and np.array_equal(z[[0, 2], 1], OnlineScaler().standardise(X[[0, 2], 1])[0])


def test_a_look_at_rows_is_what_they_will_be():
    scales, X = Scales(2), np.random.default_rng(0).normal(5, 3, (20, 2))
    scales.standardise(X[:10])
    assert np.array_equal(scales.look(X[10:]), scales.standardise(X[10:]))


def net():
    return dh.Sequential(dh.Linear(32), dh.ReLU(), dh.RunningNorm(), dh.SpatialPooler(16, winners=4),
                         dh.TemporalMemory(4), dh.Linear(1))


def test_pieces_are_learned_as_the_whole():
    X, y = np.random.default_rng(0).normal(size=(2, 60, 1))
    whole, pieces = (TargetModel(1, net(), device="numpy") for _ in range(2))
    whole.learn(X, y[:, 0])
    for t in range(60):
        pieces.learn(X[t:t + 1], y[t:t + 1, 0])
    assert np.array_equal(whole.predict(X), pieces.predict(X))


def test_to_follow_is_to_predict_step_by_step():
    X, y = np.random.default_rng(0).normal(size=(2, 60, 1))
    model = TargetModel(1, net(), device="numpy")
    model.learn(X, y[:, 0])
    X[:] = X.mean()  # the scales stay in `follow`, so that a forecast does not move them
    predicted = model.predict(X[:1])
    assert [model.follow(X[0])] == predicted.tolist() and model.follow(X[0]) != predicted[0]
