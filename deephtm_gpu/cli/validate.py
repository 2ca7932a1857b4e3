"""`deephtm validate`: every shader against the NumPy reference, on an adapter of this machine."""

from itertools import chain

from deephtm_gpu.cli.files import check_json, write_json


def add_arguments(parser):
    parser.add_argument("--device", default="gpu", help="gpu (the best adapter), or part of an adapter's name")
    parser.add_argument("--json", metavar="FILE", help="write the table there as well")


def run(args) -> int:
    """Prints a table. Returns 0 if all checks hold, else 1. Raises DeviceError if there is no such adapter."""
    from deephtm_gpu.backends.wgpu.adapters import choose_device
    from deephtm_gpu.errors import DeviceError

    adapter, why = choose_device("gpu" if args.device == "auto" else args.device)
    if adapter is None:
        raise DeviceError(f"--device must be a GPU adapter, got {args.device!r}; adapters are checked against NumPy: "
                          "give 'gpu' or part of an adapter's name.")
    check_json(args.json)
    from deephtm_gpu.validate import check_networks, check_ops, check_probes

    print(f"{adapter.name} ({adapter.backend}, {adapter.kind}; {adapter.driver})\n")
    checks = []
    for check in chain(check_probes(adapter), check_ops(adapter), check_networks(adapter)):
        checks.append(check)
        print(_line(check), flush=True)
    failed = [c.name for c in checks if not c.holds]
    trials = sum(c.trials for c in checks)
    verdict = "all hold" if not failed else f"{len(failed)} do NOT hold: {', '.join(failed)}"
    print(f"\n{len(checks)} checks, {trials} comparisons: {verdict}.")
    if args.json:
        write_json(args.json, _as_dict(adapter, checks))
    return 1 if failed else 0


def _line(check) -> str:
    mark = "ok  " if check.holds else "FAIL"
    figures = "" if check.kind == "probe" else f"error {check.error:8.1e} (limit {check.limit:.0e})  "
    worst = f": {check.worst}" if not check.holds and check.worst else ""
    return f"{mark} {check.kind:8s}{check.name:36s}{figures}{check.where}{worst}"


def _as_dict(adapter, checks):
    return {"adapter": {k: getattr(adapter, k) for k in ("name", "backend", "kind", "driver")},
            "holds": all(c.holds for c in checks), "checks": [c.as_dict() for c in checks]}
