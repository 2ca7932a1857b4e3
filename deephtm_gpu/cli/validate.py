"""`deephtm validate`: every op and whole networks on a device, against the NumPy reference in float64."""

from itertools import chain

from deephtm_gpu.cli.files import check_json, write_json
from deephtm_gpu.errors import UserError


def add_arguments(parser):
    parser.add_argument("--device", default="gpu", help="gpu (the best adapter), part of an adapter's name, cpu, or "
                                                        "numpy: float32 against float64")
    parser.add_argument("--check", action="store_true",
                        help="with --device cpu: lane by lane, every access to memory watched; finds wrong indices, "
                             "unwritten workgroup memory and missing barriers")
    parser.add_argument("--json", metavar="FILE", help="write the table there as well")


def run(args) -> int:
    """Prints a table; 0 only if all checks hold, 1 if one does not. Raises DeviceError where there is no such
    device."""
    from deephtm_gpu.backends.devices import open_device

    check_json(args.json)
    if args.check:
        return _check(args)
    opened = open_device("gpu" if args.device == "auto" else args.device)
    from deephtm_gpu.validate import check_networks, check_ops

    info, adapter = opened.info, getattr(opened.backend, "adapter", None)
    driver = f"; {adapter.driver}" if adapter else ""
    print(f"{info.name} ({info.backend}, {info.kind}{driver}) in float32 against the NumPy reference in float64\n")
    checks = _told(chain(_probes(adapter), check_ops(opened.backend), check_networks(opened.backend)))
    return _verdict(args, checks, info, driver)


def _check(args) -> int:
    from deephtm_gpu.backends.lanes.backend import LANES, OnLanes
    from deephtm_gpu.validate.lanes import check_lanes

    if args.device != "cpu":
        raise UserError(f"--check needs --device cpu, got --device {args.device}; what it finds holds for every "
                        "device.")
    print(f"The shaders with {LANES} lanes, one after the other between barriers, every access to memory watched\n")
    return _verdict(args, _told(check_lanes()), OnLanes.info, "")


def _told(found) -> list:
    checks = []
    for check in found:
        checks.append(check)
        print(_line(check), flush=True)
    return checks


def _verdict(args, checks, info, driver) -> int:
    failed = [c.name for c in checks if not c.holds]
    trials = sum(c.trials for c in checks)
    verdict = "all hold" if not failed else f"{len(failed)} do NOT hold: {', '.join(failed)}"
    print(f"\n{len(checks)} checks, {trials} comparisons: {verdict}.")
    if args.json:
        write_json(args.json, _as_dict(info, driver.removeprefix("; "), checks))
    return 1 if failed else 0


def _probes(adapter):
    """What the engine takes for granted of a GPU."""
    if adapter is None:
        return ()
    from deephtm_gpu.validate.probes import check_probes

    return check_probes(adapter)


def _line(check) -> str:
    mark = "ok  " if check.holds else "FAIL"
    figures = "" if check.kind == "probe" else f"error {check.error:8.1e} (limit {check.limit:.0e})  "
    worst = f": {check.worst}" if not check.holds and check.worst else ""
    return f"{mark} {check.kind:8s}{check.name:36s} {figures}{check.where}{worst}"


def _as_dict(info, driver, checks):
    described = {k: getattr(info, k) for k in ("name", "backend", "kind")} | {"driver": driver}
    return {"adapter": described, "holds": all(c.holds for c in checks), "checks": [c.as_dict() for c in checks]}
