"""Every backward pass, update and squared norm of the op table against central differences in float64, and whole
networks likewise: what a step changes is minus the gradient of the loss, parameter by parameter."""

import inspect
from functools import partial

import numpy as np
import pytest
from conftest import assert_close, central_difference, one_row, put_on_numpy, ragged_difference, some_entries

import deephtm_gpu as dh
from deephtm_gpu.ops.context import context_append_forward, context_append_sparse, context_forward
from deephtm_gpu.ops.conv import WINDOW, unfold
from deephtm_gpu.ops.linear import linear_forward
from deephtm_gpu.ops.losses import cross_entropy_forward, mse_forward, softmax_forward
from deephtm_gpu.ops.polyak import clip_forward, polyak_forward
from deephtm_gpu.ops.rule import PLAIN
from deephtm_gpu.ops.sampled import sampled_forward, visible, weight_of_visible
from deephtm_gpu.ops.sparse_linear import sparse_linear_forward
from deephtm_gpu.ops.spec import EPSILON
from deephtm_gpu.ops.synapse import synapse_forward
from deephtm_gpu.ops.table import OPS, PASSES
from deephtm_gpu.ops.topk import lead_forward, topk_forward
from deephtm_gpu.ops.update import rows_update
from deephtm_gpu.ops.wiring import concat_forward

OP_OF = {p.name: op for op in OPS for p in op.passes}


def passes_where(condition):
    return [name for name, p in PASSES.items() if condition(p)]


BACKWARDS = passes_where(lambda p: p.name.endswith("_backward"))
STEPS = passes_where(lambda p: "rate" in p.reads)
SQUARES = passes_where(lambda p: p.name.endswith("_square"))
USES = passes_where(lambda p: p.name.endswith("_gradient"))


def with_sizes(names):
    """(pass, size) for every test size of the passes' ops."""
    cases = [(name, size) for name in names for size in OP_OF[name].sizes if not size.get("nan")]  # NaN has no gradient
    return pytest.mark.parametrize("name, size", cases, ids=[f"{n}-{'-'.join(map(str, s.values()))}" for n, s in cases])


def example(name, size):
    """A test case of the pass's op in float64, the numbers of places as they are."""
    made = OP_OF[name].example(np.random.default_rng(list(name.encode())), **size)
    return {
        k: v.astype(np.float64) if isinstance(v, np.ndarray) and v.dtype.kind == "f" else v for k, v in made.items()
    }


def run(function, case, names, consts=()):
    """The results of a reference function on tensors of the case, as a tuple."""
    known = inspect.signature(function).parameters
    everything = any(p.kind is p.VAR_KEYWORD for p in known.values())
    out = function(*(case[n] for n in names), **{k: case[k] for k in consts if everything or k in known})
    return out if isinstance(out, tuple) else (out,)


def dot(a, b):
    """(S,): the sum of the products of each stream, of arrays or ragged lists."""
    if isinstance(a, list):
        return np.array([x @ y for x, y in zip(a, b)])
    return (a * b).reshape(len(a), -1).sum(axis=1)


# Backward passes: each gives (loss(), [(array whose gradient it is, the gradient)]) for a case


def by_convention(name, case):
    """`x_backward` reads d<output> of `x_forward` and writes d<input>."""
    back, ahead = PASSES[name], PASSES[name.replace("_backward", "_forward")]
    case.update(zip(ahead.writes, run(ahead.reference, case, ahead.reads, ahead.consts)))
    reported = [n for n in ahead.writes if f"d{n}" in back.reads]
    asked = [n for n in ahead.reads if f"d{n}" in back.writes]
    assert reported and len(asked) == len(back.writes), (
        f"{name} does not follow the convention: give it an adapter in ADAPTERS"
    )

    def loss():
        out = dict(zip(ahead.writes, run(ahead.reference, case, ahead.reads, ahead.consts)))
        return sum(dot(case[f"d{n}"], out[n]) for n in reported)

    gradients = dict(zip(back.writes, run(back.reference, case, back.reads, back.consts)))
    return loss, [(case[n], gradients[f"d{n}"]) for n in asked]


def sparse_linear(name, case):
    """A pair whose value is 0 gets no gradient: there the difference quotient is another."""
    loss, [(value, gradient)] = by_convention(name, case)
    silent = value == 0
    assert (gradient[silent] == 0).all()
    value[silent] = 1.0  # so that all pairs take part
    return by_convention(name, case)


