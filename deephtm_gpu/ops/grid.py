"""Grid cells: a path summed up as phases, and the activity of cells that fire on a hexagonal grid of places.

A module is a torus of B x B cells. Its phase (two numbers in periods, along two axes 60 degrees apart) says where on
its grid the path has come to: phase = anchor + R path, wrapped into [0, 1) in every step, so that float32 stays exact
however long the path. Cell (i, j) stands at the phase (i/B, j/B). Three plane waves 60 degrees apart, taken at the
cell's distance delta to the phase, give its excitation
    e = sharpness (cos 2 pi delta_1 + cos 2 pi delta_2 + cos 2 pi (delta_1 + delta_2));
g = softmax(e) within the module, and the code is g less its mean 1/B^2, scaled to unit norm over all modules.

The phase is linear in R, so the gradient into R needs no path back through time: it is dphase times the path.

Sources: Hafting, Fyhn, Molden, Moser & Moser 2005 (the cells); Burak & Fiete 2009 (three plane waves, path
integration).
"""

from functools import cache
from math import pi

import numpy as np

from deephtm_gpu.ops.spec import EPSILON, Op, Pass, lanes_for, turns


def path_forward(movement, weight, restart, anchor, travelled, path):
    """movement (S, D), weight (2G, D), restart (S, 1): above 0.5 where a path begins anew before this movement, anchor
    (S, 2G): the phases of the place where it begins; changes travelled (S, 2G), the phases gone through since, and path
    (S, D), the movements summed up since -> phase (S, 2G) in [0, 1), displacement (S, D): a copy of the path"""
    anew = restart[:, 0] > 0.5
    travelled[anew] = 0
    path[anew] = 0
    travelled += movement.dot(weight.T)
    travelled[...] = wrapped(travelled)
    path += movement
    return wrapped(travelled + anchor), path.copy()


def wrapped(phase):
    """In periods -> the same in [0, 1). What is less than half a rounding below a whole number would come out as 1."""
    rest = phase - np.floor(phase)
    rest[rest >= 1] = 0
    return rest


def grid_forward(phase, sharpness, G, B):
    """phase (S, 2G) -> code (S, G*B*B), norm (S, 1): what it was divided by"""
    S, n = len(phase), B * B
    _, crossed = _tables(B, phase.dtype)
    e = np.cos(_waves(phase, B)).dot(crossed)  # (S*G, B*B)
    e -= 3  # the most that there can be, so that no exponential overflows
    e *= sharpness
    p = np.exp(e, out=e)
    total = np.add.reduce(p, axis=1, keepdims=True)
    code = ((p - total / n) / total).reshape(S, G * n)
    norm = np.sqrt(np.add.reduce(code * code, axis=1, keepdims=True) + EPSILON)
    code /= norm
    return code, norm


def grid_backward(dcode, code, norm, phase, sharpness, G, B):
    """dcode, code (S, G*B*B), norm (S, 1), phase (S, 2G) -> dphase (S, 2G)"""
    n = B * B
    _, crossed = _tables(B, phase.dtype)
    dv = (dcode - np.add.reduce(dcode * code, axis=1, keepdims=True) * code) / norm
    dv, g = dv.reshape(-1, n), (code * norm).reshape(-1, n) + 1 / n
    dv -= np.add.reduce(g * dv, axis=1, keepdims=True)
    de = np.multiply(g, dv, out=dv)  # (S*G, B*B)
    dwave = np.sin(_waves(phase, B)) * de.dot(crossed.T)  # (S*G, 3*B)
    along = np.add.reduce(dwave.reshape(-1, 3, B), axis=2)  # (S*G, 3)
    along *= -2 * pi * sharpness
    return (along[:, :2] + along[:, 2:]).reshape(phase.shape)


def _waves(phase, B):
    """phase (S, 2G) -> the angles of the three waves, (S*G, 3*B): by i, by j, and by i + j"""
    cells, _ = _tables(B, phase.dtype)
    phase = phase.reshape(-1, 2)
    phases = np.concatenate([phase, phase[:, :1] + phase[:, 1:]], axis=1)
    angles = phases[:, :, None] - cells
    angles *= 2 * pi
    return angles.reshape(-1, 3 * B)


