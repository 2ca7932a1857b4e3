"""What a user installs and reads: the built package, the README, the scripts."""

import importlib
import os
import re
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from pathlib import Path

import pytest

import deephtm_gpu
from deephtm_gpu.cli.demo import DEMOS
from deephtm_gpu.cli.main import COMMANDS
from deephtm_gpu.kernels.compose import files_of, shader_folder
from deephtm_gpu.ops.table import SHADERS

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
SCRIPTS = (".ci/run", ".ci/setup", "demos/run", "tests/run")
FOLDERS = {"deephtm_gpu", "shaders", "tests", "demos", ".ci"}
IGNORED = {line.strip("/") for line in (ROOT / ".gitignore").read_text(encoding="utf-8").splitlines()}


def run(*command, **options):
    """Runs a program to its end; a failure shows what it printed. Returns its standard output."""
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False, **options)
    assert done.returncode == 0, f"{command} ended with {done.returncode}:\n{done.stdout}\n{done.stderr}"
    return done.stdout


def files():
    """The project's own files, as paths from its root; also in a copy that is no git repository."""
    found = [p for p in ROOT.iterdir() if p.is_file()]
    for folder in FOLDERS:
        found += [
            p for p in (ROOT / folder).rglob("*") if p.is_file() and IGNORED.isdisjoint(p.relative_to(ROOT).parts)
        ]
    return sorted(p.relative_to(ROOT) for p in found if p.name != ".git")


def texts():
    for path in files():
        try:
            yield path, (ROOT / path).read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue


# The built package


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """A source archive made of the checkout, a wheel made of that archive. Returns (archive's names, wheel's path)."""
    folder = tmp_path_factory.mktemp("built")
    run(sys.executable, "-m", "hatchling", "build", "-t", "sdist", "-d", str(folder), cwd=ROOT)
    with tarfile.open(next(folder.glob("*.tar.gz"))) as archive:
        names = [n.partition("/")[2] for n in archive.getnames()]
    run("tar", "-xzf", str(archive.name), "-C", str(folder))
    source = next(p for p in folder.iterdir() if p.is_dir())
    run(sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder), cwd=source)
    return names, next(folder.glob("*.whl"))


def test_wheel_holds_every_shader_and_module_and_nothing_else(built):
    with zipfile.ZipFile(built[1]) as wheel:
        held = {n for n in wheel.namelist() if ".dist-info/" not in n}
        assert any(n.endswith(".dist-info/licenses/LICENSE") for n in wheel.namelist())
    modules = {p.as_posix() for p in files() if p.parts[0] == "deephtm_gpu"}
    shaders = {"deephtm_gpu/" + p.as_posix() for p in files() if p.parts[0] == "shaders"}
    assert {f"deephtm_gpu/shaders/{f}.wgsl" for s in SHADERS.values() for f in files_of(s)} <= shaders
    demos = {
        f"deephtm_gpu/demos/{name}"
        for name in (*(f"{d}.py" for d in DEMOS), "data/nyc_taxi.csv", "data/NAB_LICENSE.txt")
    }
    assert held == modules | shaders | demos and "deephtm_gpu/py.typed" in held


def test_wheel_works_by_itself(built, tmp_path):
    with zipfile.ZipFile(built[1]) as wheel:
        wheel.extractall(tmp_path)
    program = (
        "import deephtm_gpu as dh, numpy as np\n"
        "from deephtm_gpu.kernels.compose import declarations, shader_folder\n"
        "declarations('relu'), declarations('lib/arenas')\n"
        "net = dh.Sequential(dh.SpatialPooler(8, 2), dh.TemporalMemory(3), dh.Linear(4))\n"
        "dh.Model(net, input_shape=(4,), device='numpy').fit(np.ones((5, 4), np.float32))\n"
        "print(dh.__file__, shader_folder(), sep='\\n')\n"
    )
    # Before the editable install: what lies on PYTHONPATH is found first.
    output = run(sys.executable, "-c", program, cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(tmp_path)})
    assert output.splitlines() == [
        str(tmp_path / "deephtm_gpu" / "__init__.py"),
        str(tmp_path / "deephtm_gpu" / "shaders"),
    ]


def test_source_archive_holds_what_a_reader_needs(built):
    for name in (
        "README.md",
        "LICENSE",
        "pyproject.toml",
        "demos/sine.webp",
        "demos/sine.py",
        "tests/test_packaging.py",
        *SCRIPTS,
    ):
        assert name in built[0]
    assert not [n for n in built[0] if n.startswith((".venv", "out/", ".git/"))]


