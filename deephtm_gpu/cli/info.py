"""`deephtm info`: the adapters of this machine, and which one "auto" takes and why."""

from deephtm_gpu.backends.choice import choose_device
from deephtm_gpu.backends.wgpu.adapters import INSTALL, list_adapters
from deephtm_gpu.cli.files import write_json

# These decide whether a network fits and which kernels can run. The JSON file has all limits.
LIMITS = {
    "max-storage-buffer-binding-size": "bytes in one binding",
    "max-buffer-size": "bytes in one buffer",
    "max-storage-buffers-per-shader-stage": "storage buffers",
    "max-compute-workgroup-storage-size": "bytes of workgroup memory",
    "max-compute-invocations-per-workgroup": "invocations in a workgroup",
}
FEATURES = ("shader-f16", "subgroup", "timestamp-query")


def add_arguments(parser):
    parser.add_argument("--json", metavar="FILE", help="also write everything, all limits and features too, to FILE")


def run(args) -> int:
    """Prints a table. Returns 0 without an adapter too: the processor runs there. Raises UserError."""
    adapters = list_adapters()
    chosen = choose_device("auto")
    for adapter in adapters:
        print(_describe(adapter))
    if not adapters:
        print(f"no adapters found; to get one, {INSTALL}")
    print(f"\nauto takes {chosen.name}: {chosen.why}")
    if args.json:
        write_json(args.json, {
            "adapters": [_as_dict(a) for a in adapters],
            "auto": {"name": chosen.name, "reason": chosen.why},
        })
    return 0


def _describe(adapter):
    lines = [f"{adapter.name}: {adapter.backend}, {adapter.kind}, driver {adapter.driver or 'unnamed'}"]
    lines += [f"  {adapter.limits[key]:>14,} {what}" for key, what in LIMITS.items() if key in adapter.limits]
    lines += [f"  {'yes' if feature in adapter.features else 'no':>14} {feature}" for feature in FEATURES]
    return "\n".join(lines)


def _as_dict(adapter):
    return {key: getattr(adapter, key) for key in ("name", "backend", "kind", "driver", "limits", "features")}
