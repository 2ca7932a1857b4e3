"""What an op is: a NumPy reference pair, a shader, and the row of the op table that ties them together.

The legend of dimension letters, the same in NumPy, WGSL and Python:

    S  streams          D  features (inputs)     I, O  inputs and outputs of a matrix
    C  columns          K  winners               M     cells per column      N = C*M cells
    L  length of a fixed list (K, K+1 or K*M)    P     presynaptic sources (N + C + further contexts)
    T  steps in a window                         A     entries of a context (varies from step to step)
    F  synapses of a cell, or stretches of sources that it sees one each of
    G  grid modules (2G phases)               B     cells along a side of a grid module (B*B cells)
    X  positions of a map (H*W)

Every array of a stream carries S in front; of a map S*X, for its positions are to a pass as streams are: row s*X + x is
position x of stream s. A *ragged* tensor (a context) is a list of S arrays of different lengths
in NumPy, and a count followed by that many entries on the GPU.

One rule for all gradients: a backward pass overwrites what it writes. Where a value has several readers, the plan adds
their gradients up with the op `add`.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Struct:
    """Arguments that the WGSL function takes as one. name: the parameter's. type: the struct that a shader file
    declares. fields: the tensors and constants of the pass that it holds, in the struct's order."""

    name: str
    type: str
    fields: tuple[str, ...]


@dataclass(frozen=True)
class Pass:
    """One pass of an op: a reference function and the WGSL function of the same name.

    reference(*reads, *changes, **consts) returns the arrays of `writes` (one array, or a tuple) and alters the arrays
    of `changes` in place. `arguments` has what the WGSL function takes.
    """

    reference: Callable
    reads: tuple[str, ...] = ()
    changes: tuple[str, ...] = ()
    writes: tuple[str, ...] = ()
    consts: tuple[str, ...] = ()
    shared: bool = False  # sums over the streams: cannot run inside the workgroup of one stream
    rows: str | None = None  # the constant whose range the workgroups share out; None: one workgroup does all
    tile: int = 1  # of `rows` that a lane takes at once where there are MANY streams
    looks_alone: bool = False  # each row is searched alone in the lists of several streams, not `rows_at_once`
    split: tuple[str, ...] = ()  # tensors that a part touches only in its own rows
    structs: tuple[Struct, ...] = ()  # what the WGSL function takes together
    # (**consts, and A where there are contexts: the most entries that they can have) -> multiply-adds of one stream, to
    # choose the number of workgroups
    work: Callable[..., int] = lambda **consts: 0
    # (lanes, parts, S, A, **consts) -> a bound on the loop iterations of the busiest lane; A: the most entries that its
    # contexts can have. None: some looks at all elements, their work spread over all lanes, and some sums over lanes
    # (`kernels/schedule.py`).
    loops: Callable[..., int] | None = None

    @property
    def name(self) -> str:
        return self.reference.__name__

    @property
    def whole(self) -> bool:
        """Whether it goes over the X positions of maps by itself; else it is called at each of them."""
        return "X" in self.consts

    @property
    def tensors(self) -> tuple[str, ...]:
        return self.reads + self.changes + self.writes

    @property
    def arguments(self) -> tuple[str | Struct, ...]:
        """What the WGSL function takes: the offsets of the tensors (reads, changes, writes), then the constants, a
        struct in the position of the first of its fields; then, where `rows` is set, `part` and `parts`: which part of
        how many it is."""
        struct_of = {field: struct for struct in self.structs for field in struct.fields}
        names = self.tensors + self.consts + (("part", "parts") if self.rows else ())
        return tuple(dict.fromkeys(struct_of.get(name, name) for name in names))


@dataclass(frozen=True)
class Op:
    """A row of the op table.

    shader: the file in `shaders/`. passes: forward and backward (and update) next to each other.
    example(rng, **size) -> {tensor name: array, ..., constant name: number}: a test case. sizes: those that hurt.
    tolerance: the largest normalised mean-squared error that a shader may have against the float64 reference:
    1e-10 for elementwise ops, 1e-7 for reductions, 0 where only whole numbers come out.
    """

    name: str
    shader: str
    passes: tuple[Pass, ...]
    example: Callable
    sizes: tuple[dict, ...]
    tolerance: float = 1e-7
    matrices: tuple[str, ...] = ()  # tensors of the example that are stored as matrices
    params: tuple[str, ...] = ()  # and among the other parameters; the rest belongs to streams


def elements(D=0, I=0, L=0, K=0, **_):
    """The work of a pass that looks at each element once."""
    return D + I + L + K


MANY = 4  # so many streams, and dense work goes by tiles (in the shaders too)


def turns(items, lanes):
    """How often `lanes` side by side must go for all items."""
    return -(-items // lanes)


def rows_at_once(S):
    """ROWS of the shaders: so many rows of a matrix are looked for in the lists of several streams at once."""
    return min(max(1024 // S, 1), 32)


def mark_loops(lanes, S, L):
    """Loop iterations of one such look, and how many of them all streams need."""
    streams = min(1024 // rows_at_once(S), S)
    return turns(64, lanes) + turns(streams * L, lanes), turns(S, streams)


def lanes_for(n, lanes):
    """How many lanes the shaders set side by side for n items: a power of two, at most `lanes`."""
    return min(lanes, 1 << (n - 1).bit_length()) if n > 0 else 1


def sum_loops(lanes):
    """Loop iterations of a sum over so many lanes."""
    return lanes.bit_length() - 1


EPSILON = 1e-4  # under every root of the model
FAINT = math.sqrt(2 * EPSILON)  # a root below it is of a vector that EPSILON outweighs


def mean_product(x, y):
    """x, y (S, D) -> (S, 1), the mean of x * y over the features. (For few streams in two thirds of the time of array
    calls.)"""
    mean = np.empty((len(x), 1), x.dtype)
    for s in range(len(x)):
        mean[s, 0] = x[s].dot(y[s]) / x.shape[1]
    return mean


def unit_backward(dy, y, scale):
    """dy, y (S, D), scale (S, 1) -> dx (S, D), the gradient through y = x / scale, scale = root_mean_square(x). 0 where
    the mean square of x is below EPSILON: there y only magnifies x, by up to 1/sqrt(EPSILON) = 100, and says nothing of
    its direction. So it is in the first step of a running mean, which x then equals, and among winners that no lead
    distinguishes."""
    dx = (dy - mean_product(dy, y) * y) / scale
    for s, root in enumerate(scale[:, 0].tolist()):
        if root < FAINT:
            dx[s] = 0
    return dx


def root_mean_square(x):
    """x (S, D) -> (S, 1), over the features"""
    root = np.empty((len(x), 1), x.dtype)
    for s in range(len(x)):
        root[s, 0] = math.sqrt(x[s].dot(x[s]) / x.shape[1] + EPSILON)
    return root
