"""What kernels need to know of an adapter: how wide workgroups are, how large work must be to be shared out, what is
faster."""

from dataclasses import dataclass, replace

MOST_LANES = 256  # that every adapter can do
# the feature: storage textures of vec4<f32> that are read and written
TEXTURES = "texture-adapter-specific-format-features"


@dataclass(frozen=True)
class Tuning:
    """What depends on the kind of adapter; measured on llvmpipe and on an NVIDIA H100. lanes: invocations of a
    workgroup. wide: multiply-adds of a stream from which an op gets workgroups of its own. grain: multiply-adds that
    make a workgroup worth its while. loops: how many iterations an invocation may go through in a dispatch; None: no
    limit. textures: whether these are faster to load from than buffers.

    Of a step's time, to choose between one persistent dispatch and several (in units of a multiply-add in one
    workgroup): dispatch: what one costs beside its work; workgroups: how many run at once."""

    lanes: int
    wide: int = 16384
    grain: int = 8192
    loops: int | None = None
    textures: bool = False
    dispatch: int = 100_000
    workgroups: int = 64


# On an H100 of the choices 64, 128, 256 lanes, wide 512, 2,048, 16,384 and grain 256, 1,024, 8,192 these gave the most
# frames/s of images (614 after 456) and of the post's network in several dispatches. 256 lanes are 14 % faster for one
# model in one dispatch, 64 faster for a population.
HARDWARE = Tuning(lanes=128, wide=2048, grain=256)
# llvmpipe runs eight lanes at once, and every barrier costs it a switch per eight. It silently leaves loops after
# 65,536 iterations in all.
SOFTWARE = Tuning(lanes=8, loops=60_000, workgroups=2)
LLVMPIPE = replace(SOFTWARE, textures=True)
STEP_OF_AN_OP = 1000  # the overhead of an op, in multiply-adds


def tuning_of(adapter) -> Tuning:
    """adapter: an AdapterInfo."""
    if adapter.kind == "hardware":
        return HARDWARE
    return LLVMPIPE if "llvmpipe" in adapter.name.lower() and TEXTURES in adapter.features else SOFTWARE
