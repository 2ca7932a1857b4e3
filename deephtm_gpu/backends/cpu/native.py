"""Machine code: compiled once by LLVM, and kept on disk for the next process.

A file of the cache is named by what it was made of: the WGSL, the translator, the processor and LLVM's version. It
begins with the digest of the rest, so that a damaged one is seen and made anew; it is written beside its place and
moved there, so that two processes may write at once.
"""

import contextlib
import hashlib
import os
import platform
import sys
import tempfile
from functools import cache
from pathlib import Path

import llvmlite
import llvmlite.binding as llvm

_DIGEST = 32  # bytes of a sha256


@cache
def _machine():
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    target = llvm.Target.from_default_triple()
    # The large model: code and its constants may come to lie further apart than the 2 GB that an x86 jump goes, in a
    # process that holds much, and LLVM would abort.
    far = {"reloc": "static", "codemodel": "large"} if is_x86() else {"reloc": "pic", "codemodel": "default"}
    return target.create_target_machine(cpu=llvm.get_host_cpu_name(), features=llvm.get_host_cpu_features().flatten(),
                                        opt=3, **far)


def is_x86() -> bool:
    return platform.machine().lower() in ("x86_64", "amd64")


@cache
def _linker():
    return llvm.create_lljit_compiler(_machine())


@cache
def _about_here() -> str:
    """What machine code depends on beside its source: the processor, LLVM, the translator's own text."""
    own = "".join(path.read_text(encoding="utf-8") for path in sorted(Path(__file__).parent.glob("*.py")))
    return "\n".join([llvmlite.__version__, str(llvm.llvm_version_info), llvm.get_default_triple(),
                      llvm.get_host_cpu_name(), llvm.get_host_cpu_features().flatten(), own])


def folder() -> Path:
    """Where machine code is kept: DEEPHTM_CACHE, or the system's place for such files."""
    if given := os.environ.get("DEEPHTM_CACHE"):
        return Path(given)
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA", Path.home() / "AppData" / "Local")) / "deephtm_gpu"
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "deephtm_gpu"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "deephtm_gpu"


class Native:
    """The functions of an object file, in this process as long as this object lives."""

    _count = 0

    def __init__(self, code: bytes):
        Native._count += 1
        builder = llvm.JITLibraryBuilder().add_object_img(code).add_current_process().export_symbol("run")
        self._library = builder.link(_linker(), f"deephtm_{Native._count}")

    @property
    def address(self) -> int:
        """Of the function `run`."""
        return self._library["run"]


@cache
def native(source: str, make) -> Native:
    """The machine code of a source, from the cache or compiled now.

    Parameters
    ----------
    source : str
        What it is made of; the cache goes by it.
    make : function
        source -> LLVM IR; called only where nothing is in the cache.

    Returns
    -------
    Native
        Its function `run`. One for each source in a process.
    """
    name = hashlib.sha256(f"{_about_here()}\n{source}".encode()).hexdigest()
    path = folder() / f"{name}.o"
    code = _read(path)
    if code is None:
        code = compiled(make(source))
        _write(path, code)
    return Native(code)


def compiled(ir: str) -> bytes:
    """LLVM IR -> an object file."""
    module = llvm.parse_assembly(ir)
    module.triple = llvm.get_default_triple()
    module.verify()
    tuning = llvm.create_pipeline_tuning_options(speed_level=3)
    tuning.slp_vectorization = False
    passes = llvm.create_pass_builder(_machine(), tuning)
    passes.getModulePassManager().run(module, passes)
    return _machine().emit_object(module)


def _read(path: Path) -> bytes | None:
    try:
        kept = path.read_bytes()
    except OSError:
        return None
    code = kept[_DIGEST:]
    return code if code and hashlib.sha256(code).digest() == kept[:_DIGEST] else None


def _write(path: Path, code: bytes):
    """A cache that cannot be written is no error: the code is compiled again next time."""
    with contextlib.suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, beside = tempfile.mkstemp(dir=path.parent, suffix=".tmp")
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(hashlib.sha256(code).digest() + code)
            os.replace(beside, path)
        except OSError:
            with contextlib.suppress(OSError):
                os.unlink(beside)
