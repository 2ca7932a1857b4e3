"""Unit root mean square of a whole map, all its positions and numbers together (IMAGES: forward, steps 2 and 3).

Behind a convolution positions are no streams of their own: where a picture is empty there is little to be seen, and a
norm of each position by itself would make it as loud as the rest. As in `running_norm.py` there is no gradient where
the mean square is below EPSILON.
"""


from deephtm_gpu.ops.spec import Op, Pass, root_mean_square, sum_loops, turns, unit_backward


def map_norm_forward(x, mean, X):
    """x (S*X, D), mean (D,) -> y (S*X, D), scale (S, 1)"""
    return map_unit_forward(x - mean, X)


def map_unit_forward(x, X):
    """x (S*X, D) -> y (S*X, D), scale (S, 1)"""
    whole = _whole(x, X)
    scale = root_mean_square(whole)  # (S, 1)
    return (whole / scale).reshape(x.shape), scale


def map_unit_backward(dy, y, scale, X):
    """dy, y (S*X, D), scale (S, 1) -> dx (S*X, D); of both"""
    return unit_backward(_whole(dy, X), _whole(y, X), scale).reshape(dy.shape)


def _whole(x, X):
    """(S*X, D) -> (S, X*D)"""
    return x.reshape(len(x) // X, -1)


def _work(D, X):
    return D * X


def _loops(lanes, D, X, **_):
    return 2 * turns(D * X, lanes) + sum_loops(lanes)


def _example(rng, S, D, X, spread=1.0):
    x = spread * rng.normal(size=(S * X, D))
    if D * X == 1:  # as in running_norm
        x = 0.02 * rng.choice([-1.0, 1.0], (S, 1))
    mean = rng.normal(size=D)
    y, scale = map_unit_forward(x, X)
    return {"x": x + mean, "mean": mean, "y": y, "scale": scale, "dy": rng.normal(size=(S * X, D)), "D": D, "X": X}


_CONSTS = {"consts": ("D", "X"), "work": _work, "loops": _loops}

MAP_NORM = Op(
    name="map_norm", shader="map_norm", example=_example, params=("mean",),
    passes=(
        Pass(map_norm_forward, reads=("x", "mean"), writes=("y", "scale"), **_CONSTS),
        Pass(map_unit_forward, reads=("x",), writes=("y", "scale"), **_CONSTS),
        Pass(map_unit_backward, reads=("dy", "y", "scale"), writes=("dx",), **_CONSTS),
    ),
    sizes=tuple({"S": S, "D": D, "X": X, "spread": spread} for S, D, X, spread in [
        (1, 1, 1, 1.0), (1, 255, 1, 1.0), (1, 1, 257, 1.0), (3, 7, 13, 1.0), (2, 257, 5, 1.0), (2, 5, 256, 0.005),
        (70, 3, 4, 1.0)]),
)
