"""Moving pictures: balls, digits, the user's own frames, and trivial predictors of the next frame."""

import tracemalloc

import numpy as np
import pytest
from PIL import Image

import deephtm_gpu as dh
from deephtm_gpu.data.balls import BOX, RADIUS, SPEED, Balls
from deephtm_gpu.data.digits import DigitGrammar, MovingDigits, nearest_digit, of_class, pictures
from deephtm_gpu.data.image_baselines import Ridge, copy_last


def sequences(make, count, steps, first=0):
    return [make([first, n]).take(steps) for n in range(count)]


# Balls


def test_balls_are_those_of_their_seed():
    a, b, other = Balls(3).take(30), Balls(3).take(30), Balls(4).take(30)
    assert np.array_equal(a, b) and not np.array_equal(a, other)
    assert a.shape == (30, 1, 30, 30) and a.dtype == np.float32 and 0 <= a.min() and a.max() <= 1


def test_balls_keep_their_energy_and_stay_inside():
    balls = Balls(0, balls=4)
    for _ in range(2000):
        next(balls)
        assert np.linalg.norm(balls.velocities) == pytest.approx(SPEED)
        assert (balls.centres > RADIUS - SPEED).all() and (balls.centres < BOX - RADIUS + SPEED).all()


def test_what_happens_to_a_ball_is_seen():
    balls = Balls(1)
    before = balls.picture()
    balls.centres[0] = BOX - balls.centres[0]
    assert np.abs(balls.picture() - before).sum() > 5


def test_the_baselines_of_balls_are_those_of_the_literature():
    """Copying the last frame has 11.9 there, ridge regression on two frames 4.67."""
    held = sequences(Balls, 20, 60, first=1)
    assert 11 < np.mean([copy_last(f) for f in held]) < 12.6
    ridge = Ridge(2, 900)
    for frames in sequences(Balls, 60, 80, first=2):
        ridge.learn(frames)
    assert 4 < np.mean([ridge.error(f) for f in held]) < 6


# Digits


def test_pictures_are_digits():
    images, digits = pictures()
    assert images.shape == (1797, 8, 8) and 0 <= images.min() and images.max() == 1
    assert sorted(set(digits.tolist())) == list(range(10))
    assert (nearest_digit(images) == digits).mean() > 0.88


def test_what_is_held_out_is_never_learned():
    learned, held = ({p.tobytes() for p in of_class(3, held_out)} for held_out in (False, True))
    assert len(learned) > 100 and len(held) > 20 and not learned & held
    seen = {f.tobytes() for f in DigitGrammar((3, 1), seed=1).take(2000)[::2]}
    assert seen <= learned and len(seen) > 100


def test_a_grammar_repeats_its_digits_with_other_pictures():
    grammar = DigitGrammar((0, 1, 2, 3, 0, 3, 2, 1), seed=2, start=1)
    assert grammar.upcoming == 1
    frames = grammar.take(160)
    assert len({f.tobytes() for f in frames[::8]}) > 10
    wanted = np.tile([1, 2, 3, 0, 3, 2, 1, 0], 20)
    assert (nearest_digit(frames[:, 0]) == wanted).mean() > 0.8
    with pytest.raises(dh.UserError, match="digits from 0 to 9, got"):
        DigitGrammar((0, 12))


def test_a_moving_digit_keeps_its_shape_and_its_speed():
    frames = MovingDigits(5).take(200)[:, 0]
    mass = frames.sum(axis=(1, 2))
    assert mass == pytest.approx(np.full(200, mass[0]), rel=1e-4)
    at = np.arange(24)
    moments = np.stack([(frames.sum(axis=axis) * at).sum(axis=1) for axis in (2, 1)], axis=1)
    centres = moments / mass[:, None]
    speed = np.linalg.norm(np.diff(centres, axis=0), axis=1)
    assert 0.5 <= np.median(speed) <= 2 and (np.abs(speed - np.median(speed)) < 0.01).mean() > 0.6
    assert 5.5 < np.mean([copy_last(f) for f in sequences(MovingDigits, 60, 23)]) < 7.5


# The user's own


@pytest.fixture
def folder(tmp_path):
    rng = np.random.default_rng(0)
    images = rng.integers(256, size=(12, 6, 5, 3), dtype=np.uint8)
    for n, image in enumerate(images):
        Image.fromarray(image).save(tmp_path / f"frame{n}.png")
    return tmp_path, images


