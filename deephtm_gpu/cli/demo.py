"""`deephtm demo`: an experiment in a live window, or headless. Writes a picture, and the figures beside those of
trivial predictors.

Every demo is a file of `demos/` and a tutorial. Its `demo(steps=, seed=, device=, ...)` returns a Show (see
view/live/show.py), its `report(show)` the figures. `python demos/NAME.py` and `deephtm demo NAME` are the same.
"""

import argparse
import importlib.util
import inspect
import json
import math
import sys
import time
from dataclasses import asdict
from importlib import resources
from pathlib import Path

from deephtm_gpu.errors import UserError

# The core and matplotlib are imported only when a demo runs, so that --help is fast.

DEMOS = {
    "sine": "the first experiment: learn a sine",
    "jump": "a sine that jumps: an anomaly",
    "letters": "A B C D and X B C Y: the same letters light different cells",
    "taxi": "taxi passengers in New York, five half-hours ahead",
    "objects": "a column learns objects by touch, and recognises them",
    "hierarchy": "letters make words, words make phrases: two levels",
    "balls": "bouncing balls: images in, images out",
    "digits": "a grammar of handwritten digits, as images",
    "frames": "your own moving pictures: a folder, an animation, a video; give its PATH",
}
MAX_STEPS = 10_000_000  # a whole run is kept in memory
FIRST, CHUNK = 16, 512  # steps between two updates of the progress bar: the first, and the largest


def add_arguments(parser):
    choices = "; ".join(f"{name} ({what})" for name, what in DEMOS.items())
    parser.add_argument("name", metavar="NAME", help=f"which demo: {choices}")
    add_path(parser)
    add_options(parser)
    parser.add_argument("--period", type=float, metavar="P", help="sine: steps per period (50)")
    parser.add_argument("--winners", type=int, metavar="K", help="sine: winning columns (5; 10 is better)")


def add_path(parser):
    parser.add_argument("path", nargs="?", metavar="PATH", help="frames: the folder or file of the pictures")
    parser.add_argument("--size", type=int, metavar="N", help="frames: pixels along a side (32)")
    parser.add_argument("--colour", action="store_true", default=None, help="frames: in colour")


def add_options(parser):
    parser.add_argument("--steps", type=int, metavar="N", help="how many steps to learn (sine: 10000)")
    parser.add_argument("--device", metavar="D", help="auto, gpu, numpy, or part of a name (auto)")
    parser.add_argument("--seed", type=int, metavar="S", help="of the initial weights (0)")
    parser.add_argument("--headless", action="store_true", help="open no window")
    parser.add_argument("--record", action="store_true", help="headless, and writes an animated NAME.webp too")
    parser.add_argument("--theme", choices=("dark", "light"), default="dark", help="of the picture (dark)")
    parser.add_argument("--out", default="out", metavar="DIR", help="the folder for NAME.png and NAME.json (out)")


def run(args) -> int:
    """Runs the demo and writes its picture and figures. Raises UserError, DeviceError, TrainingError."""
    if args.name not in DEMOS:
        raise UserError(f"The demo must be one of {', '.join(map(repr, DEMOS))}, got {args.name!r}.")
    return _run_demo(args.name, _load(args.name), args)


def script(name, module) -> None:
    """Runs `python demos/NAME.py`: reads the command line, runs the demo, and exits. module: the globals() of the
    file."""
    from deephtm_gpu.cli.main import guarded

    parser = argparse.ArgumentParser(description=f"The demo {name}: {DEMOS[name]}.")
    if "path" in inspect.signature(module["demo"]).parameters:
        add_path(parser)
    add_options(parser)
    args = parser.parse_args()
    sys.exit(guarded(lambda: _run_demo(name, module, args)))


def demo_folder() -> Path:
    """`demos/`: in the installed package, or in the checkout."""
    packaged = Path(str(resources.files("deephtm_gpu") / "demos"))
    return packaged if packaged.is_dir() else Path(__file__).resolve().parents[2] / "demos"


