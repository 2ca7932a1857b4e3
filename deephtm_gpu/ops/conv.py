"""Convolutions over maps: every position of a coarse map sees a window of side x side positions of a fine one.

Position (row, column) of the coarse map sees the fine positions (row, column) * stride - pad + (0..side-1, 0..side-1);
outside the fine map there are zeros. A convolution reads the fine map and gives the coarse one, a transposed
convolution the other way round; each is the other's backward. Both hold their weights as (numbers of a coarse position,
window * numbers of a fine one), a window's positions in row order, so that what is multiplied lies side by side.

    X, W  positions of the fine map and its width       Y, V  those of the coarse map

All passes gather: what a position gets is summed up by one lane in a fixed order.
"""

import numpy as np

from deephtm_gpu.ops.gradient import by_stream
from deephtm_gpu.ops.spec import Op, Pass, Struct, turns

WINDOW = ("X", "W", "Y", "V", "side", "stride", "pad")
WINDOW_STRUCT = Struct("window", "Window", WINDOW)  # of shaders/lib/window.wgsl


def windows(fine, coarse, side, stride, pad) -> dict[str, int]:
    """The constants of a convolution between maps, (H, W) each."""
    return dict(X=fine[0] * fine[1], W=fine[1], Y=coarse[0] * coarse[1], V=coarse[1], side=side, stride=stride, pad=pad)