def rows(name, case):
    """A dense product of which only the rows of a list were used."""
    S, I = len(case["dy"]), case["I"]
    x = np.random.default_rng(0).normal(size=(S, I))
    unbiased = np.zeros(len(case["weight"]))

    def loss():
        return dot(case["dy"], np.take_along_axis(linear_forward(x, case["weight"], unbiased), case["index"], axis=1))

    return loss, [(x, PASSES[name].reference(case["dy"], case["index"], case["weight"]))]


def topk(name, case):
    """The gradient comes as pairs, at winners and runner-up; 0 elsewhere."""
    rng = np.random.default_rng(0)
    overlap = rng.normal(size=case["overlap"].shape)  # no ties: there activity bends
    _, places, activity, scale = topk_forward(overlap, case["K"])
    pairs = PASSES[name].reference(case["dactivity"], activity, scale, case["K"])
    gradient = np.zeros_like(overlap)
    np.put_along_axis(gradient, places, pairs, axis=1)
    return lambda: dot(case["dactivity"], topk_forward(overlap, case["K"])[2]), [(overlap, gradient)]


def lead(name, case):
    """As `topk`, without the scale."""
    overlap = np.random.default_rng(0).normal(size=case["overlap"].shape)
    _, places, _ = lead_forward(overlap, case["K"])
    gradient = np.zeros_like(overlap)
    np.put_along_axis(gradient, places, PASSES[name].reference(case["dlead"]), axis=1)
    return lambda: dot(case["dlead"], lead_forward(overlap, case["K"])[2]), [(overlap, gradient)]


def norm(name, case):
    """No gradient where EPSILON outweighs x - mean, which would come out a hundred times as long."""
    loss, [(x, gradient)] = by_convention(name, case)
    if ((x - case["mean"]) ** 2).mean() > EPSILON:
        return loss, [(x, gradient)]
    assert np.abs(central_difference(loss, x, range(9))).max() > 10 and (gradient == 0).all()
    return lambda: 0.0, [(x, gradient)]


def any_cell(name, case):
    """What is less than the floor is 0, and all else as without one."""
    whole = dict(case, floor=0.0)
    (floored,), (exact,) = (
        run(PASSES[name].reference, c, PASSES[name].reads, PASSES[name].consts) for c in (case, whole)
    )
    assert np.array_equal(floored, np.where(np.abs(exact) < case["floor"], 0, exact))
    return by_convention(name, whole)


def append(name, case):
    """Dense and sparse: each puts its vector behind the lists, at unit norm."""
    results, losses = [], []
    for x, forward in ((case["x"], partial(context_append_forward, base=case["base"], D=case["D"])),
                       (case["pairs"], partial(context_append_sparse, case["pair_index"], base=case["base"],
                                               L=case["L"]))):
        def appended(x=x, forward=forward):
            index, value = list(case["index"]), list(case["value"])
            start, norm = forward(x, index, value)
            return value, start, norm

        value, start, norm = appended()
        dvalue = [np.random.default_rng(0).normal(size=len(v)) for v in value]
        losses.append(lambda f=appended, d=dvalue: dot(d, f()[0]))
        results.append((x, PASSES[name].reference(dvalue, value, start, norm, x.shape[1])))
    return lambda: sum(f() for f in losses), results


def mse(name, case):
    """Of an outlier the part that it counts for."""
    size, (largest, seen) = np.linalg.norm(case["y"] - case["target"], axis=1), case["extent"].T.copy()
    outlying = (size > 8 * largest) & (seen == 10) & (largest > 0)
    counts = np.where(outlying, (8 * largest / size) ** 4, 1)  # (S,)
    gradient = PASSES[name].reference(case["y"], case["target"], case["extent"])
    return lambda: counts @ mse_forward(case["y"], case["target"])[:, 0], [(case["y"], gradient)]


def cross_entropy(name, case):
    """The gradient into what softmax was taken of."""
    gradient = PASSES[name].reference(softmax_forward(case["y"]), case["target"])
    return lambda: cross_entropy_forward(softmax_forward(case["y"]), case["target"]).sum(), [(case["y"], gradient)]


def mask(name, case):
    gradient = PASSES[name].reference(case["dy"], case["share"])
    return lambda: dot(case["dy"], np.where(case["share"] > 0, case["y"], 0)), [(case["y"], gradient)]


