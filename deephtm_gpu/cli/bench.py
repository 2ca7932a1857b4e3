"""`deephtm bench`: how fast it is here, how well it learns, how well it finds anomalies, and what its parts
contribute."""

from deephtm_gpu.cli.files import check_json, write_json

LEARNING = ("accuracies are of the last 200 queries. After a figure: its bound; below it: what trivial\npredictors "
            "reach on the same series. A control is the network with a part taken out.\n")
FLOW = ("accuracies are of the last 200 queries, recognition and prediction in per cent, right where the truth has a "
        "probability of .9. After a figure:\nits bound. The ideal observer knows the objects and the noise. A control "
        "is the same with a part taken out.\n")
IMAGES = ("errors are squared and summed over a frame, class accuracies those of the nearest mean picture; held-out "
          "sequences, predicted\nwithout learning by the averaged weights. After a figure: its bound; below it: what "
          "trivial predictors reach on the same sequences. A control\nis the network with a part taken out.\n")


MOST_RATIO = 1.02  # forecasts: the mixture's error over that of the best trivial forecast


def add_arguments(parser):
    parser.add_argument("what", nargs="?", choices=("speed", "learning", "anomalies", "flow", "images", "forecasts"),
                        default="speed", help="speed (the default), learning, anomalies, flow: grid cells, objects, "
                                              "levels; images; or forecasts")
    parser.add_argument("--device",
                        help="numpy, cpu, gpu or part of an adapter's name (speed, learning: numpy, cpu, and gpu "
                             "if there is an adapter; anomalies: cpu; else: numpy)")
    parser.add_argument("--seeds", type=int, default=5, metavar="N",
                        help="all but speed: how many seeds (5)")
    parser.add_argument("--first-seed", type=int, default=100, metavar="S", help="the first of them (100)")
    parser.add_argument("--rows", metavar="NAME",
                        help="speed, learning, flow, images: only the rows with this in their names, such as letters")
    parser.add_argument("--taxi", default="demos/data/nyc_taxi.csv", metavar="FILE.csv",
                        help="learning: the taxi series (demos/data/nyc_taxi.csv)")
    parser.add_argument("--data", default="demos/data", metavar="FOLDER",
                        help="anomalies, forecasts: the series (demos/data)")
    parser.add_argument("--json", metavar="FILE", help="also write the figures to FILE")


def run(args) -> int:
    """Prints the figures. Returns 1 if a row misses its bounds, else 0."""
    from deephtm_gpu.errors import UserError

    if args.seeds < 1:
        raise UserError(f"--seeds must be 1 or more, got {args.seeds}.")
    if args.first_seed < 0:
        raise UserError(f"--first-seed must be 0 or more, got {args.first_seed}.")
    check_json(args.json)
    seeds = range(args.first_seed, args.first_seed + args.seeds)
    devices = [args.device] if args.device else _here()
    if args.what == "speed":
        report, good = _speed(devices, args.rows)
    elif args.what == "learning":
        from deephtm_gpu.bench import learning

        report, good = _learning(devices, seeds, learning.rows(args.taxi, args.rows))
    elif args.what == "flow":
        from deephtm_gpu.bench import flow

        report, good = _learning(args.device and devices or ["numpy"], seeds, flow.rows(args.rows), "flow", FLOW)
    elif args.what == "images":
        from deephtm_gpu.bench import images

        report, good = _learning(args.device and devices or ["numpy"], seeds, images.rows(args.rows), "images", IMAGES)
        if not images.has_torch():
            print("PyTorch is not installed: without it there is neither its speed nor a ConvGRU to compare with.")
    elif args.what == "forecasts":
        report, good = _forecasts(args.data, seeds, args.device or "auto")
    else:
        report, good = _anomalies(args.data, seeds, args.device or _processor())
    if args.json:
        write_json(args.json, report)
    return 0 if good else 1


def _here() -> list[str]:
    from deephtm_gpu.backends.choice import no_compiler
    from deephtm_gpu.backends.wgpu.adapters import list_adapters

    return ["numpy", *([] if no_compiler() else ["cpu"]), *(["gpu"] if list_adapters() else [])]


def _processor() -> str:
    from deephtm_gpu.backends.choice import no_compiler

    return "numpy" if no_compiler() else "cpu"


def _speed(devices, only):
    from deephtm_gpu.bench.speed import report

    return {"speed": list(report.run(devices, only, lambda line: print(line, flush=True)))}, True


def _learning(devices, seeds, rows, what="learning", explanation=LEARNING):
    results, good = [], True
    print(f"Online, seeds {seeds[0]} to {seeds[-1]}; {explanation}")
    for device in devices:
        for row in rows:
            measured = [row.measure(seed, device) for seed in seeds]
            trivial = [row.baselines(seed) for seed in seeds]
            holds = row.holds(measured)
            good &= holds
            _print_row(device, row, measured, trivial, holds)
            results.append(
                {
                    "device": device,
                    "row": row.name,
                    "seeds": list(seeds),
                    "figures": measured,
                    "holds": holds,
                    "trivial": trivial,
                }
            )
    return {what: _finite(results)}, good