@cache
def _tables(B, dtype):
    """Where the cells of a side stand, (B,) in periods; and which i, j and (i + j) mod B meet in a cell, (3*B, B*B) of
    0 and 1"""
    i, j = np.divmod(np.arange(B * B), B)
    crossed = np.concatenate([np.equal.outer(np.arange(B), met) for met in (i, j, (i + j) % B)])
    return np.arange(B, dtype=dtype) / dtype.type(B), crossed.astype(dtype)


def _path_example(rng, S, D, G):
    """Stream 0 is at both ends of a period, and now and then stands still there; stream 1 begins anew."""
    movement, travelled = rng.normal(size=(S, D)), rng.random((S, 2 * G))
    movement[0] *= rng.random() < 0.5
    travelled[0, :2] = 0, np.nextafter(np.float32(1), np.float32(0))
    anchor = rng.random((S, 2 * G)) * (np.arange(S)[:, None] != 0)
    restart = np.where(np.arange(S)[:, None] == 1, 1.0, rng.choice([0.0, 0.5], size=(S, 1)))
    return {"movement": movement, "weight": 0.4 * rng.normal(size=(2 * G, D)), "restart": restart, "anchor": anchor,
            "travelled": travelled, "path": 9 * rng.normal(size=(S, D)), "D": D, "G": G}


def _grid_example(rng, S, G, B, sharpness=1.0):
    """Phases at both ends of a period too, but not in the corners, where there is nothing to learn."""
    phase = rng.random((S, 2 * G))
    phase[0, 0], phase[-1, -2] = 0, np.nextafter(np.float32(1), np.float32(0))
    code, norm = grid_forward(phase, sharpness, G, B)
    return {"phase": phase, "code": code, "norm": norm, "dcode": rng.normal(size=code.shape), "sharpness": sharpness,
            "G": G, "B": B}


def _module_loops(lanes, G, B, sums):
    """Modules stand side by side, as many as there are lanes for; `sums` of each, of up to 2 * 8 + 1 iterations, and
    two looks."""
    wide = lanes_for(B * B, lanes)
    return turns(G, lanes // wide) * (2 * turns(B * B, wide) + 17 * sums)


PATH = Op(
    name="path",
    shader="grid",
    matrices=("weight",),
    passes=(
        Pass(path_forward, reads=("movement", "weight", "restart", "anchor"), changes=("travelled", "path"),
             writes=("phase", "displacement"), consts=("D", "G"), work=lambda D, G: 2 * G * D,
             loops=lambda lanes, D, G, **_: turns(2 * G, lanes) * (1 + turns(D, 4)) + turns(D, lanes)),
    ),
    example=_path_example,
    sizes=tuple({"S": S, "D": D, "G": G} for S, D, G in
                [(1, 1, 1), (1, 2, 10), (1, 257, 7), (3, 2, 6), (2, 5, 131), (5, 67, 64)]),
)

GRID = Op(
    name="grid",
    shader="grid",
    passes=(
        Pass(grid_forward, reads=("phase",), writes=("code", "norm"), consts=("sharpness", "G", "B"),
             work=lambda G, B, **_: 6 * G * B * B,
             loops=lambda lanes, G, B, **_: _module_loops(lanes, G, B, 1) + 17 + turns(G * B * B, lanes)),
        Pass(grid_backward, reads=("dcode", "code", "norm", "phase"), writes=("dphase",),
             consts=("sharpness", "G", "B"),
             work=lambda G, B, **_: 6 * G * B * B,
             loops=lambda lanes, G, B, **_: _module_loops(lanes, G, B, 3) + 17 + turns(G * B * B, lanes)),
    ),
    example=_grid_example,
    sizes=tuple({"S": S, "G": G, "B": B, "sharpness": k} for S, G, B, k in [
        (1, 1, 1, 1.0), (1, 1, 2, 1.0), (1, 1, 5, 0.1), (1, 10, 5, 1.0), (3, 7, 3, 2.5), (1, 131, 2, 1.0),
        (2, 3, 17, 20.0)]),
)
