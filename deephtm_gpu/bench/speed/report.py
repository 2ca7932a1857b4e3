"""`deephtm bench`: measures the rows one after the other, and reports them as lines of text and as data."""

import os
import platform
import sys

from deephtm_gpu.backends.choice import choose_device
from deephtm_gpu.bench.speed import cases, elsewhere, kernels, roofline
from deephtm_gpu.bench.speed.timing import ROUNDS, SECONDS, interleave
from deephtm_gpu.errors import DeviceError, UserError

MEMORY_SHARE = 0.3  # the part of the computer's memory that a case on a software device or NumPy may take
LARGE = ("columns", "streams", "models")  # rows whose largest cases may not fit into the memory
HEADER = (f"{'':44s}{'steps/s':>11s}{'least':>11s}{'most':>11s}{'dispatches':>12s}{'KB/step':>10s}{'kMAC/step':>11s}"
          f"{'share':>8s}{'MiB':>8s}{'first, s':>10s}")
METHOD = """Whole online steps (forward, backward, update), including the upload of the series and the reading of
results. The cases of a table take turns; {rounds} runs of about {seconds:g} s each after a warm-up, here their
median, least and most. With several streams or models: the steps of all of them together. KB, kMAC: bytes and
thousand multiply-adds of a step by the plan; share: of the time of a step, the time that it would take at the
adapter's own copying and multiplying speed (above 100 %: it reads faster than it copies). first: seconds from nothing
to the result of the first step, including compilation. PyTorch and tinygrad are measured if they are installed. A
control is the same case once more."""


def run(devices: list[str], only: str | None, say, seconds=SECONDS):
    """devices: device strings. only: part of a row's name. say(line) prints. Yields one dictionary for each figure."""
    rows = {device: cases.rows(device) for device in devices}
    every = [*rows[devices[0]], "kernels", "tinygrad"]
    names = [name for name in every if only is None or only in name]
    if not names:
        raise UserError(f"--rows must be part of one of the names {', '.join(every)}, got {only}.")
    say(_method(devices, seconds))
    for name in names:
        if name == "kernels":
            yield from _kernels(devices, say)
        elif name == "tinygrad":
            yield from _tinygrad(say)
        elif name == "post":
            ours = [(d, c) for d in devices for c in rows[d][name]]
            yield from _row(name, ours + [("", c) for c in elsewhere.torch_cases()], say, seconds)
        else:
            for device in devices:
                yield from _row(name, [(device, c) for c in rows[device][name]], say, seconds)

    if (peak := _peak()) is not None:
        say(f"\nPeak memory of this process: {peak / 2**20:,.0f} MiB")
        yield {"row": "peak memory", "bytes": peak}


def _peak() -> int | None:
    """The largest memory of this process in bytes; None if the system does not report it (Windows)."""
    try:
        import resource
    except ImportError:
        return None
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if sys.platform == "darwin" else 1024 * most


def _method(devices, seconds):
    lines = [METHOD.format(rounds=ROUNDS, seconds=seconds)]
    for device in devices:
        adapter = choose_device(device).adapter
        if adapter is None:
            lines.append(f"{device}: {choose_device(device).name} on {platform.machine()}, Python "
                         f"{platform.python_version()}")
        else:
            best = roofline.measure(adapter)
            lines.append(f"{device}: {adapter.name} ({adapter.backend}, {adapter.kind}; {adapter.driver}); copies "
                         f"{best.bytes / 1e9:.2f} GB/s, {best.rate / 1e9:.2f} G multiply-adds/s")
    return "\n".join(lines)


def _row(name, pairs, say, seconds):
    """pairs: (device, case). Yields one dictionary for each."""
    say(f"\n{name}\n{HEADER}")
    fitting = []
    for device, case in pairs:
        if reason := _too_large(name, device, case):
            yield _left_out(name, device, case, reason, say)
        else:
            fitting.append((device, case))
    # All at once if they are compared with each other; else one after the other, to save memory.
    groups = [fitting] if name not in LARGE else [[pair] for pair in fitting]
    for group in groups:
        try:
            timings = interleave([c for _, c in group], seconds=seconds)
        except DeviceError as error:
            for device, case in group:
                yield _left_out(name, device, case, str(error), say)
            continue
        for (device, case), (_, opened, timed) in zip(group, timings):
            figures = {
                "row": name,
                "case": case.name,
                "device": device,
                "steps_per_second": timed.runs,
                "median": timed.median,
                "steps_of_a_run": timed.steps,
                "side_by_side": opened.width,
                "first_step_seconds": timed.first,
                **_cost(opened, device, timed.median),
            }
            say(_line(_label(device, case), figures))
            yield figures