def credit(name, case):
    """The context of the newest step as what the ring's steps leave behind in it, the gates of those between held as
    they are."""
    rng = np.random.default_rng(0)
    S, T, N, slot = len(case["norm"]), case["T"], case["N"], case["t"] % case["T"]
    ring = case["ring_cells"].reshape(S, T, case["L"])
    activity = rng.random(ring.shape)  # (S, T, L)
    columns = rng.random((S, 3))  # a slow context beside it

    def context():
        fast = np.zeros((S, N + 1))
        for age in range(1, T):
            there = (slot - age) % T
            for s in range(S):
                fast[s, ring[s, there]] += case["decay"] ** (age - 1) * activity[s, there]
        fast = fast[:, :N]
        return context_forward(fast, [np.flatnonzero(u) for u in fast], columns, [np.arange(3)] * S, N)

    index, value, norm = context()
    dvalue = [rng.normal(size=len(v)) for v in value]
    case |= {
        "index": index,
        "value": value,
        "norm": norm,
        "dvalue": dvalue,
        "ring_credit": np.zeros(case["ring_credit"].shape),
    }
    run(PASSES[name].reference, case, PASSES[name].reads + PASSES[name].changes, PASSES[name].consts)
    gradient = case["ring_credit"].reshape(S, T, -1).copy()
    assert np.array_equal(gradient[:, slot], case["dcell"]), "the newest step's own gradient stands in the ring"
    gradient[:, slot] = 0
    ring = np.where(np.arange(T)[:, None] == slot, N, np.array(ring))  # the newest step has no part in its own context
    return lambda: dot(dvalue, context()[1]), [(activity, gradient)]


def concat(name, case):
    gradients = PASSES[name].reference(case["dy"], case["D"], case["I"])
    return lambda: dot(case["dy"], concat_forward(case["a"], case["c"])), list(zip((case["a"], case["c"]), gradients))


ADAPTERS = {
    "sparse_linear_backward": sparse_linear,
    "rows_backward": rows,
    "topk_backward": topk,
    "lead_backward": lead,
    "sparse_transposed_backward": sparse_linear,
    "any_backward": any_cell,
    "context_append_backward": append,
    "mask_backward": mask,
    "credit_backward": credit,
    "mse_backward": mse,
    "cross_entropy_backward": cross_entropy,
    "concat_backward": concat,
    "running_norm_backward": norm,
}


@with_sizes(BACKWARDS)
def test_backward(name, size):
    rng = np.random.default_rng(0)
    loss, gradients = ADAPTERS.get(name, by_convention)(name, example(name, size))
    for array, gradient in gradients:
        if isinstance(array, list):
            entries = [some_entries(rng, a, g) for a, g in zip(array, gradient)]
            for s, want in enumerate(ragged_difference(loss, array, entries)):
                assert_close(f"{name} ({s})", gradient[s][entries[s]], want)
        else:
            entries = some_entries(rng, array, gradient)
            assert_close(name, gradient.reshape(-1)[entries], central_difference(loss, array, entries))


# Steps: along the gradient of sum_s coef_s dy_s * forward, by a rule. Each gives [(what changes, what coef weighs and
# sums up, scale, the count of each entry's updates before, and which entries move, if not those with a gradient)] for a
# case


def outer_step(case):
    return [
        ("weight", lambda: linear_forward(case["right"], case["weight"], 0) * case["left"], case["scale"], case["k"])
    ]


def rows_step(case):
    """As in the pooler: the gradient of L of N outputs. (Behind a memory left and right change places: the same
    product.)"""
    def used():
        return case["left"] * np.take_along_axis(linear_forward(case["right"], case["weight"], 0), case["rows"], axis=1)

    return [("weight", used, case["scale"], case["count"][:, None])]


def lazy_step(case):
    return [
        (
            "weight",
            lambda: linear_forward(case["right"], case["weight"], 0) * case["left"],
            case["scale"],
            case["count"][:, None],
        )
    ]


def vector_step(case):
    return [
        (
            "bias",
            lambda: linear_forward(case["right"], case["weight"], case["bias"]) * case["left"],
            case["scale"],
            case["k"],
        )
    ]


def entries_step(case):
    return [("bias", lambda: case["left"] * case["bias"][case["rows"]], case["scale"], case["bias_count"])]