def same_windows(fine, coarse, side, stride=1) -> dict[str, int]:
    """As `windows`, each window around its position."""
    return windows(fine, coarse, side, stride, pad=(side - 1) // 2)


def conv_forward(x, weight, bias, I, O, **window):
    """x (S*X, I), weight (O, side*side*I), bias (O,) -> y (S*Y, O)"""
    y = unfold(x, **window).dot(weight.T)
    y += bias
    return y


def conv_backward(dy, weight, I, O, **window):
    """dy (S*Y, O), weight (O, side*side*I) -> dx (S*X, I)"""
    return fold(dy.dot(weight), **window)


def transposed_forward(x, weight, bias, I, O, **window):
    """x (S*Y, O), weight (O, side*side*I), bias (I,) -> y (S*X, I)"""
    y = fold(x.dot(weight), **window)
    y += bias
    return y


def transposed_backward(dy, weight, I, O, **window):
    """dy (S*X, I), weight (O, side*side*I) -> dx (S*Y, O)"""
    return unfold(dy, **window).dot(weight.T)


def conv_gradient(coarse, fine, gradient, I, O, **window):
    """coarse (S*Y, O), fine (S*X, I); adds to gradient (S, O, side*side*I)"""
    windows = by_stream(unfold(fine, **window), window["Y"])  # (S, Y, side*side*I)
    for s, numbers in enumerate(by_stream(coarse, window["Y"])):
        gradient[s] += np.dot(numbers.T, windows[s])


def unfold(x, X, W, Y, V, side, stride, pad):
    """x (S*X, D) -> (S*Y, side*side*D), the window of every coarse position"""
    D, H, U = x.shape[-1], X // W, Y // V
    padded = np.zeros((len(x) // X, *_padded(H, W, U, V, side, stride, pad), D), x.dtype)
    padded[:, pad:pad + H, pad:pad + W] = x.reshape(-1, H, W, D)
    windows = np.empty((len(padded), U, V, side * side, D), x.dtype)
    for n, (rows, columns) in enumerate(_offsets(U, V, side, stride)):
        windows[:, :, :, n] = padded[:, rows, columns]
    return windows.reshape(-1, side * side * D)


def fold(windows, X, W, Y, V, side, stride, pad):
    """windows (S*Y, side*side*D) -> (S*X, D), what all windows hold at a fine position, added up"""
    D, H, U = windows.shape[-1] // side**2, X // W, Y // V
    windows = windows.reshape(-1, U, V, side * side, D)
    padded = np.zeros((len(windows), *_padded(H, W, U, V, side, stride, pad), D), windows.dtype)
    for n, (rows, columns) in enumerate(_offsets(U, V, side, stride)):
        padded[:, rows, columns] += windows[:, :, :, n]
    return np.ascontiguousarray(padded[:, pad:pad + H, pad:pad + W]).reshape(-1, D)


def _padded(H, W, U, V, side, stride, pad):
    """Height and width of a fine map with room for all windows."""
    return max(H + pad, (U - 1) * stride + side), max(W + pad, (V - 1) * stride + side)


def _offsets(U, V, side, stride):
    """For every position of a window, in row order: the slices of a padded map that all windows have there."""
    for row in range(side):
        for column in range(side):
            yield slice(row, row + stride * U, stride), slice(column, column + stride * V, stride)


def _quads(n):
    return turns(n, 4)


def _coarse_loops(lanes, parts, S, I, O, V, Y, side, **_):
    tiles = S * (Y // V) * _quads(V) * _quads(O)
    return turns(tiles, lanes * parts) * (1 + side * (1 + side * (1 + _quads(I))))


def _fine_loops(lanes, parts, S, I, O, W, X, side, stride, **_):
    across = stride * turns(W, 4 * stride)
    tiles = S * (X // W) * across * _quads(I)
    reach = turns(side, stride)  # offsets of one axis that meet a coarse position
    return turns(tiles, lanes * parts) * (1 + reach * (1 + reach * (1 + _quads(O))))


def _gradient_loops(lanes, parts, S, I, O, V, Y, side, **_):
    tiles = S * _quads(O) * side * side * _quads(I)
    return turns(tiles, lanes * parts) * (1 + (Y // V) * (1 + V))


def _work(I, O, Y, side, **_):
    return Y * O * side * side * I


def _example(rng, S, I, O, H, W, side, stride, transposed=False):
    if transposed:
        U, V, H, W, pad = H, W, H * stride, W * stride, (side - stride) // 2
    else:
        U, V, pad = -(-H // stride), -(-W // stride), (side - 1) // 2
    X, Y, J = H * W, U * V, side * side * I
    fine, coarse = rng.normal(size=(S * X, I)), rng.normal(size=(S * Y, O))
    return {"x": coarse if transposed else fine, "dy": fine if transposed else coarse, "fine": fine, "coarse": coarse,
            "weight": rng.normal(size=(O, J)), "bias": rng.normal(size=I if transposed else O),
            "gradient": rng.normal(size=(S, O, J)), "I": I, "O": O, "X": X, "W": W, "Y": Y, "V": V, "side": side,
            "stride": stride, "pad": pad}


def _transposed_example(rng, **size):
    return _example(rng, transposed=True, **size)


def _sizes(*sizes):
    return tuple(dict(zip(("S", "I", "O", "H", "W", "side", "stride"), size)) for size in sizes)


_CONSTS = ("I", "O", *WINDOW)
_SHARED = {"consts": _CONSTS, "structs": (WINDOW_STRUCT,), "shared": True, "work": _work}

CONV = Op(
    name="conv", shader="conv", example=_example, matrices=("weight",), params=("bias",),
    passes=(
        Pass(conv_forward, reads=("x", "weight", "bias"), writes=("y",), rows="Y", loops=_coarse_loops, **_SHARED),
        Pass(conv_backward, reads=("dy", "weight"), writes=("dx",), rows="X", loops=_fine_loops, **_SHARED),
        Pass(conv_gradient, reads=("coarse", "fine"), changes=("gradient",), rows="O", loops=_gradient_loops,
             **_SHARED),
    ),
    sizes=_sizes((1, 1, 1, 1, 1, 1, 1), (1, 3, 5, 7, 5, 3, 1), (3, 4, 8, 9, 11, 5, 2), (2, 7, 13, 8, 3, 3, 2),
                 (1, 257, 3, 2, 3, 3, 1), (1, 2, 255, 3, 2, 4, 3), (5, 8, 4, 1, 17, 3, 1), (1, 4, 4, 16, 16, 2, 2),
                 (2, 3, 16, 7, 5, 3, 1), (1, 16, 12, 6, 9, 3, 2), (2, 32, 8, 5, 6, 3, 1), (1, 8, 5, 6, 7, 3, 2)),
)

TRANSPOSED = Op(
    name="transposed", shader="conv", example=_transposed_example, matrices=("weight",), params=("bias",),
    passes=(
        Pass(transposed_forward, reads=("x", "weight", "bias"), writes=("y",), rows="X", loops=_fine_loops, **_SHARED),
        Pass(transposed_backward, reads=("dy", "weight"), writes=("dx",), rows="Y", loops=_coarse_loops, **_SHARED),
    ),
    sizes=_sizes((1, 1, 1, 1, 1, 1, 1), (1, 3, 5, 7, 5, 4, 2), (3, 8, 32, 5, 4, 6, 2), (2, 7, 13, 3, 2, 5, 3),
                 (1, 2, 257, 3, 2, 3, 1), (1, 16, 5, 5, 6, 4, 2), (2, 32, 3, 3, 7, 4, 2)),
)
