"""Moving pictures: balls, digits, the user's own frames, and trivial predictors of the next frame."""

import tracemalloc

import numpy as np
import pytest
from PIL import Image

import deephtm_gpu as dh
from deephtm_gpu.data.balls import BOX, RADIUS, SPEED, Balls
from deephtm_gpu.data.digits import DigitGrammar, MovingDigits, nearest_digit, of_class, pictures
from deephtm_gpu.data.image_baselines import Ridge, copy_last, mean_frame


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
    with pytest.raises(dh.UserError, match="digits must be from 0 to 9, got"):
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


def _cut_animation(tmp_path):
    """Cut off inside a frame."""
    rng = np.random.default_rng(1)
    steps = [Image.fromarray(rng.integers(256, size=(30, 30), dtype=np.uint8)) for _ in range(3)]
    whole = tmp_path / "cut.gif"
    steps[0].save(whole, save_all=True, append_images=steps[1:])
    whole.write_bytes(whole.read_bytes()[: len(whole.read_bytes()) * 2 // 3])
    return whole


def _archive(tmp_path):
    np.savez(tmp_path / "a.npz", a=np.zeros((3, 4, 4)))
    return (tmp_path / "a.npz").rename(tmp_path / "a.npy")


@pytest.mark.parametrize("make, words", [
    (lambda p: p / "none", ["none", "no such file"]),
    (lambda p: p, ["PNG or JPEG files", "got none"]),
    (lambda p: None, ["None", "pathlib.Path"]),
    (_file("empty.gif", b""), ["empty.gif", "can be read"]),
    (_cut_animation, ["cut.gif", "can be read"]),
    (_archive, ["a.npy", "archive"]),
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


def test_no_cut_of_an_animation_is_a_traceback(tmp_path):
    whole = _cut_animation(tmp_path)
    rng, content = np.random.default_rng(2), whole.read_bytes()
    for end in rng.integers(len(content), size=40):
        whole.write_bytes(content[:end])
        try:
            list(dh.data.frames(whole))
        except dh.UserError:
            pass


def test_odd_names_are_sorted(tmp_path):
    for name in ("\u00b21.png", "1.png", "a.png", ".png.png"):
        Image.new("L", (4, 4)).save(tmp_path / name)
    assert len(list(dh.data.frames(tmp_path))) == 4


def test_arrays_are_resized_and_become_grey_or_coloured(tmp_path):
    frames = np.random.default_rng(0).random((3, 3, 8, 6), np.float32)
    np.save(tmp_path / "a.npy", frames)
    assert dh.data.frames(tmp_path / "a.npy", size=(4, 5)).shape == (3, 4, 5)
    grey = np.stack(list(dh.data.frames(tmp_path / "a.npy", colour=False)))
    assert grey[:, 0] == pytest.approx(frames[:, 0] * 0.299 + frames[:, 1] * 0.587 + frames[:, 2] * 0.114, abs=1e-6)
    np.save(tmp_path / "b.npy", frames[:, 0])
    coloured = np.stack(list(dh.data.frames(tmp_path / "b.npy", colour=True)))
    assert np.array_equal(coloured, np.repeat(frames[:, :1], 3, axis=1))


def test_16_bits_are_kept(tmp_path):
    values = np.arange(1000, 1016, dtype=np.uint16).reshape(4, 4)
    Image.fromarray(values).save(tmp_path / "0.png")
    assert next(iter(dh.data.frames(tmp_path))) == pytest.approx(values[None] / 65535, abs=1e-7)


@pytest.mark.parametrize("make, words", [
    (lambda: Balls(balls=9), ["6 at most", "9"]),
    (lambda: Balls(side=0), ["side"]),
    (lambda: MovingDigits(fastest=1e12), ["fastest", "0.5 to 16"]),
    (lambda: MovingDigits(slowest=float("nan")), ["slowest", "nan"]),
    (lambda: MovingDigits(slowest=3), ["fastest", "3 to 16", "2.0"]),
    (lambda: DigitGrammar(12), ["0 to 9", "12"]),
    (lambda: DigitGrammar(()), ["0 to 9"]),
    (lambda: DigitGrammar("012"), ["0 to 9", "'0'"]),
    (lambda: of_class(11), ["0 to 9", "11"]),
    (lambda: nearest_digit(np.zeros((7, 8))), ["(..., 8, 8)", "(7, 8)"]),
    (lambda: copy_last(np.zeros((1, 4, 4))), ["2 or more", "(1, 4, 4)"]),
    (lambda: mean_frame(np.zeros((3, 4, 4)), np.zeros((3, 5, 5))), ["(T, 5, 5)", "(3, 4, 4)"]),
    (lambda: Ridge(0, 4), ["frames", "0"]),
    (lambda: Ridge(2, 4).learn(np.zeros((2, 4))), ["3 or more", "(2, 4)"]),
    (lambda: Ridge(1, 4).learn(np.zeros((9, 5))), ["4 numbers", "5"]),
    (lambda: Ridge(1, 4).error(np.zeros((9, 4))), ["learn()"]),
])
def test_a_wrong_argument_is_one_sentence(make, words):
    with pytest.raises(dh.UserError) as error:
        make()
    assert all(word in str(error.value) for word in words), str(error.value)
