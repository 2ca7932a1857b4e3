"""`deephtm bench`: measures row after row and tells them as lines of text and as data."""

import os
import platform
import sys

from deephtm_gpu.backends.wgpu.adapters import choose_device
from deephtm_gpu.bench.speed import cases, elsewhere, kernels, roofline
from deephtm_gpu.bench.speed.timing import ROUNDS, SECONDS, interleave
from deephtm_gpu.errors import DeviceError, UserError

ROOM = 0.3  # of the computer's memory that a case on a software device or NumPy may take
TRIED = ("columns", "streams", "models")  # rows whose largest cases may have no room
HEADER = (f"{'':44s}{'steps/s':>11s}{'least':>11s}{'most':>11s}{'dispatches':>12s}{'KB/step':>10s}{'kMAC/step':>11s}{'share':>8s}{'MiB':>8s}"
          f"{'first, s':>10s}")


def run(devices: list[str], only: str | None, say, seconds=SECONDS):
    """devices: device strings. only: part of a row's name. say(line) prints. Yields one dictionary per figure."""
    everything = {device: cases.rows(device) for device in devices}
    names = [name for name in [*everything[devices[0]], "kernels", "tinygrad"] if only is None or only in name]
    if not names:
        raise UserError(f"--rows {only} was asked for; there are {', '.join([*everything[devices[0]], 'kernels', 'tinygrad'])}.")
    say(_method(devices, seconds))
    for name in names:
        if name == "kernels":
            yield from _kernels(devices, say)
        elif name == "tinygrad":
            yield from _tinygrad(say)
        elif name == "post":
            yield from _row(name, [(d, c) for d in devices for c in everything[d][name]] + [("", c) for c in elsewhere.torch_cases()], say, seconds)
        else:
            for device in devices:
                yield from _row(name, [(device, c) for c in everything[device][name]], say, seconds)


    if (peak := _peak()) is not None:
        say(f"\nThe most memory that this process has taken: {peak / 2**20:,.0f} MiB")
        yield {"row": "peak memory", "bytes": peak}


def _peak() -> int | None:
    """Bytes; None where nobody knows (Windows)."""
    try:
        import resource
    except ImportError:
        return None
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if sys.platform == "darwin" else 1024 * most


def _method(devices, seconds):
    lines = [f"Whole online steps (forward, backward, update), the upload of the series and the reading back included. The cases of a table take turns; "
             f"{ROUNDS} runs of about {seconds:g} s each after a warm-up, here\ntheir median, least and most. With several streams or models: the steps of all of "
             "them together. KB, kMAC: bytes and thousand multiply-adds of a step by\nthe plan; share: of the time that a step takes, what it would take at the "
             "adapter's own copying and multiplying speed (above 100 %: it reads faster than it copies). first: from nothing to the first step's result,\ncompiling included. PyTorch and tinygrad take part where "
             "they are installed. A control is the same case once more."]
    for device in devices:
        adapter, _ = choose_device(device)
        if adapter is None:
            lines.append(f"{device}: NumPy on {platform.machine()}, Python {platform.python_version()}")
        else:
            best = roofline.measure(adapter)
            lines.append(f"{device}: {adapter.name} ({adapter.backend}, {adapter.kind}; {adapter.driver}); copies {best.bytes / 1e9:.2f} GB/s, "
                         f"{best.rate / 1e9:.2f} G multiply-adds/s")
    return "\n".join(lines)


def _row(name, chosen, say, seconds):
    say(f"\n{name}\n{HEADER}")
    fitting = []
    for device, case in chosen:
        if why := _no_room(name, device, case):
            say(f"{_called(device, case):44s}{why}")
            yield {"row": name, "case": case.name, "device": device, "left_out": why}
        else:
            fitting.append((device, case))
    # All at once where they are compared with each other; else one by one, for their memory.
    groups = [fitting] if name not in TRIED else [[pair] for pair in fitting]
    for group in groups:
        try:
            timings = interleave([c for _, c in group], seconds=seconds)
        except DeviceError as error:
            for device, case in group:
                say(f"{_called(device, case):44s}left out: {error}")
                yield {"row": name, "case": case.name, "device": device, "left_out": str(error)}
            continue
        for (device, case), (_, opened, timed) in zip(group, timings):
            told = {"row": name, "case": case.name, "device": device, "steps_per_second": timed.runs, "median": timed.median,
                    "steps_of_a_run": timed.steps, "side_by_side": opened.width, "first_step_seconds": timed.first, **_cost(opened, device, timed.median)}
            say(_line(_called(device, case), told))
            yield told