def synapse_step(case):
    def depolarised():
        return case["left"] * synapse_forward(case["rows"], case["index"], case["value"], case["weight"], case["bias"])

    return [
        ("weight", depolarised, case["scale"], case["count"][:, None]),
        ("bias", depolarised, case["bias_scale"], case["count"]),
    ]


def sampled_step(case):
    def depolarised():
        return case["left"] * sampled_forward(
            *(case[n] for n in ("rows", "index", "value", "weight", "bias", "sample", "F", "P"))
        )

    return [
        ("weight", depolarised, case["scale"], case["count"][:, None]),
        ("bias", depolarised, case["bias_scale"], case["count"]),
    ]


def to_dense(case, name, gradient):
    """What has the gradient that is given, of the parameter of that name."""
    return lambda: (case[gradient] * case[name]).reshape(len(case[gradient]), -1)


def matrix_step(case):
    return [("weight", to_dense(case, "weight", "gradient"), case["scale"], case["k"])]


def summed_vector_step(case):
    return [("bias", to_dense(case, "bias", "bias_gradient"), case["scale"], case["k"])]


def moved_rows(case):
    return (case["coef"] * case["touched"] != 0).any(axis=0)[:, None]


def summed_rows_step(case):
    """Of a row that is touched what has no gradient moves too, where there is a moment."""
    weights = to_dense(case, "weight", "gradient")
    return [("weight", weights, case["scale"], case["count"][:, None], moved_rows(case))]


def summed_entries_step(case):
    return [("bias", to_dense(case, "bias", "bias_gradient"), case["scale"], case["bias_count"])]


def summed_synapse_step(case):
    weights, biases = to_dense(case, "weight", "gradient"), to_dense(case, "bias", "bias_gradient")
    return [("weight", weights, case["scale"], case["count"][:, None]),
            ("bias", biases, case["bias_scale"], case["count"], moved_rows(case)[:, 0])]


STEP_ADAPTERS = {
    "outer_update": outer_step,
    "rows_update": rows_step,
    "lazy_update": lazy_step,
    "vector_update": vector_step,
    "entries_update": entries_step,
    "synapse_update": synapse_step,
    "sampled_update": sampled_step,
    "matrix_step": matrix_step,
    "vector_step": summed_vector_step,
    "rows_step": summed_rows_step,
    "entries_step": summed_entries_step,
    "synapse_step": summed_synapse_step,
}
PUT_BACK = {"total", "gradient", "bias_gradient", "touched"}  # to 0


def textbook(case, theta, moment, power, gradient, rate, k):
    """What the papers say that one step of the case's rule does: theta, moment, power afterwards."""
    beta1, beta2 = case["beta1"], case["beta2"]
    rate = rate * np.maximum(case["floor"], 1 / (1 + k * case["decay_rate"]))
    step, t = gradient, np.asarray(k) + 1
    if beta2 == 0:
        if beta1:
            step = moment = beta1 * moment + gradient
    else:
        power = beta2 * power + (1 - beta2) * gradient**2
        if beta1:
            step = moment = beta1 * moment + (1 - beta1) * gradient
        corrected = case["log2"] != 0
        m = step / (1 - beta1**t) if corrected else step
        v = power / (1 - beta2**t) if corrected else power
        step = m / (np.sqrt(v) + case["epsilon"])
    return theta - rate * case["decay"] * theta - rate * step, moment, power


