"""The live picture in a window (glfw). The loop is in this file, so that an exception ends it and reaches the
caller."""

import time
import warnings
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from pathlib import Path

from deephtm_gpu.backends.cpu.backend import cores
from deephtm_gpu.backends.wgpu.adapters import list_adapters
from deephtm_gpu.errors import UserError
from deephtm_gpu.view.files import write_whole
from deephtm_gpu.view.live.apart import LearningThread
from deephtm_gpu.view.live.look import DARK, LIGHT, THEMES
from deephtm_gpu.view.live.offscreen import SIZE, as_png
from deephtm_gpu.view.live.pace import Pace
from deephtm_gpu.view.live.scene import SMALLEST, Scene
from deephtm_gpu.view.live.training import Training

STATUS_SECONDS, STATUS_FRAMES = 0.4, 4  # the shortest time between two changes of the status line


class NoWindow(UserError):
    """No window can be opened here; the message says why."""


class LiveWindow:
    """Displays a show while it learns. name: of the pictures that the key s saves in the folder. frames: drawn so far.
    Raises NoWindow."""

    def __init__(self, show, name: str, folder: Path, theme="dark"):
        self._glfw = _start_glfw()
        self.name, self.folder, self._show = name, folder, show
        self._theme, self._status_time, self.frames = THEMES[theme], 0.0, 0
        self._helper = self._presenting = self._learning = None
        self._pace = Pace(numpy=show.model.device.backend == "numpy")
        self.ring = show.ring()
        self.training = Training(show, self.ring)
        self._open()
        if show.model.device.backend == "cpu" and cores() > 1:
            self._learning = LearningThread(self.training)

    # Keys

    def turn_theme(self):
        self._theme = LIGHT if self._theme is DARK else DARK
        self._lay_out()

    def save(self):
        path = self.folder / f"{self.name}-{self._show.done}.png"
        self._presented()
        image = self._painter.picture()
        write_whole(path, as_png(image[:, :, :3]))
        self._glfw.set_window_title(self._window, f"{self._show.spec.title}: saved {path}")
        print(f"Saved {path}")

    def close(self):
        self._glfw.set_window_should_close(self._window, True)

    # The loop

    def run(self):
        """Runs until the window is closed. An exception of the learning is raised here."""
        glfw, pace = self._glfw, self._pace
        try:
            while not glfw.window_should_close(self._window):
                if self._learning or self.training.waits or self.training.slow:
                    glfw.wait_events_timeout(max(1e-3, pace.left))
                else:
                    glfw.poll_events()
                if not (self._learning or self.training.waits):
                    pace.learn(self.training.turn)
                if pace.left < 1e-3:
                    pace.draw(self._frame)
        finally:
            self._end()

    def _frame(self):
        self._presented()
        size = self._glfw.get_framebuffer_size(self._window)
        if 0 in size:  # minimised
            return
        if size != (self._scene.width, self._scene.height):
            with self._still():
                self._lay_out()
        now = time.perf_counter()
        if now - self._status_time > STATUS_SECONDS and self.frames % STATUS_FRAMES == 0:
            self._status_time = now
            self._painter.set_status(self.training.status)
        try:
            texture = self._context.get_current_texture()
        except self._cancelled:  # during a resize
            return
        with self._still():
            drawing = self._painter.draw(texture)
        if self._helper:
            self._presenting = self._helper.submit(self._present, drawing)
        else:
            self._present(drawing)
        self.frames += 1

    def _still(self):
        """Within this block the show does not change."""
        return self._learning.held() if self._learning else nullcontext()

    def _present(self, drawing):
        """On a software adapter this waits for the drawing. There a helper thread runs it, so that the learning
        continues."""
        self._painter.submit(drawing)
        self._context.present()

    def _presented(self):
        """Waits for the helper thread, which uses the surface. Raises its exception, if there is one."""
        if self._presenting:
            self._presenting.result()
            self._presenting = None

    # Window and surface

    def _open(self):
        import wgpu
        from rendercanvas.glfw import get_glfw_present_info  # only after glfw.init(), or it aborts the process

        from deephtm_gpu.view.live.paint import USAGE, Painter

        glfw = self._glfw
        glfw.window_hint(glfw.CLIENT_API, glfw.NO_API)
        glfw.window_hint(glfw.SCALE_TO_MONITOR, True)
        self._window = glfw.create_window(*SIZE, self._show.spec.title, None, None)
        if not self._window:
            raise NoWindow("No window can be opened on this display")
        glfw.set_window_size_limits(self._window, *SMALLEST, glfw.DONT_CARE, glfw.DONT_CARE)
        self._cancelled = wgpu.DrawCancelled
        try:
            self._context = wgpu.gpu.get_canvas_context(get_glfw_present_info(self._window))
            # list_adapters has found one; without one this would abort the process.
            adapter = wgpu.gpu.request_adapter_sync(power_preference="high-performance", canvas=self._context)
            device = adapter.request_device_sync()
            # Without "-srgb": the colours are final.
            self._format = self._context.get_preferred_format(adapter).removesuffix("-srgb")
            self._context.set_physical_size(*glfw.get_framebuffer_size(self._window))
            self._context.configure(device=device, format=self._format, usage=USAGE)
            self._painter = Painter(device, self.ring, self._format)
            if adapter.info["adapter_type"] == "CPU":
                self._helper = ThreadPoolExecutor(1, "presenting")
            self._lay_out()
        except (RuntimeError, ValueError, wgpu.GPUError) as error:
            self._end()
            reason = str(error).strip().splitlines()[0]
            raise NoWindow(f"No adapter can draw into a window here ({reason})") from None
        glfw.set_key_callback(self._window, self._key)

    def _lay_out(self):
        self._presented()
        glfw = self._glfw
        width, height = glfw.get_framebuffer_size(self._window)
        # If a window's size is not in pixels (macOS, Wayland), the ratio is the scale; otherwise the system reports it.
        scale = max(
            width / max(glfw.get_window_size(self._window)[0], 1), glfw.get_window_content_scale(self._window)[0]
        )
        self._context.set_physical_size(width, height)
        self._scene = Scene(self._show.spec, width, height, scale, self._theme)
        self._painter.show(self._scene)
        self._painter.set_status(self.training.status)
        self._painter.picture()  # compiles everything, so that no later frame includes it
        if self._helper:
            before = time.process_time()
            self._painter.picture()
            self._pace.elsewhere = time.process_time() - before

    def _key(self, _window, key, _code, action, _modifiers):
        from deephtm_gpu.view.live.keys import pressed

        if action in (self._glfw.PRESS, self._glfw.REPEAT):
            with self._still():
                pressed(self, key, repeated=action == self._glfw.REPEAT)

    def _end(self):
        if self._learning:
            self._learning.end()
        self._presented()
        if self._helper:
            self._helper.shutdown()
        # In this order: the surface, the window, glfw.
        self._context = self._painter = None
        self._glfw.destroy_window(self._window)
        self._glfw.terminate()


def _start_glfw():
    """glfw, or NoWindow: without a display (a console, SSH), or without an adapter to draw with."""
    if not list_adapters():
        raise NoWindow("There is no GPU adapter here to draw a window with")
    import glfw

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the message below replaces glfw's warning
        if not glfw.init():
            raise NoWindow("There is no display here to open a window on")
    return glfw
