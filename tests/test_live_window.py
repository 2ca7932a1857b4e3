"""The window on a virtual display: real keys, screenshots looked at, closed through the window manager."""

import io
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from deephtm_gpu.view.live.look import DARK, LIGHT, rgba
from deephtm_gpu.view.live.scene import Scene
from deephtm_gpu.view.live.spec import Spec
from deephtm_gpu.view.live.tracks import Bars, Cells, Columns, Line, Series

ROOT = Path(__file__).resolve().parents[1]
# Program -> Debian's package.
TOOLS = {"Xvfb": "xvfb", "xdotool": "xdotool", "openbox": "openbox", "import": "imagemagick"}
PATIENCE = 60  # seconds to wait for what must come


@pytest.fixture(scope="module")
def display(adapter):
    """The name of a virtual display with a window manager."""
    missing = [package for program, package in TOOLS.items() if not shutil.which(program)]
    if missing:
        pytest.fail("This test opens a window on a virtual display and presses its keys; install what it needs: "
                    f"apt-get install {' '.join(missing)}.", pytrace=False)
    reading, writing = os.pipe()
    server = subprocess.Popen(["Xvfb", "-displayfd", str(writing), "-screen", "0", "1400x1000x24", "-nolisten", "tcp"],
                              pass_fds=[writing], stderr=subprocess.DEVNULL)
    os.close(writing)
    name = ":" + os.read(reading, 16).decode().strip()
    manager = subprocess.Popen(["openbox"], env={**os.environ, "DISPLAY": name}, stderr=subprocess.DEVNULL)
    yield name
    for process in (manager, server):
        process.terminate()
        process.wait()