@with_sizes(STEPS)
def test_step(name, size):
    assert name in STEP_ADAPTERS, (
        f"{name} steps along a gradient that no test checks: give it an adapter in STEP_ADAPTERS"
    )
    rng, case, op, checked = np.random.default_rng(0), example(name, size), PASSES[name], set(PUT_BACK)
    moved = {**case, **{n: case[n].copy() for n in op.changes}}
    run(op.reference, moved, op.reads + op.changes, op.consts)
    for changed, weighed, scale, k, *moving in STEP_ADAPTERS[name](case):
        names = [changed] + [
            n for n in (f"bias_{m}" if changed == "bias" else m for m in ("moment", "power")) if n in op.changes
        ]
        checked |= set(names)
        k = np.broadcast_to(k, case[changed].shape).reshape(-1)
        places = some_entries(rng, case[changed], moved[changed] - case[changed])
        gradient = central_difference(lambda: (case["coef"] * weighed()).sum(), case[changed], places)
        before, after = ([c[n].reshape(-1)[places] for n in names] for c in (case, moved))
        want = textbook(case, *before, gradient, case["rate"] * scale, k[places])
        stands = np.abs(gradient) < 1e-9 if "count" in "".join(op.changes) else False  # what no stream touches
        if moving:
            stands = ~np.broadcast_to(moving[0], case[changed].shape).reshape(-1)[places]
        for what, old, new, wanted in zip(names, before, after, want):
            wanted = np.where(stands, old, wanted)
            assert_close(f"{name} of {what}", new - old, wanted - old)
    for n in (n for n in op.changes if n.endswith("count")):
        checked.add(n)
        if "left" in op.reads:
            touched = marked(case, len(case[n]))
        else:
            touched = case["touched" if "touched" in op.changes else "bias_gradient"]
        asked = case["log2"] or case["decay_rate"]
        assert np.array_equal(moved[n], case[n] + ((case["coef"] * touched != 0).any(axis=0) if asked else 0))
    assert checked >= set(op.changes) and not any(moved[n].any() for n in PUT_BACK & set(op.changes))


def marked(case, N):
    """Where rows with left != 0 stand in the lists, (S, N)."""
    rows = case.get("rows", np.arange(N)[None])
    return ((case["left"][..., None] != 0) & (rows[..., None] == np.arange(N))).any(axis=1)


# Uses: what a step goes along, stream by stream, the sites of each added up


def conv_use(case):
    def used():
        return case["coarse"] * unfold(case["fine"], **{n: case[n] for n in WINDOW}).dot(case["weight"].T)

    return [("weight", used)]


def painted_use(case):
    case["rows"], case["left"] = case["index"], case["value"]

    def used():
        windows = unfold(case["dy"], **{n: case[n] for n in WINDOW})  # (S*Y, J)
        return case["value"] * np.take_along_axis(windows.dot(case["weight"].T), case["index"], axis=1)

    return [("weight", used)]


USE_ADAPTERS = {
    "conv_gradient": conv_use, "sparse_transposed_gradient": painted_use,
    "outer_gradient": outer_step, "lazy_gradient": lazy_step, "vector_gradient": vector_step,
    "rows_gradient": rows_step, "entries_gradient": entries_step, "synapse_gradient": synapse_step,
    "sampled_gradient": sampled_step,
}


@with_sizes(USES)
def test_use(name, size):
    assert name in USE_ADAPTERS, f"{name} adds up a gradient that no test checks: give it an adapter in USE_ADAPTERS"
    rng, case, op, X = np.random.default_rng(0), example(name, size), PASSES[name], size.get("X")
    X = X or case["Y"]  # of a convolution, the positions of the coarse map
    kept = {n: case[n].copy() for n in op.changes}
    run(op.reference, case, op.reads + op.changes, op.consts)
    N = next(case[n].shape[1] for n in op.changes)
    case |= {"weight": rng.normal(size=case["gradient"].shape[1:]), "bias": rng.normal(size=N), "count": np.zeros(N),
             "bias_count": np.zeros(N), "scale": 1, "bias_scale": 1, "k": 0}
    for changed, weighed, *_ in USE_ADAPTERS[name](case):
        gradient = {"weight": "gradient", "bias": "bias_gradient"}[changed]
        added = case[gradient] - kept.pop(gradient)
        for s in {0, 1, size["S"] - 1} & set(range(size["S"])):
            places = some_entries(rng, case[changed], added[s])
            want = central_difference(lambda: weighed()[s * X : (s + 1) * X].sum(), case[changed], places)
            assert_close(f"{name} ({s})", added[s].reshape(-1)[places], want)
    if "touched" in kept:
        now = marked(case, N).reshape(size["S"], X, N).any(axis=1)
        assert np.array_equal(case["touched"], np.where(now, 1, kept.pop("touched")))
    assert not kept


def test_sparse_weights_step_along_the_gradient_of_their_product():
    """Behind a pooler or a memory, `rows_update` is given the pairs as rows and left, dy as right."""
    rng = np.random.default_rng(0)
    index, value = np.array([[4, 1, 6]]), np.array([[0.5, 0.0, -2.0]])
    weight, bias, dy = rng.normal(size=(7, 5)), rng.normal(size=5), rng.normal(size=(1, 5))
    moved = weight.copy()
    rows_update(index, value, dy, np.ones((1, 1)), 1.0, moved, 0, 0, 0, scale=1.0, **PLAIN)
    gradient = central_difference(
        lambda: dot(dy, sparse_linear_forward(index, value, weight, bias)), weight, range(weight.size)
    )
    assert_close("rows_update", (moved - weight).reshape(-1), -gradient)


