"""Bouncing balls: images in, images out. Run it with: python demos/balls.py"""

import deephtm_gpu as dh
from deephtm_gpu import view
from deephtm_gpu.cli.demo import script
from deephtm_gpu.data.balls import Balls
from deephtm_gpu.data.image_baselines import Ridge, copy_last

LAST = 500  # frames over which the error is taken
SEQUENCES, LENGTH = 20, 100  # that the trivial predictors learn from


def demo(steps=3_000, seed=0, device="auto"):
    # 1. The data: three balls in a box, 30 x 30 pixels, for ever. Two frames come in, which show where they go.
    frames = dh.Input((2, 30, 30))

    # 2. Convolutions encode what is at each of 15 x 15 positions. `WithOnes` shows them where the picture ends.
    x = dh.WithOnes()(frames)
    h = dh.ReLU()(dh.Conv2d(16, 3, lr_scale=1)(x))
    h = dh.ReLU()(dh.Conv2d(32, 5, stride=2, lr_scale=1)(h))
    h = dh.RunningNorm()(dh.ReLU()(dh.Conv2d(32, 3, lr_scale=1)(h)))

    # 3. A map of columns. At each position 6 of 32 columns win, and the cells of its neighbourhood in the frames before
    #    say which of a column's 4 cells are active.
    columns = dh.SpatialPooler(32, winners=6, kernel=3, lr_scale=1)(h)
    memory = dh.TemporalMemory(4, decay=0.5, slow=False, neighbourhood=3, dilation=2, write=0.2, lr_scale=20)

    # 4. The cells paint the next frame. A second way from the frame itself starts as a copy of it.
    painted = dh.ReLU()(dh.ConvTranspose2d(8, 6, stride=2, lr_scale=10)(memory(columns)))
    skip = dh.Conv2d(1, 5, start="copy", lr_scale=1)(x)
    net = dh.Network(frames, dh.Conv2d(1, 3, lr_scale=10, init_std=0.08)(painted) + skip)
    model = dh.Model(net, loss="bce", optimizer=dh.Adam(1e-3, average=0.1), seed=seed, device=device)
    return view.ImagesShow(model, Balls(seed), "Bouncing balls", total=steps, lines=_trivial(seed))


def report(show):
    """The error of the last frames, online, and that of trivial predictors."""
    error, copied = show.last_errors(LAST)
    return {
        "error_last_500": error, "copied_last_500": copied,
        "shown": {f"Squared error of a frame, the last {min(LAST, show.done)}": f"{error:.2f}",
                  "Of copying the frame before, on the same frames": f"{copied:.2f}"},
    }


def _trivial(seed):
    """On another sequence, after 2,000 frames."""
    held_out, ridge = Balls([seed, 1]).take(LENGTH), Ridge(2, 900)
    for n in range(SEQUENCES):
        ridge.learn(Balls([seed, 2, n]).take(LENGTH))
    return {"copy-last": copy_last(held_out), "ridge on 2 frames": ridge.error(held_out)}


if __name__ == "__main__":
    script("balls", globals())
