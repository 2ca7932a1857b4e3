"""`deephtm bench`: how fast it is here, how well it learns, and how well it finds anomalies."""

from deephtm_gpu.cli.files import check_json, write_json


def add_arguments(parser):
    parser.add_argument("what", nargs="?", choices=("speed", "learning", "anomalies"), default="speed",
                        help="speed (the default), learning or anomalies")
    parser.add_argument("--device", help="numpy, gpu or part of an adapter's name (both numpy and gpu, as far as they are here)")
    parser.add_argument("--seeds", type=int, default=5, metavar="N", help="learning, anomalies: how many seeds (5)")
    parser.add_argument("--first-seed", type=int, default=100, metavar="S", help="the first of them (100)")
    parser.add_argument("--taxi", metavar="FILE.csv", help="learning: the taxi series too, such as demos/data/nyc_taxi.csv")
    parser.add_argument("--data", default="demos/data", metavar="FOLDER", help="anomalies: the labelled series (demos/data)")
    parser.add_argument("--json", metavar="FILE", help="write the figures there as well")


def run(args) -> int:
    """Prints the figures; 0 unless a learning row misses its bounds (1)."""
    from deephtm_gpu.backends.gpu.adapters import list_adapters
    from deephtm_gpu.errors import UserError

    if args.seeds < 1 or args.first_seed < 0:
        raise UserError(f"--seeds {args.seeds} from --first-seed {args.first_seed} were asked for; give one seed or more, from 0 or more.")
    check_json(args.json)
    seeds = range(args.first_seed, args.first_seed + args.seeds)
    devices = [args.device] if args.device else ["numpy"] + (["gpu"] if list_adapters() else [])
    if args.what == "speed":
        told, good = _speed(devices)
    elif args.what == "learning":
        told, good = _learning(devices, seeds, args.taxi)
    else:
        told, good = _anomalies(args.data, seeds, args.device or "numpy")
    if args.json:
        write_json(args.json, told)
    return 0 if good else 1


def _speed(devices):
    from deephtm_gpu.bench import speed

    print(f"The post's network, one stream: {speed.RUNS} runs of {speed.STEPS:,} online steps each (forward, backward, update), after "
          f"{speed.WARM_UP:,} steps of warm-up.\n")
    print(f"{'device':40s}{'steps/s: median':>16s}{'min':>9s}{'max':>9s}{'first step, s':>15s}{'dispatches/step':>17s}")
    told = []
    for device in devices:
        s = speed.measure(device)
        dispatches = "-" if s.dispatches is None else f"{s.dispatches}"
        print(f"{s.device:40s}{s.median:16,.0f}{min(s.runs):9,.0f}{max(s.runs):9,.0f}{s.first:15.2f}{dispatches:>17s}", flush=True)
        told.append({"device": s.device, "kind": s.kind, "steps_per_second": s.runs, "median": s.median,
                     "first_step_seconds": s.first, "dispatches_per_step": s.dispatches})
    return {"speed": told}, True


def _learning(devices, seeds, taxi):
    from deephtm_gpu.bench import learning

    told, good = [], True
    print(f"RMSE of the last {learning.LAST} of {learning.STEPS:,} online steps, seeds {seeds[0]} to {seeds[-1]}.\n")
    for device in devices:
        for row in learning.ROWS:
            errors = [learning.sine_rmse(row, seed, device) for seed in seeds]
            trivial = learning.baselines(row)
            holds = learning.holds(row, errors)
            good &= holds
            print(f"{device:8s}{row.name:36s}mean {sum(errors) / len(errors):.4f}  worst {max(errors):.4f}  best {min(errors):.4f}  "
                  f"{'holds' if holds else 'MISSED'}   " + ", ".join(f"{k} {v:.4f}" for k, v in trivial.items()), flush=True)
            told.append({"device": device, "row": row.name, "rmse": errors, "holds": holds, **trivial})
        jumps = [learning.phase_jump(seed, device) for seed in seeds]
        holds = all(j.holds() for j in jumps)
        good &= holds
        print(f"{device:8s}{'anomaly at a phase jump':36s}base {max(j.base for j in jumps):.3f} at most, at the jump "
              f"{min(j.at_jump for j in jumps):.3f} at least, z {min(j.z for j in jumps):.0f} at least  {'holds' if holds else 'MISSED'}", flush=True)
        told.append({"device": device, "row": "anomaly at a phase jump", "jumps": [vars(j) for j in jumps], "holds": holds})
        if taxi:
            row = _taxi(taxi, seeds, device)
            good &= row["holds"]
            told.append(row)
    return {"learning": told}, good


def _taxi(path, seeds, device):
    from deephtm_gpu.bench import learning

    parts = [learning.taxi(path, seed, device).late for seed in seeds]
    errors = [part["model"].percent for part in parts]
    trivial = {name: mape.percent for name, mape in parts[0].items() if name != "model"}
    holds = max(errors) <= learning.TAXI_MOST
    print(f"{device:8s}{'taxi, 5 ahead, MAPE from row 5,000':36s}mean {sum(errors) / len(errors):.2f} %  worst {max(errors):.2f} %  "
          f"best {min(errors):.2f} %  {'holds' if holds else 'MISSED'}   " + ", ".join(f"{k} {v:.2f} %" for k, v in trivial.items()), flush=True)
    return {"device": device, "row": "taxi", "mape": errors, "holds": holds, **trivial}


def _anomalies(folder, seeds, device):
    from deephtm_gpu.alarm import REST
    from deephtm_gpu.bench import anomalies

    series = anomalies.read(folder)
    windows = sum(len(s.where.windows) for s in series)
    print(f"Numenta Anomaly Benchmark, standard profile, {len(series)} files with {windows} anomalies: 100 perfect, 0 without an alarm. "
          f"One threshold for\nall files, the best there is; learned online {anomalies.AHEAD} rows ahead on {device}, seeds {seeds[0]} to "
          f"{seeds[-1]}. Rest: no alarm within {REST} rows of a higher\nor equal score. Held out: the threshold is the best of the other files. "
          "Behind the figures, the deviation over the seeds.\n")
    names = "".join(f"{s.path.stem.split('_')[0]:>9s}" for s in series)
    print(f"{'':42s}{'as it is':>12s}{'with rest':>13s}{'held out':>13s}   with rest:{names}")
    told = []
    for detectors in (anomalies.trivial(series), anomalies.controls(series, seeds), anomalies.learned(series, seeds, device)):
        for f in detectors:
            each = "".join(f"{x:9.1f}" for x in f.by_file)
            print(f"{f.name:42s}{_spread(f.plain):>12s}{_spread(f.rested):>13s}{_spread(f.held_out):>13s}{'':13s}{each}", flush=True)
            told.append(vars(f))
    return {"anomalies": told, "device": device, "seeds": list(seeds)}, True


def _spread(figures):
    import statistics

    return f"{statistics.mean(figures):5.1f}" + (f" ±{statistics.stdev(figures):4.1f}" if len(figures) > 1 else "      ")