# Squared norms of gradients, most of which are never materialised out


def explicit_gradient(name, case, s):
    """The gradient of stream s as a matrix, the bias as its last column."""
    if "gradient" in PASSES[name].reads:
        return case["gradient"][s]
    left, right = (
        case["left"][s],
        {
            "vector_square": lambda: np.ones(1),
            "outer_square": lambda: np.append(case["right"][s], 1),
            "product_square": lambda: case["right"][s],
            "ragged_square": lambda: np.append(case["value"][s], 1),
            "sampled_square": lambda: _seen(case, s),
        },
    )
    assert name in right, f"{name} is a squared norm that no test checks: say here of which matrix"
    return left[:, None] * right[name]()


def _seen(case, s):
    """By row, what it sees of the context, and how much that counts; 0 for what it does not see. (L, A+1)"""
    seen = np.zeros((case["L"], len(case["value"][s]) + 1))
    l, a, _ = visible(case["rows"][s], case["index"][s], case["sample"], case["F"], case["P"])
    seen[l, a], seen[:, -1] = weight_of_visible(case["F"], case["P"]) * case["value"][s][a], 1
    return seen


@with_sizes(SQUARES)
def test_square(name, size):
    case, op = example(name, size), PASSES[name]
    before = case["squares"].copy()
    run(op.reference, case, op.reads + op.changes, op.consts)
    want = [case["scale"] * (explicit_gradient(name, case, s) ** 2).sum() for s in range(size["S"])]
    assert_close(name, case["squares"][:, case["slot"]], want, 1e-12)
    assert np.array_equal(np.delete(case["squares"], case["slot"], axis=1), np.delete(before, case["slot"], axis=1))


def test_polyak_step_is_the_streams_share_of_error_over_gradient():
    squares = np.array([[4.0, 1.0, 3.0, 5.0], [1.0, 1.0, 0.5, 0.5]])  # two outputs, two parameters
    coef = np.ones((2, 1))
    polyak_forward(squares, np.array([[0.25], [0.75]]), 3.0, coef, outputs=2, Q=4)
    assert_close("coef", coef, [[5 / 8 / 4 / 3], [2 / 1 * 3 / 4 / 3]], 1e-9)


def test_clipping_shortens_what_is_longer_and_nothing_else():
    squares = np.array([[9.0, 16.0], [0.09, 0.16]])  # gradients 5 and 0.5 long
    coef = np.zeros((2, 1))
    clip_forward(squares, np.array([[0.5], [3.0]]), coef, longest=2.0, Q=2)
    assert_close("coef", coef, [[0.5 * 2 / 5], [3.0]], 1e-9)


@pytest.mark.parametrize("clip_norm", [0.1, 1e6])
def test_clipped_step_goes_the_same_way_and_is_as_long_as_allowed(clip_norm):
    rng = np.random.default_rng(0)
    x, target = rng.normal(size=(1, 3)), rng.normal(size=(1, 2))
    steps = []
    for clip in (None, clip_norm):
        net = dh.Sequential(dh.Linear(4, lr_scale=0.5), dh.ReLU(), dh.Linear(2)).network((3,))
        backend = put_on_numpy(net, ["mse"], dh.SGD(1.0, clip_norm=clip))
        names = ["0.weight", "0.bias", "2.weight", "2.bias"]
        before = [backend.read(n) for n in names]
        backend.run(one_row([x], [target], 0))
        scales = (0.5, 0.5, 1, 1)
        steps.append(np.concatenate([((backend.read(n) - b) / c).ravel() for n, b, c in zip(names, before, scales)]))
    whole, clipped = steps
    assert_close("step", clipped, whole * min(1, clip_norm / np.linalg.norm(whole)))
    assert 0.1 < np.linalg.norm(whole) < 1e6


# Whole networks: (network, losses, the layers that move at 0.01 of the rate because a pooler comes behind them)