def _load(name) -> dict:
    spec = importlib.util.spec_from_file_location(f"deephtm_demo_{name}", demo_folder() / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return vars(module)


def _run_demo(name, module, args) -> int:
    import deephtm_gpu as dh
    from deephtm_gpu.view.files import make_folder, save_figure, write_whole
    from deephtm_gpu.view.live.offscreen import Offscreen, as_png

    settings = _settings(name, module["demo"], args)
    if not 1 <= settings["steps"] <= MAX_STEPS:
        raise UserError(f"--steps must be from 1 to {MAX_STEPS:,}, got {settings['steps']}.")
    show = module["demo"](**settings)
    folder = make_folder(args.out)  # before the learning, so that a run is not lost to a missing folder

    ring, seconds, recorder = _learn(name, show, folder, args)
    rate = f"{show.done / seconds:,.0f} steps/s" if seconds else ""
    image = Offscreen(show.spec, ring, theme=args.theme).picture(f"step {show.done:,}   ·   {rate}")
    write_whole(folder / f"{name}.png", as_png(image))
    for other, figure in show.pictures().items():
        save_figure(figure, folder / f"{name}-{other}.png")
    if recorder:
        write_whole(folder / f"{name}.webp", recorder.webp())
    report = {
        "demo": name,
        "version": dh.__version__,
        "settings": settings,
        "network": [layer.repr for layer in show.model.layers()],
        "device": asdict(show.model.device),
        "steps": show.done,
        "baselines": {n.replace(" ", "_"): v for n, v in show.spec.lines.items()},
        **module["report"](show),
        "seconds": seconds,
        "steps_per_second": show.done / seconds if seconds else None,
    }
    write_whole(folder / f"{name}.json", (json.dumps(_as_json(report), indent=2, allow_nan=False) + "\n").encode())
    _print(report, folder / name, recorded=recorder is not None)
    return 0


def _settings(name, demo, args):
    """The arguments of demo(): from the command line, or its defaults."""
    settings = {}
    for parameter in inspect.signature(demo).parameters.values():
        given = getattr(args, parameter.name, None)
        if given is None and parameter.default is parameter.empty:
            raise UserError(f"The demo {name!r} must have a PATH, got none; give it, such as deephtm demo {name} "
                            "FOLDER.")
        settings[parameter.name] = parameter.default if given is None else given
    for option, shown in (("period", "--period"), ("winners", "--winners"), ("size", "--size"),
                          ("colour", "--colour"), ("path", "PATH")):
        if getattr(args, option, None) is not None and option not in settings:
            raise UserError(f"{shown} is no setting of the demo {name!r}; leave it out.")
    return settings


def _learn(name, show, folder, args):
    """Learns, in a window or headless. Returns the ring of the last steps, the seconds spent learning, and the Recorder
    or None."""
    if not (args.headless or args.record):
        from deephtm_gpu.view.live.window import LiveWindow, NoWindow

        try:
            window = LiveWindow(show, name, folder, args.theme)
        except NoWindow as reason:
            print(f"{reason}; continuing headless.", file=sys.stderr)
        else:
            window.run()
            return window.ring, window.training.seconds, None
    return _learn_headless(show, args)


def _learn_headless(show, args):
    from tqdm import tqdm

    from deephtm_gpu.view.live.record import Recorder

    ring, seconds, chunk = show.ring(), 0.0, FIRST
    recorder = Recorder(show, ring, args.theme) if args.record else None
    with tqdm(total=show.total, unit="step") as bar:
        while show.done < show.total:
            steps = min(chunk, recorder.until_next()) if recorder else chunk
            began = time.perf_counter()
            bar.update(show.advance(steps, ring))
            spent = time.perf_counter() - began
            seconds, chunk = seconds + spent, _next_chunk(steps, spent)
            if recorder:
                recorder.take_frame()
    return ring, seconds, recorder


def _next_chunk(steps, spent) -> int:
    """Steps that take about a second, after `steps` that took `spent` seconds. At most four times as many, for first
    steps are slow."""
    return max(1, min(CHUNK, 4 * steps, round(steps / max(spent, 1e-9))))


def _print(report, path, recorded):
    for label, value in report["shown"].items():
        print(f"{label}: {value}")
    baselines = report["baselines"].items()
    trivial = ", ".join(f"{label.replace('_', ' ')} "
                        f"{value:{'.4f' if value < 10 else ',.0f'}}" for label, value in baselines)
    if trivial:
        print(f"To compare: {trivial}.")
    device, rate = report["device"], report["steps_per_second"]
    speed = f", {rate:,.0f} steps/s" if rate else ""
    print(f"{report['steps']:,} steps{speed} on {device['name']} ({device['backend']}, {device['kind']})")
    print(f"Picture: {path}.png   figures: {path}.json" + (f"   animation: {path}.webp" if recorded else ""))


def _as_json(value):
    """The report for JSON: NaN and infinity become null, and "shown", which is only printed, is left out."""
    if isinstance(value, dict):
        return {key: _as_json(inner) for key, inner in value.items() if key != "shown"}
    if isinstance(value, (list, tuple)):
        return [_as_json(inner) for inner in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value
