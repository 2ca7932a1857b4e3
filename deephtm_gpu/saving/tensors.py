"""The tensors of a plan as arrays, and back.

Written down is what a step can find there from earlier steps: parameters, state, and all slots of the tape. Scratch and
rows of a chunk are not: a step writes them before it reads them.
"""

import numpy as np

from deephtm_gpu.errors import UserError
from deephtm_gpu.plan.plan import Plan
from deephtm_gpu.plan.tensors import PARAMETERS, STATE, TAPE, Tensor

LENGTHS = "lengths:"  # before a ragged tensor's name: how long its lists are
# Passes that keep a trace and the list of its entries, and passes that append to a context, by which size.
TRACES = {"fast_update": ("fast", "fast_list"), "fast_update_at": ("fast", "fast_list"),
          "slow_update": ("slow", "slow_list")}
APPENDED = {"context_append_forward": "D", "context_append_sparse": "L"}


def read_tensors(plan: Plan, backend, models: list[int] | None = None) -> dict[str, np.ndarray]:
    """Parameters by name (*shape), state (S, *shape), the tape (slots, S, *shape), of a map with S*X for S; ragged ones
    one list behind the other (n,), and their lengths (S,) or (slots, S). Of P > 1 models parameters have P in front,
    and S counts the streams of all. float32, and int64 where they are whole numbers. models: of some of them alone, in
    this order. Raises UserError where a parameter is not finite."""
    arrays, partners = {}, _partners(plan)
    some = plan if models is None else plan.of(models)
    for tensor in _kept(plan):
        values = [_read(backend, tensor, slot, models) for slot in range(plan.slots_of(tensor))]
        if not tensor.ragged:
            arrays[tensor.name] = _bare(tensor, np.stack(values) if tensor.storage == TAPE else values[0])
            continue
        if partner := partners.get(tensor):
            # A GPU gives ragged values with all their room; what lies behind their list's end is left over from longer
            # ones, and NumPy could not go on with it.
            lists = [_read(backend, partner, slot, models) for slot in range(plan.slots_of(tensor))]
            values = [[v[: len(index)] for v, index in zip(*pair)] for pair in zip(values, lists)]
        lists = [part for value in values for part in value]
        arrays[tensor.name] = _bare(tensor, np.concatenate(lists))
        arrays[LENGTHS + tensor.name] = np.array([len(part) for part in lists], np.int64).reshape(_lead(some, tensor))
    if name := _not_finite(plan, arrays):
        raise UserError(
            f"A saved model must be finite, got NaN or infinity in {name!r}; load an earlier save."
        )
    return arrays


def _read(backend, tensor, slot, models):
    """The tensor of all models, or of some, as a backend of these alone would give it."""
    if models is None:
        return backend.read(tensor.name, slot)
    each = [backend.read(tensor.name, slot, model=p) for p in models]
    if tensor.parameter:
        return each[0] if len(models) == 1 else np.stack(each)
    units = [unit for value in each for unit in value]
    return units if tensor.ragged else np.stack(units)