def chain(loss, **memory):
    layers = [
        dh.Linear(9), dh.ReLU(), dh.Linear(8, lr_scale=0.5), dh.ReLU(), dh.RunningNorm(),
        dh.SpatialPooler(columns=12, winners=3), dh.TemporalMemory(cells_per_column=3, decay=0.8, **memory),
        dh.Linear(7), dh.ReLU(), dh.Linear(3),
    ]
    return dh.Sequential(layers).network((2,)), [loss], [layers[0], layers[5]]


def poolers_alone():
    layers = [dh.SpatialPooler(11, 4), dh.Linear(5), dh.ReLU(), dh.SpatialPooler(9, 2), dh.ReLU(), dh.Linear(3)]
    return dh.Sequential(layers).network((4,)), ["mse"], [layers[0], layers[1], layers[3]]


def graph(synapses=None):
    """Two inputs, Concat, Add, two poolers and memories, contexts of every kind (dense, sparse, held), two outputs."""
    x, z = dh.Input((3,)), dh.Input((2,))
    mixer, bridge, skip, held, lower, upper = (
        dh.Linear(10), dh.Linear(6), dh.Linear(6), dh.Linear(6), dh.SpatialPooler(11, 3), dh.SpatialPooler(10, 2))
    hidden = dh.RunningNorm()(dh.ReLU()(mixer(dh.Concat()([x, z]))))
    beside = dh.Linear(4)(z)
    low = dh.TemporalMemory(3, synapses=synapses)(lower(hidden), context=[dh.previous(bridge), beside])
    up = dh.Add()([dh.ReLU()(bridge(low)), skip(hidden), held(dh.previous(low))])
    columns = upper(up)
    high = dh.TemporalMemory(2, synapses=synapses)(columns, context=[low, hidden, dh.previous(up), dh.previous(low)])
    first = dh.Linear(3)(dh.Concat()([high, beside, low, columns]))
    second = dh.Linear(4)(dh.ReLU()(high) + dh.Linear(20)(low))
    return dh.Network([x, z], [first, second]), ["mse", "cross_entropy"], [mixer, bridge, skip, held, lower, upper]


def pairs_last():
    """Columns and cells as outputs, and the same columns twice in a sum."""
    x, encoder, pooler = dh.Input((4,)), dh.Linear(6), dh.SpatialPooler(7, 3)
    columns = pooler(encoder(x))
    cells = dh.TemporalMemory(2)(columns)
    return dh.Network(x, [columns, cells, dh.Add()([columns, columns])]), ["mse", "mse", "mse"], [encoder, pooler]


def shared():
    """An encoder, a pooler and a memory for two senses, and a head twice in a row."""
    x, z = dh.Input((3,)), dh.Input((3,))
    encoder, pooler, memory, head = dh.Linear(6), dh.SpatialPooler(11, 3), dh.TemporalMemory(2), dh.Linear(5)
    left, right = (memory(pooler(dh.ReLU()(encoder(sense)))) for sense in (x, z))
    y = dh.Linear(5)(left) + dh.Linear(5)(right)
    return dh.Network([x, z], head(dh.ReLU()(head(y)))), ["mse"], [encoder, pooler]


def clocks():
    """A level that ticks in the step that is looked at and one that does not, gathered in both ways, with traces and
    surprise."""
    x, z = dh.Input((3,)), dh.Input((2,))
    encoder, now, held, lower, upper = (
        dh.Linear(8),
        dh.Linear(6),
        dh.Linear(5),
        dh.SpatialPooler(11, 3),
        dh.SpatialPooler(9, 2),
    )
    top = dh.TemporalMemory(2)
    cells = dh.TemporalMemory(2)(lower(encoder(x)), context=[dh.previous(top)])
    word = dh.every(cells, 4, gather="sum")  # held since two steps
    above = top(upper(dh.RunningNorm()(held(word))), context=[dh.Linear(3)(cells)])
    slower = dh.Trace(0.9)(dh.Linear(4)(dh.every(dh.ReLU()(now(cells)), 13)))  # ticks in the last step
    gated = dh.Linear(3)(dh.when(dh.Surprise()(cells), dh.Linear(4)(z)))
    path = dh.GridCells(2, 3, orientation=0.1)(dh.Linear(2, init_std=0.3)(dh.every(z, 13)))
    y = dh.Linear(3)(above) + dh.Linear(3)(slower) + gated + dh.Linear(3)(cells)
    y = y + dh.Linear(3)(path)
    return dh.Network([x, z], y), ["mse"], [encoder, held, lower, upper]