def _print_row(device, row, measured, trivial, holds):
    verdict = ("holds" if holds else "MISSED") + ("" if row.bounds else " (no bound)")
    print(f"{device:8s}{row.name:38s}{verdict}", flush=True)
    for name in measured[0]:
        values = [m[name] for m in measured]
        bounds = "; ".join(str(b) for b in row.bounds if b.figure == name)
        print(f"{'':10s}{name:36s}mean {_short(sum(values) / len(values)):>7s}  least {_short(min(values)):>7s}  most "
              f"{_short(max(values)):>7s}  {bounds}", flush=True)
    for name in trivial[0]:
        print(f"{'':12s}{name:34s}mean {_short(sum(t[name] for t in trivial) / len(trivial)):>7s}", flush=True)


def _short(value) -> str:
    if value == float("inf"):
        return "never"
    return f"{value:,.0f}" if value >= 100 else f"{value:.1e}" if 0 < abs(value) < 1e-3 else f"{value:.4f}"


def _finite(value):
    """Infinity, for a level that was never reached, becomes null in JSON."""
    if isinstance(value, dict):
        return {k: _finite(v) for k, v in value.items()}
    if isinstance(value, list):
        return [_finite(v) for v in value]
    return None if value == float("inf") else value


def _anomalies(folder, seeds, device):
    from deephtm_gpu.bench import anomalies
    from deephtm_gpu.novelty import QUIET, QUIET_SHARE

    series = anomalies.read(folder)
    windows = sum(len(s.where.windows) for s in series)
    print(f"{len(series)} of the 58 files of the Numenta Anomaly Benchmark, standard profile, {windows} anomalies: 100 "
          f"is perfect, 0 is no alarm at all. One threshold\nfor all files, the best one; learned online "
          f"{anomalies.AHEAD} rows ahead on {device}, seeds {seeds[0]} to {seeds[-1]}. Quiet: only a score above all "
          f"those of the last\n{QUIET} rows, or of the last {QUIET_SHARE:.0%} of all, counts. At 1/11: the quiet "
          "scores at Novelty's own threshold. Held out: the threshold is the best of the other\nfiles. ±: the "
          "standard deviation over the seeds.\n")
    names = "".join(f"{s.path.stem.split('_')[0]:>9s}" for s in series)
    print(f"{'':42s}{'as it is':>12s}{'quiet':>13s}{'at 1/11':>13s}{'held out':>13s}   quiet:{names}")
    results = []
    for detectors in (
        anomalies.trivial(series),
        anomalies.controls(series, seeds),
        anomalies.learned(series, seeds, device),
    ):
        for f in detectors:
            each = "".join(f"{x:9.1f}" for x in f.by_file)
            print(f"{f.name:42s}{_spread(f.plain):>12s}{_spread(f.quieted):>13s}{_spread(f.at_alarm):>13s}"
                  f"{_spread(f.held_out):>13s}{'':9s}{each}", flush=True)
            results.append(vars(f))
    return {"anomalies": results, "made": _made(seeds, device), "device": device, "seeds": list(seeds)}, True


def _made(seeds, device):
    from deephtm_gpu.bench import made_anomalies as made

    print(f"\nSeries made from the same seeds, {made.ROWS:,} rows with two anomalies each, threshold 1/11: score, "
          "anomalies found, false alarms in 10,000 rows.\n")
    print(f"{'':42s}" + "".join(f"{kind:>24s}" for kind in made.KINDS))
    results = [vars(found) for found in made.study(seeds, device)]
    for at in range(0, len(results), len(made.KINDS)):
        line = "".join(f"{r['score']:8.1f}{r['found']:6d} of {r['anomalies']:<3d}"
                       f"{1e4 * r['false_alarms'] / r['rows']:3.0f}" for r in results[at:at + len(made.KINDS)])
        print(f"{results[at]['detector']:42s}{line}", flush=True)
    return results


def _forecasts(folder, seeds, device):
    from itertools import groupby

    from deephtm_gpu.bench import forecasts

    print(f"Mean absolute errors from row {forecasts.LATE:,} on, learned online on {device}, means of seeds "
          f"{seeds[0]} to {seeds[-1]}; the bound is {MOST_RATIO} times the best\n"
          f"trivial forecast for every seed.\n\n{'series':40s}{'ahead':>5s}"
          f"{'network':>12s}{'trivial':>12s}{'mixture':>12s}{'ratio, worst':>14s}")
    results, good = [], True
    for (name, ahead), group in groupby(forecasts.run(folder, seeds, device), key=lambda f: (f.name, f.ahead)):
        each = list(group)
        worst = max(f.ratio for f in each)
        good &= worst <= MOST_RATIO
        network, trivial, mixture = (sum(f.errors[of or f.best] for f in each) / len(each)
                                     for of in ("network", None, "mixture"))
        print(f"{name:40s}{ahead:5d}{network:12.4g}{trivial:12.4g}{mixture:12.4g}{worst:14.4f}"
              f"{'' if worst <= MOST_RATIO else '  MISSED'}  {each[0].best}", flush=True)
        results += [f._asdict() | {"ratio": f.ratio} for f in each]
    return {"forecasts": _finite(results), "device": device}, good


def _spread(figures):
    import statistics

    if not figures:
        return ""
    return f"{statistics.mean(figures):5.1f}" + (
        f" ±{statistics.stdev(figures):4.1f}" if len(figures) > 1 else "      "
    )