def from_earlier(plan: Plan, arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The arrays of a file, as this version names and shapes them. Where layers are called several times, earlier
    versions had `total` for synapses, which is 0 between steps, and fewer squared norms, which a step writes before it
    reads them. Before outliers were bounded there was no `extent`, which is 0 at first."""
    wanted = {t.name: t for t in _kept(plan)}
    arrays = {n: a for n, a in arrays.items() if n in wanted or not n.endswith(".total")}
    for name, tensor in wanted.items():
        shape = (*_lead(plan, tensor), *tensor.shape)
        reshaped = name.startswith("squares_") and name in arrays and arrays[name].shape != shape
        if reshaped or (name.endswith(".extent") and name not in arrays):
            arrays[name] = np.zeros(shape, np.float32)
    return arrays


def check_tensors(plan: Plan, arrays: dict[str, np.ndarray], used: list[int]):
    """Raises UserError, with half a sentence, where these are not the arrays of such a plan. used: the slots of the
    tape that are still to be learned from."""
    wanted = {t.name: t for t in _kept(plan)}
    known = wanted.keys() | {LENGTHS + n for n, t in wanted.items() if t.ragged}
    if missing := sorted(known - arrays.keys()):
        raise UserError(f"it must hold {_some(missing)}, got none")
    if unknown := sorted(arrays.keys() - known):
        raise UserError(f"it must hold only tensors of its network, got {_some(unknown)}")
    for name, tensor in wanted.items():
        array, kind = arrays[name], np.int64 if tensor.index else np.float32
        shape = _check_lengths(plan, tensor, arrays) if tensor.ragged else (*_lead(plan, tensor), *tensor.shape)
        if array.shape != shape or array.dtype != kind:
            raise UserError(f"its {name!r} must be {np.dtype(kind)} {shape}, got {array.dtype} {array.shape}")
        if fault := tensor.fault(array):
            raise UserError(f"its {name!r} must {fault}")
    if name := _not_finite(plan, arrays):
        raise UserError(f"its {name!r} must be finite, got NaN or infinity")
    for value, places in _partners(plan).items():
        if value.name in wanted and not np.array_equal(arrays[LENGTHS + value.name], arrays[LENGTHS + places.name]):
            raise UserError(f"its {value.name!r} must be as long as its {places.name!r}, got another length")
    for call in plan.forward:
        if call.name in TRACES:
            _check_trace(*(call.tensors[name].name for name in TRACES[call.name]), arrays)
        elif call.name in APPENDED:
            _check_appended(call, arrays, used)


def _check_trace(dense, listed, arrays):
    """Raises UserError where the list names an entry twice, or an entry that is not 0 is not in it."""
    trace, lengths = arrays[dense], arrays[LENGTHS + listed]
    seen = np.zeros(trace.shape, bool)
    seen[np.repeat(np.arange(len(trace)), lengths), arrays[listed]] = True
    if seen.sum() != lengths.sum() or trace[~seen].any():
        raise UserError(f"its {listed!r} must name each entry of its {dense!r} that is not 0 once, got others")


def _check_appended(call, arrays, used):
    """Raises UserError where what was appended to a context does not lie within it."""
    start, index = (call.tensors[name].name for name in ("start", "index"))
    ends, lengths = arrays[start][..., 0] + call.consts[APPENDED[call.name]], arrays[LENGTHS + index]  # (slots, S*X)
    bad = (ends > lengths) & (lengths > 0)  # 0: of a step that never was
    if bad.any() or (ends > lengths)[used].any():
        raise UserError(f"its {start!r} must be where a list begins that ends within its {index!r}, got others")


def write_tensors(plan: Plan, backend, arrays: dict[str, np.ndarray]):
    """Puts arrays in that `check_tensors` has nothing against."""
    for tensor in _kept(plan):
        array = arrays[tensor.name]
        if tensor.ragged:
            parts = plan.units * tensor.sites
            lengths = arrays[LENGTHS + tensor.name].reshape(-1, parts)  # (slots, S*X)
            lists = np.split(array, np.cumsum(lengths)[:-1])
            slots = [lists[n * parts : (n + 1) * parts] for n in range(len(lengths))]
        else:
            slots = array if tensor.storage == TAPE else [array]
        for slot, value in enumerate(slots):
            backend.write(tensor.name, value, slot)


def _kept(plan) -> list[Tensor]:
    return plan.stored_in(*PARAMETERS, STATE, TAPE)



def _lead(plan, tensor) -> tuple[int, ...]:
    """What stands before the tensor's own shape."""
    if tensor.storage in PARAMETERS:
        return (plan.models,) if plan.models > 1 else ()
    parts = plan.units * tensor.sites
    return (plan.slots, parts) if tensor.storage == TAPE else (parts,)


def _bare(tensor, array):
    return np.ascontiguousarray(array, np.int64 if tensor.index else np.float32)


def _partners(plan) -> dict[Tensor, Tensor]:
    """For ragged values, the list of places that they stand beside in some call: only it knows how many of them
    count."""
    found = {}
    for call in plan.forward + plan.learn:
        ragged = [t for t in call.tensors.values() if isinstance(t, Tensor) and t.ragged]
        for value in (t for t in ragged if not t.index):
            for places in ragged:
                if places.index and (places.storage, places.shape) == (value.storage, value.shape):
                    found[value] = places
    return found


def _check_lengths(plan, tensor, arrays) -> tuple[int]:
    """The shape of the lists one behind the other, as their lengths say."""
    lengths = arrays[LENGTHS + tensor.name]
    good = lengths.dtype == np.int64 and lengths.shape == _lead(plan, tensor)
    if not good or lengths.min() < 0 or lengths.max() > tensor.size:
        raise UserError(f"its {LENGTHS + tensor.name!r} must be {_lead(plan, tensor)} lengths from 0 to {tensor.size}, "
                        "got others")
    return (int(lengths.sum()),)


def _not_finite(plan, arrays) -> str | None:
    return next((t.name for t in plan.stored_in(*PARAMETERS) if not np.isfinite(arrays[t.name]).all()), None)


def _some(names, most=3):
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(map(repr, names[:most])) + more