def images():
    """A map that becomes smaller, columns whose cells see their neighbourhood, and a map that becomes larger, sparse
    and dense; a convolution at two places."""
    x = dh.Input((2, 6, 5))
    a = dh.WithOnes()(x)
    first, pooler, twice = dh.Conv2d(5, 3, stride=2), dh.SpatialPooler(11, 3, kernel=3), dh.Conv2d(4, 2)
    h = dh.RunningNorm()(dh.ReLU()(first(a)))
    memory = dh.TemporalMemory(2, decay=0.5, slow=False, neighbourhood=3, dilation=2, write=0.05)
    painted = dh.ConvTranspose2d(4, 4, stride=2)(memory(pooler(h)))
    dense = dh.ConvTranspose2d(4, 2, stride=2)(dh.Conv2d(3, 3)(h))
    maps = twice(dh.ReLU()(painted)) + twice(dense)
    skip = dh.Conv2d(4, 3, start="copy")(dh.Conv2d(4, 1)(dh.ConvTranspose2d(3, 3, stride=2)(h)))
    return dh.Network(x, dh.Linear(3)(dh.Flatten()(maps + skip))), ["mse"], [first, pooler]


NETWORKS = {
    "images": images,
    "shared": shared,
    "clocks": clocks,
    "mse": partial(chain, "mse"),
    "cross_entropy": partial(chain, "cross_entropy"),
    "poolers": poolers_alone,
    "graph": graph,
    "pairs last": pairs_last,
    "synapses": partial(chain, "mse", synapses=29),
    "graph, synapses": partial(graph, synapses=31),
}


def loss_of(backend, losses, targets, step):
    """The loss of a step that has just been run, summed over outputs and streams, from its predictions."""
    total = 0.0
    for j, (loss, target) in enumerate(zip(losses, targets)):
        y = backend.read(f"prediction{j}", step % backend.plan.slots)
        total += 0.5 * ((y - target) ** 2).sum() if loss == "mse" else -(target * np.log(y)).sum()
    return total


@pytest.mark.parametrize("streams", [1, 2])
@pytest.mark.parametrize("name", NETWORKS)
def test_network(name, streams):
    """What a step changes is -lr * lr_scale * gradient, for every learned parameter."""
    net, losses, slow = NETWORKS[name]()
    rng = np.random.default_rng(5)
    backend = put_on_numpy(net, losses, dh.SGD(1.0), streams)
    plan = backend.plan
    for t in plan.tensors.values():
        if t.learned:  # also what starts at 0, so that gradients go through it
            value = backend.read(t.name)
            backend.write(t.name, value + 0.2 * rng.normal(size=value.shape))

    def row():
        inputs = [rng.normal(size=(streams, t.size)) for t in plan.inputs]
        targets = [
            rng.normal(size=(streams, t.size)) if kind == "mse" else np.eye(t.size)[rng.integers(t.size, size=streams)]
            for t, kind in zip(plan.targets, losses)
        ]
        return inputs, targets

    last = 12
    for step in range(last):  # contexts fill, means settle
        backend.run(one_row(*row(), step, rate=0.0))
    inputs, targets = row()
    start = backend.snapshot()
    learned = [t.name for t in plan.tensors.values() if t.learned]
    before = {n: backend.read(n) for n in learned}
    backend.run(one_row(inputs, targets, last))
    changes = {n: backend.read(n) - before[n] for n in learned}
    # Moved before they are used; constants then.
    means = {n: backend.read(n) for n in plan.tensors if n.endswith(".mean")}

    def loss_with(parameter, value):
        backend.restore(start)
        for n, mean in means.items():
            backend.write(n, mean)
        backend.write(parameter, value)
        backend.run(one_row(inputs, targets, last, learn=False))
        return loss_of(backend, losses, targets, last)

    layers = {n: node.layer for node, n in net.names().items()}
    for n in learned:
        layer, value = layers[n.split(".")[0]], before[n].copy()
        scale = layer.lr_scale if layer.lr_scale is not None else 0.01 if layer in slow else 1.0
        places = some_entries(rng, value, changes[n])
        gradient = central_difference(lambda: loss_with(n, value), value, places, h=1e-5)
        assert np.abs(gradient).max() > 1e-6, f"{n}: no gradient arrives"
        assert_close(n, changes[n].reshape(-1)[places], -scale * gradient)