def test_checkout_reads_its_own_shaders():
    """An edited shader takes effect at once, though an editable install also leaves a copy beside the other
    packages."""
    if Path(deephtm_gpu.__file__).resolve().is_relative_to(ROOT):
        assert shader_folder() == ROOT / "shaders"


def test_project_table():
    assert {re.match(r"[\w-]+", d).group() for d in PROJECT["dependencies"]} == {
        "wgpu", "numpy", "glfw", "llvmlite", "matplotlib", "safetensors", "tqdm"}
    assert PROJECT["version"] == deephtm_gpu.__version__
    assert PROJECT["requires-python"] == ">=3.11"
    module, function = PROJECT["scripts"]["deephtm"].split(":")
    assert callable(getattr(importlib.import_module(module), function))


def test_python_m_is_the_same_program():
    assert run(sys.executable, "-m", "deephtm_gpu", "--version").split() == ["deephtm", deephtm_gpu.__version__]


# The README


def test_readme_example_runs(capsys):
    example, more, column, many, *_ = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    assert len([line for line in example.splitlines() if line.strip()]) <= 16
    short = example.replace("steps=4000", "steps=600").replace("seed=0", 'seed=0, device="numpy"')
    assert "steps=600" in short and "numpy" in short
    names = {}
    exec(compile(short, "README.md", "exec"), names)
    exec(compile(more, "README.md", "exec"), names)
    exec(compile(column.replace("objects=2", 'objects=2, device="numpy"'), "README.md", "exec"), names)
    exec(
        compile(
            many.replace("range(64)", "range(2)")
            .replace("steps=400", "steps=9")
            .replace("models=64", "models=2")
            .replace("(17)", "(1)")
            .replace("seed=0", 'seed=0, device="numpy"'),
            "README.md",
            "exec",
        ),
        names,
    )
    assert names["history"].prediction.shape == (2, 9, 1)
    assert "the next five" in capsys.readouterr().out


@pytest.mark.parametrize("command", sorted(set(re.findall(r"`(?:\.venv/bin/)?deephtm (\w+)", README))))
def test_commands_of_the_readme_exist(command):
    assert command in COMMANDS
    assert f"deephtm {command}" in run(sys.executable, "-m", "deephtm_gpu", command, "--help")


def test_files_of_the_readme_exist():
    named = set(re.findall(r"\]\(([^)#:]+)\)", README)) | set(re.findall(r"bash (\S+/run)", README))
    for quoted in re.findall(r"`([^`\n]+)`", README):
        named |= {word for word in quoted.split() if re.fullmatch(r"[\w.]+(/[\w.]*)+|[\w]+\.md|LICENSE", word)}
    named -= {"out/sine.png"}  # made by the demo
    assert {"demos/sine.webp", "tests/run", "demos/run", "shaders/", "LICENSE"} <= named
    missing = sorted(n for n in named if not (ROOT / n).exists())
    assert not missing, f"README.md names {missing}, which are not there"


def test_names_of_the_readme_exist():
    for name in re.findall(r"\bdh\.(\w+)", README):
        assert hasattr(deephtm_gpu, name), f"README.md names dh.{name}"


def test_every_folder_of_the_package_is_in_the_readme():
    for folder in sorted(p.parent.name for p in (ROOT / "deephtm_gpu").glob("*/__init__.py")):
        assert f"`deephtm_gpu/{folder}/`" in README


# The tree


@pytest.mark.parametrize("script", SCRIPTS)
def test_scripts_are_bash(script):
    run("bash", "-n", str(ROOT / script))


def test_no_lock_files():
    assert not [str(p) for p in files() if p.suffix == ".lock" or p.name.endswith("-lock.json")]


def test_no_paths_of_one_machine_and_no_registry_in_any_text():
    paths = re.compile(r"(?:^|[^\w.:/~-])/(?:work|root|farm|home|Users|opt)/\w|(?:^|[^\w.])/tmp/\w", re.MULTILINE)
    hosts = re.compile(r"pypi\.org|pythonhosted\.|deb\.debian\.|npmjs\.")
    found = [
        f"{path}: {match.group()!r}"
        for path, text in texts()
        for match in (paths.search(text), hosts.search(text))
        if match
    ]
    assert not found, found


def test_the_picture_is_small():
    assert (ROOT / "demos" / "sine.webp").stat().st_size < 3_000_000