class Driver:
    """A demo in a window, and the hands and eyes of who sits before it."""

    def __init__(self, display, out, *options, name="sine", title="DeepHTM learns", device="numpy"):
        self.title = title
        self.env, self.out = {**os.environ, "DISPLAY": display, "PYTHONPATH": str(ROOT)}, out
        self.process = subprocess.Popen(
            [
                sys.executable,
                "-m",
                "deephtm_gpu",
                "demo",
                name,
                "--device",
                device,
                "--steps",
                "1000000",
                "--out",
                str(out),
                *options,
            ],
            env=self.env,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.window = self.until(self._find, "a window")
        self.tool("windowactivate", "--sync", self.window)

    def until(self, found, what):
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            if (it := found()) is not None and it is not False:
                return it
            assert self.process.poll() is None, f"it ended before {what} came:\n{self.process.stderr.read()}"
            time.sleep(0.2)
        pytest.fail(f"{what} did not come within {PATIENCE} s")

    def _find(self):
        done = subprocess.run(
            ["xdotool", "search", "--onlyvisible", "--name", self.title],
            env=self.env,
            capture_output=True,
            text=True,
            check=False,
        )
        return done.stdout.split()[0] if done.stdout.split() else None

    def tool(self, *words):
        subprocess.run(["xdotool", *words], env=self.env, check=True, capture_output=True)

    def key(self, name):
        self.tool("key", name)  # to the window that has the focus, as from a keyboard

    def look(self) -> np.ndarray:
        """(height, width, 3) of the window."""
        png = subprocess.run(
            ["import", "-window", self.window, "png:-"], env=self.env, check=True, capture_output=True
        ).stdout
        return np.asarray(Image.open(io.BytesIO(png)).convert("RGB")).astype(int)

    def ended(self):
        out, err = self.process.communicate(timeout=PATIENCE)
        return self.process.returncode, out, err


@pytest.fixture
def driver(display, tmp_path):
    begun = []

    def begin(*options, **named):
        begun.append(Driver(display, tmp_path / "out", *options, **named))
        return begun[-1]

    yield begin
    for it in begun:
        if it.process.poll() is None:
            it.process.send_signal(signal.SIGKILL)
            it.process.wait()


def near(image, colour, off=60):
    return abs(image - np.array([round(255 * part) for part in rgba(colour)[:3]])).sum(axis=2) < off


def shown(image, theme):
    """Whether the image is the picture in this theme with data in all its panels."""
    height, width, _ = image.shape
    if abs(image[-3, 3] - np.array([round(255 * part) for part in rgba(theme.page)[:3]])).max() > 3:
        return False
    spec = Spec("", (Series(), Line("error", "", (1e-4, 3.0)), Bars(), Columns(256, 5), Cells(5, 5)))
    panels = Scene(spec, width, height, 1.0, theme).panels

    def part(name, colour, off=60):
        panel = panels[name]
        return near(image, colour, off)[panel.top : panel.bottom, panel.left : panel.right]

    line = part("value", theme.prediction)[:, -300:]
    raster, cells = part("columns", theme.expected, 120), part("cells", theme.expected, 150)
    # The line goes through (nearly) every column of pixels, and up and down; both rasters are lit.
    return bool(line.any(axis=0).mean() > 0.9 and np.ptp(np.nonzero(line)[0]) > 0.6 * line.shape[0]
                and part("error", theme.error, 150).mean() > 0.003 and raster.mean() > 0.01 and cells.mean() > 0.02)


def test_keys_and_the_window_manager(driver):
    it = driver(device="cpu")  # which learns on a thread of its own
    it.until(lambda: shown(it.look(), DARK), "a picture of the data")

    it.key("space")
    time.sleep(2)
    still = it.look()
    time.sleep(1)
    assert np.array_equal(it.look(), still), "it moves while it pauses"
    it.key("Right")
    it.until(lambda: not np.array_equal(it.look(), still), "one step")

    it.key("t")
    it.until(lambda: shown(it.look(), LIGHT), "the light theme")

    it.key("s")
    (saved,) = it.until(lambda: list(it.out.glob("sine-*.png")) or None, "the saved picture")
    image = np.asarray(Image.open(saved).convert("RGB")).astype(int)
    assert image.shape == it.look().shape and shown(image, LIGHT)

    it.tool("windowsize", "--sync", it.window, "900", "620")
    it.until(
        lambda: (small := it.look()).shape[:2] == (620, 900) and shown(small, LIGHT), "the picture at the new size"
    )

    it.key("r")
    it.key("space")
    it.key("Down")
    it.key("Up")
    moved = it.look()
    it.until(lambda: not np.array_equal(it.look(), moved), "steps after the reset")

    it.key("alt+F4")  # the window manager asks the window to close
    code, out, err = it.ended()
    assert code == 0, err
    assert "RMSE of the last 300" in out and "Traceback" not in err
    report = json.loads((it.out / "sine.json").read_text())
    assert 300 < report["steps"] < 1_000_000 and report["steps_per_second"] > 0
    assert (it.out / "sine.png").exists()


def test_q_ends_it_and_a_short_run_waits_to_be_closed(driver):
    it = driver("--steps", "400", "--theme", "light")
    it.until(lambda: shown(it.look(), LIGHT), "a picture of the data")
    time.sleep(1)
    assert it.process.poll() is None
    it.key("q")
    code, _, err = it.ended()
    assert code == 0, err
    assert json.loads((it.out / "sine.json").read_text())["steps"] <= 400


def test_g_lets_images_dream_and_come_back(driver):
    it = driver("--steps", "20", name="digits", title="Handwritten digits")

    def is_still():
        before = it.look()
        time.sleep(1.5)
        return np.array_equal(it.look(), before)

    def has_images():
        return len(np.unique(it.look()[110:260:21, -450:-290:21].min(axis=2))) > 6  # the greys of a digit

    it.until(has_images, "images")  # before the first, there is nothing to dream of
    it.until(is_still, "the end of a short run")
    it.key("g")
    it.until(lambda: not is_still(), "a dream")
    it.key("g")
    it.until(is_still, "the end of the dream")
    it.key("q")
    code, out, err = it.ended()
    assert code == 0 and "Traceback" not in err, err
    assert json.loads((it.out / "digits.json").read_text())["steps"] == 20
    assert (it.out / "digits-strip.png").exists()


@pytest.mark.parametrize("device", ["numpy", "cpu"])
def test_what_ends_the_learning_ends_the_window(display, tmp_path, device):
    """An error in the loop is reported once, not again and again."""
    program = ("import sys, deephtm_gpu as dh; from deephtm_gpu.cli.main import main\n"
               "def fail(*_, **__): raise dh.TrainingError('Out of bounds.', 1, 'layer 2')\n"
               "dh.Model.fit = fail\n"
               f"sys.exit(main(['demo', 'sine', '--device', {device!r}, '--out', {str(tmp_path)!r}]))")
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "DISPLAY": display, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE,
    )
    assert done.returncode == 2 and done.stderr.splitlines()[-1] == "deephtm: Out of bounds."