def test_a_folder_comes_in_the_order_of_its_numbers(folder):
    path, images = folder
    moving = dh.data.frames(path, colour=True)
    assert len(moving) == 12 and moving.shape == (3, 6, 5)
    for _ in range(2):
        assert np.array_equal(np.stack(list(moving)), np.moveaxis(images, 3, 1).astype(np.float32) / 255)
    grey = np.stack(list(dh.data.frames(path, size=(8, 4))))
    assert grey.shape == (12, 1, 8, 4) and 0 < grey.min() and grey.max() < 1


@pytest.mark.parametrize("ending", ["gif", "webp", "png"])
def test_an_animation(tmp_path, ending):
    steps = [Image.fromarray(np.full((6, 7), 60 * n, np.uint8)) for n in range(4)]
    steps[0].save(tmp_path / f"a.{ending}", save_all=True, append_images=steps[1:], lossless=True)
    moving = dh.data.frames(tmp_path / f"a.{ending}")
    assert len(moving) == 4 and moving.shape == (1, 6, 7)
    assert [round(255 * f.mean().item()) for f in moving] == pytest.approx([0, 60, 120, 180], abs=2)


def test_palettes_alpha_and_16_bits(tmp_path):
    Image.fromarray(np.full((4, 4), 200, np.uint8)).convert("P").save(tmp_path / "0.png")
    Image.new("RGBA", (4, 4), (255, 255, 255, 128)).save(tmp_path / "1.png")
    Image.fromarray(np.full((4, 4), 32896, np.uint16)).save(tmp_path / "2.png")
    Image.new("LA", (4, 4), (255, 0)).save(tmp_path / "3.png")
    assert [f.mean().item() for f in dh.data.frames(tmp_path)] == pytest.approx([200 / 255, 0.5, 0.5, 0], abs=0.01)


def test_arrays_stay_on_the_disk(tmp_path):
    frames = np.random.default_rng(0).random((400, 3, 64, 64), np.float32)
    np.save(tmp_path / "a.npy", frames)
    tracemalloc.start()
    moving = dh.data.frames(tmp_path / "a.npy")
    assert max(f.max() for f in moving) <= 1 and len(moving) == 400 and moving.shape == (3, 64, 64)
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert most < frames.nbytes / 10
    np.save(tmp_path / "b.npy", (frames[:5] * 255).astype(np.uint8).transpose(0, 2, 3, 1))
    last = dh.data.frames(tmp_path / "b.npy", channels_last=True)
    assert np.abs(np.stack(list(last)) - frames[:5]).max() < 0.01


def _broken(tmp_path):
    whole = tmp_path / "whole.png"
    Image.fromarray(np.random.default_rng(0).integers(256, size=(30, 30), dtype=np.uint8)).save(whole)
    whole.write_bytes(whole.read_bytes()[:300])
    return tmp_path


def _sizes(tmp_path):
    for n, side in enumerate((8, 9)):
        Image.new("L", (side, 8)).save(tmp_path / f"{n}.png")
    return tmp_path


def _array(values):
    def make(tmp_path):
        np.save(tmp_path / "a.npy", values, allow_pickle=True)
        return tmp_path / "a.npy"

    return make


def _file(name, content=b"x"):
    def make(tmp_path):
        (tmp_path / name).write_bytes(content)
        return tmp_path / name

    return make


@pytest.mark.parametrize("make, words", [
    (lambda p: p / "none", ["none", "no such file"]),
    (lambda p: p, ["PNG files", "got none"]),
    (_broken, ["whole.png", "can be read", "take it out"]),
    (_sizes, ["1.png", "8×8", "8×9", "give a size"]),
    (_file("a.gif"), ["a.gif", "can be read"]),
    (_file("a.npy"), ["a.npy", "can be read"]),
    (_file("a.txt"), ["a.txt", ".webp", "'.txt'"]),
    (_file("a.mp4"), ["a.mp4"]),
    (_array(np.zeros((3, 4, 4), object)), ["can be read"]),
    (_array(np.zeros((3, 4, 4), np.int64)), ["int64", "uint8"]),
    (_array(np.full((3, 4, 4), 200.0)), ["from 0 to 1", "200", "scale"]),
    (_array(np.full((3, 4, 4), np.nan)), ["from 0 to 1", "nan"]),
    (_array(np.zeros((3, 8, 8, 3))), ["channels_last=True"]),
    (_array(np.zeros((3, 4))), ["(frames, height, width)", "(3, 4)"]),
    (_array(np.zeros((0, 4, 4))), ["(0, 4, 4)"]),
])
def test_a_mistake_is_one_sentence(tmp_path, make, words):
    with pytest.raises(dh.UserError) as error:
        list(dh.data.frames(make(tmp_path)))
    assert all(word in str(error.value) for word in words), str(error.value)
    assert "\n" not in str(error.value)
