"""A run as an animated picture: its beginning, its middle and its end."""

import io

import numpy as np

from deephtm_gpu.view.live.offscreen import Offscreen

SIZE, QUALITY = (880, 550), 60
STRETCH, EVERY = 160, 8  # steps of each of the three parts; steps from frame to frame
MILLISECONDS, REST = 100, 2000  # of a frame, and of the last frame


class Recorder:
    """Takes frames of a show's ring while it learns."""

    def __init__(self, show, ring, theme):
        self._show, self._pictures = show, Offscreen(show.spec, ring, SIZE, theme=theme)
        T, long = show.total, min(STRETCH, show.total)
        starts = (0, min(max(T // 8, long), T - long), T - long)
        steps = {start + step for start in starts for step in range(EVERY, long + 1, EVERY)} | {T}
        self._due, self._frames = sorted(steps), []

    def until_next(self) -> int:
        """Steps until the next frame."""
        return self._due[0] - self._show.done

    def take_frame(self):
        """Takes a frame if one is due."""
        if self._due and self._show.done >= self._due[0]:
            self._due.pop(0)
            self._frames.append(self._pictures.picture(f"step {self._show.done:,}"))

    def webp(self) -> bytes:
        """The animation. (A GIF would be three times as large, with fewer colours.)"""
        from PIL import Image

        frames = [Image.fromarray(np.ascontiguousarray(frame)) for frame in self._frames]
        times = [MILLISECONDS] * (len(frames) - 1) + [REST]
        file = io.BytesIO()
        frames[0].save(
            file, "webp", save_all=True, append_images=frames[1:], duration=times, loop=0, quality=QUALITY, method=2
        )
        return file.getvalue()
