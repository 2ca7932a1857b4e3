"""Moving pictures, shown while a model learns them: what stands where, dreams, and the demos."""

import json

import numpy as np
import pytest
from PIL import Image

import deephtm_gpu as dh
from deephtm_gpu import view
from deephtm_gpu.bench.networks import pictures_model
from deephtm_gpu.cli.main import main
from deephtm_gpu.data.balls import Balls
from deephtm_gpu.data.digits import DigitGrammar
from deephtm_gpu.view.live.look import DARK
from deephtm_gpu.view.live.offscreen import Offscreen
from deephtm_gpu.view.live.picture import _unpacked, packed
from deephtm_gpu.view.live.plain import PlainPainter
from deephtm_gpu.view.live.scene import Scene
from deephtm_gpu.view.live.training import Training

SIDE = 12


def model(device="numpy", **network):
    return pictures_model(side=SIDE, columns=8, winners=2, cells=2, seed=3, device=device, **network)


def show(total=40, source=None, **more):
    return view.ImagesShow(model(), Balls(1, side=SIDE) if source is None else source, "Balls", total, **more)


def test_colours_survive_their_packing():
    colours = np.random.default_rng(0).integers(256, size=(5, 7, 3)) / 255
    assert np.array_equal(_unpacked(packed(colours))[::-1], colours)


def test_it_learns_as_fit_does():
    shown = show()
    ring = shown.ring()
    for steps in (1, 7, 32):
        shown.advance(steps, ring)
    frames = Balls(1, side=SIDE).take(41)
    stacked = np.concatenate([np.concatenate([frames[:1], frames[:-2]]), frames[:-1]], axis=1)
    history = model().fit(stacked, targets=frames[1:])
    assert shown.error == pytest.approx(((history.prediction - frames[1:]) ** 2).sum(axis=(1, 2, 3)), rel=1e-5)
    assert shown.copied == pytest.approx(((frames[1:] - frames[:-1]) ** 2).sum(axis=(1, 2, 3)), rel=1e-5)
    came, made = shown.kept[-1]
    assert np.array_equal(came, frames[-1]) and made == pytest.approx(history.prediction[-1], abs=1e-6)
    assert ring.last(40, "error")[:, 0] == pytest.approx(shown.error, rel=1e-5)


@pytest.mark.parametrize("draws", ["shader", "plain"])
def test_pixels_are_where_they_belong(monkeypatch, draws):
    shown = show()
    ring = shown.ring()
    shown.advance(20, ring)
    if draws == "plain":
        monkeypatch.setattr(Offscreen, "_open", staticmethod(PlainPainter))
    image = Offscreen(shown.spec, ring).picture().astype(int)
    panels = Scene(shown.spec, 1280, 800, 1.0, DARK).blocks
    for panel, wanted in zip(panels, shown.kept[-1]):  # the frame that came, and what was predicted
        middles = (np.arange(SIDE) + 0.5) / SIDE
        rows = (panel.top + middles * panel.height).astype(int)
        columns = (panel.left + middles * panel.width).astype(int)
        assert np.abs(image[rows[:, None], columns] - 255 * np.clip(wanted, 0, 1)[0][:, :, None]).max() <= 2


def test_a_dream_changes_nothing():
    dreamer, awake = show(), show()
    ring, other = dreamer.ring(), awake.ring()
    training = Training(dreamer, ring)
    training.dream()
    assert not dreamer.dreaming  # it has seen nothing yet
    dreamer.advance(20, ring), awake.advance(20, other)
    training.dream()
    assert dreamer.dreaming and dreamer.advance(9, ring) == 9
    assert dreamer.done == 20 and "dreaming, 9 frames" in training.status
    training.dream()
    dreamer.advance(20, ring), awake.advance(20, other)
    assert np.array_equal(dreamer.error, awake.error) and dreamer.phase == ""
    training.dream()
    assert not training.waits  # it dreams on after the last step
    strips = [[axes.images[0].get_array() for axes in shown.pictures()["strip"].axes] for shown in (dreamer, awake)]
    assert len(strips[0]) == 30 and np.array_equal(*strips)


def test_a_series_of_frames_begins_again_and_forgets(tmp_path):
    frames = Balls(2, side=SIDE).take(9)
    shown = show(source=list(frames))
    shown.advance(24, shown.ring())
    by_hand, errors = model(), []
    for _ in range(3):
        by_hand.reset()
        stacked = np.concatenate([np.concatenate([frames[:1], frames[:-2]]), frames[:-1]], axis=1)
        made = by_hand.fit(stacked, targets=frames[1:]).prediction
        errors.append(((made - frames[1:]) ** 2).sum(axis=(1, 2, 3)))
    assert shown.error[:24] == pytest.approx(np.concatenate(errors), rel=1e-5)