def _left_out(name, device, case, reason, say):
    say(f"{_label(device, case):44s}left out: {reason}")
    return {"row": name, "case": case.name, "device": device, "left_out": reason}


def _label(device, case):
    return f"{device:6s} {case.name}" if device else case.name


def _cost(opened, device, rate) -> dict:
    if opened.model is None:
        return {}
    backend, plan = opened.model.session.backend, opened.model.session.plan
    costs = kernels.cost_of_step(plan)
    work, size = sum(c.work for c in costs), sum(c.bytes for c in costs)
    figures = {"dispatches_per_step": backend.dispatches, "bytes_per_step": size, "multiply_adds_per_step": work,
               "device_bytes": getattr(backend, "bytes", None)}
    adapter = choose_device(device).adapter
    if adapter is not None:
        figures["share_of_roofline"] = roofline.measure(adapter).share(size, work, rate)
    return figures


def _line(name, figures):
    def shown(key, width, scale=1.0, form=",.0f"):
        value = figures.get(key)
        return f"{'-' if value is None else format(value * scale, form):>{width}s}"

    runs = figures["steps_per_second"]
    return (f"{name:44s}{figures['median']:11,.0f}{min(runs):11,.0f}{max(runs):11,.0f}"
            + shown("dispatches_per_step", 12, form=".2f") + shown("bytes_per_step", 10, 1e-3)
            + shown("multiply_adds_per_step", 11, 1e-3) + shown("share_of_roofline", 8, form=".1%")
            + shown("device_bytes", 8, 2**-20) + f"{figures['first_step_seconds']:10.2f}")


def _too_large(name, device, case) -> str | None:
    """Why the case is left out; None if it fits into the memory."""
    if name not in LARGE or not device:
        return None
    need, memory = case.bytes(), _memory(device)
    if memory is not None and need > MEMORY_SHARE * memory:
        return f"it takes {need / 2**30:.1f} GiB, and the limit here is {MEMORY_SHARE * memory / 2**30:.1f} GiB"
    return None


def _memory(device) -> int | None:
    """Bytes of the computer's memory if the model is in it; None if it is not, or the system does not report them."""
    adapter = choose_device(device).adapter
    if adapter is not None and adapter.kind == "hardware":
        return None
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):  # Windows
        return None


def _kernels(devices, say):
    """The time of each op of the post's network, with several numbers of columns."""
    for device in devices:
        if choose_device(device).adapter is None:
            continue
        costs = _op_costs(device, say)
        say(f"\nkernels: {device}, the post's network with {cases.SPARSE} synapses a cell, microseconds of each op "
            f"inside a kernel (KB by the plan)\n{'':34s}" + "".join(f"{f'{c:,} columns':>22s}" for c in costs))
        if not costs:
            continue
        first = next(iter(costs.values()))
        for op in sorted(first, key=lambda op: -max(ops[op].microseconds for ops in costs.values())):
            say(f"{op:34s}" + "".join(_time_and_bytes([ops[op]]) for ops in costs.values()))
        say(f"{'all':34s}" + "".join(_time_and_bytes(ops.values()) for ops in costs.values()))
        for c, ops in costs.items():
            yield {"row": "kernels", "device": device, "columns": c, "ops": {n: vars(o) for n, o in ops.items()}}


def _op_costs(device, say):
    """Number of columns -> name of the op -> OpCost."""
    costs = {}
    for c, case in zip(cases.COLUMNS, cases.rows(device)["columns"]):
        try:
            opened = case.open()
        except DeviceError as error:
            say(f"{c:,} columns: {error}")
            continue
        opened.run(64)
        costs[c] = kernels.by_name(kernels.time_ops(opened.model.session.backend))
        del opened
    return costs


def _time_and_bytes(ops):
    return f"{sum(o.microseconds for o in ops):12.1f} ({sum(o.bytes for o in ops) / 1e3:7,.0f})"


def _tinygrad(say):
    say("\ntinygrad")
    rate = elsewhere.tinygrad_rate()
    if rate is None:
        say("not installed; it needs tinygrad, and dawn-python for the WebGPU library")
        return
    value, bound = rate
    say(f"{'tinygrad, WebGPU':44s}{'fewer than ' if bound else ''}{value:.3g} steps/s")
    yield {"row": "tinygrad", "median": value, "bound": bound}
