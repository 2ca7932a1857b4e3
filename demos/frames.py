"""Your own moving pictures: what comes next in them. Run it with: python demos/frames.py PATH

PATH is a folder of PNG files, an animation (GIF, WebP), a NumPy file, or a video (see `dh.data.frames`).
"""

import deephtm_gpu as dh
from deephtm_gpu import view
from deephtm_gpu.bench.networks import pictures_model
from deephtm_gpu.cli.demo import script

SMALLEST, LARGEST = 4, 512  # pixels along a side
LAST = 100  # frames over which the error is taken


def demo(path, steps=1_000, size=32, colour=False, seed=0, device="auto"):
    if not SMALLEST <= size <= LARGEST or size % 2:
        raise dh.UserError(f"--size must be an even number from {SMALLEST} to {LARGEST}, got {size}.")

    # 1. The data: the frames of your file, made square and small, again and again. Each time is a new sequence.
    frames = dh.data.frames(path, size=size, colour=colour)

    # 2. The network of `demos/balls.py`, for pictures of this size.
    model = pictures_model(side=size, channels=frames.shape[0], seed=seed, device=device)

    return view.ImagesShow(model, frames, f"What comes next in {path}", total=steps)


def report(show):
    """The error of the last frames, online, and that of copying the frame before."""
    error, copied = show.last_errors(LAST)
    return {
        "error_last_100": error, "copied_last_100": copied,
        "shown": {f"Squared error of a frame, the last {min(LAST, show.done)}": f"{error:.3g}",
                  "Of copying the frame before, on the same frames": f"{copied:.3g}"},
    }


if __name__ == "__main__":
    script("frames", globals())
