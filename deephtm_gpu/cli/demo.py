"""`deephtm demo`: an experiment from end to end, with a picture and the figures it reached beside the trivial ones."""

import json
import math
import time
from dataclasses import asdict
from pathlib import Path

from deephtm_gpu.errors import UserError

# The core and matplotlib are imported where a demo runs: its --help is to answer at once.

CHECKPOINTS = (1000, 4000, 10000)  # steps, those of the forum post's pictures
MOST_STEPS = 10_000_000  # a whole run is kept in memory


def add_arguments(parser):
    parser.add_argument("name", metavar="NAME", help=f"which demo: {', '.join(DEMOS)}")
    parser.add_argument("--steps", type=int, default=10000, metavar="N", help="how many steps to learn (10000)")
    parser.add_argument("--device", default="auto", metavar="D", help="auto, gpu, numpy, or part of a name (auto)")
    parser.add_argument("--seed", type=int, default=0, metavar="S", help="of the weights at the start (0)")
    parser.add_argument("--headless", action="store_true", help="open no window (there is none yet)")
    parser.add_argument("--out", default="out", metavar="DIR", help="where NAME.png and NAME.json go (out)")
    parser.add_argument("--period", type=float, default=50.0, metavar="P", help="sine: steps per period (50)")
    parser.add_argument("--winners", type=int, default=5, metavar="K", help="sine: winning columns (5; 10 is better)")


def run(args) -> int:
    """Runs the demo and writes its picture and figures. Raises UserError, DeviceError, TrainingError."""
    if args.name not in DEMOS:
        there = ", ".join(map(repr, DEMOS))
        raise UserError(f"The demo {args.name!r} was asked for; there is {there}: choose from these.")
    if not 1 <= args.steps <= MOST_STEPS:
        raise UserError(f"--steps {args.steps} was asked for; give 1 to {MOST_STEPS:,} steps.")
    return DEMOS[args.name](args)


def sine_demo(args) -> int:
    """The post's experiment: a sine, learned online by one stream."""
    import deephtm_gpu as dh
    from deephtm_gpu.data.sine import memoryless_floor, persistence_rmse, sine
    from deephtm_gpu.view.files import make_folder
    from deephtm_gpu.view.prediction import prediction_figure
    from deephtm_gpu.view.scores import LAST, errors, rmse_after
    from deephtm_gpu.view.structure import structure_rows

    if args.period > LAST:
        raise UserError(f"--period {args.period:g} was asked for; errors are averaged over {LAST} steps, which must hold a "
                        f"whole period: give at most {LAST}.")
    series = sine(args.steps, args.period)  # (T, 1)
    floor, persistence = memoryless_floor(args.period), persistence_rmse(args.period)
    model = dh.Model(_sine_network(args.winners), input_shape=(1,), loss="mse", optimizer=dh.PolyakSGD(),
                     seed=args.seed, device=args.device)
    folder = make_folder(args.out)  # before the learning: a run is not to be lost for want of a folder

    start = time.perf_counter()
    history = model.fit(series, progress=True)
    seconds = time.perf_counter() - start

    checkpoints = [steps for steps in CHECKPOINTS if steps < args.steps] + [args.steps]
    off = errors(series, history.prediction)
    reached = [_number(rmse_after(off, steps)) for steps in checkpoints]
    report = {
        "demo": args.name,
        "version": dh.__version__,
        "settings": {setting: getattr(args, setting) for setting in ("steps", "period", "winners", "seed", "device")},
        "network": [layer.repr for layer in model.layers()],
        "device": asdict(model.device),
        "checkpoints": [{"steps": steps, f"rmse_last_{LAST}": rmse} for steps, rmse in zip(checkpoints, reached)],
        f"rmse_last_{LAST}": reached[-1],
        "baselines": {"memoryless_floor": floor, "persistence": persistence},
        "seconds": seconds,
        "steps_per_second": args.steps / seconds,
    }
    figure = prediction_figure(
        series, history.prediction, history.anomaly, checkpoints, floor, persistence, structure_rows(model.layers(), (1,)),
        title=f"DeepHTM learns a sine of period {args.period:g} online, one step at a time")
    _write(folder, report, figure)

    print(f"{'RMSE, last ' + str(LAST):>14} {'model':>9} {'memoryless floor':>17} {'persistence':>12}")
    for steps, rmse in zip(checkpoints, reached):
        model_rmse = "-" if rmse is None else f"{rmse:.4f}"
        print(f"{f'after {steps:,}':>14} {model_rmse:>9} {floor:17.4f} {persistence:12.4f}")
    if args.steps < LAST:
        print(f"(Fewer than {LAST} steps: the trivial figures are means over whole periods and do not compare yet.)")
    print(f"{args.steps / seconds:,.0f} steps/s on {model.device.name} ({model.device.backend}, {model.device.kind})")
    if not args.headless:
        print("The live window is not there yet; this run was headless.")
    print(f"Picture: {folder / (args.name + '.png')}   figures: {folder / (args.name + '.json')}")
    return 0


DEMOS = {"sine": sine_demo}


def _sine_network(winners):
    import deephtm_gpu as dh

    return dh.Sequential(
        dh.Linear(256), dh.ReLU(),
        dh.Linear(256), dh.ReLU(), dh.RunningNorm(),
        dh.SpatialPooler(columns=256, winners=winners),
        dh.TemporalMemory(cells_per_column=5, decay=0.8),
        dh.Linear(256), dh.ReLU(),
        dh.Linear(1),
    )


def _write(folder: Path, report, figure):
    """folder/NAME.png and folder/NAME.json, each whole or not at all."""
    from deephtm_gpu.view.files import save_figure, write_whole

    save_figure(figure, folder / f"{report['demo']}.png")
    write_whole(folder / f"{report['demo']}.json", (json.dumps(report, indent=2, allow_nan=False) + "\n").encode())


def _number(value):
    """A float as JSON knows it: null where there is none."""
    return value if math.isfinite(value) else None