def _called(device, case):
    return f"{device:6s} {case.name}" if device else case.name


def _cost(opened, device, rate) -> dict:
    if opened.model is None:
        return {}
    backend, plan = opened.model.session.backend, opened.model.session.plan
    costs = kernels.cost_of_step(plan)
    told = {"dispatches_per_step": backend.dispatches, "bytes_per_step": sum(c.bytes for c in costs),
            "multiply_adds_per_step": sum(c.work for c in costs), "device_bytes": getattr(backend, "bytes", None)}
    adapter, _ = choose_device(device)
    if adapter is not None:
        told["share_of_roofline"] = roofline.measure(adapter).share(told["bytes_per_step"], told["multiply_adds_per_step"], rate)
    return told


def _line(name, told):
    def shown(key, scale=1.0, form=",.0f"):
        value = told.get(key)
        return "-" if value is None else format(value * scale, form)

    runs = told["steps_per_second"]
    return (f"{name:44s}{told['median']:11,.0f}{min(runs):11,.0f}{max(runs):11,.0f}{shown('dispatches_per_step', form='.2f'):>12s}"
            f"{shown('bytes_per_step', 1e-3):>10s}{shown('multiply_adds_per_step', 1e-3):>11s}{shown('share_of_roofline', form='.1%'):>8s}"
            f"{shown('device_bytes', 2**-20):>8s}{told['first_step_seconds']:10.2f}")


def _no_room(name, device, case) -> str | None:
    """Why the case is left out; None where it is not."""
    if name not in TRIED or not device:
        return None
    need, room = case.bytes(), _memory(device)
    if room is not None and need > ROOM * room:
        return f"left out: it takes {need / 2**30:.1f} GiB, and {ROOM * room / 2**30:.1f} GiB are spared for it here"
    return None


def _memory(device) -> int | None:
    """Bytes of the computer's memory, where the model lies in it; None where it does not, or nobody knows."""
    adapter, _ = choose_device(device)
    if adapter is not None and adapter.kind == "hardware":
        return None
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):  # Windows
        return None


def _kernels(devices, say):
    """The step of the post's network op by op, and what becomes of it with more columns."""
    for device in devices:
        if choose_device(device)[0] is None:
            continue
        columns = cases.COLUMNS
        told = {}
        for c in columns:
            try:
                opened = cases.rows(device)["columns"][columns.index(c)].open()
            except DeviceError as error:
                say(f"{c:,} columns: {error}")
                continue
            opened.run(64)
            told[c] = kernels.by_name(kernels.time_ops(opened.model.session.backend))
            del opened
        say(f"\nkernels: {device}, the post's network with {cases.SPARSE} synapses a cell, microseconds of each op inside a kernel (KB by the plan)\n"
            f"{'':34s}" + "".join(f"{f'{c:,} columns':>22s}" for c in told))
        if not told:
            continue
        first = next(iter(told.values()))
        for op in sorted(first, key=lambda op: -max(t[op].microseconds for t in told.values())):
            say(f"{op:34s}" + "".join(f"{t[op].microseconds:12.1f} ({t[op].bytes / 1e3:7,.0f})" for t in told.values()))
        say(f"{'all':34s}" + "".join(f"{sum(o.microseconds for o in t.values()):12.1f} ({sum(o.bytes for o in t.values()) / 1e3:7,.0f})" for t in told.values()))
        for c, ops in told.items():
            yield {"row": "kernels", "device": device, "columns": c, "ops": {n: vars(o) for n, o in ops.items()}}


def _tinygrad(say):
    say("\ntinygrad")
    rate = elsewhere.tinygrad_rate()
    if rate is None:
        say("not here; it takes tinygrad, and dawn-python for the WebGPU library")
        return
    value, bound = rate
    say(f"{'tinygrad, WebGPU':44s}{'fewer than ' if bound else ''}{value:.3g} steps/s")
    yield {"row": "tinygrad", "median": value, "bound": bound}