@pytest.mark.parametrize("device", ["numpy", "cpu", "gpu"])
def test_a_step_without_a_target_predicts_and_moves_on(device):
    """Where inputs are not what is predicted, such as stacked frames: only learning needs targets."""
    frames = Balls(1, side=SIDE).take(30)
    stacked = np.concatenate([frames[:-1], frames[1:]], axis=1)
    first, second = model(device), model(device)
    for one in (first, second):
        one.fit(stacked[:20], targets=frames[2:22])
    wanted = first.predict(stacked[20:])
    made = [second.step(x, learn=False).prediction for x in stacked[20:25]]
    made = np.concatenate([made, second.fit(stacked[25:], learn=False).prediction])
    assert np.array_equal(made, wanted)
    with pytest.raises(dh.UserError, match="give targets"):
        second.step(stacked[0])


@pytest.mark.parametrize("make, words", [
    (lambda: view.ImagesShow(pictures_model(side=8, streams=2, device="numpy"), DigitGrammar((0,)), "", 5),
     ["one stream", "2"]),
    (lambda: show(source=Balls(1, side=10)), ["(1, 12, 12)", "(1, 10, 10)"]),
    (lambda: show(source=[]), ["got none"]),
    (lambda: show(source=[np.zeros((1, 12, 12))]).advance(1, show().ring()), ["two frames"]),
    (lambda: show(total=0), ["total", "0"]),
    (lambda: view.ImagesShow(_vector(), [np.zeros((1,))], "", 5), ["map", "vector"]),
    (lambda: view.ImagesShow(_vector(False), [np.zeros((1,))], "", 5), ["SpatialPooler"]),
])
def test_what_does_not_fit_is_one_sentence(make, words):
    with pytest.raises(dh.UserError) as error:
        make()
    assert all(word in str(error.value) for word in words), str(error.value)


def _vector(memory=True):
    columns = [dh.SpatialPooler(8, winners=2), dh.TemporalMemory(2)] if memory else []
    return dh.Model(dh.Sequential(*columns, dh.Linear(1)), input_shape=(1,), device="numpy")


# `deephtm demo`


def demo(tmp_path, *options):
    return main(["demo", *map(str, options), "--device", "numpy", "--headless", "--out", str(tmp_path / "out")])


@pytest.fixture
def folder(tmp_path):
    for n, frame in enumerate(Balls(4, side=20).take(15)):
        Image.fromarray((255 * frame[0]).astype(np.uint8)).save(tmp_path / f"{n}.png")
    return tmp_path


@pytest.mark.parametrize("options, figures, baselines", [
    (["balls"], {"error_last_500", "copied_last_500"}, {"copy-last", "ridge_on_2_frames"}),
    (["digits"], {"accuracy_last_200"}, {"most_frequent_digit"}),
    (["frames", "PATH", "--size", 16, "--colour"], {"error_last_100", "copied_last_100"}, set()),
])
def test_demos_write_pictures_and_figures(folder, capsys, options, figures, baselines):
    options = [folder if option == "PATH" else option for option in options]
    assert demo(folder, *options, "--steps", 30) == 0
    report = json.loads((folder / "out" / f"{options[0]}.json").read_text())
    assert figures <= report.keys() and report["baselines"].keys() == baselines and report["steps"] == 30
    strip = Image.open(folder / "out" / f"{options[0]}-strip.png")
    assert strip.width > strip.height and len(np.unique(np.asarray(strip))) > 20
    assert np.isfinite([report[name] for name in figures]).all()


def test_frames_can_be_recorded(folder):
    assert demo(folder, "frames", folder, "--size", 8, "--steps", 20, "--record") == 0
    assert Image.open(folder / "out" / "frames.webp").n_frames > 1


@pytest.mark.parametrize("options, words", [
    (["frames"], ["PATH", "got none"]),
    (["frames", "none"], ["none", "no such file"]),
    (["frames", "PATH", "--size", 7], ["even", "7"]),
    (["frames", "PATH", "--size", 10**9], ["512"]),
    (["balls", "PATH"], ["PATH", "leave it out"]),
    (["sine", "--size", 8], ["--size", "leave it out"]),
])
def test_mistakes_end_with_one_sentence(folder, capsys, options, words):
    assert demo(folder, *[folder if option == "PATH" else option for option in options]) == 2
    said = capsys.readouterr().err
    assert all(word in said for word in words) and "Traceback" not in said, said
